"""Write the runs of an experiment in the form of other programs.

The ending of --output decides what is written, else --format; without either it is csv. csv and jsonl go to the
terminal or into a file; parquet (it needs pyarrow) and optuna (it needs optuna) always into a file. optuna is a journal
that optuna-dashboard opens, with one study a tier; failed runs are FAIL in it, runs that were stopped early PRUNED. A
file that is there is only replaced with --yes.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from lab.cli.terminal import Answer
from lab.core.errors import BadInput

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from lab.cli.session import Session
    from lab.scheduler.results.export import Chosen

FORMATS = ("csv", "jsonl", "parquet", "optuna")
ENDINGS = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}  # optuna's journals have none
EXAMPLE = """labctl export lr-sweep > runs.csv
labctl export lr-sweep --output runs.parquet --tier final
labctl export lr-sweep --format optuna --output journal.log"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """What, and into what."""
    parser.add_argument("experiment", metavar="ID", help="the experiment")
    parser.add_argument(
        "--format", default="", choices=FORMATS, help="what to write (default: by the ending of FILE, else csv)"
    )
    parser.add_argument("-o", "--output", default="", metavar="FILE", help="where to; else to the terminal")
    parser.add_argument("--tier", default="", metavar="T", help="only the runs of this tier")
    parser.add_argument("--yes", action="store_true", help="replace FILE when it is there")


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """Read the table and write it."""
    from lab.scheduler.results import export, table

    args.format = _form(args)
    if args.format in export.BINARY and not args.output:
        fix = f"labctl export {args.experiment} --format {args.format} --output FILE"
        raise BadInput(f"{args.format} is nothing for a terminal: it needs --output", fix=fix)
    place = export.require_room(args.output, yes=args.yes) if args.output else ""
    root = session.root()
    found = table.read(root, args.experiment)
    chosen = export.choose(found, args.tier)
    data: dict[str, object] = {"experiment": args.experiment, "format": args.format, "runs": len(chosen.lines)}
    if not place:
        if session.terminal.as_json:
            data["columns"], data["rows"] = export.flat(chosen)
        return Answer(data, _lines(chosen, args.format), warnings=found.warnings, exact=True)
    then: list[str] = []
    if args.format == "optuna":
        written, studies = export.journal(root, found, chosen)
        data["studies"] = list(studies)
        then.append(f"optuna-dashboard {args.output}")
    elif args.format == "parquet":
        written = export.parquet(chosen)
    else:
        written = b"".join(f"{line}\n".encode() for line in _lines(chosen, args.format))
    export.write(root, place, written, yes=args.yes)
    data.update(path=place, bytes=len(written))
    said = f"exported: {len(chosen.lines)} runs of {args.experiment} into {place}"
    return Answer(data, [said], warnings=found.warnings, then=then)


def _form(args: argparse.Namespace) -> str:
    """What is to be written. A file that says by its name that it is something else would be opened as that."""
    ending = os.path.splitext(os.path.basename(args.output))[1].lower().rstrip(".")
    meant = ENDINGS.get(ending, "")
    about = f"labctl export {args.experiment} --output"
    if args.format and meant not in ("", args.format):
        what = f"{args.output} would be taken for {meant}, and --format says {args.format}"
        raise BadInput(what, fix=f"leave --format out, or give the file another ending: {about} FILE")
    if not args.format and ending and not meant:
        fix = f"{about} runs.csv; or say with --format which of {', '.join(FORMATS)} it is"
        raise BadInput(f"no format is known by the ending {ending}; there are {', '.join(ENDINGS)}", fix=fix)
    return args.format or meant or "csv"


def _lines(chosen: Chosen, form: str) -> Iterable[str]:
    from lab.scheduler.results import export

    return export.csv_lines(chosen) if form == "csv" else export.jsonl_lines(chosen)
