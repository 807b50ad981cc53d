"""Ask for a run with these parameters, or for another tier; a person says yes or no.

What is proposed waits in control/approvals for `labctl approve` or `labctl reject`, and expires after seven days. One
of each kind waits for an experiment: the same again is answered with it, with its first reason; anything else is
refused (exit code 3), and not kept. Parameters that are left out have their defaults, and are named. What is approved
is used by the next run, once.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from lab.cli.params import read_params
from lab.cli.terminal import Answer

if TYPE_CHECKING:
    import argparse

    from lab.cli.session import Session

EXAMPLE = """labctl propose lr-sweep --params params.json --reason 'the best so far, with a lower rate'
echo '{"lr": 0.003}' | labctl propose lr-sweep --params - --json
labctl propose lr-sweep --tier validation"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """For which experiment, and what."""
    parser.add_argument("experiment", metavar="ID", help="the experiment")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--params", default="", metavar="FILE", help="a JSON or YAML file with the parameters of one run")
    what.add_argument("--tier", default="", metavar="TIER", help="the fidelity tier to move to")
    parser.add_argument("--reason", default="", help="why; it is shown to whoever decides")


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """Leave it for a person."""
    from lab.core.proposal import PROMOTE, RUN, Proposal
    from lab.scheduler.control import approvals

    wanted = Proposal(
        kind=PROMOTE if args.tier else RUN,
        experiment=args.experiment,
        params=None if args.tier else read_params(args.params),
        tier=args.tier,
        reason=args.reason,
        asked_by=session.actor,
    )
    asked = approvals.propose(session.root(), wanted)
    filled = {name: value for name, value in (asked.params or {}).items() if name in asked.filled}
    data = {
        "proposal": asked.proposal_id,
        "experiment": args.experiment,
        "kind": wanted.kind,
        "made": asked.made,
        "params": asked.params,
        "filled": filled,
    }
    said = (
        f"proposed: {asked.proposal_id}"
        if asked.made
        else f"{asked.proposal_id} asks for the same already; it is as it was"
    )
    text = [said]
    if filled:
        text.append(f"with the defaults of what was left out: {json.dumps(filled, ensure_ascii=False)}")
    return Answer(data, text, then=["labctl approvals"], warnings=asked.warnings)
