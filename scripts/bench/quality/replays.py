"""How well is the noise of a search known after so many replays? By the functions that the lab itself asks.

Each search has a seed, draws 30 points, replays the best number so many times, and is asked for the noise of one
measurement: by those repeats alone, by the model alone, and by both as `labctl best` says it. Told is how often each is
off by more than a factor of two, downward and upward, and how often two measurements of the same thing lie as near to
each other as the noise says (it says 95 in 100).

    python scripts/bench/quality/replays.py [--searches 200] [--seed 1]
"""

from __future__ import annotations

import argparse
import math
import sys
from random import Random
from typing import TYPE_CHECKING, NamedTuple

from lab.core import noise, space
from lab.core.noise import Noise
from lab.core.run import SUCCESS
from lab.core.trial import History, Trial
from lab.strategies import recommend

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from lab.core.parameter import Scalar

REPLAYS = (0, 1, 2, 4)
POINTS = 30
OFF = 2.0
SPACE = space.parse({name: {"type": "float", "low": 0.0, "high": 1.0} for name in "xy"})


class Task(NamedTuple):
    """A function, and by how much a measurement of it strays."""

    name: str
    value: Callable[[float, float], float]
    sigma: float


class Asked(NamedTuple):
    """What one search knows of its noise: each by the name of who says so, in sigmas of the true one."""

    task: str
    replays: int
    said: dict[str, Noise]
    sigma: float


def smooth(x: float, y: float) -> float:
    return 4 * (x - 0.3) ** 2 + 2 * (y - 0.6) ** 2


def rough(x: float, y: float) -> float:
    return smooth(x, y) + 0.3 * math.sin(40 * x) * math.sin(37 * y)


TASKS = (Task("smooth", smooth, 0.2), Task("smooth, less noise", smooth, 0.02), Task("rough", rough, 0.2))


def search(task: Task, rng: Random) -> Iterator[Asked]:
    """One search, asked after each number of replays."""

    def measured(params: Mapping[str, Scalar], number: int) -> Trial:
        value = task.value(*(float(params[name] or 0) for name in "xy")) + rng.gauss(0, task.sigma)
        return Trial(run_id=f"RUN-{number}", params=dict(params), value=value, outcome=SUCCESS)

    trials = [measured({"x": rng.random(), "y": rng.random()}, number) for number in range(POINTS)]
    best = min(trials, key=lambda each: each.value or 0.0)
    for replays in range(max(REPLAYS) + 1):
        if replays:
            trials.append(measured(best.params, len(trials)))
        if replays in REPLAYS:
            repeats = noise.repeated([[each.value or 0.0 for each in trials if each.params == best.params]])
            asked = recommend.recommend(SPACE, History(trials=tuple(trials), minimize=True, number=0, noisy=True))
            modelled = asked.modelled if asked else None
            said = {"repeats": repeats, "model": noise.filled(Noise(), modelled)}
            yield Asked(task.name, replays, said | {"both": noise.filled(repeats, modelled)}, task.sigma)


def row(found: Sequence[Asked], who: str) -> str:
    """What one of them says, over all searches that it says anything of."""
    known = [(each.said[who], each.sigma) for each in found if each.said[who].df]
    if not known:
        return f"{'-':>8} {'-':>8} {'-':>8}"
    times = [(said.sigma or 0.0) / sigma for said, sigma in known]
    low, high = sum(each < 1 / OFF for each in times), sum(each > OFF for each in times)
    within = sum(math.erf((noise.margin(said, 1, 1) or 0.0) / sigma / 2) for said, sigma in known)
    return f"{low / len(known):8.3f} {high / len(known):8.3f} {within / len(known):8.3f}"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--searches", type=int, default=200, metavar="N")
    parser.add_argument("--seed", type=int, default=1, metavar="N")
    args = parser.parse_args()
    print(f"{'task':20} {'replays':>7} {'by':8} {'half':>8} {'double':>8} {'within':>8}")
    for task in TASKS:
        every = [told for at in range(args.searches) for told in search(task, Random(f"{args.seed}/{task.name}/{at}"))]
        for replays in REPLAYS:
            found = [each for each in every if each.replays == replays]
            for who in ("repeats", "model", "both"):
                print(f"{task.name:20} {replays:7} {who:8} {row(found, who)}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
