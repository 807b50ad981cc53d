"""`labctl autoresearch export`: the runs of a code loop as its peers read them, or its summary."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli.terminal import Answer

if TYPE_CHECKING:
    import argparse

    from lab.cli.session import Session

SHARED = ("yes",)
TARGET = "the experiment"
TERMINAL = "-"
FORMATS = ("tsv", "jsonl", "summary")


def arguments(parser: argparse._ArgumentGroup) -> None:
    """In which form, and where to."""
    parser.add_argument(
        "--format", default="tsv", choices=FORMATS, help="export: results.tsv, autoresearch.jsonl or the summary (tsv)"
    )
    parser.add_argument(
        "-o",
        "--output",
        default="",
        metavar="FILE",
        help="export: where to; - is the terminal (else, of a tsv, what start was given as --results; else -)",
    )


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """Copy the page."""
    from lab.scheduler.loop import exported
    from lab.scheduler.results import export

    root = session.root()
    given = args.output or (exported.wanted(root, args.target) if args.format == "tsv" else "")
    place = export.require_room(given, yes=args.yes) if given not in ("", TERMINAL) else ""
    found = exported.exported(root, args.target, args.format)
    data: dict[str, object] = {"experiment": args.target, "format": args.format, "runs": found.runs}
    if not place:
        text = found.data.decode(errors="replace")
        return Answer({**data, "text": text}, text.splitlines(), warnings=found.warnings)
    export.write(root, place, found.data, yes=args.yes)
    said = f"exported: {found.runs} runs of {args.target} into {place}"
    return Answer({**data, "path": place, "bytes": len(found.data)}, [said], warnings=found.warnings)
