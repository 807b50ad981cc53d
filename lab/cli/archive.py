"""Take an experiment out of the lists, or bring it back.

Only the phase changes: nothing is moved, and every run stays where it was sealed. An archived experiment never runs.
Nothing deletes an experiment. One that was made by mistake and never ran is archived as it is; its id stays taken.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli.terminal import Answer

if TYPE_CHECKING:
    import argparse

    from lab.cli.session import Session

EXAMPLE = "labctl archive lr-sweep\nlabctl archive lr-sweep --restore"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which experiment, and which way."""
    parser.add_argument("experiment", metavar="ID", help="the experiment; completed, paused, or without a run")
    parser.add_argument("--restore", action="store_true", help="bring it back, paused")
    parser.add_argument("--reason", default="", help="why; it is written down with the decision")


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """Decide it."""
    from lab.scheduler import decisions

    decide = decisions.restore if args.restore else decisions.archive
    made = decide(session.root(), args.experiment, reason=args.reason, actor=session.actor)
    data = {"experiment": made.experiment, "phase": made.phase, "changed": made.changed}
    verb = "restored" if args.restore else "archived"
    said = f"{verb}: {made.experiment}" if made.changed else f"{made.experiment} is {made.phase} already"
    return Answer(data, [said])
