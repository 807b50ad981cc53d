"""Show one experiment or one run.

An experiment: what wants a person, its summary, the run to take with its parameters (as `labctl best` recommends it). A
run: how it ended, its value, its parameters, its files and whether they are as they were sealed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli.terminal import Answer

if TYPE_CHECKING:
    import argparse

    from lab.cli.session import Session

EXAMPLE = "labctl show lr-sweep\nlabctl show RUN-20261121-093000-000000-scout --json"


def arguments(parser: argparse.ArgumentParser) -> None:
    """What to show."""
    parser.add_argument("name", metavar="ID", help="an experiment, or a run")


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """One experiment's STATUS.json and SUMMARY.md, or one run's bundle."""
    from lab.core.run import FAILURES
    from lab.scheduler import inspect

    root = session.root()
    if args.name.startswith("RUN-"):
        run = inspect.run(root, args.name)
        return Answer(run.data, run.lines, warnings=run.warnings)
    found = inspect.experiment(root, args.name)
    failed = found.data.get("last_outcome") in FAILURES
    then = [f"labctl show {found.data['last_run']}"] if failed else []
    return Answer(found.data, found.lines, warnings=found.warnings, then=then)
