"""Measure the ground the lab stands on: commands, seals, folds, cycles, and a rebuild, at full size.

    python scripts/bench/ground.py [--quick] [--only seal fold] [--json | --markdown]

CPU time, in turns with a floor or beside a peer, so that the ratios hold on another machine. Not a test: nothing fails
on a slow day. A full run takes some minutes and some gigabytes of scratch; --quick takes seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from typing import TYPE_CHECKING

if __name__ == "__main__":
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

from scripts.bench import gauge, path, start, table

if TYPE_CHECKING:
    from collections.abc import Callable

    from scripts.bench.table import Row, Size

MEMORY = "/dev/shm"  # noqa: S108  # only the parent of a fresh private folder
ROOM_BYTES = 10 << 30
MEASURES: dict[str, Callable[[str, str, Size], list[Row]]] = {
    "start": lambda scratch, _, size: start.small(scratch, size),
    "large": lambda scratch, _, size: start.large(scratch, size),
    "list": lambda scratch, _, size: start.listing(scratch, size),
    "refresh": lambda scratch, _, size: start.refreshing(scratch, size),
    "seal": path.sealing,
    "fold": lambda scratch, _, size: path.folding(scratch, size),
    "cycle": path.cycles,
    "rebuild": lambda scratch, _, size: path.rebuilding(scratch, size),
}


def main() -> None:
    options = arguments()
    size = table.QUICK if options.quick else table.Size()
    chosen = options.only or list(MEASURES)
    before = gauge.machine()
    scratch = options.scratch or tempfile.mkdtemp(prefix="labctl-bench-", dir=_roomy())
    disk = tempfile.mkdtemp(prefix="labctl-bench-", dir=options.disk or None)
    os.makedirs(scratch, exist_ok=True)
    rows: list[Row] = []
    try:
        for name in chosen:
            print(f"{name} ...", file=sys.stderr, flush=True)
            rows += MEASURES[name](os.path.abspath(scratch), disk, size)
    finally:
        shutil.rmtree(disk)
        if not options.scratch:
            shutil.rmtree(scratch)
    told = f"{before}; load at the end {os.getloadavg()[0]:.1f}; big roots in {scratch}, seals in {disk}"
    _show(rows, told, options)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small roots, few repeats")
    parser.add_argument("--only", nargs="+", choices=MEASURES, metavar="NAME", help=f"of {', '.join(MEASURES)}")
    parser.add_argument(
        "--scratch",
        default="",
        metavar="DIR",
        help="keep the big roots here, and use them again (each use adds some runs)",
    )
    parser.add_argument("--disk", default="", metavar="DIR", help="where to seal: a real disk (else the temp folder)")
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument("--json", action="store_true")
    shown.add_argument("--markdown", action="store_true")
    return parser.parse_args()


def _roomy() -> str | None:
    """Memory, where there is enough of it for roots of 100,000 runs."""
    if not os.access(MEMORY, os.W_OK | os.X_OK):
        return None
    room = os.statvfs(MEMORY)
    return MEMORY if room.f_bavail * room.f_frsize > ROOM_BYTES else None


def _show(rows: list[Row], told: str, options: argparse.Namespace) -> None:
    if options.json:
        print(json.dumps({"machine": told, "rows": table.as_data(rows)}, indent=2))
        return
    shown = table.as_markdown(rows) if options.markdown else table.as_text(rows)
    print(f"{shown}\n{told}")


if __name__ == "__main__":
    main()
