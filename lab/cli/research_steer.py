"""`labctl research steer`: tell a project something, or what its next iteration is to decide.

The phase that is under way does not hear of it; the next one does. --decide stands in for the rule of the iteration
once: keep goes on to the paper, refine makes another round, pivot takes the next idea, stop ends the rounds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli.terminal import Answer
from lab.core.errors import BadInput

if TYPE_CHECKING:
    import argparse

    from lab.cli.session import Session

SHARED = ("text", "why")
TARGET = "the project"


def arguments(parser: argparse._ArgumentGroup) -> None:
    """What it is told."""
    parser.add_argument("--decide", default="", metavar="WORD", help="steer: keep, refine, pivot or stop; with --why")


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """Write it down."""
    from msgspec import to_builtins

    from lab.projections import text
    from lab.research.projects import overview, said

    if args.decide and args.text:
        raise BadInput(
            "--decide has its words in --why", fix=f"labctl research steer ID --decide {args.decide} --why TEXT"
        )
    if args.why and not args.decide:
        raise BadInput("--why is of a decision", fix="labctl research steer ID --decide refine --why TEXT")
    words = args.why if args.decide else args.text
    told = said.say(session.root(), args.target, words, ruled=args.decide, actor=session.actor)
    ruled = f" {told.ruled}:" if told.ruled else ""
    was = "" if told.changed else " (said already)"
    line = f"{told.experiment} is told:{ruled} {text.line(told.text)}{was}"
    unheard = "" if told.ruled else _unheard(session, told.experiment)
    then = overview.of(session.root(), told.experiment).next
    return Answer(to_builtins(told), [line], warnings=[unheard] if unheard else [], then=then)


def _unheard(session: Session, name: str) -> str:
    """Why nobody would read it: rules and searches go by numbers, and not by words."""
    from lab.core.errors import LabError
    from lab.research import declared, worker
    from lab.research.projects import opened

    try:
        planned = declared.planned(opened.project(session.root(), name).project)
    except LabError:
        return ""  # `status` tells of it
    if any(each.executor not in worker.BUILT_IN or each.executor in worker.READERS for each in planned):
        return ""
    fix = f"routing in project.yaml gives one to an agent; --decide rules on the next iteration of {name}"
    return f"no phase of this project is done by an agent or a command, so nobody reads it: {fix}"
