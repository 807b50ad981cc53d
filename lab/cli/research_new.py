"""`labctl research new`: the folder of a project, with copies of what you give, and its experiment.

What a mode needs is refused with what to type. Without --study the study that comes with labctl is copied: a small
model on a table, to be replaced by yours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli.terminal import Answer

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from lab.cli.session import Session
    from lab.research.projects.making import Made

SHARED = ("mode", "dry_run")
TARGET = "the name of the project: of its folder here, and of its experiment"
TARGET_FIX = "labctl research new NAME --mode A"


def arguments(parser: argparse._ArgumentGroup) -> None:
    """What it is about."""
    parser.add_argument("--topic", default="", metavar="TEXT", help="new: what it is about, in words")
    parser.add_argument("--hypothesis", default="", metavar="FILE", help="new: a hypothesis as YAML (modes B, D)")
    parser.add_argument("--data", default="", metavar="FILE", help="new: the data (modes C, D)")
    parser.add_argument("--study", default="", metavar="DIR", help="new: a folder with the SPEC of what is run")
    parser.add_argument("--from", default="", dest="proceed_from", metavar="ID", help="new: an experiment (mode E)")
    parser.add_argument(
        "--own", action="append", default=[], metavar="FILE", help="new: a PDF, BibTeX or note of yours; again for more"
    )
    parser.add_argument(
        "--agent",
        default="",
        metavar="NAME[:PHASE,...]",
        help="new: this agent does ideation, implementation and writing, or the phases that are named",
    )
    parser.add_argument("--offline", action="store_true", help="new: ask no host for papers")
    parser.add_argument(
        "--runs", type=int, default=None, metavar="N", help="new: runs of the study in a round (12; 0: mode E, none)"
    )
    parser.add_argument(
        "--to", default="", metavar="PLACE", help="new: publish to git:REMOTE or hf:OWNER/NAME, once approved"
    )
    parser.add_argument(
        "--gate", action="append", default=[], metavar="PHASE", help="new: ask a person before it; again for more"
    )


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """Make it, or say why not."""
    import os

    from msgspec import to_builtins

    from lab.core.errors import BadInput
    from lab.research.projects import making
    from lab.research.projects.wish import Wish

    if args.runs is not None and args.runs < 0:
        raise BadInput(f"--runs {args.runs} is below 1", fix="--runs 12")
    if not args.mode:
        raise BadInput("new wants a mode", fix=_modes())
    asked = Wish(
        name=args.target, mode=args.mode, topic=args.topic, hypothesis=args.hypothesis, data=args.data,
        study=args.study, proceed_from=args.proceed_from, own=tuple(args.own), agent=args.agent, offline=args.offline,
        runs=args.runs, to=args.to, gates=tuple(args.gate),
    )  # fmt: skip
    made = making.make(session.root(), asked, here=os.getcwd(), actor=session.actor, dry_run=args.dry_run)
    then = [] if args.dry_run else [f"labctl research {each} {made.name}" for each in ("check", "run", "status")]
    return Answer(to_builtins(made), _lines(made), warnings=made.notes, then=then)


def _modes() -> str:
    from lab.research import declared

    return "; ".join(f"--mode {each.name} or {each.word}: {each.about}" for each in declared.modes())


def _lines(made: Made) -> Iterator[str]:
    would = "" if made.made else "would be "
    yield f"{would}made: {made.folder} (mode {made.mode}, {len(made.files)} files)"
    yield f"{would}created experiment: {made.name}"
    yield f"phases: {', '.join(made.phases)}"
    if made.secrets:
        yield f"its runs see {', '.join(made.secrets)}, and keep them out of what they write"
