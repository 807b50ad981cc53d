"""A million steps of the simulator of tests/sim: workers, people, crashes, clocks and disks, seed after seed.

    python scripts/trial/simulate.py [--quick] [--seconds S] [--only STEPS ...] [--seed N] [--json | --markdown]

Each seed is one story of so many steps in a world of one temper, and is over with a judgement: everybody dies, one
repair and one recovery bring all in order. As many processes play as there are cores. A seed that broke a promise is
printed with its last steps; `LABCTL_SIM_SEED=N LABCTL_SIM_STEPS=N pytest tests/sim` plays it again. With `--seconds`
it goes on until then, whatever the number of steps.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections import Counter
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from multiprocessing import get_context
from typing import TYPE_CHECKING

if __name__ == "__main__":
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

from scripts.trial import report

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripts.trial.report import Finding, Setting

WHOLE, A_STORY = 1_000_000, 2_500
QUICK, A_SHORT_STORY = 2_700, 300
SEEDS_APART = 1_000_000  # of two values of --seed


@dataclass(frozen=True, kw_only=True)
class Story:
    """What became of one seed."""

    seed: int
    temper: str
    steps: int
    deeds: dict[str, int]  # how often each was begun
    broken: str
    spent_s: float


def play(folder: str, seed: int, steps: int) -> Story:
    """One seed, in a process of the pool."""
    from tests.sim.invariants import Violated  # noqa: PLC0415  # pytest is loaded where a world is played, not before
    from tests.sim.simulation import Simulation  # noqa: PLC0415

    begun_s = time.process_time()
    place = f"{folder}/{seed}"
    simulation = Simulation(place, seed)
    broken = ""
    try:
        simulation.go(steps)
    except Violated as error:
        broken = str(error)
    shutil.rmtree(place, ignore_errors=True)
    return Story(
        seed=seed, temper=simulation.temper_name, steps=simulation.world.steps, deeds=dict(simulation.begun),
        broken=broken, spent_s=time.process_time() - begun_s,
    )  # fmt: skip


def stories(setting: Setting) -> Iterator[Story]:
    """The stories as they end, until there are steps enough, or the time is over."""
    story, whole = (A_SHORT_STORY, QUICK) if setting.quick else (A_STORY, WHOLE)
    over_s = time.monotonic() + setting.seconds if setting.seconds else 0.0
    at_once = len(os.sched_getaffinity(0))
    folder = f"{setting.scratch}/worlds"
    os.makedirs(folder, exist_ok=True)
    seed, asked = setting.seed * SEEDS_APART, 0
    with ProcessPoolExecutor(at_once, mp_context=get_context("spawn"), initializer=_deaf) as pool:
        running: set[Future[Story]] = set()
        try:
            while True:
                more = time.monotonic() < over_s if over_s else asked < whole
                while more and len(running) < 2 * at_once:
                    running.add(pool.submit(play, folder, seed, story))
                    seed, asked = seed + 1, asked + story
                    more = bool(over_s) or asked < whole
                if not running:
                    return
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for each in done:
                    yield each.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _deaf() -> None:
    """Ctrl-C is for the process that waits for these: it ends them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def steps(setting: Setting) -> list[Finding]:
    told: dict[str, list[Story]] = {}
    begun_s = time.monotonic()
    for story in stories(setting):
        told.setdefault(story.temper, []).append(story)
    took_s = time.monotonic() - begun_s
    found = [_finding(temper, told[temper]) for temper in sorted(told)]
    every = [story for each in told.values() for story in each]
    made = sum(story.steps for story in every)
    spent_s = sum(story.spent_s for story in every)
    deeds = sum((Counter(story.deeds) for story in every), Counter[str]())
    pace = f"{made / took_s:,.0f} a second, {spent_s / max(1, made) * 1e6:,.0f} us of CPU each"
    begun = ", ".join(f"{count:,} {name}" for name, count in deeds.most_common())
    return [
        *found,
        report.Finding(what="simulated: in all", tried=f"{made:,} steps, {pace}", promise="no story hangs"),
        report.Finding(what="simulated: deeds begun", tried=begun, promise="ends, or says why not in the lab's words"),
    ]


def _finding(temper: str, told: list[Story]) -> Finding:
    seeds = sorted(story.seed for story in told)
    return report.Finding(
        what=f"simulated: {temper}",
        tried=f"{sum(story.steps for story in told):,} steps, {len(told)} seeds ({seeds[0]} to {seeds[-1]})",
        promise="every invariant of tests/sim after each step, and after the end of everybody",
        broken=[story.broken for story in told if story.broken],
    )


if __name__ == "__main__":
    report.run(__doc__, {"steps": steps})
