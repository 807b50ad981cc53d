"""Bring the tar of another machine back: its run/ becomes the package's, and the package is complete if it says so.

The tar is judged whole before anything is written: no links, no devices, nothing outside of the package's folder.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from lab.cli.terminal import Answer

if TYPE_CHECKING:
    import argparse

    from lab.cli.session import Session

EXAMPLE = "labctl dispatch-unpack DISPATCH-20261121-093000-000000-lr-sweep.done.tar"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which tar."""
    parser.add_argument(
        "tar", metavar="TAR", help="what dispatch-work --package wrote, or a tar of the package's folder"
    )


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """Unpack it."""
    from lab.scheduler.dispatch import mend, parcel

    root = session.root()
    mend.mend(root)
    made = parcel.unpack(root, os.path.abspath(args.tar))
    data = {
        "dispatch_id": made.dispatch_id,
        "experiment": made.experiment,
        "files": made.files,
        "outcome": made.outcome,
        "stage": "complete" if made.outcome else "running",
    }
    if made.outcome:
        text, then = f"{made.dispatch_id} -> complete ({made.outcome})", f"labctl dispatch-ingest {made.dispatch_id}"
    else:
        text, then = f"{made.dispatch_id}: {made.files} files", f"labctl dispatch-complete {made.dispatch_id}"
    return Answer(data, [text], then=[then])
