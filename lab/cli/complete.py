"""End an experiment. `labctl resume` opens it again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli.terminal import Answer

if TYPE_CHECKING:
    import argparse

    from lab.cli.session import Session

EXAMPLE = "labctl complete lr-sweep --reason 'good enough'"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which experiment, and why."""
    parser.add_argument("experiment", metavar="ID", help="the experiment")
    parser.add_argument("--reason", default="", help="why; it is written down with the decision")


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """Decide it."""
    from lab.scheduler import decisions

    made = decisions.complete(session.root(), args.experiment, reason=args.reason, actor=session.actor)
    data = {"experiment": made.experiment, "phase": made.phase, "changed": made.changed}
    said = f"completed: {made.experiment}" if made.changed else f"{made.experiment} is {made.phase} already"
    unsaid = args.reason and not made.changed
    return Answer(data, [said], warnings=["nothing was decided, so the reason was not written down"] if unsaid else ())
