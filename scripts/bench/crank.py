"""Measure the crank: what a turn costs the lab, warm and cold, after few runs and many, and what eight at once do.

    python scripts/bench/crank.py [--quick] [--only turn cold] [--json | --markdown]

The lab's own CPU, the programs of the runs taken off, in turns with a durable trial written by hand or with a Python
that does nothing; beside the peer, hermes-lab, whose figures were taken earlier: compare the ratios. Not a test.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if __name__ == "__main__":
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

from scripts.bench import program, rounds, rush

if TYPE_CHECKING:
    from scripts.bench.program import Measure

MEASURES: dict[str, Measure] = {
    "turn": rounds.turning,
    "many": lambda scratch, _, size: rounds.many(scratch, size),
    "cold": lambda scratch, _, size: rounds.cold(scratch, size),
    "imports": lambda scratch, _, size: rounds.imports(scratch, size),
    "memory": lambda scratch, _, size: rounds.memory(scratch, size),
    "packages": lambda scratch, _, size: rounds.packages(scratch, size),
    "rush": lambda scratch, _, size: rush.rushing(scratch, size),
}


if __name__ == "__main__":
    program.run(__doc__, MEASURES)
