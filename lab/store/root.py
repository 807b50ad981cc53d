"""A data root, open: its places, its writer, its clock."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from lab.core import layout
from lab.core.errors import Unavailable
from lab.core.layout import Layout
from lab.core.world import stamp
from lab.store import reading
from lab.store.files import Files
from lab.store.refusals import gone
from lab.store.sections import hold

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from lab.core.world import World

_HEAD_BYTES = 65_536
_SEAL_DEPTH = 3  # experiments/<id>/runs/<run>


class Root:
    """What every part of the store is given. It holds no state of the lab: that is all on the disk."""

    def __init__(self, path: str, world: World, *, files: Files | None = None) -> None:
        self.layout = Layout(path)
        self.world = world
        self.files = files or Files()
        if os.path.isdir(f"{path}/registry"):
            self.files.keep_to(path)

    def now(self) -> str:
        """The moment, as the files write it."""
        return stamp(self.world.now())

    def section(self, experiment: str) -> AbstractContextManager[None]:
        """The short section in which one experiment's seals, takeovers and decisions are put in one order."""
        return hold(self.layout.section(experiment))


def still_there(root: Root) -> None:
    """Refuse to speak of a lab whose folder has gone since it was opened: a disk that is away is not an empty lab.

    Of one whose ledger's folder alone has gone, too; an empty folder where a disk was mounted is a disk that is away.
    """
    place = root.layout.root
    try:
        os.stat(f"{place}/registry")
    except (FileNotFoundError, NotADirectoryError):
        if os.path.isdir(root.layout.experiments):
            what = "registry/, with the ledger, is not there any more"
            raise Unavailable(what, where=f"{place}/registry", fix="put the folder back, or a copy of it") from None
        raise gone(place) from None


def around(place: str) -> str:
    """The data root that a place is in, or is itself; empty where it is in none. `place` is where it really is."""
    here = place
    while True:
        is_lab = os.path.isdir(f"{here}/registry") and os.path.isdir(f"{here}/experiments")
        if is_lab and any(os.path.lexists(f"{here}/{each}") for each in ("registry/events.jsonl", "LAB-INDEX.json")):
            return here
        above = os.path.dirname(here)
        if above == here:
            return ""
        here = above


def has_traces(path: str) -> bool:
    """Whether a lab of ours was here: its ledger, its index, or a seal. A folder named `experiments` is none."""
    lines = (reading.read_head(f"{path}/registry/events.jsonl", _HEAD_BYTES) or b"").splitlines()
    if any("prev" in _keys(line) for line in lines) or "ledger" in _keys(reading.read(f"{path}/LAB-INDEX.json") or b""):
        return True
    for folder, inside, names in os.walk(f"{path}/experiments"):
        if layout.SEAL in names:
            return True
        if folder.count("/") - path.count("/") > _SEAL_DEPTH:
            inside.clear()
    return False


def is_ours(path: str) -> bool:
    """Whether labctl wrote the first line of this ledger, or the index that lies beside it."""
    head = (reading.read_head(f"{path}/registry/events.jsonl", _HEAD_BYTES) or b"").partition(b"\n")[0]
    return _keys(head) >= {"seq", "prev", "event"} or "ledger" in _keys(reading.read(f"{path}/LAB-INDEX.json") or b"")


def refuse_foreign(path: str) -> None:
    """Refuse a hermes-lab data root: our pages would replace its own, and its runs would count as unfinished."""
    lines = (reading.read_head(f"{path}/registry/events.jsonl", _HEAD_BYTES) or b"").splitlines()
    keys = _keys(lines[0]) if lines else _keys(reading.read(f"{path}/LAB-INDEX.json") or b"")
    theirs = "type" in keys and "event" not in keys if lines else "data_root" in keys and "ledger" not in keys
    if theirs:
        raise Unavailable(
            "this is a hermes-lab data root, and labctl never writes into one",
            where=path,
            fix=f"make a lab of its own, then read this one in: labctl import-root {path}",
        )


def _keys(data: bytes) -> frozenset[str]:
    try:
        return frozenset(msgspec.json.decode(data, type=dict[str, msgspec.Raw]))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return frozenset()


def require(path: str) -> None:
    """Refuse a folder that is not a lab: a command that only looks must never make one in some other place."""
    refuse_foreign(path)
    if os.path.isdir(f"{path}/registry") and os.path.isdir(f"{path}/experiments"):
        return
    what = "this folder is not a lab" if os.path.isdir(path) else "there is no lab here"
    raise Unavailable(what, where=path, fix="labctl init (or: export LAB_DATA_ROOT=/path/to/your/lab)")
