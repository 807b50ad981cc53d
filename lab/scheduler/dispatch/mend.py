"""What crashes and silence left of packages, put in order. Called at the start of every dispatch verb, and by repair.

Judged inside the section in which claims are made whole, so that whatever is found half done there is a crash's.
"""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

from lab.core import event, package
from lab.core.errors import LabError
from lab.core.package import COMPLETE, READY, RUN, RUNNING, Place, Taken
from lab.core.run import CRASH
from lab.executors import leftovers, reference
from lab.scheduler import claim_taken, closing, reclaim
from lab.scheduler.dispatch import completing
from lab.scheduler.dispatch.completing import Word
from lab.scheduler.dispatch.offers import PASSED, SET_ASIDE, Said, safely
from lab.store import bundles, leases, machine, packages, reading
from lab.store.sections import hold

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.store.root import Root

_DECISION = f"{RUN}/{reference.DECISION}"
LOST = "its lease was lost: nobody renewed it in time, or a person broke it"


def mend(root: Root) -> list[Said]:
    """Bring packages back to a state that they can be in. Touches nothing that may be alive."""
    packages.clear(root)
    said: list[Said] = []
    for each in packages.found(root, RUNNING):
        said += safely(each.experiment, partial(_running, root, each))
    for name in leases.unsettled(root):
        said += safely(name, partial(_leases, root, name))
    return said


def _running(root: Root, each: Place) -> Iterator[Said]:
    if not reading.is_folder(root.layout.experiment(each.experiment)):
        yield _aside(root, each, f"this lab has no experiment {each.experiment}")
        return
    taken = packages.claimed(root, RUNNING, each)
    if taken is not None and completing.exists(root, each.experiment, taken.generation):
        if taken.process is not None and machine.alive(taken.process) is False:
            with reclaim.settling(root, each.experiment):  # two at it would write into a folder that has moved on
                if reading.is_folder(root.layout.package(RUNNING, each.name)):
                    yield from _of_the_dead(root, each, taken)
        elif taken.process is None and reading.is_file(f"{root.layout.package(RUNNING, each.name)}/{_DECISION}"):
            yield from _decided(root, each, taken)
        return
    with root.section(each.experiment):
        path = root.layout.package(RUNNING, each.name)
        if not reading.is_folder(path):
            return  # somebody was quicker
        again = packages.claimed(root, RUNNING, each)
        if again is not None and completing.exists(root, each.experiment, again.generation):
            return
        if again is not None:
            yield _aside(root, each, LOST)
        elif os.path.lexists(f"{path}/{package.CLAIM}"):
            yield _aside(root, each, f"its {package.CLAIM} cannot be read, so nobody knows which run it is")
        else:
            yield _back(root, each)


def _back(root: Root, each: Place) -> Said:
    """Nobody was told that it is theirs: an offer again."""
    try:
        packages.offer_of(root, RUNNING, each)
        packages.move(root, RUNNING, each, READY)
    except (LabError, FileExistsError) as error:
        return _aside(root, each, error.what if isinstance(error, LabError) else "there is another one of its name")
    what = "its claim was not finished; it is back in ready/"
    return Said(kind=PASSED, dispatch_id=each.dispatch_id, experiment=each.experiment, what=what)


def _aside(root: Root, each: Place, why: str) -> Said:
    path = packages.refuse(root, RUNNING, each, why)
    return Said(kind=SET_ASIDE, dispatch_id=each.dispatch_id, experiment=each.experiment, path=path, what=why)


def _of_the_dead(root: Root, each: Place, taken: Taken) -> Iterator[Said]:
    """The package of a `dispatch-work` that is proven dead. If its run had ended by then, that is how it ended."""
    path = f"{root.layout.package(RUNNING, each.name)}/{RUN}"
    leftovers.end(path)
    if machine.writers(path):
        what = f"its worker is dead, and processes that it started still write to {path}"
        yield Said(kind=PASSED, dispatch_id=each.dispatch_id, experiment=each.experiment, what=what)
        return
    manifest = bundles.load_manifest(root.layout.run(each.experiment, taken.run_id))
    if manifest is None:
        return
    root.files.folder(path)
    written = completing.exit_of(path, manifest)
    has_restarted = taken.process is not None and machine.has_restarted(taken.process)
    if written is not None and not has_restarted:
        word = Word(completing.read(path, manifest, written).outcome)
    else:
        died = f"the worker {each.worker} (pid {taken.process.pid if taken.process else 0}) died"
        word = Word(CRASH, reason=died if written is None else closing.STOPPED)
        completing.judge(root, each, taken, manifest, word)
    completing.closed(root, each, taken, word)
    what = f"its worker is dead; completed as {word.outcome}"
    yield Said(kind=PASSED, dispatch_id=each.dispatch_id, experiment=each.experiment, what=what)


def _decided(root: Root, each: Place, taken: Taken) -> Iterator[Said]:
    """A candidate that an agent handed in, whose lab was killed after it had decided: what was kept is kept."""
    from lab.scheduler.dispatch import candidate  # noqa: PLC0415  # git and all: for a kill in one moment

    path = root.layout.package(RUNNING, each.name)
    with hold(f"{path}/{completing.SECTION}", wait_s=0.0):  # `Busy`: it lives, and goes on
        manifest = bundles.load_manifest(root.layout.run(each.experiment, taken.run_id))
        decided = candidate.decision(f"{path}/{RUN}", manifest) if manifest is not None else None
        if manifest is None or decided is None or completing.exit_of(f"{path}/{RUN}", manifest) is None:
            return
        word = Word(decided.outcome, reason=decided.reason, verdict=decided.verdict, note=decided.note)
        completing.complete(root, each.dispatch_id, each.worker, word)
    what = f"it had been decided; completed as {decided.verdict}"
    yield Said(kind=PASSED, dispatch_id=each.dispatch_id, experiment=each.experiment, what=what)


def _leases(root: Root, name: str) -> Iterator[Said]:
    """Leases that a claim took and no package tells of: its process died before it could say so."""
    if not _unspoken(root, name):
        return
    with root.section(name):
        for generation in _unspoken(root, name):
            told = event.Event(
                type=event.LEASE_TAKEN_OVER, ts=root.now(), experiment=name, generation=generation,
                reason="no package tells of it", actor=reclaim.WATCHDOG,
            )  # fmt: skip
            claim_taken.take(root, told)
    for item in reclaim.reclaim(root, name):
        yield Said(kind=PASSED, experiment=name, run_id=item.run_id, what=item.what)


def _unspoken(root: Root, name: str) -> list[int]:
    seen = leases.survey(root, name)
    claims = [held.seen.claim for held in seen.held] + [lost.seen.claim for lost in seen.lost]
    wanted = {claim.generation for claim in claims if claim.owner.name.startswith(package.OWNER_PREFIX)}
    if not wanted:
        return []
    for stage in (RUNNING, COMPLETE):  # in the order in which a package moves: it is seen in one of them
        for each in packages.found(root, stage):
            taken = packages.claimed(root, stage, each) if each.experiment == name else None
            if taken is not None:
                wanted.discard(taken.generation)
    return sorted(wanted)
