"""Tell the proposers of a code loop something, from the next candidate on.

The words stand at the top of every brief until they are changed, or for so many candidates. With neither words nor
--clear it shows what is said now. A candidate that is under way does not hear of it. What is longer than a few
paragraphs belongs into experiments/ID/steering.md, which every brief shows too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli.terminal import Answer
from lab.core.errors import BadInput

if TYPE_CHECKING:
    import argparse

    from lab.cli.session import Session
    from lab.core.view import Steering

EXAMPLE = "labctl steer speed-up 'leave the data loader alone' --for 5\nlabctl steer speed-up --clear"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Whom to tell what."""
    parser.add_argument("experiment", metavar="ID", help="the code loop")
    parser.add_argument("text", nargs="?", default="", metavar="TEXT", help="what the proposers are told")
    parser.add_argument("--for", dest="candidates", type=int, metavar="N", help="only for so many candidates")
    parser.add_argument("--clear", action="store_true", help="tell them nothing any more")


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """Say it, take it back, or show it."""
    from lab.scheduler.control import steering

    if args.clear and (args.text or args.candidates is not None):
        raise BadInput("--clear takes words back, and is given none", fix=f"labctl steer {args.experiment} --clear")
    if args.candidates is not None and not args.text:
        raise BadInput("--for needs the words that it is about", fix="labctl steer ID TEXT --for 5")
    root = session.root()
    if args.clear:
        made = steering.take_back(root, args.experiment, actor=session.actor)
    elif args.text:
        made = steering.steer(root, args.experiment, args.text, candidates=args.candidates, actor=session.actor)
    else:
        made = steering.shown(root, args.experiment)
    data = {"experiment": made.experiment, "steering": made.told(), "changed": made.changed}
    return Answer(data, [_line(made.experiment, made.steering)])


def _line(experiment: str, said: Steering | None) -> str:
    from lab.projections import text

    if said is None:
        return f"{experiment}: nothing is said to its proposers"
    holds = "until it is changed" if said.left is None else f"for {text.count(said.left, 'more candidate')}"
    return f"{experiment}, {holds}: {text.line(said.text)}"
