"""Queue what is due as packages, for workers that are no process of this lab.

A package is an offer: it holds no lease and cannot expire. An experiment gets one for each of its free slots, in the
order in which run-once would take it. Nothing due is no error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli import dispatch_words as words

if TYPE_CHECKING:
    import argparse

    from lab.cli.session import Session
    from lab.cli.terminal import Answer

EXAMPLE = """labctl dispatch-ready
labctl dispatch-ready --experiment lr-sweep --now"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """How much, and of what."""
    words.which(parser, max_runs=3, more="queue at most N packages")
    parser.add_argument("--now", action="store_true", help="do not wait for the cadence of the experiments named")


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """Queue them."""
    from lab.core.errors import BadInput
    from lab.scheduler.dispatch import mend, offers

    if args.now and not args.experiment:
        raise BadInput("--now wants --experiment ID", fix="name what is to run before its time")
    root = session.root()
    words.checked(root, args)
    said = mend.mend(root)
    said += offers.queue(
        root,
        actor=session.actor,
        max_runs=args.max_runs,
        classes=args.executor_class,
        only=args.experiment,
        now=args.now,
    )
    return words.answer(said, offers.QUEUED, nothing="No eligible experiments")
