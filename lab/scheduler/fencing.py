"""Where the program of a run may write, where its SPEC says that it is fenced: code that nobody has read, an agent's.

The run's own folder, a copy of the workspace that was made for it, temporary files of its own, and `writable_paths`.
What the machine has no fence for is not held, and the run goes on: whoever relies on it looks at what it said.
"""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import msgspec

from lab.core.launch import Fence, Program

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.core.spec import Spec
    from lab.store.files import Files

SPARE = "scratch/tmp"  # of a lab: the temporary folders of what is fenced
APART = "temporary"  # the same, of a package


def writable(spec: Spec) -> tuple[str, ...]:
    """The folders that a SPEC names. One that is not there can hold nothing, and ends no run."""
    return tuple(path for path in map(os.path.expanduser, spec.writable_paths) if os.path.exists(path))


@contextmanager
def held(files: Files, spec: Spec, program: Program, own: tuple[str, ...], spare: str) -> Iterator[Program]:
    """The program as it is to be started. `own` are its folders; `spare` is made for it, and goes when it has ended."""
    if not spec.fenced:
        yield program
        return
    from lab.executors import fence  # noqa: PLC0415  # ctypes, and a program that is tried: most runs have none

    files.folder(spare)
    try:
        confined = Fence(writable=(*dict.fromkeys(own), spare, *writable(spec)))
        environ = {**program.environ, **fence.environment(spare)}
        yield msgspec.structs.replace(program, environ=environ, fence=confined)
    finally:
        with suppress(OSError, RecursionError):  # whoever comes next sweeps
            files.discard_folder(spare)


def said(folder: str) -> tuple[bool, str]:
    """Whether this machine holds a program to a folder, and by what; or why it does not."""
    from lab.executors import fence  # noqa: PLC0415  # as above

    told = fence.raised(Program(argv=("/bin/sh",), cwd="/", fence=Fence(writable=(folder,)))).said
    return not told.startswith("none"), told
