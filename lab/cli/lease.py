"""Show or break the claims on an experiment.

`show` tells who holds it, since when, for how long, and whether that process lives; of a run that an engine has, what
it calls the job, where it is and what it waits for. `break` takes a claim away from a holder that cannot be proven dead
(another host, a clock that jumped): if it still runs, its result will be kept but not counted, and the next turn takes
its job from the engine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli.terminal import Answer
from lab.core.errors import BadInput

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from lab.cli.session import Session
    from lab.core.claim import Seen
    from lab.store.leases import Survey
    from lab.store.root import Root

EXAMPLE = "labctl lease show lr-sweep\nlabctl lease break lr-sweep --generation 12 --yes"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which claim."""
    parser.add_argument("action", choices=("show", "break"), help="look, or take a claim away")
    parser.add_argument("experiment", nargs="?", default="", metavar="ID", help="the experiment (show: else all)")
    parser.add_argument("--generation", type=int, default=0, metavar="N", help="break: which claim")
    parser.add_argument("--yes", action="store_true", help="break without asking")


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """Look, or break."""
    from lab.store import experiments

    root = session.root()
    if args.experiment:
        experiments.require(root, args.experiment)
    if args.action == "break":
        return _break(args, session, root)
    names = [args.experiment] if args.experiment else experiments.names(root)
    rows = [row for name in names for row in _rows(root, name)]
    return Answer({"claims": rows}, _text(rows))


def _rows(root: Root, experiment: str) -> Iterator[dict[str, object]]:
    from lab.store import leases

    seen = leases.survey(root, experiment)
    if any(held.seen.claim.engine for held in seen.held):
        yield from _placed(root, experiment, seen)
    for held in seen.held:
        if not held.seen.claim.engine:
            yield _row(held.seen, "held", round(held.left_s, 1), "")
    for lost in seen.lost:
        yield _row(lost.seen, "lost", 0.0, lost.proof)
    for item in seen.unsettled:
        state, claim = item.suffix.lstrip("."), item.claim
        yield {"experiment": experiment, "generation": claim.generation, "state": state, "run_id": claim.run_id}
    for bad in seen.damaged:
        state = "of a newer labctl" if bad.newer else f"damaged{bad.suffix}"
        yield {"experiment": experiment, "generation": bad.generation, "state": state, "why": bad.problem}


def _placed(root: Root, experiment: str, seen: Survey) -> Iterator[dict[str, object]]:
    """Claims that are an engine's: no process holds them, and no silence ends them."""
    from lab.scheduler.placing import placed

    ages = {held.seen.claim.generation: held.seen.age_s for held in seen.held}
    for each in placed.states(root, experiment):
        row: dict[str, object] = {
            "experiment": experiment,
            "generation": each.generation,
            "state": each.state,
            "engine": each.engine,
            "number": each.number,
            "where": each.where,
            "run_id": each.run_id,
            "since": each.since,
            "why": each.why,
        }
        if each.state == "running" and each.generation in ages:  # one that waits renews nothing
            row["renewed_s_ago"] = round(ages[each.generation], 1)
        yield row


def _row(seen: Seen, state: str, left_s: float, why: str) -> dict[str, object]:
    claim = seen.claim
    return {
        "experiment": claim.experiment,
        "generation": claim.generation,
        "state": state,
        "owner": claim.owner.name,
        "host": claim.owner.host,
        "pid": claim.owner.pid,
        "run_id": claim.run_id,
        "claimed_at": claim.claimed_at,
        "renewed_s_ago": round(seen.age_s, 1),
        "left_s": left_s,
        "alive": seen.alive,
        "why": why,
    }


def _text(rows: list[dict[str, object]]) -> Iterator[str]:
    if not rows:
        yield "No claims"
    for row in rows:
        yield "\t".join(f"{key}={value}" for key, value in row.items() if value not in ("", None))


def _break(args: argparse.Namespace, session: Session, root: Root) -> Answer:
    from lab.scheduler import reclaim

    if not args.experiment or not args.generation:
        fix = "labctl lease show ID tells the generation; then: labctl lease break ID --generation N"
        raise BadInput("break wants an experiment and a generation", fix=fix)
    question = f"take generation {args.generation} of {args.experiment} from its holder?"
    if not session.terminal.agrees(question, yes=args.yes):
        raise BadInput("not broken: nobody agreed", fix="add --yes when you are sure that its holder is gone")
    settled = reclaim.broken(root, args.experiment, args.generation, actor=session.actor)
    data = {"experiment": args.experiment, "generation": args.generation, "settled": [item.what for item in settled]}
    return Answer(data, [f"broken: {args.experiment} generation {args.generation}", *(s.what for s in settled)])
