"""Read the trials of an Optuna study in: each becomes a sealed run of an experiment, marked as imported.

From a journal file, a SQLite file, or the URL of a storage. A search goes on from them as from runs of its own. Failed
trials stay failed, pruned ones are runs that were stopped early, trials that did not finish are left out. Safe to
repeat: what is here already is passed over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli.terminal import Answer

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from lab.cli.session import Session
    from lab.scheduler.results.import_study import Imported

EXAMPLE = """labctl import lr-sweep journal.log
labctl import lr-sweep sqlite:///study.db --study lr --dry-run"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Into what, and from where."""
    parser.add_argument("experiment", metavar="ID", help="the experiment")
    parser.add_argument("source", metavar="FILE", help="a journal file, a SQLite file, or the URL of a storage")
    parser.add_argument("--study", default="", metavar="NAME", help="which study, where there are several")
    parser.add_argument("--tier", default="", metavar="T", help="into this tier; else the one it is in")
    parser.add_argument("--dry-run", action="store_true", help="say what would be imported, and import nothing")


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """Do it."""
    from msgspec import to_builtins

    from lab.scheduler.results import import_study

    done = import_study.import_study(
        session.root(),
        args.experiment,
        args.source,
        wanted=args.study,
        tier=args.tier,
        dry_run=args.dry_run,
        progress=session.terminal.progress("import"),
    )
    data = {**to_builtins(done), "dry_run": args.dry_run}
    data.pop("warnings")
    return Answer(
        data,
        _lines(done, "would import" if args.dry_run else "imported"),
        warnings=done.warnings,
        then=[f"labctl best {args.experiment}"],
    )


def _lines(done: Imported, verb: str) -> Iterator[str]:
    from lab.projections.text import count, line

    runs = count(done.runs, "run")
    yield f"{verb}: {runs} ({done.successes} with a value) of the study {line(done.study)} into tier {done.tier}"
    if done.known:
        yield f"here already: {done.known}"
    if done.unfinished:
        yield f"not finished, left out: {done.unfinished}"
    if done.outside:
        yield f"outside the search space as it is now, so that no strategy sees them: {done.outside}"
