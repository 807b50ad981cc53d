"""What the programs of this folder share: their flags, where they write, and how they show what they found."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from typing import TYPE_CHECKING

from scripts.bench import gauge, table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from scripts.bench.table import Row, Size

    Measure = Callable[[str, str, Size], list[Row]]

MEMORY = "/dev/shm"  # noqa: S108  # only the parent of a fresh private folder
ROOM_BYTES = 10 << 30


def run(about: str | None, measures: Mapping[str, Measure]) -> None:
    """Take the measures that were asked for. Each is given a big scratch folder, a folder on a disk, and the size."""
    options = _arguments(about, measures)
    size = table.QUICK if options.quick else table.Size()
    chosen = options.only or list(measures)
    before = gauge.machine()
    scratch = options.scratch or tempfile.mkdtemp(prefix="labctl-bench-", dir=_roomy())
    disk = tempfile.mkdtemp(prefix="labctl-bench-", dir=options.disk or None)
    os.makedirs(scratch, exist_ok=True)
    rows: list[Row] = []
    try:
        for name in chosen:
            print(f"{name} ...", file=sys.stderr, flush=True)
            rows += measures[name](os.path.abspath(scratch), disk, size)
    finally:
        shutil.rmtree(disk)
        if not options.scratch:
            shutil.rmtree(scratch)
    told = f"{before}; load at the end {os.getloadavg()[0]:.1f}; big roots in {scratch}, synced ones in {disk}"
    _show(rows, told, options)


def _arguments(about: str | None, measures: Mapping[str, Measure]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small roots, few repeats")
    parser.add_argument("--only", nargs="+", choices=measures, metavar="NAME", help=f"of {', '.join(measures)}")
    parser.add_argument(
        "--scratch",
        default="",
        metavar="DIR",
        help="keep the big roots here, and use them again (each use adds some runs)",
    )
    parser.add_argument("--disk", default="", metavar="DIR", help="where to sync: a real disk (else the temp folder)")
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
