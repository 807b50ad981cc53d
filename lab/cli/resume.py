"""Let runs of an experiment start again.

Opens what was paused, completed or awaiting a person, and sets the failure count to zero. A person
decides this: what stopped it is for somebody to look at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli.terminal import Answer

if TYPE_CHECKING:
    import argparse

    from lab.cli.session import Session

EXAMPLE = "labctl resume lr-sweep"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which experiment, and why."""
    parser.add_argument("experiment", metavar="ID", help="the experiment")
    parser.add_argument("--reason", default="", help="why; it is written down with the decision")


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """Decide it."""
    from lab.scheduler import decisions, unread

    root = session.root()
    made = decisions.resume(root, args.experiment, reason=args.reason, actor=session.actor)
    foreseen = decisions.foreseen(root, args.experiment) or _asked_again(session, args.experiment)
    data = {"experiment": made.experiment, "phase": made.phase, "changed": made.changed}
    said = f"resumed: {made.experiment}" if made.changed else f"{made.experiment} is {made.phase} already"
    return Answer(data, [said], warnings=filter(None, [foreseen, unread.changed(root, made.experiment)]))


def _asked_again(session: Session, name: str) -> str:
    """Of a research project: why opening it lets nothing go on, as where a release waits for the word for its hash."""
    from lab.core.errors import LabError
    from lab.core.policy import Escalate
    from lab.scheduler import refresh, sequels

    root = session.root()
    with root.section(name):
        view, loaded = refresh.current(root, name)
    try:
        comes = None if loaded.spec is None else sequels.following(root, view, loaded.spec)
    except LabError:
        return ""  # the next turn tells of it
    return f"the next turn will stop it again: {comes.reason}" if isinstance(comes, Escalate) else ""
