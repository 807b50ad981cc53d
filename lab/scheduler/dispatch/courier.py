"""The lab's side of a folder that tars travel through: packages go out, answers come back, and what is away is kept.

    DIR/out/<id>.tar     is to go; a copier takes it away, or --send does
    DIR/away/<id>.json   it was packed, for whom and when
    DIR/*.tar            answers that have come
    DIR/done/<id>.json   it was answered, by a tar of this digest
    DIR/refused/         answers that were not taken, with the reason: never counted

A turn may be the last before a crash, and may be taken twice: each step looks at what is there. Of a machine that does
not answer in time nothing is known, so its run is not counted as failed: its lease is taken, what comes of it later
is refused, and the lab makes another run.
"""

from __future__ import annotations

import os
import threading
from contextlib import ExitStack, suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from lab.core import layout, package
from lab.core.claim import RENEW_EVERY_S
from lab.core.errors import BadInput, Busy, LabError, Superseded
from lab.core.package import Answered, Away
from lab.core.record import page, parse
from lab.core.run import FAILED
from lab.scheduler import cycle, due, engines, reclaim
from lab.scheduler.dispatch import completing, ingest, mend, offers, parcel
from lab.scheduler.dispatch.completing import Word
from lab.scheduler.dispatch.offers import CLAIMED, PASSED, PROBLEM, SET_ASIDE, Said
from lab.scheduler.dispatch.postbox import CANCEL, DONE, NOT_WHOLE, OUT, Came, Copier, Postbox
from lab.scheduler.loop import scripts
from lab.store import experiments, packages, reading
from lab.store.sections import hold

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.core.package import Done, Place
    from lab.store.root import Root

AWAY = "away"
ACTOR = "courier"
PACKED, LOST = "packed", "lost"


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """Whose packages, how many of them at once, and how long one may be under way besides its budget."""

    worker: str
    max_away: int = 1
    travel_s: float = 3600.0
    classes: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    with_workspace: bool = True
    fetch: Copier = Copier()
    send: Copier = Copier()


class Courier:
    """Turns at one such folder."""

    def __init__(
        self, lab: Callable[[], Root], path: str, route: Route, *, interrupted: Callable[[], str] = str
    ) -> None:
        self._lab = lab
        self._route = route
        self._interrupted = interrupted
        root = lab()
        self._box = Postbox(root.files, path)

    def __call__(self, tell: Callable[[Said], None]) -> bool:
        """One turn. Whether anything came, went, or was given up."""
        root = self._lab()
        self._box.make(AWAY)
        with ExitStack() as held:
            try:
                held.enter_context(hold(self._box.place(".section"), wait_s=0.0))
            except Busy as busy:
                fix = "wait until its turn is over; a copier that hangs is given up within the hour"
                raise Busy("another courier is at it", where=self._box.path, fix=fix) from busy
            return self._turn(root, tell)

    def _turn(self, root: Root, tell: Callable[[Said], None]) -> bool:
        did: list[Said] = []

        def note(one: Said) -> None:
            if one.kind in (offers.INGESTED, PACKED, LOST, SET_ASIDE):
                did.append(one)
            tell(one)

        if self._route.fetch:
            wrong = self._copied(root, self._route.fetch, {"dir": self._box.path})
            if wrong:
                note(Said(kind=PROBLEM, what=f"nothing could be fetched: {wrong}"))
        for came in self._box.come(root.world.now()):
            if isinstance(came, Came):
                self._taken_back(root, came, note)
            else:
                note(Said(kind=SET_ASIDE, path=came.path, what=came.why))
        for name in self._box.partial:
            note(Said(kind=PASSED, what=f"{name} is not whole, and is left alone", fix=NOT_WHOLE))
        self._kept(root, note)
        for one in mend.mend(root):
            note(one)
        self._handed_out(root, note)
        self._sent(root, note)
        return bool(did)

    # -- answers ------------------------------------------------------------------------------------------------

    def _taken_back(self, root: Root, came: Came, tell: Callable[[Said], None]) -> None:
        name = came.place.dispatch_id
        try:
            if not self._is_known(root, came):
                said = self._judged(root, came)
                parcel.unpack(root, came.path)
                self._answered(root, came, said)
            for one in ingest.ingest(root, named=(name,)) if packages.where(root, name, package.COMPLETE) else ():
                tell(one)
        except LabError as wrong:
            if isinstance(wrong, Busy) and not isinstance(wrong, Superseded):
                tell(
                    Said(
                        kind=PASSED, dispatch_id=name, experiment=came.place.experiment, what=wrong.what, fix=wrong.fix
                    )
                )
            else:
                self._refused(came, wrong.what, tell)
            return  # what is away stays away: a better answer may come, until its time is up
        self._forget(name)
        self._box.files.discard(came.path)

    def _is_known(self, root: Root, came: Came) -> bool:
        """Whether this very answer was taken before. A second one that says something else is refused."""
        name = came.place.dispatch_id
        data = reading.read(self._box.place(f"{DONE}/{name}.json"))
        if data is None:
            return self._is_sealed(root, name)
        before = parse(Answered, data, self._box.place(f"{DONE}/{name}.json"))
        if before.sha256 != came.sha256:
            raise BadInput(f"{name} was answered before, by another tar", where=came.path)
        return True

    def _is_sealed(self, root: Root, name: str) -> bool:
        """A turn was killed after it had unpacked it, and somebody took the package in."""
        data = reading.read(self._box.place(f"{AWAY}/{name}.json"))
        if data is None or packages.where(root, name) is not None:
            return False
        away = parse(Away, data, self._box.place(f"{AWAY}/{name}.json"))
        bundle = root.layout.run(away.experiment, away.run_id)
        return reading.is_file(f"{bundle}/{layout.SEAL}")

    def _judged(self, root: Root, came: Came) -> Done:
        """Refuse what this worker has no word in, before anything of it is unpacked."""
        name = came.place.dispatch_id
        said = parcel.done_of(came.path, came.folder, came.place)
        if said is None:
            raise BadInput("it does not say how the work ended", where=came.path)
        found = packages.where(root, name)
        if found is None:
            raise BadInput(f"there is no package {name} any more: it was answered, or given up", where=came.path)
        if found[1].worker != self._route.worker:
            raise BadInput(f"{name} was not claimed by {self._route.worker}", where=came.path)
        return said

    def _answered(self, root: Root, came: Came, said: Done) -> None:
        record = Answered(
            dispatch_id=said.dispatch_id,
            outcome=said.outcome,
            reason=said.reason,
            at=root.now(),
            by=self._route.worker,
            sha256=came.sha256,
        )
        self._box.files.replace(self._box.place(f"{DONE}/{said.dispatch_id}.json"), page(record), durable=True)

    def _refused(self, came: Came, why: str, tell: Callable[[Said], None]) -> None:
        with suppress(FileNotFoundError):
            path = self._box.refuse(came.path, why)
            name, experiment = came.place.dispatch_id, came.place.experiment
            tell(Said(kind=SET_ASIDE, dispatch_id=name, experiment=experiment, path=path, what=why))

    def _forget(self, name: str) -> None:
        for each in (f"{OUT}/{name}.tar", f"{OUT}/{name}{CANCEL}", f"{AWAY}/{name}.json"):
            self._box.files.discard(self._box.place(each))

    # -- what is away -------------------------------------------------------------------------------------------

    def _mine(self, root: Root) -> list[Place]:
        return [each for each in packages.found(root, package.RUNNING) if each.worker == self._route.worker]

    def _copied(self, root: Root, copier: Copier, values: dict[str, str]) -> str:
        """Run a copier, and say what went wrong. It may take longer than a lease: what is away is kept meanwhile."""
        over = threading.Event()

        def keep() -> None:
            while not over.wait(RENEW_EVERY_S):
                self._renewed(root)

        self._renewed(root)
        keeper = threading.Thread(target=keep, name="labctl: keeps what is away", daemon=True)
        keeper.start()
        try:
            return copier.run(root.world, values)
        finally:
            over.set()
            keeper.join()

    def _renewed(self, root: Root) -> None:
        """Say of what is away that it is not forgotten. What comes of one that was lost is for `_kept` to say."""
        for each in self._mine(root):
            if self._box.is_there(f"{AWAY}/{each.dispatch_id}.json"):
                with suppress(LabError, OSError):
                    offers.renew(root, each.dispatch_id, each.worker)

    def _kept(self, root: Root, tell: Callable[[Said], None]) -> None:
        """Renew the leases of what is away, and give up what is away for too long."""
        for each in self._mine(root):
            taken = packages.claimed(root, package.RUNNING, each)
            if taken is None or not self._box.is_there(f"{AWAY}/{each.dispatch_id}.json"):
                continue
            allowed_s = taken.ttl_s + self._route.travel_s
            try:
                if _since_s(root, taken.claimed_at) > allowed_s:
                    why = f"{each.worker} did not answer within {allowed_s:.0f}s"
                    reclaim.broken(root, each.experiment, taken.generation, actor=ACTOR, reason=why)
                    self._forget(each.dispatch_id)
                    tell(Said(kind=LOST, dispatch_id=each.dispatch_id, experiment=each.experiment, what=why))
                    continue
                asked = offers.renew(root, each.dispatch_id, each.worker)
            except LabError as error:  # `mend` sees to a lease that was lost
                tell(Said(kind=PASSED, dispatch_id=each.dispatch_id, experiment=each.experiment, what=error.what))
                continue
            if asked is not None:
                self._put(f"{each.dispatch_id}{CANCEL}", f"{asked}\n".encode())
        for name in os.listdir(self._box.place(AWAY)):  # of packages that are no more
            did = package.place(name.removesuffix(".json"))
            if did is not None and packages.where(root, did.dispatch_id, package.RUNNING) is None:
                self._forget(did.dispatch_id)

    def _put(self, name: str, data: bytes) -> None:
        """Into out/ by one rename: a copier may take away whatever it sees there, drafts too."""
        self._box.files.replace(self._box.place(f"{AWAY}/{name}"), data)
        self._box.files.move(self._box.place(f"{AWAY}/{name}"), self._box.place(f"{OUT}/{name}"))

    def _handed_out(self, root: Root, tell: Callable[[Said], None]) -> None:
        for _ in range(self._route.max_away - len(self._mine(root))):
            if self._interrupted() or not self._one_more(root, tell):
                break
        for each in self._mine(root):
            if not self._box.is_there(f"{AWAY}/{each.dispatch_id}.json"):
                self._packed(root, each, tell)

    def _one_more(self, root: Root, tell: Callable[[Said], None]) -> bool:
        """Claim an offer that waits, else what is due. A code loop is the lab's own: it needs its repository."""
        names = self._fitting(root, tell)
        if not names:
            return False
        wanted, classes, worker = tuple(names), self._route.classes, self._route.worker
        for queue in (False, True):
            if queue:
                for one in offers.queue(root, actor=worker, max_runs=1, classes=classes, only=wanted):
                    if one.kind == PROBLEM:
                        tell(one)
            held, said = offers.claim(root, worker, classes=classes, only=wanted, interrupted=self._interrupted)
            for one in said:
                if one.kind != CLAIMED:
                    tell(one)
            if held:
                return True
        return False

    def _fitting(self, root: Root, tell: Callable[[Said], None]) -> list[str]:
        wanted = dict.fromkeys([*packages.waiting(root), *due.due(root, classes=self._route.classes).names])
        fitting = []
        for name in wanted:
            if self._route.only and name not in self._route.only:
                continue
            try:
                spec = cycle.usable(experiments.load(root, name))
            except LabError as error:
                tell(Said(kind=PASSED, experiment=name, what=error.told, fix=error.fix))
                continue
            if not self._route.classes and spec.executor_class in engines.placed_classes(root):
                continue
            if not scripts.is_loop(spec):
                fitting.append(name)
            elif self._route.only:
                what = "a code loop is not sent away: its candidates are made and judged beside its repository"
                tell(Said(kind=PASSED, experiment=name, what=what))
        return fitting

    def _packed(self, root: Root, each: Place, tell: Callable[[Said], None]) -> None:
        """Into out/, then on record: one that was taken away in between is packed again, and known there."""
        name, tar = each.dispatch_id, self._box.place(f"{OUT}/{each.dispatch_id}.tar")
        draft = self._box.place(f"{AWAY}/{name}.tar")
        taken = packages.claimed(root, package.RUNNING, each)
        if taken is None:
            return
        try:
            if not os.path.lexists(tar):
                with_workspace = self._route.with_workspace and bool(taken.workspace)
                self._box.files.discard(draft)
                parcel.pack(root, name, each.worker, draft, with_workspace=with_workspace)
                size = os.stat(draft).st_size
                self._box.files.move(draft, tar, durable=True)
            else:
                size = os.stat(tar).st_size
        except Superseded:
            return
        except LabError as wrong:
            word = Word(FAILED, reason=f"it could not be packed: {wrong.what}; {wrong.fix}".rstrip("; "))
            completing.complete(root, name, each.worker, word)
            for one in ingest.ingest(root, named=(name,)):
                tell(one)
            return
        record = Away(
            dispatch_id=name, experiment=each.experiment, run_id=taken.run_id, worker=each.worker,
            bytes=size, packed_at=root.now(),
        )  # fmt: skip
        self._box.files.replace(self._box.place(f"{AWAY}/{name}.json"), page(record), durable=True)
        tell(
            Said(
                kind=PACKED, dispatch_id=name, experiment=each.experiment, run_id=taken.run_id, worker=each.worker,
                path=tar, what=f"{record.bytes} bytes",
            )
        )  # fmt: skip

    def _sent(self, root: Root, tell: Callable[[Said], None]) -> None:
        for path in self._box.outgoing() if self._route.send else ():
            if self._interrupted():
                return
            wrong = self._copied(root, self._route.send, {"dir": self._box.path, "file": path})
            if wrong:
                tell(Said(kind=PROBLEM, what=f"{os.path.basename(path)} could not be sent: {wrong}", path=path))
                return
            self._box.files.discard(path)


def _since_s(root: Root, moment: str) -> float:
    try:
        return (root.world.now() - datetime.fromisoformat(moment)) / timedelta(seconds=1)
    except (ValueError, TypeError):
        return 0.0
