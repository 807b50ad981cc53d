"""Compare two runs: what they were given and ran on, what they measured, and their code.

Lines with - are the first run's, lines with + the second's; of what is the same, only the value and the outcome are
shown. Numbers that both measured come with their difference and, where something is known of the noise (a code loop, or
runs of the same parameters), the 95 % interval of it: one that includes 0 is within noise. Of two runs of a code loop
the code is compared as a diff. An experiment stands for the run to take of it (`labctl best`), which was chosen for its
number, so that its interval says too much. Values of two tiers, metrics or experiments are shown and not compared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli.terminal import Answer
from lab.core.errors import BadInput

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from lab.cli.session import Session
    from lab.scheduler.results.compared import Compared
    from lab.scheduler.results.metrics import Metric

EXAMPLE = (
    "labctl compare RUN-20261121-093000-000000-scout RUN-20261121-094500-000000-critic\n"
    "labctl compare lr-sweep RUN-20261121-094500-000000-critic --diff-lines 50"
)
MOST_LINES = 10_000
_ALWAYS = ("outcome", "value")
_CELL_CHARS = 200


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which two."""
    parser.add_argument("first", metavar="RUN", help="a run; or an experiment, for the run to take of it")
    parser.add_argument("second", metavar="OTHER", help="the run to compare it with, or an experiment")
    parser.add_argument(
        "--diff-lines", type=int, default=200, metavar="N", help="so many lines of the code's diff (default 200)"
    )


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """The two beside each other."""
    from msgspec import to_builtins

    from lab.scheduler.results import compared

    if not 0 <= args.diff_lines <= MOST_LINES:
        raise BadInput(f"--diff-lines {args.diff_lines} is not between 0 and {MOST_LINES:,}", fix="--diff-lines 200")
    found = compared.compare(session.root(), args.first, args.second, diff_lines=args.diff_lines)
    return Answer(to_builtins(found), _lines(found), warnings=(*found.notes, *found.remarks))


def _lines(found: Compared) -> Iterator[str]:
    yield f"--- {found.runs[0]}"
    yield f"+++ {found.runs[1]}"
    for name, (one, other) in found.facts.items():
        if one != other:
            yield from (f"-{name}: {_text(one)}", f"+{name}: {_text(other)}")
        elif name in _ALWAYS:
            yield f" {name}: {_text(one)}"
    yield "@@ parameters: not compared @@" if found.alike is None else f"@@ parameters, {found.alike} the same @@"
    for name, (one, other) in found.params.items():
        yield from (f"-{_text(name)}: {_text(one)}", f"+{_text(name)}: {_text(other)}")
    for sign, params in zip("-+", found.only, strict=True):
        yield from (f"{sign}{_text(name)}: {_text(value)}" for name, value in params.items())
    yield from _metrics(found)
    yield from _code(found)
    yield from _verdict(found)


def _metrics(found: Compared) -> Iterator[str]:
    if found.metrics or any(found.metrics_only):
        yield "@@ metrics @@"
    for each in found.metrics:
        yield f" {_text(each.name)}: {each.values[0]!r}, {each.values[1]!r}; {_told(each)}"
    if found.metrics_left_out:
        yield f" and {found.metrics_left_out:,} more that both have"
    for sign, names in zip("-+", found.metrics_only, strict=True):
        yield from (f"{sign}{_text(name)}" for name in names)


def _told(each: Metric) -> str:
    """A difference in a line, with what it is worth."""
    if each.difference is None:
        return each.how
    mine, theirs = each.measurements
    difference = f"difference {each.difference:.6g}" + (
        f" (of means of {mine} and {theirs})" if max(mine, theirs) > 1 else ""
    )
    if each.low is None or each.high is None:
        return f"{difference}; {each.how}"
    judged = "beyond noise" if each.beyond_noise else "within noise"
    interval = f"95 % interval {each.low:.4g} to {each.high:.4g}"
    return f"{difference}, {interval}: {judged}; {each.how}"


def _code(found: Compared) -> Iterator[str]:
    code = found.code
    if code.why:
        yield f"@@ code: {_text(code.why)} @@"
        return
    yield f"@@ code, {code.commits[0][:12]} to {code.commits[1][:12]} @@"
    yield from map(_plain, code.lines)
    if code.left_out or code.is_cut:
        lines = f"{code.left_out:,}{' or more' if code.is_cut else ''} lines of the diff are not shown"
        what = lines if code.left_out else "the diff is longer than what is shown"
        yield f"@@ {what}: git diff {code.commits[0][:12]} {code.commits[1][:12]} @@"


def _verdict(found: Compared) -> Iterator[str]:
    counts = found.counts
    if counts is None:
        return
    verdict = found.verdict()
    yield f"@@ difference {counts.difference:.6g}" + (f", {verdict} @@" if verdict else " @@")


def _text(value: object) -> str:
    """A value on one line; nothing where there is none, or where it is not known."""
    from json import dumps

    from lab.projections import text

    if value is None or value == "":
        return "-"
    return text.line(value if isinstance(value, str) else dumps(value), _CELL_CHARS)


def _plain(line: str) -> str:
    """A line of code as a terminal may have it."""
    from lab.projections import text

    return text.block(line, len(line) + 1, 1)
