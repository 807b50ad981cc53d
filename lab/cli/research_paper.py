"""`labctl research paper`: write the newest paper of a project out, with the evidence that it rests on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli.terminal import Answer

if TYPE_CHECKING:
    import argparse

    from lab.cli.session import Session

SHARED = ()
TARGET = "the project, or the run that wrote a paper"
TARGET_FIX = "labctl list shows the experiments"


def arguments(parser: argparse._ArgumentGroup) -> None:
    """Where to."""
    parser.add_argument(
        "-o", "--output", default="", metavar="DIR", help="paper: a folder that is not there yet (else ID-paper)"
    )
    parser.add_argument("--no-latex", action="store_true", help="paper: without paper.tex")


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """Find it, and write it."""
    from msgspec import to_builtins

    from lab.projections import text
    from lab.research.paper import exporting, found

    root = session.root()
    paper = found.of_run(root, args.target) if args.target.startswith("RUN-") else found.newest(root, args.target)
    made = exporting.write(root, paper, args.output or f"{args.target}-paper", with_latex=not args.no_latex)
    said = f"paper: {made.path} ({text.count(made.files, 'file')}, {made.bytes:,} bytes, evidence of {made.runs} runs)"
    return Answer(to_builtins(made), [said], then=[f"labctl paper verify {made.path}"])
