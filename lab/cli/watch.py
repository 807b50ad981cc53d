"""Watch a lab or an experiment at the terminal: what runs, what came of it, and what wants you.

On a terminal it is a screen that renews itself. ? lists its keys: j and k select, Tab goes to the next experiment, l
shows or hides the log, q ends it; a and r approve or reject what waits, p pauses or resumes, each after a question that
says what would be done. What you approve is what was shown: if it changed meanwhile, nothing is done.

In a pipe, with --plain, or where the terminal can do no more, it is a line for each thing that happens: a run began or
ended, and whether it is a new best beyond the noise; a proposal was made or decided; a phase changed. --jsonl prints
the same as a JSON document a line. The first line says since when: nothing is told of what was before.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from lab.cli.parser import seconds
from lab.cli.terminal import Answer
from lab.core.errors import BadInput, Unavailable

if TYPE_CHECKING:
    import argparse

    from lab.cli.session import Session
    from lab.cli.watching.ending import Ending
    from lab.store.root import Root

EXAMPLE = """labctl watch
labctl watch lr-sweep
labctl watch --plain --until-idle 60 | tee night.log
labctl watch lr-sweep --jsonl --for 3600"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Of what, how, and until when."""
    parser.add_argument("experiment", metavar="ID", nargs="?", default=None, help="the experiment (default: the lab)")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--plain", action="store_true", help="lines as things happen, on a terminal too")
    form.add_argument("--jsonl", action="store_true", help="the same, each line a JSON document")
    parser.add_argument("--for", type=seconds, default=None, metavar="S", dest="for_s", help="end after S seconds")
    parser.add_argument(
        "--until-idle",
        type=seconds,
        default=None,
        metavar="S",
        help="end once no run was under way and nothing happened for S seconds",
    )


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """Look until it is over."""
    from lab.cli.watching.ending import Ending
    from lab.store import experiments

    ending = Ending(args.for_s, args.until_idle)
    if session.terminal.as_json:
        return _document(args, session, ending)
    if sys.stdout is None:
        raise Unavailable("there is nothing to print to: the output is closed", fix="labctl watch --plain > FILE")
    root = session.root()
    name = "" if args.experiment is None else experiments.require(root, args.experiment)  # an empty word is not the lab
    if args.jsonl or args.plain or not _has_screen():
        from lab.cli.watching import plain

        print_one = plain.as_jsonl(session) if args.jsonl else plain.as_line(session)
        plain.follow(session, root, name, ending, print_one)
    else:
        from lab.cli.watching import screen

        screen.show(session, root, name, ending)
    return Answer({}, ())


def _document(args: argparse.Namespace, session: Session, ending: Ending) -> Answer:
    """What happened until the end, as one document. It needs an end."""
    if args.jsonl:
        raise BadInput("--jsonl is not one JSON document, which --json asks for", fix="leave one of them out")
    if args.for_s is None and args.until_idle is None:
        raise BadInput("without an end there is no document", fix="--for S or --until-idle S, or --jsonl for --json")
    from lab.cli.watching import news, plain
    from lab.store import experiments

    root: Root = session.root()
    name = "" if args.experiment is None else experiments.require(root, args.experiment)
    heard = plain.Gathered()
    plain.follow(session, root, name, ending, heard.add)
    data = {
        "experiment": name,
        "ended": ending.why,
        "events": news.as_rows(heard.events),
        "left_out": heard.left_out,
    }
    return Answer(data, ())


def _has_screen() -> bool:
    """Whether what we print goes to a terminal that can move its cursor."""
    return sys.stdout is not None and sys.stdout.isatty() and os.environ.get("TERM", "") not in ("", "dumb", "unknown")
