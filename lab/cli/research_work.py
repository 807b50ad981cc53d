"""Do the phase that a run of a project is about. The lab starts this itself, by the executor `research`.

Which run it is, it is told by LAB_EXPERIMENT_ID and LAB_RUN_ID. People type `labctl research run ID`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from lab.cli.signals import Signals
from lab.cli.terminal import Answer
from lab.core.errors import BadInput

if TYPE_CHECKING:
    import argparse

    from lab.cli.session import Session

SHARED = ()


def arguments(_parser: argparse._ArgumentGroup) -> None:
    """None."""


def answer(_args: argparse.Namespace, session: Session) -> Answer:
    """Do it, and say what was done."""
    from lab.research.work import working

    name, run_id = os.environ.get("LAB_EXPERIMENT_ID", ""), os.environ.get("LAB_RUN_ID", "")
    if not name or not run_id:
        raise BadInput("this is what a run of a project starts", fix="labctl research run ID does what is due")
    signals = Signals()
    with signals:
        done = working.perform(
            session.root(), name, run_id, say=session.terminal.say, interrupted=signals.came
        )  # fmt: skip
    return Answer({"experiment": name, "run": run_id, "phase": done.phase}, [f"{done.phase} is done"])
