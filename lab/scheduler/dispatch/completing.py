"""The end of a package's work: judged by the rules by which any run is read, written down, and one rename."""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING

from lab.core import event, layout, package
from lab.core.errors import BadInput, Corrupt, LabError
from lab.core.launch import CANCELLED as WAS_CANCELLED
from lab.core.launch import TIMEOUT as WAS_TIMEOUT
from lab.core.launch import Exit
from lab.core.package import COMPLETE, RUN, RUNNING, Done, Place, Taken
from lab.core.record import page, parse
from lab.core.run import CANCELLED, CRASH, OUTCOMES, SUCCESS, TIMEOUT
from lab.executors import door
from lab.scheduler import refresh
from lab.scheduler.dispatch import offers
from lab.store import bundles, leases, ledger, packages, reading

if TYPE_CHECKING:
    from lab.core.ended import Ended
    from lab.core.manifest import Manifest
    from lab.scheduler.dispatch.offers import Held
    from lab.store.root import Root

SECTION = "submit.section"  # in a package: held by who tries what an agent handed in


class Word:
    """What a worker says of the end of its package."""

    __slots__ = ("note", "outcome", "reason", "verdict")

    def __init__(self, outcome: str, *, reason: str = "", verdict: str = "", note: str = "") -> None:
        self.outcome = outcome
        self.reason = reason
        self.verdict = verdict
        self.note = note


def complete(root: Root, dispatch_id: str, worker: str, word: Word) -> Place:
    """Say that a package is done. Saying it again is no mistake. `Superseded` when its lease was lost meanwhile."""
    if word.outcome not in OUTCOMES:
        raise BadInput(f"{word.outcome[:80]!r} is no outcome", fix=f"one of {', '.join(OUTCOMES)}")
    again = _said_before(root, dispatch_id, worker, word)
    if again is not None:
        return again
    each = offers.mine(root, dispatch_id, worker)
    taken = packages.running_of(root, each)
    manifest = bundles.load_manifest(root.layout.run(each.experiment, taken.run_id))
    if manifest is None:
        what = f"the bundle of {taken.run_id} is gone"
        raise Corrupt(what, where=root.layout.run(each.experiment, taken.run_id), fix="labctl recover")
    leases.held(root, each.experiment, taken.generation)  # told before anything is read that may be long
    try:
        judge(root, each, taken, manifest, word)
    except (LabError, OSError):  # whatever is not there any more, is elsewhere with the whole package
        packages.refuse_moved(root, each)
        raise
    moved = closed(root, each, taken, word)
    with suppress(OSError):
        refresh.lab_pages(root)
    return moved


def closed(root: Root, each: Place, taken: Taken, word: Word) -> Place:
    """Move a package whose end was judged. In the section, where no lease is taken over beside it.

    What its worker left waits for the disk first: a complete package outlives its worker, and a power cut.
    """
    path = root.layout.package(RUNNING, each.name)
    if root.files.durable and reading.is_folder(path):
        root.files.sync_all(path)
    with root.section(each.experiment):
        leases.held(root, each.experiment, taken.generation)
        packages.refuse_moved(root, each)  # writing into it would make it anew
        done = Done(
            dispatch_id=each.dispatch_id, worker=each.worker, outcome=word.outcome, completed_at=root.now(),
            reason=word.reason, verdict=word.verdict, note=word.note,
        )  # fmt: skip
        is_again = reading.is_file(f"{root.layout.package(RUNNING, each.name)}/{package.DONE}")  # a kill came between
        packages.write(root, RUNNING, each, package.DONE, done)
        told = event.Event(
            type=event.PACKAGE_COMPLETED, ts=done.completed_at, experiment=each.experiment, actor=each.worker,
            run_id=taken.run_id, generation=taken.generation, name=each.dispatch_id, reason=word.reason,
            facts={"outcome": word.outcome},
        )  # fmt: skip
        if not (is_again and is_told(root, told)):
            ledger.append(root, told)
        return packages.move(root, RUNNING, each, COMPLETE)


def is_told(root: Root, told: event.Event) -> bool:
    """Whether the ledger has this word on this package already. All of it is read, which is only done after a kill."""
    wanted = (told.type, told.name, told.generation, told.facts)
    lines = (entry.line.event for entry in ledger.entries(root) if entry.line is not None)
    return any((each.type, each.name, each.generation, each.facts) == wanted for each in lines)


def _said_before(root: Root, dispatch_id: str, worker: str, word: Word) -> Place | None:
    seen = packages.where(root, package.dispatch_id(dispatch_id).dispatch_id, COMPLETE)
    if seen is None or (worker and seen[1].worker != worker):
        return None
    said = packages.done_of(root, *seen)
    if said.outcome != word.outcome:
        what = f"{said.dispatch_id} was completed as {said.outcome}; it cannot become {word.outcome}"
        raise BadInput(what, fix=f"labctl dispatch-ingest {said.dispatch_id}")
    return seen[1]


def judge(root: Root, each: Place, taken: Taken, manifest: Manifest, word: Word) -> None:
    """Refuse a success that is none, and write down how it ended where a supervisor has not done so."""
    path = f"{root.layout.package(RUNNING, each.name)}/{RUN}"
    if not reading.is_folder(path):
        raise BadInput(f"{each.dispatch_id} has no {RUN}/", where=path, fix="put the results there")
    missing = [name for name in (layout.RESULT, layout.METRICS) if not reading.is_file(f"{path}/{name}")]
    written = exit_of(path, manifest)
    if written is not None:
        if read(path, manifest, written).outcome == word.outcome:
            return
    elif missing and word.outcome == SUCCESS:
        fix = f"a success leaves {' and '.join(missing)} there; else say --outcome failed --reason WHY"
        raise BadInput(
            f"{each.dispatch_id} lacks {' and '.join(f'run/{name}' for name in missing)}", where=path, fix=fix
        )
    how = _how(root, taken, word)
    if word.outcome == SUCCESS:
        found = read(path, manifest, how)
        if found.outcome != SUCCESS:
            fix = 'write run/metrics.json such as {"value": 0.93}, or say --outcome failed --reason WHY'
            raise BadInput(f"{each.dispatch_id} is no success: {found.reason}", where=path, fix=fix)
    root.files.replace(f"{path}/{layout.EXIT}", page(how), durable=root.files.durable)


def _how(root: Root, taken: Taken, word: Word) -> Exit:
    """The end of a process of which only its worker knows, so that it can be read like any other."""
    stopped = {TIMEOUT: WAS_TIMEOUT, CANCELLED: WAS_CANCELLED}.get(word.outcome, "")
    crashed = word.outcome == CRASH
    return Exit(
        run_id=taken.run_id,
        code=None if stopped or crashed else int(word.outcome != SUCCESS),
        problem=(word.reason or "its worker says that it crashed") if crashed else "",
        stopped=stopped,
        why=word.reason,
        wall_s=_since(root, taken.claimed_at),
    )


def _since(root: Root, moment: str) -> float:
    try:
        return max(0.0, (root.world.now() - datetime.fromisoformat(moment)).total_seconds())
    except (ValueError, TypeError):
        return 0.0


def write_exit(root: Root, held: Held, ended: Ended) -> None:
    """The end of a run for which nothing had to be started; of any other its supervisor wrote it down."""
    path = f"{held.path}/{RUN}"
    if ended.outcome == SUCCESS and exit_of(path, held.manifest) is None:
        root.files.replace(f"{path}/{layout.EXIT}", page(Exit(run_id=held.manifest.run_id, code=0)))


def exit_of(path: str, manifest: Manifest) -> Exit | None:
    """How a supervisor saw a run end; None when there was none, or when what lies there is not this run's."""
    where = f"{path}/{layout.EXIT}"
    data = reading.read_head(where, packages.RECORD_BYTES) if reading.is_file(where) else None
    if data is None:
        return None
    try:
        found = parse(Exit, data, where)
    except Corrupt:
        return None
    return found if found.run_id == manifest.run_id else None


def read(path: str, manifest: Manifest, how: Exit) -> Ended:
    """What a run left, by the rules of its executor. One that this machine has not is read like a command."""
    name = manifest.executor or "command"
    try:
        door.find(name)
    except BadInput:
        name = "command"
    return door.read(name, path, manifest, how)


def exists(root: Root, experiment: str, generation: int) -> bool:
    """Whether a lease stands."""
    return os.path.lexists(root.layout.claim(experiment, generation))
