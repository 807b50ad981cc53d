"""Ask for a run to be ended. Its holder, wherever it is, finds the word beside its claim and ends it as `cancelled`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from lab.core import event, ids, layout
from lab.core.errors import BadInput, Busy, Corrupt, NotFound, nearest
from lab.core.package import COMPLETE
from lab.scheduler import refresh
from lab.scheduler.placing import placed
from lab.store import bundles, experiments, leases, ledger, packages, reading, standing

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lab.core.claim import Claim
    from lab.scheduler.step import Step
    from lab.store.root import Root

_SHOWN = 5


class Cancelled(msgspec.Struct, frozen=True, kw_only=True):
    """A run that was asked to end. `changed` is False when it had been asked before, and had not ended yet."""

    experiment: str
    run_id: str
    generation: int
    owner: str
    changed: bool
    engine: str = ""  # that has the run: it is asked too, since a run that waits there hears nothing


def cancel(root: Root, what: str, *, reason: str, actor: str) -> list[Cancelled]:
    """Ask one run to end, or every run of an experiment that is under way. Nothing is written where there is none."""
    experiment, run_id = _named(root, what)
    with root.section(experiment):
        claims = _held(root, experiment, run_id)
        done = [_ask(root, claim, reason=reason, actor=actor) for claim in claims]
        if any(each.changed for each in done):
            refresh.catch_up(root, experiment)
    if any(each.changed for each in done):
        refresh.lab_pages(root)
    return done


def ended(root: Root, asked: Cancelled) -> str:
    """How the run ended; empty while it goes on. A run that lost its lease meanwhile is not counted."""
    path = root.layout.run(asked.experiment, asked.run_id)
    if os.path.lexists(f"{path}/{layout.SUPERSEDED}"):
        return "superseded"
    outcome = _outcome(root, asked.experiment, asked.run_id)
    if outcome:
        return outcome
    for each in packages.found(root, COMPLETE):
        taken = packages.claimed(root, COMPLETE, each) if each.experiment == asked.experiment else None
        if taken is not None and taken.run_id == asked.run_id:
            return "complete; labctl dispatch-ingest or the next turn takes it in"
    # By the names of its claim: this is asked of each of a thousand runs, again and again.
    claims = (root.layout.claim(asked.experiment, asked.generation, suffix) for suffix in standing.CALLING)
    return "" if any(map(os.path.lexists, claims)) or reading.is_folder(path) else "given up before it began"


def _named(root: Root, what: str) -> tuple[str, str]:
    """The experiment that is meant, and the run of it; an empty run for all of them."""
    experiment, slash, run_id = what.partition("/")
    if slash:
        return experiments.require(root, experiment), ids.run_id(run_id)
    names = experiments.names(root)
    if what in names:
        return what, ""
    under_way: list[str] = []
    known = _is_run(what)
    for name in names:
        if known and reading.is_folder(root.layout.run(name, what)):
            return name, what
        runs = _runs(root, name)
        if what in runs:
            return name, what
        under_way += runs
    close = nearest(what[:200], (*under_way, *names))
    shown = f"under way: {', '.join(under_way[:_SHOWN])}" if under_way else "nothing is under way"
    raise NotFound(
        f"there is no run and no experiment {what[:200]}",
        where=root.layout.experiments,
        fix=f"did you mean {close}?" if close else shown,
    )


def _is_run(what: str) -> bool:
    try:
        ids.run_id(what)
    except BadInput:
        return False
    return True


def _runs(root: Root, experiment: str) -> list[str]:
    return [each.seen.claim.run_id for each in leases.survey(root, experiment).held]


def _held(root: Root, experiment: str, run_id: str) -> list[Claim]:
    """The claims of the runs that are meant; the refusal says why there are none. Inside the section."""
    seen = leases.survey(root, experiment)
    held = [each.seen.claim for each in seen.held if run_id in ("", each.seen.claim.run_id)]
    if held:
        return held
    outcome = _outcome(root, experiment, run_id) if run_id else ""
    if outcome:
        raise BadInput(f"{run_id} is sealed already: {outcome}", fix=f"labctl show {run_id}")
    under_way = [each.seen.claim.run_id for each in seen.held]
    shown = f"under way: {', '.join(under_way[:_SHOWN])}" if under_way else f"labctl list {experiment} shows its runs"
    if not run_id:
        what = f"no run of {experiment} is under way"
        if seen.lost or seen.unsettled:
            raise BadInput(f"{what}; one lost its holder", fix="labctl watchdog --repair settles it")
        raise BadInput(what, fix=f"labctl pause {experiment} keeps the next one from starting")
    lost = {each.seen.claim.run_id for each in seen.lost} | {each.claim.run_id for each in seen.unsettled}
    if run_id in lost or reading.is_folder(root.layout.run(experiment, run_id)):
        what = f"{run_id} is not under way: its holder is gone, so nobody would hear it"
        raise BadInput(what, fix="labctl watchdog --repair settles it")
    close = nearest(run_id[:200], tuple(under_way))
    raise NotFound(f"{experiment} has no run {run_id[:200]}", fix=f"did you mean {close}?" if close else shown)


def _outcome(root: Root, experiment: str, run_id: str) -> str:
    """How a sealed run ended; empty for one that has no seal."""
    try:
        found = bundles.load_seal(root.layout.run(experiment, run_id))
    except Corrupt:
        return "its seal is damaged"
    return found[0].run.outcome if found else ""


def _ask(root: Root, claim: Claim, *, reason: str, actor: str) -> Cancelled:
    asked = root.layout.claim(claim.experiment, claim.generation, layout.CANCEL_SUFFIX)
    changed = reading.read(asked) is None
    if changed:
        told = event.Event(
            type=event.CANCEL_ASKED, ts=root.now(), experiment=claim.experiment, run_id=claim.run_id,
            generation=claim.generation, reason=reason, actor=actor,
        )  # fmt: skip
        ledger.append(root, told)
        why = " ".join(reason.split()) or "no reason was given"
        leases.ask_to_cancel(root, claim.experiment, claim.generation, f"{actor}: {why}" if actor else why)
    return Cancelled(
        experiment=claim.experiment,
        run_id=claim.run_id,
        generation=claim.generation,
        owner=_owner(root, claim),
        changed=changed,
        engine=claim.engine,
    )


def _owner(root: Root, claim: Claim) -> str:
    """Who runs it, in words."""
    if claim.engine:
        return placed.holder(placed.state(root, claim))
    if claim.owner.pid:
        return f"{claim.owner.name} on {claim.owner.host} (pid {claim.owner.pid})"
    return claim.owner.name


def from_engines(root: Root, asked: Iterable[Cancelled]) -> list[Step]:
    """Have engines hear the word: what waits there is taken from them, and what runs there ends by itself.

    What came of it, trouble included: a run whose engine does not answer stays asked, and ends when one does.
    """
    names = sorted({each.experiment for each in asked if each.engine})
    if not names:
        return []
    from lab.scheduler.placing import reconciling  # noqa: PLC0415  # the engines; most runs that are cancelled have none

    return [step for name in names for step in reconciling.look(root, name)]


def still_running(asked: Cancelled, waited_s: float) -> Busy:
    """The refusal to wait any longer."""
    when = "when its body or its engine answers" if asked.engine else f"when {asked.owner} looks"
    fix = f"it was asked, and ends {when}; see: labctl lease show {asked.experiment}"
    return Busy(f"{asked.run_id} has not ended after {waited_s:g}s", fix=fix)
