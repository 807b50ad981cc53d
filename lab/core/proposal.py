"""A proposal: something that waits for a person's word. A ruling: what was said to it. Pure.

What may be approved is what was proposed: the ledger carries the digest of the file, and a file that was changed since
is refused. A ruling says what was approved, which is not the same where a person edited it.
"""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec

from lab.core import assignment, canonical, ids
from lab.core.errors import BadInput, Corrupt
from lab.core.record import Record

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.core.errors import LabError
    from lab.core.view import Waiting

RESUME, RUN, PROMOTE = "resume", "run", "promote"
KINDS = (RESUME, RUN, PROMOTE)
APPROVED, REJECTED, EXPIRED, MOOT = "approved", "rejected", "expired", "moot"
WAITS = timedelta(days=7)
MAX_PARAMS_BYTES = 1 << 20
_SHORTEST_HASH = 8
_NUMBER_CHARS = 9


class Proposal(Record, frozen=True, kw_only=True):
    """What is proposed, why, and with which numbers. Whoever asks leaves the id and the times to `approvals.ask`."""

    kind: str
    experiment: str
    proposal_id: str = ""
    params: dict[str, object] | None = None  # of a `run`
    tier: str = ""  # of a `promote`: where to
    reason: str = ""
    asked_by: str = ""
    asked_at: str = ""
    expires_at: str = ""
    facts: dict[str, str | int | float | bool | None] = msgspec.field(default_factory=dict)


class Ruling(Record, frozen=True, kw_only=True):
    """What became of a proposal. `verdict` is approved, rejected, expired, or moot: overtaken by what happened."""

    proposal_id: str
    kind: str
    experiment: str
    verdict: str
    proposed: str  # digest of the proposal's file
    params: dict[str, object] | None = None  # what was approved: the proposal's, or a person's edit of them
    edited: bool = False
    tier: str = ""
    reason: str = ""
    ruled_by: str = ""
    ruled_at: str = ""


def name(experiment: str, number: int) -> str:
    """A proposal's id. It says whose it is, so that nothing has to be searched."""
    return f"{experiment}-{number}"


def owner(proposal_id: str) -> tuple[str, int]:
    """The experiment of a proposal, and its number; `BadInput` for what is no id of one."""
    experiment, _, number = proposal_id.rpartition("-")
    if not (number.isascii() and number.isdecimal() and 0 < len(number) <= _NUMBER_CHARS):
        fix = "labctl approvals lists what waits; an id is the experiment's with a number, as in lr-sweep-1"
        raise BadInput(f"{proposal_id[:80]!r} is no id of a proposal", fix=fix)
    return ids.experiment_id(experiment), int(number)


def refusal(proposal_id: str, sha256: str, waiting: Waiting | None, *, now: str, given: str = "") -> LabError | None:
    """Why what lies there cannot be approved now; None when it can. Times are stamps, which sort as text.

    `given` is the digest (or its beginning) of what the person has seen; empty where they did not say.
    """
    where = f"control/approvals/{proposal_id}.json"
    if waiting is None:
        what = f"{proposal_id} waits for nobody any more: its experiment went on without it"
        return BadInput(what, where=where, fix="labctl approvals lists what waits")
    if waiting.sha256 != sha256:
        fix = f"labctl reject {proposal_id} --why 'it was changed'; or put it back as it was proposed"
        return Corrupt(f"{proposal_id} was changed after it was proposed", where=where, fix=fix)
    if given and not (len(given) >= _SHORTEST_HASH and sha256.startswith(given.lower())):
        fix = f"look again: labctl approvals; its hash is {sha256[:12]}"
        return BadInput(f"{proposal_id} is not what you have seen: the hash {given[:64]} is another one", fix=fix)
    if expired(waiting.expires_at, now):
        fix = "what asked for it asks again when it still wants it"
        return BadInput(f"{proposal_id} expired at {waiting.expires_at}", where=where, fix=fix)
    return None


def expired(expires_at: str, now: str) -> bool:
    """Whether a moment has come. One that never comes is written as nothing."""
    return bool(expires_at) and expires_at <= now


def params(value: Mapping[str, object], where: str) -> dict[str, object]:
    """Parameters that a run can be given, or `BadInput`: names that are words, values that JSON can say."""
    problem = ""
    endless = next((key for key, each in value.items() if isinstance(each, float) and not math.isfinite(each)), None)
    if not all(key.strip() for key in value):
        problem = "a parameter without a name"
    elif endless is not None:
        problem = f"{endless} is {value[endless]}, which JSON has no number for"
    else:
        try:
            size = len(canonical.encode(dict(value)))
        except ValueError as error:
            problem = str(error)
        else:
            problem = "more than 1 MiB of parameters" if size > MAX_PARAMS_BYTES else ""
    if problem:
        raise BadInput(
            f"these cannot be the parameters of a run: {problem}", where=where, fix="write an object of JSON"
        )
    return dict(value)


def sound(proposal: Proposal) -> Proposal:
    """The proposal, if it says what its kind needs; `BadInput` otherwise, before anything is written."""
    if proposal.kind not in KINDS:
        raise BadInput(f"a proposal cannot be of the kind {proposal.kind!r}", fix=f"one of: {', '.join(KINDS)}")
    if (proposal.kind == RUN) is (proposal.params is None):
        raise BadInput(f"a proposal to {proposal.kind} {'needs' if proposal.kind == RUN else 'has no'} parameters")
    if proposal.kind == PROMOTE and not proposal.tier:
        raise BadInput("a proposal to promote needs the tier that it is to")
    if proposal.params is not None:
        params(proposal.params, proposal.experiment)
    return proposal


def alike(one: Proposal, other: Proposal) -> bool:
    """Whether two proposals of one kind ask for the same, whatever the reasons."""
    if one.params is not None and other.params is not None:
        return assignment.alike(one.params, other.params)
    return one.tier == other.tier


def said(proposal: Proposal, verdict: str, sha256: str, *, by: str, at: str, reason: str = "") -> Ruling:
    """The ruling on a proposal as it stands."""
    return Ruling(
        proposal_id=proposal.proposal_id,
        kind=proposal.kind,
        experiment=proposal.experiment,
        verdict=verdict,
        proposed=sha256,
        params=proposal.params,
        tier=proposal.tier,
        reason=canonical.plain(reason),
        ruled_by=by,
        ruled_at=at,
    )


def edited(ruling: Ruling, given: Mapping[str, object] | None, where: str) -> Ruling:
    """The ruling with a person's parameters in the place of the proposed ones."""
    if given is None:
        return ruling
    if ruling.kind != RUN:
        what = f"{ruling.proposal_id} has no parameters to edit: it asks to {ruling.kind}"
        raise BadInput(what, fix=f"labctl approve {ruling.proposal_id}")
    chosen = params(given, where)
    return msgspec.structs.replace(ruling, params=chosen, edited=ruling.edited or chosen != ruling.params)
