"""Small file systems of their own on loop devices, and verbs whose power is cut there.

Killed at a system call, only what the block device has is kept, and that is mounted: what the page cache still held is
gone, as it would be. Whoever goes on sees that the machine has started again.
"""

from __future__ import annotations

import filecmp
import os
import random
import subprocess
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.crash import boxed, forks, invariants, straced
from tests.crash.aftermath import SEED
from tests.crash.straced import Point
from tests.crash.sweeping import Sweep, Swept, outside
from tests.crash.switch import STOP

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.crash.forks import Answer
    from tests.crash.rows import Row

MAKERS = {
    "ext4": ("64M", ["mkfs.ext4", "-q", "-O", "^resize_inode"]),
    "xfs": ("320M", ["mkfs.xfs", "-q"]),
}
END = Point("", 0, "after the last call")


class Disk:
    """An image, where it is mounted, and a copy of it as the device was at the cut."""

    def __init__(self, folder: str, kind: str) -> None:
        size, maker = MAKERS[kind]
        # Its copies have one name, and the last of them may still be mounted in a process that has its own mounts.
        self.options = "loop,nouuid" if kind == "xfs" else "loop"
        self.fresh, self.image, self.cut_image = (f"{folder}/{name}.img" for name in ("fresh", "disk", "cut"))
        self.place, self.after, self.boot = f"{folder}/mounted", f"{folder}/after", f"{folder}/boot_id"
        for path in (self.place, self.after):
            os.mkdir(path)
        run("truncate", "-s", size, self.fresh)
        run(*maker, self.fresh)

    @contextmanager
    def mounted(self, image: str, place: str) -> Iterator[str]:
        """The lab's root on that image; unmounted whatever happens."""
        run("mount", "-o", self.options, image, place)
        try:
            yield f"{place}/lab"
        finally:
            run("umount", place)

    @contextmanager
    def cut_off(self, place: str) -> Iterator[str]:
        """The lab's root as the cut left it, mounted on a machine that has started again since."""
        with open(self.boot, "w", encoding="ascii") as file:
            file.write(f"{uuid.uuid4()}\n")
        os.environ[forks.BOOT] = self.boot
        try:
            with self.mounted(self.cut_image, place) as path:
                yield path
        finally:
            del os.environ[forks.BOOT]

    def prepared(self, steps: tuple[str, ...]) -> None:
        """Make the starting point: a lab on which these steps were done and reached the disk."""
        with self.mounted(self.fresh, self.place) as path:
            os.mkdir(path)
            for step in steps:
                assert straced.plain(path, step).code == 0
            run("sync", "-f", path)

    def start(self) -> None:
        copied(self.fresh, self.image)

    def cut(self) -> None:
        """The power goes: nothing is flushed any more, and what the device holds now is all there is."""
        copied(self.image, self.cut_image)
        # The kernel may still have been writing: half of one moment and half of the next is no state of any disk.
        while not filecmp.cmp(self.image, self.cut_image, shallow=False):
            copied(self.image, self.cut_image)


def run(*command: str) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"


def copied(source: str, target: str) -> None:
    """A new file each time.

    On a busy machine the loop device of the last mount may still stand, and `mount` takes the one that has the same
    file, with what it remembers of its blocks.
    """
    run("cp", "--sparse=always", source, f"{target}.new")
    os.replace(f"{target}.new", target)


def hindered(disk: Disk) -> str:
    """Why nothing can be mounted here; empty where it can."""
    try:
        with disk.mounted(disk.fresh, disk.place):
            return ""
    except AssertionError as error:
        return f"loop mounts do not work here: {error}"


class Cuts(Sweep):
    """A row of the table of verbs on such a disk. The box lies at the same place before a cut and after it."""

    def __init__(self, row: Row, disk: Disk) -> None:
        self.row, self.disk, self.sealed = row, disk, -1
        self.box = f"{disk.place}/box"
        with disk.mounted(disk.fresh, disk.place):
            boxed.make(self.box)
            row.before(self.box)
            self._type()
            self.was, self.before = self._ledger(), outside(self.box)
            run("sync", "-f", self.box)
        disk.start()
        with disk.mounted(disk.image, disk.place):
            self._calm()
        disk.start()
        with disk.mounted(disk.image, disk.place):
            self.calls = boxed.points(self.box, self.words)

    def cut(self, cuts: int) -> Swept:
        """The power goes at so many of its system calls (0: at all), and once after the last."""
        found = self.calls
        if cuts:
            found = sorted(random.Random(f"{SEED}{self.row.name}").sample(found, min(cuts, len(found))))
        wrong = []
        for point in (*found, END):
            self.disk.start()
            with self.disk.mounted(self.disk.image, self.disk.place):
                went = (
                    boxed.killed(self.box, self.words, point) if point.number else boxed.plainly(self.box, self.words)
                )
                self.disk.cut()
            with self.disk.cut_off(self.disk.place):
                invariants.age_drafts(self.box)  # they may be anybody's, until an hour has passed
                lost = [] if point.number else self._lost(went)
                wrong += [f"{self.row.name}: cut at {point}: {each}" for each in (*lost, *self._problems(went, STOP))]
        return Swept(len(self.calls), len(found) + 1, wrong)

    def _fresh(self) -> None:
        """It is mounted."""

    def _goes_on(self) -> Iterator[str]:
        """The first time is the calm one: what is sealed before it was answered."""
        if self.sealed < 0:
            self.sealed = self._sealed()
        yield from super()._goes_on()

    def _right_after(self, lab: str) -> Iterator[str]:
        begun = invariants.unsealed(lab)
        return (each for each in super()._right_after(lab) if not any(run in each for run in begun))

    def _lost(self, went: Answer) -> Iterator[str]:
        """What it had answered before the power went is there."""
        yield from self._answered(went, dict.fromkeys(self.row.ok, ""), "it")
        yield from (f"lost: {each} was answered" for each in self.least - self._told())
        if self._sealed() < self.sealed:
            yield f"lost: {self._sealed()} runs are sealed, and {self.sealed} were answered"
        now = outside(self.box)
        yield from (
            f"lost: {path} was answered" for path, data in self.done.items()
            if self.before.get(path) != data != now.get(path) and not self._may_vary(path)
        )  # fmt: skip

    def _sealed(self) -> int:
        return sum("SEAL.json" in names for _, _, names in os.walk(f"{self.box}/{boxed.LAB}/experiments"))
