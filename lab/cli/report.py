"""Write what there is to see of an experiment into one file that any browser shows, without a network or a script.

Without an ID, of the whole lab: what wants you, and a line an experiment. With `--all`, `-o` names a folder, which gets
index.html and the report of every experiment. A name that ends in .json gets the same as data. `--interactive` adds a
staircase to zoom into, for which the page needs to run a script of its own. The same lab gives the same bytes. A file
that is there is only replaced with --yes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli.terminal import Answer
from lab.core.errors import BadInput

if TYPE_CHECKING:
    import argparse

    from lab.cli.session import Session
    from lab.web.published import Published

EXAMPLE = """labctl report lr-sweep -o report.html
labctl report -o lab.html
labctl report --all -o reports/"""
MOST_PAGES = 200
_TERMINAL = "-"
_HTML, _JSON = (".html", ".htm"), ".json"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Of what, and where to."""
    parser.add_argument("experiment", metavar="ID", nargs="?", default=None, help="the experiment; else the whole lab")
    parser.add_argument(
        "-o",
        "--output",
        default="",
        metavar="FILE",
        help="where to: .html or .json; - is the terminal; of --all a folder (default: ID.html here)",
    )
    parser.add_argument("--all", action="store_true", help="a report of every experiment, and the page of the lab")
    parser.add_argument("--interactive", action="store_true", help="add a staircase to zoom into: 60 kB of script")
    parser.add_argument(
        "--runs",
        type=int,
        default=None,
        metavar="N",
        help="so many runs get a page of their own, however large the file gets (else up to 12)",
    )
    parser.add_argument("--yes", action="store_true", help="replace what is there")


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """Read, draw, write."""
    if args.runs is not None and not 0 <= args.runs <= MOST_PAGES:
        raise BadInput(f"--runs {args.runs} is not between 0 and {MOST_PAGES}", fix="--runs 20")
    if args.all:
        return _all(args, session)
    return _one(args, session)


def _one(args: argparse.Namespace, session: Session) -> Answer:
    from lab.scheduler.results import export
    from lab.store import experiments
    from lab.web import published

    ending = _ending(args)
    root = session.root()
    name = "" if args.experiment is None else experiments.require(root, args.experiment)  # an empty word is not the lab
    place = export.require_room(args.output, yes=args.yes) if args.output != _TERMINAL else ""
    session.terminal.narrate(f"reading {name or 'the lab'}")
    if not name:
        made = published.lab(root, as_json=ending == _JSON)
    elif ending == _JSON:
        made = published.as_json(root, name)
    else:
        made = published.experiment(root, name, pages=args.runs, interactive=args.interactive)
    data = _data(made)
    if not place:
        text = made.data.decode()
        return Answer({**data, "text": text}, text.splitlines(), warnings=made.warnings)
    export.write(root, place, made.data, yes=args.yes)
    said = f"report: {place} ({len(made.data):,} bytes{_shown(made)})"
    return Answer({**data, "path": place}, [said], warnings=made.warnings)


def _ending(args: argparse.Namespace) -> str:
    """What is to be written. Looked at before anything is read."""
    import os

    about = f"labctl report {args.experiment or ''}".rstrip()
    args.output = args.output or f"{args.experiment or 'lab'}.html"
    ending = "" if args.output == _TERMINAL else os.path.splitext(args.output)[1].lower()  # `.html` is a hidden file
    if args.output != _TERMINAL and ending not in (_JSON, *_HTML):
        what = f"a report is NAME.html or NAME.json, and {args.output} is neither"
        raise BadInput(what, fix=f"{about} -o report.html (a report of every experiment: --all)")
    as_json = ending == _JSON
    if (as_json or args.experiment is None) and (args.interactive or args.runs is not None):
        what = "--interactive and --runs are for the page of an experiment, and this is none"
        raise BadInput(what, fix="leave them out" if as_json else "labctl report ID -o report.html --interactive")
    return ending


def _all(args: argparse.Namespace, session: Session) -> Answer:
    import os

    from lab.scheduler.results import export
    from lab.web import published

    if args.experiment is not None:
        raise BadInput("--all is every experiment, and one was named", fix="leave one of them out")
    if not args.output or args.output == _TERMINAL:
        raise BadInput("--all writes several files, and needs a folder", fix="labctl report --all -o reports/")
    folder = os.path.realpath(os.path.expanduser(args.output))
    export.require_outside(folder)
    _require_folder(folder, yes=args.yes)
    root = session.root()
    files: list[str] = []
    warnings: list[str] = []
    bytes_ = 0
    told = session.terminal.progress("reports")
    for made in published.everything(root, pages=args.runs, interactive=args.interactive, told=told):
        warnings += made.warnings
        if made.name:
            place = os.path.join(folder, made.name)
            export.write(root, place, made.data, yes=args.yes)
            files.append(place)
            bytes_ += len(made.data)
    said = f"reports: {len(files)} files in {folder} ({bytes_:,} bytes)"
    data = {"experiment": "", "format": "html", "path": folder, "bytes": bytes_, "files": files}
    return Answer(data, [said], warnings=warnings)


def _require_folder(folder: str, *, yes: bool) -> None:
    import os

    if not os.path.isdir(folder) and os.path.splitext(folder)[1].lower() in (_JSON, *_HTML):
        what = "--all writes several files into a folder, and this is named like one of them"
        raise BadInput(what, where=folder, fix="labctl report --all -o reports/")
    if os.path.lexists(folder) and not os.path.isdir(folder):
        raise BadInput("this is no folder", where=folder, fix="labctl report --all -o reports/")
    if not os.path.isdir(os.path.dirname(folder)):
        raise BadInput("there is no such folder", where=os.path.dirname(folder), fix=f"mkdir {os.path.dirname(folder)}")
    if os.path.isdir(folder) and os.listdir(folder) and not yes:
        fix = "name another one, or add --yes to replace the reports in it"
        raise BadInput("there are files in this folder already", where=folder, fix=fix)


def _data(made: Published) -> dict[str, object]:
    return {
        "experiment": made.experiment,
        "format": "json" if made.name.endswith(_JSON) else "html",
        "bytes": len(made.data),
        "runs": made.runs,
        "total": made.total,
        "pages": made.pages,
    }


def _shown(made: Published) -> str:
    """How much of it is there."""
    if not made.experiment:
        return ""
    return f"; {made.runs:,} of {made.total:,} runs in the table, {made.pages} with a page"
