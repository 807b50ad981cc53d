"""Say no to what waits in control/approvals, and why.

An experiment that waited for a person is paused with that reason. Proposed parameters are not run, and no search of
that experiment offers them again; `labctl propose ID --params FILE` asks for them by hand. A person decides this.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli.terminal import Answer

if TYPE_CHECKING:
    import argparse

    from lab.cli.session import Session

EXAMPLE = "labctl reject lr-sweep-1 --why 'too costly for now'"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which, and why."""
    parser.add_argument("proposal", metavar="ID", help="the proposal, as labctl approvals lists it")
    parser.add_argument("--why", required=True, metavar="TEXT", help="the reason; who proposed it may learn from it")


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """Decide it."""
    from lab.core.proposal import RESUME, RUN
    from lab.scheduler.control import approvals

    ruling = approvals.reject(session.root(), args.proposal, why=args.why, actor=session.actor)
    data = {
        "proposal": ruling.proposal_id,
        "experiment": ruling.experiment,
        "kind": ruling.kind,
        "verdict": ruling.verdict,
    }
    follows = {
        RESUME: f"; {ruling.experiment} is paused",
        RUN: f"; the search of {ruling.experiment} does not offer these parameters again",
    }.get(ruling.kind, "")
    return Answer(data, [f"rejected: {ruling.proposal_id}{follows}"])
