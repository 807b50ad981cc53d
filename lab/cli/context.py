"""Print what somebody who knows nothing of an experiment needs, in one read.

Its goal, metric and phase, what is left of its budget, its search space, the best and the last runs with what became of
them, what wants a person, the next commands, and where the rest lies. The page is made from what is written alone, and
stays under --bytes after 10,000 runs too. What runs and models wrote stands in quotes: it is data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli.terminal import Answer
from lab.core.errors import BadInput

if TYPE_CHECKING:
    import argparse

    from lab.cli.session import Session

EXAMPLE = "labctl context lr-sweep\nlabctl context lr-sweep --top 20 --last 5 --json"
LEAST, MOST = 2_000, 1_000_000
MOST_RUNS = 1_000


def arguments(parser: argparse.ArgumentParser) -> None:
    """Of what, and how much."""
    parser.add_argument("experiment", metavar="ID", help="the experiment")
    parser.add_argument("--top", type=int, default=10, metavar="N", help="so many of the best runs (default 10)")
    parser.add_argument("--last", type=int, default=10, metavar="N", help="so many of the last runs (default 10)")
    parser.add_argument("--bytes", type=int, default=12_000, metavar="B", help="at most so long (default 12,000)")


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """The briefing: one value, as it stands and as text."""
    _check(args)
    from msgspec import to_builtins

    from lab.projections import briefing
    from lab.scheduler import briefed

    given, warnings = briefed.read(session.root(), args.experiment)
    stands, text = briefing.fitted(given, top=args.top, last=args.last, limit=args.bytes)
    then = stands.next if session.terminal.as_json else ()  # the page says them already
    return Answer(to_builtins(stands), text.splitlines(), warnings=warnings, then=then)


def _check(args: argparse.Namespace) -> None:
    """Refuse what would give no page, or one without an end."""
    if not LEAST <= args.bytes <= MOST:
        raise BadInput(f"--bytes {args.bytes} is not between {LEAST:,} and {MOST:,}", fix="--bytes 12000")
    for flag, count in (("--top", args.top), ("--last", args.last)):
        if not 0 <= count <= MOST_RUNS:
            raise BadInput(f"{flag} {count} is not between 0 and {MOST_RUNS:,}", fix=f"{flag} 10")
