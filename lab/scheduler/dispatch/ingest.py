"""Taking packages in: what the worker left becomes the bundle, the bundle is sealed, the package goes.

Every step may be the last one before a crash; the next ingest goes on from the place that it finds. Two at once are
one after the other (`reclaim.settling`), and the second finds nothing to do. What is wrong with one package is told,
set aside with the reason in it, and stops no other.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from lab.core import event, layout, package, policy
from lab.core.ended import Ended
from lab.core.errors import Busy, Corrupt, LabError, NotFound, Superseded
from lab.core.manifest import RUNNING, Manifest
from lab.core.package import COMPLETE, RUN
from lab.core.record import page
from lab.core.run import CRASH, VERDICTS
from lab.scheduler import cycle, moves, reclaim, refresh
from lab.scheduler.dispatch import completing, inputs, mend
from lab.scheduler.dispatch.offers import INGESTED, SET_ASIDE, Said, safely
from lab.scheduler.search import sought
from lab.store import bundles, experiments, leases, ledger, packages, reading

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from lab.core.package import Offer, Place, Taken
    from lab.core.policy import Move
    from lab.core.run import Run
    from lab.core.spec import Spec
    from lab.core.subject import Subject
    from lab.core.view import View
    from lab.scheduler.moves import Change
    from lab.store.root import Root

FOREIGN = "no claim of this lab speaks of it"


def ingest(
    root: Root,
    *,
    named: Collection[str] = (),
    only: Collection[str] = (),
    classes: Collection[str] = (),
    max_runs: int = 0,
) -> list[Said]:
    """Take in every complete package, or those named, the oldest first. With `max_runs` at most so many."""
    said: list[Said] = []
    fresh: dict[str, Subject] = {}
    changes: list[Change] = []
    for each in _wanted(root, named, only, classes):
        if max_runs and sum(one.kind == INGESTED for one in said) >= max_runs:
            break
        said += safely(each.experiment, partial(_one, root, each, fresh, changes))
    moves.tell_people(root, changes)
    with suppress(OSError):  # the runs are sealed, which is what was asked; `status` counts them in without
        refresh.lab_pages(root, fresh.values())  # also what an ingest left behind that was killed here
    return said


def tend(root: Root) -> list[Said]:
    """For a turn of the crank: what came back is taken in. Two listings while nothing is under way."""
    if not packages.under_way(root):
        return []
    return [*mend.mend(root), *ingest(root)]


def _wanted(root: Root, named: Collection[str], only: Collection[str], classes: Collection[str]) -> list[Place]:
    found = packages.found(root, COMPLETE)
    if named:
        wanted = [package.dispatch_id(name).dispatch_id for name in named]
        known = {each.dispatch_id for each in found}
        for name in wanted:
            if name not in known:
                stage, _ = packages.require(root, name)
                raise NotFound(f"{name} is in {stage}/, not in complete/", fix=f"labctl dispatch-complete {name}")
        found = [each for each in found if each.dispatch_id in wanted]
    found = [each for each in found if not only or each.experiment in only]
    return [each for each in found if not classes or _class(root, each) in classes]


def _class(root: Root, each: Place) -> str:
    try:
        return packages.offer_of(root, COMPLETE, each).executor_class
    except (LabError, OSError):
        return ""


def _one(root: Root, each: Place, fresh: dict[str, Subject], changes: list[Change]) -> Iterator[Said]:
    if not reading.is_folder(root.layout.experiment(each.experiment)):
        yield from _aside(root, each, f"this lab has no experiment {each.experiment}")
        return
    try:
        with reclaim.settling(root, each.experiment):
            with root.section(each.experiment):
                before, _ = cycle.observe(root, each.experiment)
            run, subject = _taken_in(root, each)
    except _Gone:
        return
    except Superseded as lost:
        yield from _lost(root, each, lost)
        return
    except Busy:
        raise
    except (Corrupt, NotFound) as wrong:
        yield from _aside(root, each, wrong.what)
        return
    if subject is None:
        _end(root, each, run)
    yield _said(each, run)
    if subject is not None:
        after = moves.after_run(root, subject, partial(_judged, root), lambda _view, _move: None)
        fresh[each.experiment] = after
        changes.append((before, after))


def _judged(root: Root, view: View, spec: Spec) -> Move:
    return policy.decide(view, spec, root.world.now(), searching=sought.searches(root, spec, view))


def _end(root: Root, each: Place, run: Run) -> None:
    """What follows a seal, where a crash came before it: the ledger line, the pages, the release of the lease."""
    taken = packages.taken_of(root, COMPLETE, each)
    with root.section(each.experiment):
        leases.supersede(root, each.experiment, taken.generation)
    reclaim.reclaim(root, run.experiment)
    packages.spend(root, COMPLETE, each)


class _Gone(Exception):  # no error: somebody else has taken it in
    """The package was taken in by another one while this one waited for its turn."""


def _taken_in(root: Root, each: Place) -> tuple[Run, Subject | None]:
    """The caller is `settling`."""
    if not reading.is_folder(root.layout.package(COMPLETE, each.name)):
        raise _Gone
    offer = packages.offer_of(root, COMPLETE, each)
    taken = packages.taken_of(root, COMPLETE, each)
    bundle = root.layout.run(each.experiment, taken.run_id)
    manifest = bundles.load_manifest(bundle)
    if manifest is None or (manifest.package, manifest.generation) != (each.dispatch_id, taken.generation):
        raise Corrupt(f"{taken.run_id} is not the run of {each.dispatch_id}: {FOREIGN}", where=bundle)
    before = bundles.load_seal(bundle) if reading.is_file(f"{bundle}/{layout.SEAL}") else None
    if before is not None and before[0].generation == taken.generation:
        return before[0].run, None  # a crash came after the seal
    spec = inputs.spec_of(root, COMPLETE, each, experiments.load(root, each.experiment))
    running = cycle.reattached(root, each.experiment, taken.run_id, spec)
    ended = _poured(root, each, offer, taken, running)
    made, subject = cycle.sealed(root, running, ended)
    packages.spend(root, COMPLETE, each)
    return made.run, subject


def _poured(root: Root, each: Place, offer: Offer, taken: Taken, running: cycle.Running) -> Ended:
    """The worker's files in the bundle, and how they say that the run ended."""
    path = root.layout.package(COMPLETE, each.name)
    if reading.is_folder(f"{path}/{RUN}"):
        packages.pour(root, COMPLETE, each, running.path)
    is_again = False
    try:
        root.files.create(f"{running.path}/{package.OFFER}", page(offer), durable=False)
    except FileExistsError:
        is_again = True  # by an ingest that was killed
    how = completing.exit_of(running.path, running.manifest)
    if running.manifest.status != RUNNING:  # closed by an ingest that was killed before the seal
        ended = _closed(running.manifest)
    elif how is None:
        reason = f"the package of {each.worker} came without word how it ended, or without its {RUN}/"
        ended = Ended(outcome=CRASH, reason=reason)
    else:
        ended = completing.read(running.path, running.manifest, how)
    ended = _as_told(root, each, ended)
    told = event.Event(
        type=event.PACKAGE_INGESTED, ts=root.now(), experiment=each.experiment, actor=taken.worker,
        run_id=taken.run_id, generation=taken.generation, name=each.dispatch_id,
        facts={"outcome": ended.outcome, "value": ended.value},
    )  # fmt: skip
    if not (is_again and completing.is_told(root, told)):
        ledger.append(root, told)
    return ended


def _closed(manifest: Manifest) -> Ended:
    return Ended(
        outcome=manifest.status, value=manifest.value, verdict=manifest.verdict, reason=manifest.reason,
        note=manifest.note, wall_s=manifest.wall_s, cost=manifest.cost, signals=manifest.signals, usage=manifest.usage,
        candidate=manifest.candidate, chunk=None if manifest.trained is msgspec.UNSET else manifest.trained,
    )  # fmt: skip


def _as_told(root: Root, each: Place, ended: Ended) -> Ended:
    """What only the worker knows: whether it kept the change, and why it failed."""
    try:
        done = packages.done_of(root, COMPLETE, each)
    except (Corrupt, OSError):
        return ended
    verdict = done.verdict if done.verdict in VERDICTS else ""
    more = msgspec.structs.replace(ended, verdict=verdict, note=done.note or ended.note)
    if ended.outcome == done.outcome and done.reason:
        more = msgspec.structs.replace(more, reason=done.reason)
    return more


def _lost(root: Root, each: Place, lost: Superseded) -> Iterator[Said]:
    """Its lease was taken over, or given up by an ingest whose disk refused it. What it left is kept either way."""
    reclaim.reclaim(root, each.experiment)
    with reclaim.settling(root, each.experiment):
        if not reading.is_folder(root.layout.package(COMPLETE, each.name)):
            return
        taken = packages.taken_of(root, COMPLETE, each)
        bundle = root.layout.run(each.experiment, taken.run_id)
        found = bundles.load_seal(bundle) if reading.is_file(f"{bundle}/{layout.SEAL}") else None
        if found is not None and found[0].generation == taken.generation:
            packages.spend(root, COMPLETE, each)
            yield _said(each, found[0].run)
            return
        if reading.is_file(f"{bundle}/{layout.SUPERSEDED}"):
            with suppress(FileNotFoundError):
                packages.pour(root, COMPLETE, each, bundle)
        yield from _aside(root, each, f"{lost.what}; what it left lies in {taken.run_id}, and is not counted")


def _aside(root: Root, each: Place, why: str) -> Iterator[Said]:
    told = event.Event(
        type=event.PACKAGE_INGESTED, ts=root.now(), experiment=each.experiment, actor=each.worker,
        name=each.dispatch_id, reason=f"refused: {why}",
    )  # fmt: skip
    ledger.append(root, told)
    try:
        path = packages.refuse(root, COMPLETE, each, why)
    except FileNotFoundError:
        return
    yield Said(kind=SET_ASIDE, dispatch_id=each.dispatch_id, experiment=each.experiment, path=path, what=why)


def _said(each: Place, run: Run) -> Said:
    return Said(
        kind=INGESTED, dispatch_id=each.dispatch_id, experiment=each.experiment, run_id=run.run_id, tier=run.tier,
        role=run.role, worker=each.worker, outcome=run.outcome, value=run.value, what=run.reason,
    )  # fmt: skip
