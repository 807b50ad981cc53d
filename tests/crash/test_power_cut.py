"""Power cuts on a real file system: kill at a system call, keep only what the block device has, mount that.

What the page cache still held is gone, as it would be. What was answered as sealed (durability full) must be there.
"""

from __future__ import annotations

import filecmp
import os
import random
import shutil
import subprocess
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from tests.crash import straced
from tests.crash.aftermath import SEED, problems
from tests.crash.straced import Point

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.crash.forks import Answer

MAKERS = {
    "ext4": ("24M", ["mkfs.ext4", "-q", "-O", "^resize_inode"]),
    "xfs": ("320M", ["mkfs.xfs", "-q"]),
}
CUTS = 12
END = Point("", 0, "after the last call")

pytestmark = [pytest.mark.heavy, pytest.mark.needs_root, pytest.mark.needs("strace", "mount", "umount")]


class Disk:
    """An image, where it is mounted, and a copy of it as the device was at the cut."""

    def __init__(self, folder: str, kind: str) -> None:
        size, maker = MAKERS[kind]
        self.fresh, self.image, self.cut_image = (f"{folder}/{name}.img" for name in ("fresh", "disk", "cut"))
        self.place, self.after = f"{folder}/mounted", f"{folder}/after"
        for path in (self.place, self.after):
            os.mkdir(path)
        run("truncate", "-s", size, self.fresh)
        run(*maker, self.fresh)

    @contextmanager
    def mounted(self, image: str, place: str) -> Iterator[str]:
        """The lab's root on that image; unmounted whatever happens."""
        run("mount", "-o", "loop", image, place)
        try:
            yield f"{place}/lab"
        finally:
            run("umount", place)

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


@pytest.fixture(params=sorted(MAKERS))
def disk(request: pytest.FixtureRequest, tmp_path: os.PathLike[str]) -> Iterator[Disk]:
    """A small file system of its own, where loop mounts work at all."""
    program = MAKERS[request.param][1][0]
    if shutil.which(program) is None:
        pytest.skip(f"the program {program} is not installed here")
    made = Disk(os.fspath(tmp_path), request.param)
    try:
        with made.mounted(made.fresh, made.place):
            pass
    except AssertionError as error:
        pytest.skip(f"loop mounts do not work here: {error}")
    yield made
    for place in (made.place, made.after):
        with suppress(AssertionError):
            run("umount", place)


def swept(disk: Disk, before: tuple[str, ...], steps: tuple[str, ...], after: tuple[str, ...], cuts: int) -> list[str]:
    """Cut the power at points of these steps, and once after their end."""
    disk.prepared(before)
    disk.start()
    with disk.mounted(disk.image, disk.place) as path:
        found = straced.points(path, steps, f"{path}.log")
    assert len(found) > 20, found
    if cuts:
        found = sorted(random.Random(f"{SEED}{steps}").sample(found, cuts))
    wrong: list[str] = []
    for point in (*found, END):
        disk.start()
        with disk.mounted(disk.image, disk.place) as path:
            went = straced.inject(path, steps, point, "signal=KILL") if point.number else straced.plain(path, *steps)
            disk.cut()
        with disk.mounted(disk.cut_image, disk.after) as path:
            wrong += [f"{steps} cut at {point}: {each}" for each in after_the_cut(path, went, point, after)]
    return wrong


def after_the_cut(path: str, went: Answer, point: Point, after: tuple[str, ...]) -> list[str]:
    if point is END and (went.code or not went.lines):
        return [f"it ended with {went.code}: {went.stderr}"]
    if not os.path.isdir(path):
        return [f"the lab is gone, and {went.lines} was answered"] if went.lines else []
    return problems(path, went.lines, after)


def told(wrong: list[str]) -> str:
    rerun = f"LABCTL_SWEEP_SEED={SEED} pytest tests/crash/test_power_cut.py (--slow for all points)"
    return f"{len(wrong)} things are wrong; again with: {rerun}\n" + "\n".join(wrong[:40])


SWEEPS = {
    "run": (("create", "run"), ("run", "run"), ("run",)),
    "create": ((), ("create", "run"), ("create", "run")),
    "recover": (("create", "run", "begin"), ("recover", "run"), ("run",)),
}


@pytest.mark.timeout(180)
@pytest.mark.parametrize("name", ["run", "create"])
def test_what_was_answered_as_sealed_survives_a_power_cut(name: str, disk: Disk) -> None:
    before, steps, after = SWEEPS[name]
    wrong = swept(disk, before, steps, after, CUTS)
    assert not wrong, told(wrong)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", SWEEPS)
def test_a_power_cut_at_every_system_call(name: str, disk: Disk) -> None:
    before, steps, after = SWEEPS[name]
    wrong = swept(disk, before, steps, after, 0)
    assert not wrong, told(wrong)
