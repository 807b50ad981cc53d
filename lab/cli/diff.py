"""Show in what two runs differ.

How they ended, what they were given, and what they ran on: tier, seed, digest of the SPEC, commit, time. Lines with -
are the first run's, lines with + the second's; of what is the same, only the value and the outcome are shown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli.terminal import Answer

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from lab.cli.session import Session
    from lab.scheduler.results.compared import Compared

EXAMPLE = "labctl diff RUN-20261121-093000-000000-scout RUN-20261121-094500-000000-critic"
_ALWAYS = ("outcome", "value")
_CELL_CHARS = 200


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which two."""
    parser.add_argument("first", metavar="RUN", help="a run")
    parser.add_argument("second", metavar="OTHER", help="the run to compare it with")


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """The two beside each other."""
    from msgspec import to_builtins

    from lab.scheduler.results import compared

    found = compared.compare(session.root(), args.first, args.second)
    return Answer(to_builtins(found), _lines(found), warnings=found.remarks)


def _lines(found: Compared) -> Iterator[str]:
    yield f"--- {found.runs[0]}"
    yield f"+++ {found.runs[1]}"
    for name, (one, other) in found.facts.items():
        if one != other:
            yield from (f"-{name}: {_text(one)}", f"+{name}: {_text(other)}")
        elif name in _ALWAYS:
            yield f" {name}: {_text(one)}"
    yield f"@@ parameters, {found.alike} the same @@"
    for name, (one, other) in found.params.items():
        yield from (f"-{_text(name)}: {_text(one)}", f"+{_text(name)}: {_text(other)}")
    for sign, params in zip("-+", found.only, strict=True):
        yield from (f"{sign}{_text(name)}: {_text(value)}" for name, value in params.items())
    if found.difference is not None and not found.remarks:
        yield f"@@ difference {found.difference!r}" + (f", {found.better} is better @@" if found.better else " @@")


def _text(value: object) -> str:
    """A value on one line; nothing where there is none, or where it is not known."""
    from json import dumps

    from lab.projections import text

    if value is None or value == "":
        return "-"
    return text.line(value if isinstance(value, str) else dumps(value), _CELL_CHARS)
