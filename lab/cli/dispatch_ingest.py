"""Take complete packages in: what lies in run/ becomes the run's bundle, which is sealed; the package goes.

Doing it twice, or at two places at once, seals each run once. A package that cannot be taken in is moved to
dispatch/refused with the reason in REFUSED.md and stops no other; then the exit code is 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli import dispatch_words as words

if TYPE_CHECKING:
    import argparse

    from lab.cli.session import Session
    from lab.cli.terminal import Answer

EXAMPLE = """labctl dispatch-ingest
labctl dispatch-ingest DISPATCH-20261121-093000-000000-lr-sweep"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which ones."""
    parser.add_argument("dispatch_id", nargs="*", metavar="DID", help="only these packages")
    words.which(parser, max_runs=0, more="take in at most N packages")


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """Take them in."""
    from lab.scheduler.dispatch import ingest, mend, offers

    root = session.root()
    words.checked(root, args)
    said = mend.mend(root)
    said += ingest.ingest(
        root, named=args.dispatch_id, only=args.experiment, classes=args.executor_class, max_runs=args.max_runs
    )
    return words.answer(said, offers.INGESTED, nothing="No complete dispatch packages")
