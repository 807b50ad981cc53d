"""What the programs of this folder share: their flags, how they tell what held and what did not, and how they end.

A program tries something a great many times and counts. Each `Finding` is one promise with how often it was put to the
test and how often it was broken. The exit code is 1 where one was broken. Figures here are counts; times are only told.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Trial = Callable[["Setting"], list["Finding"]]

MEMORY = "/dev/shm"  # noqa: S108  # only the parent of a fresh private folder
HEAD = ("what was tried", "how often", "promise", "broken")
INTERRUPTED = 130
MOST_TOLD = 20  # broken promises that are told one by one


@dataclass(frozen=True, kw_only=True)
class Setting:
    """Where to try, how much, and with which luck."""

    scratch: str  # in memory where there is room
    disk: str  # on a file system that syncs
    quick: bool
    seconds: float  # 0: what the program does of itself
    seed: int


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One promise, and what became of it. `broken` says each breach in words, with what repeats it."""

    what: str
    tried: str
    promise: str
    broken: list[str] = field(default_factory=list)


def run(about: str | None, trials: Mapping[str, Trial]) -> None:
    """Try what was asked for, tell it, and end with 1 where a promise was broken."""
    options = _arguments(about, trials)
    scratch = tempfile.mkdtemp(prefix="labctl-trial-", dir=MEMORY if os.access(MEMORY, os.W_OK | os.X_OK) else None)
    disk = tempfile.mkdtemp(prefix="labctl-trial-", dir=options.disk or None)
    setting = Setting(scratch=scratch, disk=disk, quick=options.quick, seconds=options.seconds, seed=options.seed)
    for number in (signal.SIGINT, signal.SIGTERM):  # a shell that starts it in the background has the first ignored
        signal.signal(number, signal.default_int_handler)
    findings: list[Finding] = []
    begun = time.monotonic()
    try:
        for name in options.only or list(trials):
            print(f"{name} ...", file=sys.stderr, flush=True)
            findings += trials[name](setting)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)
    finally:
        if not options.keep:
            shutil.rmtree(scratch, ignore_errors=True)
            shutil.rmtree(disk, ignore_errors=True)
    _show(findings, f"{_machine()}; {time.monotonic() - begun:,.0f} s; seed {options.seed}", options)
    sys.exit(1 if any(finding.broken for finding in findings) else 0)


def _arguments(about: str | None, trials: Mapping[str, Trial]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a sample, in seconds")
    parser.add_argument("--only", nargs="+", choices=trials, metavar="NAME", help=f"of {', '.join(trials)}")
    parser.add_argument("--seconds", type=float, default=0.0, metavar="S", help="how long, for what goes by time")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="another luck (1)")
    parser.add_argument("--disk", default="", metavar="DIR", help="where to sync: a real disk (else the temp folder)")
    parser.add_argument("--keep", action="store_true", help="leave the labs where they are, to be looked at")
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument("--json", action="store_true")
    shown.add_argument("--markdown", action="store_true")
    return parser.parse_args()


def _machine() -> str:
    """What it ran on, without the name of anybody."""
    system = platform.uname()
    return (
        f"{os.cpu_count()} cores, Python {platform.python_version()}, {system.system} {system.release} {system.machine}"
    )


def _show(findings: list[Finding], told: str, options: argparse.Namespace) -> None:
    if options.json:
        print(json.dumps({"machine": told, "findings": [asdict(finding) for finding in findings]}, indent=2))
        return
    rows: list[tuple[str, ...]] = [
        HEAD,
        *((each.what, each.tried, each.promise, str(len(each.broken))) for each in findings),
    ]
    if options.markdown:
        rows.insert(1, ("---",) * len(HEAD))
        print("".join(f"| {' | '.join(row)} |\n" for row in rows) + f"\n{told}")
    else:
        widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
        lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
        print("".join(f"{line.rstrip()}\n" for line in lines) + told)
    for finding in findings:
        for each in finding.broken[:MOST_TOLD]:
            print(f"BROKEN {finding.what}: {each}", file=sys.stderr)
