"""Show what waits for a person's word.

Each proposal lies as a file in control/approvals, and can be approved only as it was proposed: its hash is shown, and
`labctl approve --hash` holds you to it. Approved runs that no run has used yet are shown too, and what `labctl guided`
asks somebody at a terminal: that is answered there. Changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli.terminal import Answer

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from lab.cli.session import Session
    from lab.core.proposal import Ruling
    from lab.scheduler.control.asking import Asked
    from lab.scheduler.control.proposals import Listed

EXAMPLE = "labctl approvals\nlabctl approvals lr-sweep --json"
_HASH_CHARS = 12


def arguments(parser: argparse.ArgumentParser) -> None:
    """Whose."""
    parser.add_argument("experiment", nargs="?", default="", metavar="ID", help="of this experiment (else all)")


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """Look."""
    from lab.scheduler.control import asking, proposals
    from lab.store import experiments

    root = session.root()
    if args.experiment:
        experiments.require(root, args.experiment)
    waiting = [each for each in proposals.listed(root) if args.experiment in ("", _owner(each))]
    ready = [each for each in proposals.ready(root) if args.experiment in ("", each.experiment)]
    asked = asking.listed(root, args.experiment)
    data = {
        "proposals": [_row(each) for each in waiting],
        "approved_runs": [_ready(each) for each in ready],
        "at_terminals": [_question(each) for each in asked],
    }
    then = [_typed(each) for each in waiting if each.state == proposals.WAITING][:1]
    return Answer(data, _text(waiting, ready, asked), then=then)


def _typed(each: Listed) -> str:
    """What says yes to it. A release is approved by its hash."""
    from lab.core.pursuit import RELEASE

    waits = each.proposal.facts.get(RELEASE) if each.proposal is not None else None
    if waits:
        return f"labctl research approve {_owner(each)} --release {waits}"
    return f"labctl approve {each.proposal_id}"


def _owner(each: Listed) -> str:
    return each.proposal_id.rpartition("-")[0]


def _row(each: Listed) -> dict[str, object]:
    made = each.proposal
    row: dict[str, object] = {"id": each.proposal_id, "state": each.state, "sha256": each.sha256}
    if made is None:
        return {**row, "problem": each.problem}
    return {
        **row,
        "experiment": made.experiment,
        "kind": made.kind,
        "reason": made.reason,
        "params": made.params,
        "tier": made.tier,
        "facts": made.facts,
        "asked_by": made.asked_by,
        "asked_at": made.asked_at,
        "expires_at": made.expires_at,
    }


def _ready(each: Ruling) -> dict[str, object]:
    return {
        "id": each.proposal_id,
        "experiment": each.experiment,
        "params": each.params,
        "edited": each.edited,
        "approved_by": each.ruled_by,
        "approved_at": each.ruled_at,
    }


def _question(each: Asked) -> dict[str, object]:
    return {
        "experiment": each.experiment,
        "place": each.place,
        "of": each.of,
        "params": each.params,
        "reason": each.reason,
        "asked_by": each.asked_by,
        "asked_at": each.asked_at,
        "host": each.owner.host,
        "pid": each.owner.pid,
    }


def _text(waiting: list[Listed], ready: list[Ruling], asked: list[Asked]) -> Iterator[str]:
    import json

    from lab.core.proposal import PROMOTE

    if not waiting and not ready and not asked:
        yield "Nothing waits"
    for each in waiting:
        made = each.proposal
        if made is None:
            yield f"{each.proposal_id}  {each.state}: {each.problem}"
            continue
        tier = f" {'to' if made.kind == PROMOTE else 'in'} {made.tier}" if made.tier else ""
        yield f"{each.proposal_id}  {each.state}: {made.kind} {made.experiment}{tier}"
        yield f"  why: {' '.join(made.reason.split()) or 'no reason was given'}"
        if made.params is not None:
            yield f"  params: {json.dumps(made.params)}"
        yield f"  hash: {each.sha256[:_HASH_CHARS]}  expires: {made.expires_at or 'never'}"
    for ruling in ready:
        yield f"{ruling.proposal_id}  approved, for the next run of {ruling.experiment}: {json.dumps(ruling.params)}"
    for question in asked:
        who = f"{question.asked_by} at a terminal of {question.owner.host}, pid {question.owner.pid}"
        yield f"{question.experiment}  asked of {who}, since {question.asked_at}: run {question.place} of {question.of}"
        yield f"  why: {' '.join(question.reason.split())}"
        yield f"  params: {json.dumps(question.params)}"
        yield "  it is answered there, and by no other verb"
