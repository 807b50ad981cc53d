"""Proposals that wait for a person's word, the word, and what follows from it.

A proposal lies in `control/approvals/ID.json`, and the ledger carries its digest. A word on it is written down beside
it (`ID.ruling`), then in the ledger, and only then carried out; both files go to `control/outbox/proposals/`. Approved
runs wait in `control/approved/<experiment>/` for the next run (`approved`). Whatever a crash leaves half done,
`expire` finishes.

None of these may be called inside the experiment's section: the decisions that follow take it themselves.
"""

from __future__ import annotations

import os
from collections.abc import Mapping  # msgspec resolves annotations
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from lab.core import assignment, canonical, event, proposal
from lab.core.errors import BadInput, LabError, NotFound, nearest
from lab.core.proposal import APPROVED, EXPIRED, MOOT, PROMOTE, REJECTED, RESUME, RUN, Proposal, Ruling
from lab.core.record import page, parse
from lab.core.view import AWAITING
from lab.core.world import stamp
from lab.scheduler import decisions, places, refresh
from lab.scheduler.control import proposals, untold
from lab.scheduler.control.proposals import Told
from lab.store import experiments, ledger, reading

if TYPE_CHECKING:
    from lab.core.policy import Facts
    from lab.core.spec import Spec
    from lab.core.view import View, Waiting
    from lab.store.experiments import Loaded
    from lab.store.root import Root


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What waits now. `made` is False when one of its kind waited already: the same, or another, where it `differs`."""

    proposal_id: str
    made: bool
    differs: bool = False
    warnings: tuple[str, ...] = ()  # of notices that could not be sent
    params: Mapping[str, object] | None = None  # what is asked for, whole
    filled: tuple[str, ...] = ()  # the names of those that nobody gave, and that have their default


# -- asking ------------------------------------------------------------------------------------------------------------


def propose(root: Root, wanted: Proposal) -> Asked:
    """Leave a proposal, and tell people. Where another waits, that is said: else what is approved is another thing."""
    asked = ask(root, wanted)
    if asked.made:
        asked = msgspec.structs.replace(asked, warnings=untold.tell(root, [asked.proposal_id]))
    if asked.differs:
        raise proposals.AnotherWaits(asked.proposal_id, wanted)
    return asked


def ask(root: Root, wanted: Proposal) -> Asked:
    """Leave a proposal for a person. While one of its kind waits for the experiment, that one is the answer."""
    proposal.sound(wanted)
    name = experiments.require(root, wanted.experiment)
    with root.section(name):
        view, loaded = refresh.current(root, name)
        given = wanted.params or {}
        wanted = msgspec.structs.replace(wanted, params=_whole(root, view, wanted.params, loaded.spec))
        filled = tuple(name for name in wanted.params or {} if name not in given)
        if wanted.kind == PROMOTE and loaded.spec is not None and wanted.tier not in loaded.spec.fidelity_tiers:
            raise BadInput(f"{name} has no tier {wanted.tier}", fix=f"one of: {', '.join(loaded.spec.fidelity_tiers)}")
        waiting = next((each for each in view.waiting if each.kind == wanted.kind), None)
        if waiting is not None and reading.is_file(root.layout.proposal(waiting.proposal)):
            there = proposals.load(root, waiting.proposal)
            differs = isinstance(there, LabError) or not proposal.alike(there[0], wanted)
            told = Asked(proposal_id=waiting.proposal, made=False, differs=differs)
            return msgspec.structs.replace(told, params=wanted.params, filled=filled)
        if waiting is not None:
            _tell(root, event.PROPOSAL_REJECTED, waiting, name, reason="its file is gone")
        if wanted.kind == PROMOTE and wanted.tier == view.tier:
            others = [each for each in (loaded.spec.fidelity_tiers if loaded.spec else ()) if each != view.tier]
            fix = f"name another: {', '.join(others)}" if others else "its SPEC names no other tier"
            raise BadInput(f"{name} is in the tier {wanted.tier} already", fix=fix)
        made, sha256 = _placed(root, view, wanted)
        _announce(root, made, sha256)
    refresh.lab_pages(root)
    return Asked(proposal_id=made.proposal_id, made=True, params=wanted.params, filled=filled)


def _placed(root: Root, view: View, wanted: Proposal) -> tuple[Proposal, str]:
    """The file of a new proposal. One that a crash kept from being announced is taken up again."""
    number = view.proposals
    now = root.world.now()
    while True:
        number += 1
        made = msgspec.structs.replace(
            wanted,
            proposal_id=proposal.name(view.experiment, number),
            reason=canonical.plain(wanted.reason),
            asked_at=wanted.asked_at or stamp(now),
            expires_at=wanted.expires_at or stamp(now + proposal.WAITS),
        )
        if os.path.lexists(root.layout.ruled_on(made.proposal_id)):
            continue  # the ledger was cut since, and forgot that number
        data = page(made)
        try:
            root.files.create(root.layout.proposal(made.proposal_id), data)
        except FileExistsError:
            left = proposals.load(root, made.proposal_id)
            if isinstance(left, LabError) or left[0].kind != wanted.kind:
                continue
            if proposal.alike(left[0], wanted):
                return left
            # Whoever made it died before anybody was told of it: what is answered as made has to be what waits.
            root.files.replace(root.layout.proposal(made.proposal_id), data)
        return made, canonical.digest(data)


def _announce(root: Root, made: Proposal, sha256: str) -> None:
    facts: Facts = {"kind": made.kind, "sha256": sha256, "expires_at": made.expires_at}
    told = event.Event(
        type=event.PROPOSAL_MADE, ts=root.now(), experiment=made.experiment, actor=made.asked_by, tier=made.tier,
        reason=made.reason, name=made.proposal_id, facts=facts,
    )  # fmt: skip
    ledger.append(root, told)
    refresh.catch_up(root, made.experiment)


# -- the word ----------------------------------------------------------------------------------------------------------


def approve(
    root: Root,
    proposal_id: str,
    *,
    actor: str,
    reason: str = "",
    sha256: str = "",
    edit: Mapping[str, object] | None = None,
) -> Ruling:
    """Say yes, to what was proposed or to `edit` in its place. Refused when it was changed, has expired, or is over."""
    name, _ = proposal.owner(proposal_id)
    experiments.require(root, name)
    with root.section(name):
        view, loaded = refresh.current(root, name)
        made, digest, waiting = _found(root, proposal_id, view)
        _refuse_release(made, view)
        refused = proposal.refusal(proposal_id, digest, waiting, now=root.now(), given=sha256)
        if refused is not None:
            raise refused
        ruling = proposal.said(made, APPROVED, digest, by=actor, at=root.now(), reason=reason)
        ruling = proposal.edited(ruling, edit, proposal_id)
        ruling = _that_can_be(root, ruling, view, loaded)
        _write_down(root, event.PROPOSAL_APPROVED, ruling)
    _carry_out(root, ruling)
    return ruling


def reject(root: Root, proposal_id: str, *, why: str, actor: str) -> Ruling:
    """Say no. An experiment that waited to be resumed is paused, with the reason."""
    if not why.strip():
        raise BadInput("a rejection needs a reason", fix=f"labctl reject {proposal_id} --why 'too costly'")
    name, _ = proposal.owner(proposal_id)
    experiments.require(root, name)
    with root.section(name):
        view, _ = refresh.current(root, name)
        made, digest, waiting = _found(root, proposal_id, view)
        if waiting is None:
            raise proposal.refusal(proposal_id, digest, None, now="") or BadInput("it is over")
        kept = msgspec.structs.replace(made, proposal_id=proposal_id, experiment=name, kind=waiting.kind)
        ruling = proposal.said(kept, REJECTED, waiting.sha256, by=actor, at=root.now(), reason=why)
        _write_down(root, event.PROPOSAL_REJECTED, ruling)
    _carry_out(root, ruling)
    return ruling


def decline(root: Root, wanted: Proposal, *, why: str, actor: str) -> Ruling:
    """Write down a no to parameters that a person was asked about at a terminal, and that wait nowhere."""
    proposal.sound(wanted)
    name = experiments.require(root, wanted.experiment)
    with root.section(name):
        view, _ = refresh.current(root, name)
        made, sha256 = _placed(root, view, wanted)
        ruling = proposal.said(made, REJECTED, sha256, by=actor, at=root.now(), reason=why)
        _write_down(root, event.PROPOSAL_REJECTED, ruling)
    _carry_out(root, ruling)
    return ruling


def _found(root: Root, proposal_id: str, view: View) -> tuple[Proposal, str, Waiting | None]:
    """A proposal that is not decided yet, or the refusal that says what became of it."""
    waiting = next((each for each in view.waiting if each.proposal == proposal_id), None)
    found = proposals.load(root, proposal_id)
    if not isinstance(found, LabError):
        over = None if waiting is not None else _ruled(root, proposal_id)
        if over is not None:
            raise proposals.AlreadyRuled(over)
        return *found, waiting
    if waiting is not None:
        if isinstance(found, NotFound):
            raise found
        # Unreadable, so nobody can approve it; it can still be rejected.
        return Proposal(kind=waiting.kind, experiment=view.experiment, proposal_id=proposal_id), "", waiting
    over = proposals.ruling_of(root, proposal_id)
    if over is not None:
        raise proposals.AlreadyRuled(over)
    close = nearest(proposal_id, tuple(proposals.names(root)))
    fix = f"did you mean {close}?" if close else "labctl approvals lists what waits"
    raise NotFound(f"there is no proposal {proposal_id}", where=root.layout.approvals, fix=fix)


def _ruled(root: Root, proposal_id: str) -> Ruling | None:
    """What was said to a proposal that still lies there: whoever said it was stopped before it was carried out.

    It holds, and the next turn does the rest (`expire`). None where nobody said anything.
    """
    told = proposals.told(root, proposal.owner(proposal_id)[0]).get(proposal_id, Told())
    place = root.layout.ruling(proposal_id)
    data = reading.read_head(place, proposals.MOST_BYTES)
    if told.ruled and data is not None and canonical.digest(data) == told.ruled:
        return parse(Ruling, data, place)
    return proposals.ruling_of(root, proposal_id)


def _refuse_release(made: Proposal, view: View) -> None:
    """A release is approved by its hash: a yes to the proposal alone would let nothing go, and be said to."""
    waits = view.pursuit.unapproved if view.pursuit is not None else ""
    if made.kind == RESUME and waits:
        name = view.experiment
        fix = f"labctl research publish {name} shows it; labctl research approve {name} --release {waits}"
        raise BadInput("a release waits, and is approved by its hash", fix=fix)


def _that_can_be(root: Root, ruling: Ruling, view: View, loaded: Loaded) -> Ruling:
    """The ruling, whole. Judged before anything is written: a yes that cannot be carried out would be lost."""
    spec = loaded.spec
    if ruling.kind == PROMOTE and (spec is None or ruling.tier not in spec.fidelity_tiers):
        tiers = ", ".join(spec.fidelity_tiers) if spec else "its SPEC cannot be read"
        what = f"{ruling.experiment} has no tier {ruling.tier}"
        raise BadInput(what, fix=f"labctl reject {ruling.proposal_id} --why WHY; its tiers: {tiers}")
    return proposal.edited(ruling, _whole(root, view, ruling.params, spec), ruling.proposal_id)


def _whole(
    root: Root, view: View, params: Mapping[str, object] | None, spec: Spec | None
) -> Mapping[str, object] | None:
    """Parameters with the defaults that they leave out. Refuses what is no point of the search space."""
    if params is None or spec is None:
        return params
    from lab.scheduler.search import spaces  # noqa: PLC0415  # not for a turn, which looks for what has expired

    space = spaces.at(spec, places.workspace(root, spec, view), places.folders(root, view))
    if space is None:
        return params
    found = assignment.filled(space, params)
    problems = assignment.problems(space, found)
    if problems:
        what = f"these parameters are not in the search space of {view.experiment}: {'; '.join(problems[:5])}"
        where = f"experiments/{view.experiment}/SPEC.yaml"
        raise BadInput(what, where=where, fix="correct them; nothing was written")
    return found


# -- carrying it out ---------------------------------------------------------------------------------------------------


def _write_down(root: Root, kind: str, ruling: Ruling) -> None:
    """The ruling, then its event. From the event on it holds; `expire` carries it out if we do not get to it."""
    data = page(ruling)
    root.files.replace(root.layout.ruling(ruling.proposal_id), data, durable=True)
    waiting = _Digests(proposal=ruling.proposal_id, kind=ruling.kind, sha256=ruling.proposed)
    _tell(root, kind, waiting, ruling.experiment, reason=ruling.reason, ruling=(ruling, canonical.digest(data)))
    refresh.catch_up(root, ruling.experiment)


class _Digests(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a waiting proposal that an event repeats."""

    proposal: str
    kind: str
    sha256: str


def _tell(
    root: Root,
    kind: str,
    about: Waiting | _Digests,
    experiment: str,
    *,
    reason: str,
    ruling: tuple[Ruling, str] | None = None,
) -> None:
    facts: Facts = {"kind": about.kind, "sha256": about.sha256}
    if ruling is not None:
        facts |= {"ruling": ruling[1], "verdict": ruling[0].verdict, "edited": ruling[0].edited}
    told = event.Event(
        type=kind, ts=root.now(), experiment=experiment, actor=ruling[0].ruled_by if ruling else "",
        tier=ruling[0].tier if ruling else "", reason=reason, name=about.proposal, facts=facts,
    )  # fmt: skip
    ledger.append(root, told)


def _carry_out(root: Root, ruling: Ruling) -> None:
    """Do what was said, then file it away. Each part may have been done before."""
    why = f"{ruling.proposal_id} {ruling.verdict}" + (f": {ruling.reason}" if ruling.reason else "")
    try:
        if ruling.verdict == APPROVED and ruling.kind == RESUME:
            decisions.resume(root, ruling.experiment, reason=why, actor=ruling.ruled_by)
        elif ruling.verdict == REJECTED and ruling.kind == RESUME:
            decisions.pause(root, ruling.experiment, reason=ruling.reason, actor=ruling.ruled_by)
        elif ruling.verdict == APPROVED and ruling.kind == PROMOTE:
            decisions.set_tier(root, ruling.experiment, ruling.tier, reason=why, actor=ruling.ruled_by)
    except BadInput:  # it was archived, or its tier went, while we were at it: nothing will change that
        _file_away(root, ruling)
        raise
    _file_away(root, ruling)
    refresh.lab_pages(root)


def _file_away(root: Root, ruling: Ruling | None, proposal_id: str = "") -> None:
    proposal_id = ruling.proposal_id if ruling else proposal_id
    target = root.layout.ruled(proposal_id)
    if ruling is not None and ruling.kind == RUN and ruling.verdict == APPROVED:
        target = f"{root.layout.approved(ruling.experiment)}/{proposal_id}{proposals.SUFFIX}"
    _move(root, root.layout.ruling(proposal_id), target)
    _move(root, root.layout.proposal(proposal_id), root.layout.ruled_on(proposal_id))


def _move(root: Root, source: str, target: str) -> None:
    """One durable rename. Gone already is as good: somebody else finished the same."""
    root.files.folder(os.path.dirname(target))
    with suppress(FileNotFoundError):
        root.files.move(source, target, durable=True)


# -- at each turn ------------------------------------------------------------------------------------------------------


def expire(root: Root) -> list[Ruling]:
    """Put away what has expired or was overtaken, and finish what a crash left half done. One listdir when none waits.

    A file that cannot be read is left alone; `labctl approvals` names it. An expired `resume` leaves its experiment
    awaiting a person: nobody said no.
    """
    passed: list[Ruling] = []
    for name in proposals.names(root):
        found = proposals.load(root, name)
        if isinstance(found, LabError) or not reading.is_folder(root.layout.experiment(found[0].experiment)):
            continue
        with suppress(LabError):  # busy, or its experiment is damaged: that is told elsewhere, and stops no other
            ruling = _passed(root, found[0], found[1])
            if ruling is not None:
                passed.append(ruling)
                _carry_out(root, ruling)
    return passed


def _passed(root: Root, made: Proposal, sha256: str) -> Ruling | None:
    """What has become of a proposal that lies there; None while it waits."""
    name, number = proposal.owner(made.proposal_id)
    with root.section(name):
        view, _ = refresh.current(root, name)
        waiting = next((each for each in view.waiting if each.proposal == made.proposal_id), None)
        now = root.now()
        if waiting is not None:
            if not proposal.expired(waiting.expires_at, now):
                return None
            ruling = proposal.said(made, EXPIRED, sha256, by="", at=now, reason="expired")
            _write_down(root, event.PROPOSAL_REJECTED, ruling)
            return ruling
        told = proposals.told(root, name).get(made.proposal_id, Told())
        if told.ruled:
            return _half_done(root, made, told)
        if number > view.proposals and not (made.kind == RESUME and view.phase != AWAITING):
            _announce(root, made, sha256)  # whoever asked was stopped before the ledger knew
            return None
        ruling = proposal.said(made, MOOT, sha256, by="", at=now, reason="its experiment went on without it")
        root.files.replace(root.layout.ruling(made.proposal_id), page(ruling))
        return ruling


def _half_done(root: Root, made: Proposal, told: Told) -> Ruling | None:
    """The rest of a ruling that the ledger has. What somebody decided since is not undone."""
    data = reading.read_head(root.layout.ruling(made.proposal_id), proposals.MOST_BYTES)
    if data is None or canonical.digest(data) != told.ruled:
        _file_away(root, None, made.proposal_id)
        return None
    ruling = parse(Ruling, data, root.layout.ruling(made.proposal_id))
    if told.moved and ruling.kind != RUN:
        _file_away(root, ruling)
        return None
    return ruling
