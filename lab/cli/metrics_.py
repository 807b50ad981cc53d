"""Read a log for metrics, by the rules that runs are read by: say what counts, and what was refused and why.

`parse` reads the FILE, or standard input, as a stream: `METRIC name=value` lines, else a block after a line `---`, else
a last line that is a number or a JSON object with `value`. The last of several values counts. Without a usable number
of the name --metric (or `value`) the exit code is 1. Needs no lab.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from lab.cli.terminal import Answer
from lab.core.errors import DONE, FAILED, BadInput

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from lab.cli.session import Session
    from lab.executors.told import Told

EXAMPLE = """labctl metrics parse --metric val_bpb run.log --json
bash autoresearch.sh 2>&1 | labctl metrics parse --metric total_ms"""
STANDARD_INPUT = "-"
_PIECE_BYTES = 1 << 16


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which log, and which number of it counts."""
    parser.add_argument("action", choices=("parse",), help="read a log")
    parser.add_argument("file", nargs="?", default=STANDARD_INPUT, metavar="FILE", help="a log (else standard input)")
    parser.add_argument("--metric", default="", metavar="NAME", help="the number that counts (else `value`)")


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """Read it."""
    del session  # a log is read where no lab is
    from lab.executors import told as rules

    if args.metric and not rules.is_name(args.metric, args.metric):
        fix = f"a name begins with a letter or _ and has at most {rules.NAME_CHARS} letters, digits and _./-"
        raise BadInput(f"{args.metric[: rules.NAME_CHARS]!r} is no name of a metric", fix=fix)
    found = _read(args.file, args.metric)
    value, problem = found.value, ""
    if value is None:
        name = args.metric or rules.VALUE
        problem = f"no line `METRIC {name}=...`, no `{name}: ...` below a line `---`, no number as the last line"
    elif not math.isfinite(value):
        value, problem = None, f"the {args.metric or rules.VALUE} is not a finite number: a run would be a crash"
    again = set(found.differing)
    data = {
        "metric": args.metric or rules.VALUE,
        "value": value,
        "metrics": {name: each for name, each in found.metrics.items() if math.isfinite(each)},
        "again": list(found.differing),
        "refused": [
            *(each for each in found.remarks if each not in again),
            *(f"{name} is not finite" for name in _infinite(found)),
        ],
        "problem": problem,
    }
    return Answer(data, _lines(data), warnings=[problem] if problem else [], exit_code=FAILED if problem else DONE)


def _read(path: str, metric: str) -> Told:
    """What the log tells, read in pieces: it may be larger than memory."""
    import os
    import sys

    from lab.executors.log import Log

    log = Log(metric)
    try:
        if path == STANDARD_INPUT:
            if sys.stdin is None:
                raise BadInput("there is no standard input to read", fix="labctl metrics parse FILE")
            descriptor = os.dup(sys.stdin.fileno())
        else:
            descriptor = os.open(os.path.expanduser(path), os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise BadInput(f"this log cannot be read: {error.strerror}", where=path, fix="name a file, or -") from error
    try:
        while piece := os.read(descriptor, _PIECE_BYTES):
            log.feed(piece)
    except OSError as error:
        raise BadInput(f"this log cannot be read: {error.strerror}", where=path, fix="name a file, or -") from error
    finally:
        os.close(descriptor)
    return log.end()


def _infinite(found: Told) -> list[str]:
    return [name for name, each in found.metrics.items() if not math.isfinite(each)]


def _lines(data: dict[str, object]) -> Iterator[str]:
    if data["value"] is not None:
        yield f"{data['metric']}\t{data['value']!r}"
    metrics = data["metrics"]
    if isinstance(metrics, dict):
        yield from (f"{name}\t{each!r}" for name, each in metrics.items() if name != data["metric"])
    for kind in ("again", "refused"):
        told = data[kind]
        if isinstance(told, list):
            yield from (f"{kind}: {each}" for each in told)
