"""Where somebody who is no part of the lab does a phase: a fresh folder, and what is taken of it afterwards.

BRIEF.md and input/ are theirs to read, out/ to write. By digests it is found out what was touched; a fence, where the
machine has one, keeps them from writing anywhere else meanwhile.
"""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import msgspec

from lab.core import canonical, layout
from lab.core.errors import LabError
from lab.research.work.out import safe
from lab.scheduler import change, passing
from lab.store import reading

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lab.research.worker import Task
    from lab.scheduler.change import Seen

BRIEF, INPUT, OUT = "BRIEF.md", "input", "out"
SCRATCH = "scratch/research"
COPIED_BYTES = 64 << 20  # of one piece; a larger one is read where it lies
MOST_FILE_BYTES, MOST_BYTES, MOST_FILES = 16 << 20, 128 << 20, 2_000
_SHOWN = 5
# What the lab alone writes of a run. Whoever leaves a file of such a name wants to be taken for it.
_LABS = frozenset({
    layout.SEAL, layout.MANIFEST, layout.METRICS, layout.PARAMS, layout.RESULT, layout.EXIT, layout.SUPERSEDED,
    layout.STATUS,
})  # fmt: skip


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """The files below out/ that the contract knows, and what else lay there, each with why it was passed over."""

    files: dict[str, bytes]
    ignored: dict[str, str] = {}


class Box:
    """One folder, for one try."""

    def __init__(self, task: Task, path: str) -> None:
        self.path = path
        self.out = f"{path}/{OUT}"
        self._task = task
        self._bundle = os.path.dirname(task.out.path)
        self._before: dict[str, Seen] = {}
        self._kept: dict[str, str] = {}

    def fill(self, brief: str, files: Mapping[str, bytes], begun: Mapping[str, bytes]) -> None:
        """Write what they are given; `begun` lies in out/ already, for them to change."""
        write = self._task.root.files
        write.folder(self.out)
        write.create(f"{self.path}/{BRIEF}", brief.encode(errors="replace"), durable=False)
        for below, given in ((INPUT, files), (OUT, begun)):
            for name, data in given.items():
                write.create(f"{self.path}/{below}/{safe(name)}", data, durable=False)
        self._before = change.look(self.path)
        self._kept = self._of_bundle()

    def changes(self, below: str) -> tuple[dict[str, Seen], dict[str, Seen]]:
        """What lay in a folder of out/ before and lies there now, by names below it."""
        start = f"{OUT}/{below}"
        now = change.look(self.path)
        return (
            {name.removeprefix(start): seen for name, seen in self._before.items() if name.startswith(start)},
            {name.removeprefix(start): seen for name, seen in now.items() if name.startswith(start)},
        )

    def taken(self, wanted: Sequence[str], secrets: Sequence[str]) -> Taken:
        """What may be used of it. `LabError` where anything was done that nobody does by mistake."""
        after = change.look(self.path)
        outside = [each.path for each in change.differences(self._before, after) if not each.path.startswith(f"{OUT}/")]
        if outside:
            raise LabError(f"it wrote outside of {OUT}/: {_listed(outside)}", fix=f"what it makes goes into {OUT}/")
        if self._of_bundle() != self._kept:
            raise LabError("it wrote into the folder of the run that it works for")
        found: dict[str, bytes] = {}
        ignored: dict[str, str] = {}
        for name, seen in after.items():
            inside = name.removeprefix(f"{OUT}/")
            if inside == name:
                continue
            self._require_plain(inside, seen)
            if not _is_wanted(inside, wanted):
                ignored[canonical.plain(inside)] = "no file that this phase is to leave"
                continue
            if change.holds_secret(f"{self.out}/{inside}", secrets):
                raise LabError(f"{OUT}/{inside} holds the value of a key that it was given")
            found[inside] = reading.read(f"{self.out}/{inside}") or b""
        if len(found) > MOST_FILES or sum(map(len, found.values())) > MOST_BYTES:
            what = f"it left {len(found):,} files of {sum(map(len, found.values())) >> 20} MiB"
            raise LabError(what, fix=f"at most {MOST_FILES:,} files and {MOST_BYTES >> 20} MiB are taken")
        return Taken(files=found, ignored=ignored)

    def _require_plain(self, name: str, seen: Seen) -> None:
        shown = canonical.plain(name)
        if seen.kind == change.LINK:
            raise LabError(f"{OUT}/{shown} is a link to {canonical.plain(seen.digest)!r}; only plain files are taken")
        if seen.kind == change.FOLDER:
            raise LabError(f"{OUT}/{shown} is a repository; only plain files are taken")
        if seen.kind != change.FILE:
            raise LabError(f"{OUT}/{shown} is no plain file: {seen.digest}")
        if name.rpartition("/")[2] in _LABS:
            what = f"{OUT}/{shown} has the name of a file that the lab alone writes"
            raise LabError(what, fix="the lab measures and seals; leave that to it")
        if not canonical.is_text(name):
            raise LabError(f"{OUT}/{shown} has a name that is no UTF-8")
        if seen.size > MOST_FILE_BYTES:
            raise LabError(f"{OUT}/{shown} has {seen.size >> 20} MiB; at most {MOST_FILE_BYTES >> 20} are taken")

    def _of_bundle(self) -> dict[str, str]:
        """The digests of what the lab alone writes of the run that this is for."""
        places = {name: f"{self._bundle}/{name}" for name in _LABS}
        return {name: change.look_at(place).digest for name, place in places.items() if os.path.lexists(place)}


@contextmanager
def opened(task: Task) -> Iterator[Box]:
    """A fresh one, gone when it is over; those of the dead go first."""
    folder = task.root.layout.place(SCRATCH)
    passing.sweep(task.root, folder)
    path = passing.fresh(folder)
    task.root.files.folder(path)
    try:
        yield Box(task, path)
    finally:
        with suppress(OSError, RecursionError):  # what was taken is worth more; the next one sweeps
            task.root.files.discard_folder(path)


def inputs(task: Task) -> tuple[dict[str, bytes], dict[str, str]]:
    """What is copied for them, by its name below input/, and what is too large for that, by where it lies."""
    copied: dict[str, bytes] = {}
    large: dict[str, str] = {}
    for piece in task.given.pieces():
        name = called(piece.name)
        if reading.size_of(piece.path) > COPIED_BYTES:
            large[name] = piece.path
        else:
            copied[name] = task.given.read(piece.name)
    return copied, large


def called(name: str) -> str:
    """What a piece is called below input/."""
    return name.removeprefix("folder:")


def _is_wanted(name: str, wanted: Sequence[str]) -> bool:
    return any(name.startswith(each) if each.endswith("/") else name == each for each in wanted)


def _listed(names: Sequence[str]) -> str:
    shown = [canonical.plain(each) for each in names[:_SHOWN]]
    return ", ".join(shown) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
