"""Measure the ground the lab stands on: commands, seals, folds, cycles, and a rebuild, at full size.

    python scripts/bench/ground.py [--quick] [--only seal fold] [--json | --markdown]

CPU time, in turns with a floor or beside a peer, so that the ratios hold on another machine. Not a test: nothing fails
on a slow day. A full run takes some minutes and some gigabytes of scratch; --quick takes seconds.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if __name__ == "__main__":
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

from scripts.bench import path, program, start

if TYPE_CHECKING:
    from scripts.bench.program import Measure

MEASURES: dict[str, Measure] = {
    "start": lambda scratch, _, size: start.small(scratch, size),
    "large": lambda scratch, _, size: start.large(scratch, size),
    "list": lambda scratch, _, size: start.listing(scratch, size),
    "refresh": lambda scratch, _, size: start.refreshing(scratch, size),
    "seal": path.sealing,
    "fold": lambda scratch, _, size: path.folding(scratch, size),
    "cycle": path.cycles,
    "rebuild": lambda scratch, _, size: path.rebuilding(scratch, size),
}


if __name__ == "__main__":
    program.run(__doc__, MEASURES)
