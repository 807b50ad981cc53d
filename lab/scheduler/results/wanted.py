"""What wants somebody, each with the proposal that waits for a word, where there is one.

A proposal is shown whole or is not approved where it is shown: a yes covers all of it, also what was cut.
Whether a proposal waits is told by the state of its experiment's pages: the ledger, which may be long, is not read.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import msgspec

from lab.core import proposal
from lab.core.errors import BadInput, LabError
from lab.projections import status, text
from lab.scheduler.control import proposals
from lab.store import reading

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lab.core.proposal import Proposal
    from lab.core.subject import Finding
    from lab.core.view import View, Waiting
    from lab.store.root import Root

MOST_PROPOSALS = 50
MOST_CHARS = 8_000  # of parameters; more than that nobody reads before a yes
_WHAT_CHARS, _REASON_CHARS, _REASON_LINES = 400, 4_000, 60
_WORD = re.compile(r"\w[\w.:/-]*", re.ASCII)
_ASKS = {
    proposal.RESUME: "asks to be resumed", proposal.RUN: "asks for a run with given parameters",
    proposal.PROMOTE: "asks to move to another tier",
}  # fmt: skip
_THEN = {proposal.RESUME: "resume it", proposal.RUN: "run it", proposal.PROMOTE: "move it"}


class Proposed(msgspec.Struct, frozen=True, kw_only=True):
    """A proposal as it is shown. What is approved is what has this digest, and nothing else."""

    proposal_id: str
    experiment: str
    what: str = ""
    then: str = ""  # what is done on a yes
    sha256: str = ""
    params: tuple[tuple[str, str], ...] = ()  # names, and values as JSON; all of them, or none
    reason: str = ""  # where it is longer than `what` has room for
    asked_by: str = ""
    expires_at: str = ""
    problem: str = ""
    may_approve: bool = True


class Want(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that wants somebody."""

    what: str
    experiment: str = ""
    where: str = ""
    fix: str = ""
    waiting: Proposed | None = None


def wants(root: Root, found: Iterable[tuple[str, Finding]], *, only: str = "") -> list[Want]:
    """The findings, each of an experiment, with what waits; then what waits and is in none of them."""
    there = {each.proposal_id: each for each in listed(root, only)}
    told = []
    for experiment, finding in found:
        named = next((name for name in there if _is_about(finding, name)), "")
        waiting = there.pop(named) if named else None
        what = finding.what if waiting is None else waiting.what  # which says more of the proposal
        told.append(Want(what=what, experiment=experiment, where=finding.where, fix=finding.fix, waiting=waiting))
    rest = [Want(what=each.what, experiment=each.experiment, waiting=each) for each in there.values()]
    return [*told, *rest]


def listed(root: Root, only: str = "") -> list[Proposed]:
    """The proposals that wait, of one experiment or of all; also those that cannot be approved as they lie there."""
    views: dict[str, View | None] = {}
    found = []
    for name in proposals.names(root):
        try:
            experiment, _ = proposal.owner(name)
        except BadInput:
            continue  # no id of ours; `labctl approvals` names it
        if only not in ("", experiment):
            continue
        if experiment not in views:
            state = status.fold_state(reading.read(root.layout.status(experiment)) or b"")
            views[experiment] = state.view if state is not None else None
        view = views[experiment]
        waits = next((each for each in view.waiting if each.proposal == name), None) if view is not None else None
        if waits is not None:
            found.append(_proposed(name, experiment, proposals.load(root, name), waits, root.now()))
        if len(found) >= MOST_PROPOSALS:
            break
    return found


def _proposed(
    name: str, experiment: str, loaded: tuple[Proposal, str] | LabError, waits: Waiting, now: str
) -> Proposed:
    asks = _ASKS.get(waits.kind, waits.kind)
    if isinstance(loaded, LabError):
        what = text.line(f"{asks}: {waits.reason or 'no reason was given'}", _WHAT_CHARS)
        return Proposed(
            proposal_id=name, experiment=experiment, what=what, problem=f"it cannot be read: {loaded.what}",
            may_approve=False,
        )  # fmt: skip
    made, sha256 = loaded
    asks = f"asks to move to the tier {_spelled(made.tier)}" if made.kind == proposal.PROMOTE else asks
    asks = f"{asks}: {made.reason or 'no reason was given'}"
    params = tuple((_name(key), _spelled(value)) for key, value in (made.params or {}).items())
    count, chars = len(params), sum(len(key) + len(value) for key, value in params)
    problem = ""
    if sha256 != waits.sha256:
        problem = "it was changed after it was proposed, and can only be rejected"
    elif proposal.expired(waits.expires_at, now):
        problem = "it has expired"
    elif chars > MOST_CHARS:
        problem = (
            f"its {text.count(count, 'parameter')} ({chars:,} characters) cannot be shown whole here, and so not be "
            f"approved here: labctl approvals shows them, then: labctl approve {name} --hash {sha256[:12]}"
        )
    return Proposed(
        proposal_id=name,
        experiment=experiment,
        what=text.line(asks, _WHAT_CHARS),
        then=_THEN.get(waits.kind, ""),
        sha256=sha256,
        params=params if chars <= MOST_CHARS else (),
        reason=text.block(made.reason, _REASON_CHARS, _REASON_LINES) if len(asks) > _WHAT_CHARS else "",
        asked_by=made.asked_by,
        expires_at=waits.expires_at,
        problem=problem,
        may_approve=not problem,
    )


def _name(given: str) -> str:
    """A parameter's name as it is read: one that could be taken for several, or for none, in quotes."""
    return given if _WORD.fullmatch(given) else _spelled(given)


def _spelled(value: object) -> str:
    """A value whole, and with nothing in it that is not seen."""
    words = json.dumps(value, ensure_ascii=False, default=str)
    return words if words.isprintable() else json.dumps(value, default=str)


def _is_about(finding: Finding, proposal_id: str) -> bool:
    return finding.where == f"control/approvals/{proposal_id}.json" or finding.fix.startswith(
        f"labctl approve {proposal_id} "
    )
