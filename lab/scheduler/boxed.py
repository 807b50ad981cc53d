"""A run in a copy of its workspace: with its parameters in the program's own config files, or with an agent's change.

Never a byte of the original is written. The copy goes when the run has ended, however it ended; the copy of a lab that
died goes when the next one is made. What the program does by the whole path of the original is its own matter.
"""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import msgspec

from lab.core import layout
from lab.core.errors import BadInput
from lab.store import reading

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lab.core.launch import Program
    from lab.core.spec import Spec
    from lab.scheduler.cycle import Running
    from lab.store.files import Files
    from lab.store.root import Root

MAX_CONFIG_BYTES = 4 << 20
KEPT_BYTES = 64 << 10  # of a config file that is kept with the run
_OWN = frozenset(
    name.casefold()
    for name in (
        layout.MANIFEST, layout.PARAMS, layout.METRICS, layout.SEAL, layout.SUPERSEDED, layout.EXIT, layout.ARTIFACTS,
        layout.CURVE, layout.MODEL,
    )
)  # fmt: skip


class Box(msgspec.Struct, frozen=True, kw_only=True):
    """Where a run's program finds its workspace: `path` is the copy, or the workspace itself where none was needed."""

    path: str
    workspace: str
    lab: str = ""  # the data root: one that lies in its workspace has no part in the copy
    inside: bool = False  # the program works in the copy, not in the run's folder

    @property
    def is_copy(self) -> bool:
        return self.path != self.workspace

    def variables(self, environ: Mapping[str, str] | None = None) -> dict[str, str]:
        """What the program is told. What it imports is what was changed, wherever an installed copy may lie."""
        if not self.is_copy:
            return {}
        named = [each for each in (environ or {}).get("PYTHONPATH", "").split(os.pathsep) if each]
        paths = (self.path, *map(self._inside, named))
        return {
            "LAB_EFFECTIVE_WORKSPACE_ROOT": self.path,
            "LAB_ORIGINAL_WORKSPACE_ROOT": self.workspace,
            "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths)),
        }

    def moved(self, program: Program) -> Program:
        """The program with the paths of the workspace in its arguments as they are called in the copy."""
        if not self.is_copy:
            return program
        argv = tuple(self._inside(word) for word in program.argv)
        return msgspec.structs.replace(program, argv=argv, cwd=self.path if self.inside else program.cwd)

    def _inside(self, word: str) -> str:
        from lab.executors import sandbox  # noqa: PLC0415  # difflib and all: only for copies

        for lab in (self.lab, os.path.realpath(self.lab)) if self.lab else ():
            if lab.startswith(f"{self.workspace}/") and (word == lab or word.startswith(f"{lab}/")):
                return word  # the run's own folder, most likely
        return sandbox.inside(self.path, self.workspace, word)


def copied(root: Root, workspace: str, name: str) -> str:
    """Make a copy under this name, in the place of one that an earlier attempt left."""
    box = root.layout.sandbox(name)
    _copied(root.files, workspace, box, (root.layout.root, root.layout.place("scratch")))
    return box


def discard(files: Files, box: str) -> None:
    """Remove a copy. What cannot be removed is left to whoever comes next: the run has ended and is worth more."""
    with suppress(OSError, RecursionError):
        files.discard_folder(box)


@contextmanager
def opened(root: Root, running: Running, spec: Spec, workspace: str, path: str, *, measured: bool) -> Iterator[Box]:
    """Where the program of a run is to find its workspace while the run lasts."""
    manifest = running.manifest
    box = root.layout.sandbox(f"{manifest.experiment}@{manifest.run_id}")
    place = Place(
        workspace=workspace, box=box, path=path, lab=root.layout.root,
        apart=(root.layout.root, root.layout.place("scratch")),
    )  # fmt: skip
    if place.needs_copy(spec, running.params, measured=measured):
        _sweep(root)
    with place.opened(root.files, spec, running.params, measured=measured) as found:
        yield found


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A workspace, where a copy of it would lie, and where the run writes; in a lab, or where there is none."""

    workspace: str
    box: str
    path: str
    lab: str = ""
    apart: tuple[str, ...] = ()  # folders that are no part of the copy

    def needs_copy(self, spec: Spec, params: Mapping[str, object] | None, *, measured: bool) -> bool:
        """Whether parameters go into a config file, or the validation_command measures, as it did in hermes-lab."""
        if not self.workspace or not os.path.isdir(self.workspace):
            return False
        return measured or bool(params and _config_files(spec, self.workspace))

    @contextmanager
    def opened(self, files: Files, spec: Spec, params: Mapping[str, object] | None, *, measured: bool) -> Iterator[Box]:
        """The copy, for as long as the run lasts; the workspace itself where none is needed.

        A program that is `measured` by the validation_command works in the copy, any other in the run's folder.
        """
        if not self.needs_copy(spec, params, measured=measured):
            yield Box(path=self.workspace, workspace=self.workspace)
            return
        try:
            self._fill(files, spec, params or {})
            before = seen(f"{self.box}/{layout.METRICS}")
            yield Box(path=self.box, workspace=self.workspace, lab=self.lab, inside=measured)
            if measured and before != seen(f"{self.box}/{layout.METRICS}"):
                collect(files, self.box, self.path)
        finally:
            discard(files, self.box)

    def _fill(self, files: Files, spec: Spec, params: Mapping[str, object]) -> None:
        from lab.executors import config_file, sandbox  # noqa: PLC0415  # the same

        try:
            _copied(files, self.workspace, self.box, self.apart)
        except OSError as error:
            if not reading.is_local(error):
                raise  # the disk's doing
            fix = "let the lab read it, or take it out of the workspace"
            raise BadInput(f"the workspace could not be copied: {error.filename}: {error.strerror}", fix=fix) from None
        names = _config_files(spec, self.workspace) if params else ()
        changed = config_file.spread({each: _config(self.box, each) for each in names}, params) if names else {}
        for each in changed:
            if os.path.islink(f"{self.box}/{each}"):  # what it points to is the original, or somebody else's
                files.discard(f"{self.box}/{each}")
        sandbox.apply(files, self.box, changed)
        for each, data in changed.items():
            _keep(files, self.path, each, data)


def _copied(files: Files, workspace: str, box: str, apart: tuple[str, ...]) -> None:
    from lab.executors import sandbox  # noqa: PLC0415  # the same

    files.discard_folder(box)
    sandbox.copy(files, workspace, box, apart_from=apart)


def _config_files(spec: Spec, workspace: str) -> tuple[str, ...]:
    """The config files that parameters may go into; when none of those that are named is there, the first of them.

    Never one that the run writes itself: its metrics, or what the SPEC calls its output.
    """
    from lab.executors import config_file  # noqa: PLC0415  # the same

    outputs = {os.path.normpath(each) for each in spec.egress_files}
    named = [
        each
        for each in dict.fromkeys(map(os.path.normpath, spec.mutable_paths))
        if config_file.is_config(each) and each not in outputs and each.rpartition("/")[2] != layout.METRICS
    ]
    there = [each for each in named if os.path.isfile(f"{workspace}/{each}")]
    return tuple(there or named[:1])


def _config(box: str, name: str) -> bytes:
    parents = name.split("/")[:-1]
    for at in range(1, len(parents) + 1):
        parent = "/".join(parents[:at])
        if os.path.islink(f"{box}/{parent}"):
            what = f"{name} lies behind the link {parent}, and what is written there would leave the copy"
            raise BadInput(what, fix="put the folder itself into the workspace")
    if not os.path.isfile(f"{box}/{name}"):
        return b"{}" if name.lower().endswith(".json") else b""
    data = reading.read_head(f"{box}/{name}", MAX_CONFIG_BYTES + 1) or b""
    if len(data) > MAX_CONFIG_BYTES:
        fix = "put the parameters into a small file of their own and name that in mutable_paths"
        raise BadInput(f"{name} has more than {MAX_CONFIG_BYTES:,} bytes, which is no config file", fix=fix)
    return data


def _keep(files: Files, path: str, name: str, data: bytes) -> None:
    """Put the file beside the run's others: a record, and there for a program that reads it from where it works."""
    place = f"{path}/{name}"
    if len(data) > KEPT_BYTES or name.partition("/")[0].casefold() in _OWN or os.path.lexists(place):
        return
    files.create(place, data, durable=False)


def seen(path: str) -> tuple[int, int, int] | None:
    """Enough of a file to know whether somebody wrote it again; None where no plain file is."""
    if not reading.is_file(path):
        return None
    found = os.lstat(path)
    return found.st_ino, found.st_size, found.st_mtime_ns


def collect(files: Files, box: str, path: str) -> None:
    """Take the metrics over that a program wrote where it worked, if it wrote none where runs write."""
    source, target = f"{box}/{layout.METRICS}", f"{path}/{layout.METRICS}"
    if reading.is_file(source) and not os.path.lexists(target):
        files.copy(source, target)


def _sweep(root: Root) -> None:
    """Remove the copies of runs that are over: their lab died before it could."""
    folder = os.path.dirname(root.layout.sandbox("x"))
    try:
        names = os.listdir(folder)
    except OSError:
        return  # no copy was ever made
    for name in names:
        experiment, at, run_id = name.partition("@")
        if at and experiment and run_id.startswith("RUN-") and _is_over(root.layout.run(experiment, run_id)):
            discard(root.files, f"{folder}/{name}")


def _is_over(bundle: str) -> bool:
    ends = (layout.SEAL, layout.SUPERSEDED)
    return not os.path.isdir(bundle) or any(os.path.lexists(f"{bundle}/{end}") for end in ends)
