"""A row of the table, stopped or refused before one step, and held to what a person may trust.

After each: nothing that was sealed or decided is lost, `verify` finds what is explained, files outside of the lab are
whole or as before; the same words again succeed or say that it is so already; the pages are those of a rebuild; nothing
is twice in the ledger; and after `recover` nothing of it is left.
"""

from __future__ import annotations

import os
import random
import re
import shutil
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab.core import layout
from lab.store import ledger, reading, verify
from tests.crash import boxed, invariants
from tests.crash.aftermath import SEED
from tests.crash.driver import open_root
from tests.crash.rows import TURN
from tests.crash.switch import BAD, COUNT, FULL, STOP

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.crash.forks import Answer
    from tests.crash.rows import Row
    from tests.crash.straced import Point

OURS = frozenset({0, 1, 2, 3, 4, 5, 9})
KILLED = frozenset({137, -9})
FAULTS = ("Traceback", "labctl itself failed")


@dataclass(frozen=True)
class Swept:
    """What came of it: how many steps the verb takes, at how many it was struck, and what is wrong."""

    steps: int
    struck: int
    wrong: list[str]


class Sweep:
    """One row, prepared once."""

    def __init__(self, row: Row, folder: str) -> None:
        self.row = row
        self.box, self.base = f"{folder}/box", f"{folder}/base"
        boxed.make(self.box)
        row.before(self.box)
        self._type()
        self.was, self.before = self._ledger(), outside(self.box)
        os.rename(self.box, self.base)
        self._calm()

    def _type(self) -> None:
        """What is typed, which may be about what the recipe has made."""
        row = self.row
        self.words = row.words(self.box) if callable(row.words) else row.words
        again = row.again(self.box) if callable(row.again) else row.again
        self.again = again or self.words

    def _ledger(self) -> bytes:
        return reading.read(f"{self.box}/{boxed.LAB}/registry/events.jsonl") or b""

    def _calm(self) -> None:
        """What it does when nothing happens."""
        self._fresh()
        went = boxed.typed(self.box, self.words, mode=COUNT)
        assert went.code in self.row.ok, went
        assert "LEFT RUNNING" not in went.stderr, went
        self.steps = boxed.steps_of(self.box)
        self.done = outside(self.box)
        self.least = self._told()
        list(self._goes_on())
        boxed.typed(self.box, ("recover",))
        self.most = self._told()

    def at(self, points: Iterable[int], mode: str) -> Swept:
        wrong, struck = [], 0
        for point in points:
            self._fresh()
            went = boxed.typed(self.box, self.words, mode=mode, at=point)
            step = boxed.stopped_before(self.box)
            if not step:
                continue
            struck += 1
            step = step.replace(f"{self.box}/", "")
            wrong += [f"{self.row.name}: {mode} {point} {step}: {each}" for each in self._problems(went, mode)]
        return Swept(len(self.steps), struck, wrong)

    def all(self, mode: str) -> Swept:
        return self.at(range(1, len(self.steps) + 1), mode)

    def some(self, mode: str, sample: int) -> Swept:
        count = len(self.steps)
        chance = random.Random(f"{SEED}{self.row.name}{mode}")
        return self.at(sorted(chance.sample(range(1, count + 1), min(sample, count))), mode)

    def points(self) -> list[Point]:
        """The system calls of the real process that change something in its box."""
        self._fresh()
        return boxed.points(self.box, self.words)

    def killed(self, points: Iterable[Point]) -> Swept:
        """kill -9 of that process at these."""
        wrong, struck, count = [], 0, 0
        for point in points:
            count += 1
            self._fresh()
            went = boxed.killed(self.box, self.words, point)
            if went.code not in KILLED:
                continue
            struck += 1
            wrong += [f"{self.row.name}: kill -9 at {point}: {each}" for each in self._problems(went, STOP)]
        return Swept(count, struck, wrong)

    def _fresh(self) -> None:
        invariants.fresh_copy(self.base, self.box)

    def _problems(self, went: Answer, mode: str) -> Iterator[str]:
        lab = f"{self.box}/{boxed.LAB}"
        if mode != STOP:
            yield from self._answered(went, dict.fromkeys(OURS, ""), "it")
        if os.path.exists(f"{lab}/registry/events.jsonl"):
            yield from self._right_after(lab)
            yield from self._kept()
        yield from self._outside(self.box)
        yield from self._goes_on()
        yield from self._settled(lab)

    def _right_after(self, lab: str) -> Iterator[str]:
        """What is wrong before anybody goes on."""
        yield from invariants.after_crash(lab, [])

    def _goes_on(self) -> Iterator[str]:
        """The same words again, and then the next turn of cron, which tells the lab of whatever was not told."""
        already = dict.fromkeys(self.row.ok, "") | dict(self.row.already)
        went = boxed.typed(self.box, self.again)
        yield from self._answered(went, already, "again it")
        went = boxed.typed(self.box, self.row.then)
        yield from self._answered(went, {0: ""}, "the next command")
        if self.row.then != TURN:  # what its runs come to is not asked here
            went = boxed.typed(self.box, TURN)
            yield from self._answered(went, {0: "", 1: ""}, "the next turn")

    def _answered(self, went: Answer, allowed: dict[int, str], who: str) -> Iterator[str]:
        said = "\n".join([*went.lines, went.stderr])
        for fault in FAULTS:
            if fault in said:
                yield f"{who} said {said[-600:]!r}"
                return
        if went.code not in allowed or not re.search(allowed[went.code], said):
            yield f"{who} ended with {went.code}: {said[-400:]!r}"
        if "LEFT RUNNING" in said:
            yield f"{who} left somebody running: {said[-300:]!r}"

    def _kept(self) -> Iterator[str]:
        """The ledger begins with all that it was. `verify` proves that every sealed run is there, or in an archive."""
        if not self._ledger().startswith(self.was):
            yield "lost: the ledger does not begin as it was"

    def _outside(self, box: str) -> Iterator[str]:
        """Files of others are as before, or as they are to be; what is begun has a name that says so."""
        now = outside(box)
        for path, data in now.items():
            if self._may_vary(path) or begun(path):
                continue
            if data not in (self.before.get(path), self.done.get(path)):
                yield f"half made: {path}"
        for path, data in self.before.items():
            if path not in now and self.done.get(path) == data and not self._may_vary(path):
                yield f"gone: {path}"

    def _may_vary(self, path: str) -> bool:
        return ".git/" in path or bool(self.row.varies and re.search(self.row.varies, path))

    def _settled(self, lab: str) -> Iterator[str]:
        root = open_root(lab)
        yield from invariants._bundles(root)
        yield from invariants._generations(root)
        if not self.row.is_open:
            yield from (f"claim left: {name}" for name in invariants._claims(root))
            yield from (f"nobody settled it: {name}" for name in invariants._unsettled(root))
        yield from invariants._pages(root)
        yield from (
            f"left outside: {path}"
            for path in sorted(set(outside(self.box)) - set(self.done) - set(self.before))
            if not self._may_vary(path)
            and not (self.row.leaves and path.split("/")[1].startswith(f".{self.row.leaves}"))
        )
        invariants.age_drafts(lab)
        went = boxed.typed(self.box, ("recover",))
        yield from self._answered(went, {0: "", 1: ""} if self.row.is_open else {0: ""}, "recover")
        yield from (f"damage: {each.kind} {each.where}: {each.what}" for each in verify.verify(root).damage)
        yield from (f"draft left: {name}" for name in invariants._drafts(lab))
        if self.row.once:
            told = self._told()
            more, less = told - self.most, self.least - told
            yield from (f"twice in the ledger: {each}" for each in more)
            yield from (f"not in the ledger: {each}" for each in less)

    def _told(self) -> Counter[tuple[str, ...]]:
        """What the ledger says, whenever and in whatever order."""
        root = open_root(f"{self.box}/{boxed.LAB}")
        events = [entry.line.event for entry in ledger.entries(root) if entry.line is not None]
        return Counter(
            (each.type, each.experiment, each.phase, each.tier) for each in events if not each.type.startswith("run_")
        )


def outside(box: str) -> dict[str, bytes]:
    """Every file of a box that is not the lab's, and where each link leads."""
    found: dict[str, bytes] = {}
    for folder, folders, names in os.walk(box):
        if folder == box and boxed.LAB in folders:
            folders.remove(boxed.LAB)
        for name in (*names, *folders):
            path = f"{folder}/{name}"
            if os.path.islink(path):
                found[os.path.relpath(path, box)] = os.readlink(path).encode()
            elif name in names:
                found[os.path.relpath(path, box)] = reading.read(path) or b""
    return found


def begun(path: str) -> bool:
    """Whether a part of this path is a name of what is not published yet."""
    return any(layout.is_draft(part) or part.startswith(".") for part in path.split("/"))


def prepared(row: Row, folder: str) -> Sweep:
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    return Sweep(row, folder)


MODES = (STOP, FULL, BAD)
