"""Move an experiment to another fidelity tier.

The tier must be one of the SPEC's fidelity_tiers. Bests of different tiers are kept apart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli.terminal import Answer

if TYPE_CHECKING:
    import argparse

    from lab.cli.session import Session

EXAMPLE = "labctl set-fidelity lr-sweep validation --reason 'the proxy is exhausted'"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which experiment, and where to."""
    parser.add_argument("experiment", metavar="ID", help="the experiment")
    parser.add_argument("tier", metavar="TIER", help="one of its fidelity tiers")
    parser.add_argument("--reason", default="", help="why; it is written down with the decision")


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """Decide it."""
    from lab.scheduler import decisions

    made = decisions.set_tier(session.root(), args.experiment, args.tier, reason=args.reason, actor=session.actor)
    data = {"experiment": made.experiment, "tier": made.tier, "changed": made.changed}
    arrow = "->" if made.changed else "is already at"
    return Answer(data, [f"{made.experiment} {arrow} fidelity tier {made.tier}"])
