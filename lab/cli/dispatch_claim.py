"""Take packages to work on: prints the id and the folder of each.

The most urgent go first, then the oldest. The claim opens the run's bundle; its lease lasts for the budget and a
quarter of an hour, and longer if you say that you live: labctl dispatch-renew. Write only into the package's run/.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli import dispatch_words as words

if TYPE_CHECKING:
    import argparse

    from lab.cli.session import Session
    from lab.cli.terminal import Answer

EXAMPLE = "labctl dispatch-claim --worker gpu-3 --executor-class gpu"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Who takes what."""
    words.which(parser, max_runs=1, more="take at most N packages")
    words.who(parser)


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """Take them."""
    from lab.scheduler.dispatch import mend, offers

    root = session.root()
    words.checked(root, args)
    said = mend.mend(root)
    _, more = offers.claim(root, args.worker, max_runs=args.max_runs, classes=args.executor_class, only=args.experiment)
    return words.answer([*said, *more], offers.CLAIMED, nothing="No ready dispatch packages")
