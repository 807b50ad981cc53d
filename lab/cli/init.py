"""Make a data root: the folder that holds everything.

Safe to repeat: what is there is never changed, and what a crash left out is added. The place is --data-root, else
$LAB_DATA_ROOT, else $HERMES_LAB_DATA_ROOT, else ./lab-data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli.terminal import Answer

if TYPE_CHECKING:
    import argparse

    from lab.cli.session import Session

EXAMPLE = "export LAB_DATA_ROOT=~/lab && labctl init"


def arguments(parser: argparse.ArgumentParser) -> None:
    """None of its own."""


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """Make it."""
    del args
    from lab.scheduler import create  # loaded when the verb runs, so that completion stays quick

    made = create.make_lab(session.root(existing=False))
    text = f"initialized: {made.path}" if made.made else f"already a lab: {made.path}"
    data = {"data_root": made.path, "made": made.made}
    return Answer(
        data,
        [text],
        warnings=made.notes,
        then=["labctl create first-run"] if made.made else [],
    )
