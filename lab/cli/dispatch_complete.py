"""Say that a package is done: it moves from running/ to complete/, and dispatch-ingest takes it in.

A success needs run/RESULT.md and run/metrics.json with the number; anything else is said with --outcome and --reason.
Another worker than the one that claimed the package is refused, and saying it twice is no mistake.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli import dispatch_words as words
from lab.cli.terminal import Answer

if TYPE_CHECKING:
    import argparse

    from lab.cli.session import Session

EXAMPLE = "labctl dispatch-complete DISPATCH-20261121-093000-000000-lr-sweep --worker gpu-3"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which one, and how it ended."""
    parser.add_argument("dispatch_id", metavar="DID", help="the package")
    parser.add_argument(
        "--outcome", default="success", metavar="O", help="success (default), failed, timeout, crash or cancelled"
    )
    parser.add_argument("--reason", default="", help="why it is no success")
    words.who(parser, "")


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """Complete it."""
    from lab.scheduler.dispatch import completing, mend

    root = session.root()
    words.checked(root, args)
    mend.mend(root)
    word = completing.Word(args.outcome, reason=args.reason)
    each = completing.complete(root, args.dispatch_id, args.worker, word)
    data = {
        "dispatch_id": each.dispatch_id,
        "experiment": each.experiment,
        "outcome": args.outcome,
        "stage": "complete",
    }
    return Answer(data, [f"{each.dispatch_id} -> complete"], then=[f"labctl dispatch-ingest {each.dispatch_id}"])
