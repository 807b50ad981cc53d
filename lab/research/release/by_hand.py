"""Whether a person may be asking: what a run started neither approves a release nor sends one.

Promised is that no program does it by the way: an agent, a study's program or anything else that the lab started and
that still descends from it. A program that runs as you and wants to can do what you can: leave its run behind it, write
a line for cron, or write into the lab. Who must be safe from that lets runs have a user, or a machine, of their own.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from lab.core.errors import BadInput
from lab.store import processes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Never

    from lab.store.root import Root

_OF_RUN = ("LAB_RUN_ID", "LAB_RUN_DIR")


def require(root: Root, name: str) -> None:
    """Refuse where this process, or one that it descends from, was started for a run."""
    _require(root.world.environ, name)
    for pid in processes.above():
        _require(_environ(pid), name)


def _require(environ: Mapping[str, str], name: str) -> None:
    run = next((environ[each] for each in _OF_RUN if environ.get(each)), "")
    if run:
        _refuse(run, name)


def _refuse(run: str, name: str) -> Never:
    fix = f"it is for a person, in a shell of their own: labctl research publish {name} says what to type"
    raise BadInput(
        f"this was started by the run {os.path.basename(run)}, and no run approves or sends a release", fix=fix
    )


def _environ(pid: int) -> dict[str, str]:
    """As it was when the process began: what it took out of it since still stands there."""
    with suppress(OSError), open(f"/proc/{pid}/environ", "rb") as file:
        rows = (os.fsdecode(row).partition("=") for row in file.read().split(b"\0"))
        return {name: value for name, _, value in rows}
    return {}
