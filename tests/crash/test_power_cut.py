"""Power cuts on a real file system: kill at a system call, keep only what the block device has, mount that.

What the page cache still held is gone, as it would be. What was answered as sealed (durability full) must be there.
"""

from __future__ import annotations

import os
import random
import shutil
from contextlib import suppress
from itertools import cycle
from typing import TYPE_CHECKING

import pytest

from tests.crash import invariants, outage, sampled, straced, verbs
from tests.crash.aftermath import SEED, problems
from tests.crash.outage import END, MAKERS, Cuts, Disk, run
from tests.crash.test_every_verb import ROWS, needs_service, slow_where_it_trains

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.crash.forks import Answer
    from tests.crash.straced import Point

CUTS, CUTS_OF_A_VERB = 5, 2

pytestmark = [pytest.mark.heavy, pytest.mark.needs_root, pytest.mark.needs("strace", "mount", "umount")]


@pytest.fixture(params=sorted(MAKERS))
def disk(request: pytest.FixtureRequest, tmp_path: os.PathLike[str]) -> Iterator[Disk]:
    """A small file system of its own, where loop mounts work at all."""
    program = MAKERS[request.param][1][0]
    if shutil.which(program) is None:
        pytest.skip(f"the program {program} is not installed here")
    made = Disk(os.fspath(tmp_path), request.param)
    if why := outage.hindered(made):
        pytest.skip(why)
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
        with disk.cut_off(disk.after) as path:
            wrong += [f"{steps} cut at {point}: {each}" for each in after_the_cut(path, went, point, after)]
    return wrong


def after_the_cut(path: str, went: Answer, point: Point, after: tuple[str, ...]) -> list[str]:
    if point is END and (went.code or not went.lines):
        return [f"it ended with {went.code}: {went.stderr}"]
    if not os.path.isdir(path):
        return [f"the lab is gone, and {went.lines} was answered"] if went.lines else []
    return problems(path, went.lines, after, invariants.unsealed(path))


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
    assert not wrong, sampled.told(wrong, __name__)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", SWEEPS)
def test_a_power_cut_at_every_system_call(name: str, disk: Disk) -> None:
    before, steps, after = SWEEPS[name]
    wrong = swept(disk, before, steps, after, 0)
    assert not wrong, sampled.told(wrong, __name__)


@pytest.mark.needs("git")
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("disk", "name"),
    [  # each on one of them: all of them on each behind --slow
        pytest.param(kind, *row.values, marks=row.marks)
        for kind, row in zip(cycle(sorted(MAKERS)), slow_where_it_trains(verbs.CUT), strict=False)
    ],
    indirect=["disk"],
)
def test_what_a_verb_answered_survives_a_power_cut_and_what_it_began_goes_on(name: str, disk: Disk) -> None:
    needs_service(ROWS[name])
    wrong = Cuts(ROWS[name], disk).cut(CUTS_OF_A_VERB).wrong
    assert not wrong, sampled.told(wrong, __name__)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", verbs.CUT)
def test_a_verb_whose_power_is_cut_at_every_system_call(name: str, disk: Disk) -> None:
    needs_service(ROWS[name])
    wrong = Cuts(ROWS[name], disk).cut(0).wrong
    assert not wrong, sampled.told(wrong, __name__)
