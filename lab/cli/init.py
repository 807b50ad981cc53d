"""Make a data root: the folder that holds everything.

Safe to repeat: what is there is never changed, and what a crash left out is added. The place is DIR, which is short for
--data-root, else $LAB_DATA_ROOT, else $HERMES_LAB_DATA_ROOT, else ./lab-data.
"""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

from lab.cli.session import Session, locate
from lab.cli.terminal import Answer
from lab.core.errors import BadInput

if TYPE_CHECKING:
    import argparse

EXAMPLE = "export LAB_DATA_ROOT=~/lab && labctl init"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Where, if not where the other verbs look."""
    parser.add_argument("folder", nargs="?", default="", metavar="DIR", help="the data root, short for --data-root DIR")


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """Make it."""
    from lab.scheduler import create  # loaded when the verb runs, so that completion stays quick

    if args.folder:
        there = Session(session.terminal, locate(args.folder, os.environ))
        if args.data_root and there.path != session.path:
            raise BadInput(f"two places are named: {args.folder} and --data-root {args.data_root}", fix="name one")
        session = there
    made = create.make_lab(session.root(existing=False))
    text = f"initialized: {made.path}" if made.made else f"already a lab: {made.path}"
    data = {"data_root": made.path, "made": made.made}
    found = locate("", os.environ) == session.path
    then = [] if found else [f"export LAB_DATA_ROOT={shlex.quote(made.path)}"]
    return Answer(
        data, [text], warnings=made.notes, then=[*then, "labctl create first-run"] if made.made else then
    )  # fmt: skip
