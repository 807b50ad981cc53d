"""The tour of a travelling salesman, by annealing: how short it gets for these temperatures. The same each time."""

from __future__ import annotations

import argparse
import math
import os
import random

CITIES, STEPS, SEED = 80, 300_000, 3


def main() -> None:
    """Turn pieces of the tour round; take what is shorter, and what is longer more and more rarely."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hot", type=float, required=True)
    parser.add_argument("--cold", type=float, required=True)
    parser.add_argument("--reach", type=int, required=True)
    asked = parser.parse_args()
    luck = random.Random(SEED)
    tour = [(luck.random(), luck.random()) for _ in range(CITIES)]
    for step in range(STEPS):
        heat = asked.hot * (asked.cold / asked.hot) ** (step / STEPS)
        first = luck.randrange(CITIES)
        last = min(first + luck.randint(1, asked.reach), CITIES - 1)
        before, after = tour[first - 1], tour[(last + 1) % CITIES]
        longer = math.dist(before, tour[last]) + math.dist(tour[first], after)
        longer -= math.dist(before, tour[first]) + math.dist(tour[last], after)
        if last - first < CITIES - 1 and (longer < 0 or luck.random() < math.exp(-longer / heat)):
            tour[first : last + 1] = reversed(tour[first : last + 1])
    print(f"on {os.environ.get('SLURM_JOB_NODELIST', 'this machine')}, job {os.environ.get('SLURM_JOB_ID', 'none')}")
    print(f"METRIC length={sum(math.dist(tour[at - 1], tour[at]) for at in range(CITIES)):.6f}")


if __name__ == "__main__":
    main()
