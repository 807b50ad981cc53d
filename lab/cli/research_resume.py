"""`labctl research resume`: settle what a kill left, open the project again, and go on.

A phase that was cut off is not done, and is done anew; what was sealed is not done twice. At a gate it says what waits,
and passes nothing: that is `labctl research approve`. Where a limit of its SPEC would end it at once again it opens
nothing, and says which.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli import research_run

if TYPE_CHECKING:
    import argparse

    from lab.cli.session import Session
    from lab.cli.terminal import Answer

SHARED = ("runs_at_most", "until")
TARGET = "the project"


def arguments(parser: argparse._ArgumentGroup) -> None:
    """Why."""
    parser.add_argument("--reason", default="", metavar="TEXT", help="resume: why; it is written down")


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """Open it, and drive it."""
    from lab.core.view import AWAITING, COMPLETED, PAUSED
    from lab.research.projects import opened, overview
    from lab.scheduler import decisions

    root = session.root()
    research_run.require_phase(opened.spec(root, args.target), args.until)
    seen = overview.of(root, args.target, strict=True)
    waits = seen.standing == AWAITING and bool(seen.gate or seen.release)
    if research_run.is_done(seen, args.until):  # opening it would have others go on from there
        return research_run.told(seen, None, until=args.until)
    if seen.standing in (COMPLETED, PAUSED, AWAITING) and not waits:
        research_run.refuse_limited(root, seen)
        decisions.resume(root, args.target, reason=args.reason or "research resume", actor=session.actor)
    return research_run.go(session, args.target, runs=args.runs_at_most, until=args.until)
