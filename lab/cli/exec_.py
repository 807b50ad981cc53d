"""Carry out one run that was handed to an engine: what its job starts. People never need it.

The run was claimed by labctl run-once or burst, and waits. This begins it, holds it to its budget, and seals it; who
is second, or too late, does nothing. Exit code 0 when the run was sealed, however it ended; 74 when the lab is not to
be seen from here, 75 when the run was taken from its engine, 76 when another job has begun it already, 77 when it was
told to end and its engine has yet to say why. USR1 says that the engine's time limit is near: that is a timeout.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli.signals import Signals
from lab.cli.terminal import Answer
from lab.core.errors import Unavailable

if TYPE_CHECKING:
    import argparse

    from lab.cli.session import Session
    from lab.scheduler.step import Step

EXAMPLE = "labctl exec lr-sweep RUN-20261129-074500-000000-scout"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which run."""
    parser.add_argument("experiment", metavar="ID", help="the experiment")
    parser.add_argument("run", metavar="RUN", help="its run, which an engine has")


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """Begin it, carry it out, seal it."""
    from lab.core.errors import Interrupted, Superseded, Taken
    from lab.core.job import FENCED, NOT_HERE, TOLD
    from lab.scheduler.placing import body

    signals = Signals(limit=True)
    with signals:  # an engine that ends a job sends TERM first
        try:
            root = session.root()
        except Unavailable as error:
            error.exit_code = NOT_HERE
            raise
        try:
            done = body.perform(root, args.experiment, args.run, tell=_Teller(session).tell, interrupted=signals.came)
        except body.Turned as turned:
            body.spent(root, args.experiment, args.run)
            fix = f"nothing is to be done here; see: labctl show {args.run}"
            kind = {FENCED: Superseded, TOLD: Interrupted}.get(turned.code, Taken)
            refusal = kind(turned.why, fix=fix)
            refusal.exit_code = turned.code
            raise refusal from None
    run = done.made.run
    text = [f"sealed {run.run_id} ({run.outcome})"]
    data = {"experiment": args.experiment, "run": args.run, "outcome": run.outcome, "value": run.value}
    return Answer(data, text, warnings=done.warnings)


class _Teller:
    """One line a step, into the file that takes what the job prints. Nobody waits for it: it may be gone."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def tell(self, step: Step) -> None:
        """Say it."""
        what = step.outcome or step.what
        self._session.terminal.say(f"{step.kind} {step.run_id or step.experiment}: {what}")
