"""Say yes to what waits in control/approvals.

An experiment that waited for a person goes on; proposed parameters wait for the next run, which uses them once.
--edit approves other parameters in their place. Refused when the proposal was changed since it was made, has
expired, or was decided already; --hash refuses whatever is not what you have seen. A person decides this: a program
says that it waits, and stops.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli.params import read_params
from lab.cli.terminal import Answer

if TYPE_CHECKING:
    import argparse

    from lab.cli.session import Session

EXAMPLE = "labctl approve lr-sweep-1 --reason 'looks right'\nlabctl approve lr-sweep-2 --edit params.yaml"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which, and what of it."""
    parser.add_argument("proposal", metavar="ID", help="the proposal, as labctl approvals lists it")
    parser.add_argument("--edit", default="", metavar="FILE", help="a JSON or YAML file with parameters to use instead")
    parser.add_argument(
        "--hash", default="", metavar="SHA", dest="sha256", help="only if its hash begins so (8 or more)"
    )
    parser.add_argument("--reason", default="", help="why; it is written down with the decision")


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """Decide it."""
    from lab.core.proposal import PROMOTE, RUN
    from lab.scheduler.control import approvals

    edit = read_params(args.edit) if args.edit else None
    root = session.root()
    ruling = approvals.approve(
        root, args.proposal, actor=session.actor, reason=args.reason, sha256=args.sha256, edit=edit
    )
    data = {
        "proposal": ruling.proposal_id,
        "experiment": ruling.experiment,
        "kind": ruling.kind,
        "verdict": ruling.verdict,
        "edited": ruling.edited,
        "params": ruling.params,
        "tier": ruling.tier,
    }
    follows = "its parameters wait for the next run" if ruling.kind == RUN else f"{ruling.experiment} goes on"
    if ruling.kind == PROMOTE:
        follows = f"{ruling.experiment} is in the tier {ruling.tier}"
    edited = ", as edited" if ruling.edited else ""
    return Answer(data, [f"approved: {ruling.proposal_id}{edited}; {follows}"])
