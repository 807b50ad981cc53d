"""Measure what it costs to see a lab: `labctl report` of 1,000 and of 100,000 runs, as whole processes.

    python scripts/bench/seeing.py [--quick] [--only report] [--json | --markdown]

The floor is a Python that reads the table of runs line by line with `json`, in turns with the report. Not a test.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if __name__ == "__main__":
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

from scripts.bench import gauge, program, seeing_ground, start
from scripts.bench.table import Row

if TYPE_CHECKING:
    from scripts.bench.program import Measure
    from scripts.bench.table import Size

SMALL = 1_000
SMALL_S, LARGE_S = 1.0, 20.0
SMALL_BYTES, LARGE_BYTES = 400_000, 5_000_000
MOST_REPEATS = 7
_READ = "import json, sys; [json.loads(line) for line in open(sys.argv[1], 'rb')]"


def report(scratch: str, size: Size) -> list[Row]:
    """CPU and bytes of a report of a search and of a loop, few runs and many, of which little or much is said."""
    rows = []
    for count in (SMALL, size.runs):
        for kind in (seeing_ground.SEARCH, seeing_ground.LOOP):
            for wordy in (False, True) if count <= SMALL else (False,):
                rows += _report(scratch, count, kind, size, wordy=wordy)
    return rows


def _report(scratch: str, count: int, kind: str, size: Size, *, wordy: bool) -> list[Row]:
    place = f"{scratch}/seeing-{kind}-{count}{'-wordy' if wordy else ''}"
    if not os.path.isdir(place):
        seeing_ground.a_lab(place, count, kind=kind, bundles=count <= SMALL, wordy=wordy)
    launcher = next(iter(start.launchers().values()))
    page = f"{scratch}/report-{kind}-{count}{'-wordy' if wordy else ''}.html"
    ours = [*launcher, "report", seeing_ground.NAME, "--data-root", place, "-o", page, "--yes"]
    table = f"{place}/experiments/{seeing_ground.NAME}/metrics.jsonl"
    floor = [sys.executable, "-c", _READ, table]
    repeats = min(size.repeats, MOST_REPEATS) if count <= SMALL else 1
    taken = gauge.in_turns({"ours": ours, "floor": floor}, gauge.environment(), repeats)
    bytes_ = os.path.getsize(page)
    few = count <= SMALL
    limit_s, limit_bytes = (SMALL_S, SMALL_BYTES) if few else (LARGE_S, LARGE_BYTES)
    what = f"report of a {kind}, {count:,} runs{', sealed' if few else ''}{', wordy' if wordy else ''}"
    return [
        Row(
            what=f"{what}: CPU of the process",
            ours=f"{1e3 * taken['ours']:.0f} ms",
            floor=f"{1e3 * taken['floor']:.0f} ms (json.loads of each line)",
            ratio=taken["ours"] / taken["floor"],
            goal=f"< {limit_s:g} s",
            met=taken["ours"] < limit_s,
            number=taken["ours"],
        ),
        Row(
            what=f"{what}: size",
            ours=f"{bytes_ / 1e3:.0f} kB",
            floor=f"{os.path.getsize(table) / 1e3:.0f} kB (the table)",
            goal=f"< {limit_bytes / 1e3:.0f} kB",
            met=bytes_ < limit_bytes,
            number=float(bytes_),
        ),
    ]


MEASURES: dict[str, Measure] = {"report": lambda scratch, _, size: report(scratch, size)}


if __name__ == "__main__":
    program.run(__doc__, MEASURES)
