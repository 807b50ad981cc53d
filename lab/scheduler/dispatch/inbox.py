"""A worker where no lab is: packages come into a folder as tars, are worked on, and are answered as tars.

    DIR/*.tar               has come, from whatever copier
    DIR/running/<id>.tar    was claimed, by one rename; <id>/ beside it is what was in it
    DIR/out/<id>.done.tar   the answer, whole or absent; a copier takes it away, or --send does
    DIR/done/<id>.json      it was answered: the same tar is not worked on again
    DIR/refused/            what could not be used, with the reason

Several workers share a folder: the kernel's lock on `running/<id>` says who is at it, and goes with its holder. A
package whose worker was killed in the middle is answered as a crash, and never run again: what killed its worker once
would do so for ever.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from lab.core import layout, package
from lab.core.ended import Ended
from lab.core.errors import Busy, Corrupt, LabError
from lab.core.launch import ORPHANED
from lab.core.package import Answered, Begun, Offer
from lab.core.record import page, parse
from lab.core.run import CRASH
from lab.core.world import stamp
from lab.executors import leftovers
from lab.scheduler.dispatch import completing, parcel
from lab.scheduler.dispatch.offers import DONE, PASSED, PROBLEM, SET_ASIDE, Said
from lab.scheduler.dispatch.parcel import BACK, BEGUN
from lab.scheduler.dispatch.postbox import CANCEL, NOT_WHOLE, OUT, Came, Copier, Postbox
from lab.store import machine, packages, reading, tarball
from lab.store.sections import hold_folder

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.core.world import World
    from lab.scheduler.dispatch.parcel import Apart
    from lab.store.files import Files

RUNNING, ANSWERED = "running", "done"
AT = "@"
_KEPT_TARS = 50  # answers that were sent, should somebody ask again


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Who works, on what, and what brings it and takes it away."""

    worker: str
    classes: tuple[str, ...] = ()
    fetch: Copier = Copier()
    send: Copier = Copier()


class Inbox:
    """One worker at such a folder."""

    def __init__(
        self,
        files: Files,
        world: World,
        path: str,
        wanted: Wanted,
        *,
        interrupted: Callable[[], str],
    ) -> None:
        self._files = files
        self._world = world
        self._box = Postbox(files, path)
        self._worker = wanted.worker
        self._classes = wanted.classes
        self._fetch = wanted.fetch
        self._send = wanted.send
        self._interrupted = interrupted

    def open(self) -> None:
        """Make the folders. What is missing later was taken away, and is waited for."""
        self._files.folder(self._box.path)
        self._box.make(RUNNING)

    def __call__(self, tell: Callable[[Said], None]) -> bool:
        """One package, if there is one: one that was left behind first, then the oldest that has come."""
        self._sent(tell)
        if self._left_behind(tell) or self._new(tell):
            self._sent(tell)
            return True
        if self._fetch and not self._interrupted():
            wrong = self._fetch.run(self._world, {"dir": self._box.path})
            if wrong:
                tell(Said(kind=PROBLEM, what=f"nothing could be fetched: {wrong}"))
            elif self._new(tell):
                self._sent(tell)
                return True
        self._drop_late_words()
        for name in self._box.partial:
            tell(Said(kind=PASSED, what=f"{name} is not whole, and is left alone", fix=NOT_WHOLE))
        return False

    def _sent(self, tell: Callable[[Said], None]) -> None:
        for path in self._box.outgoing() if self._send else ():
            wrong = self._send.run(self._world, {"dir": self._box.path, "file": path})
            if wrong:
                tell(Said(kind=PROBLEM, what=f"{os.path.basename(path)} could not be sent: {wrong}", path=path))
                return
            with suppress(FileNotFoundError):
                self._files.move(path, self._box.place(f"{ANSWERED}/{os.path.basename(path)}"))
        if self._send:
            kept = sorted(name for name in os.listdir(self._box.place(ANSWERED)) if name.endswith(BACK))
            for name in kept[:-_KEPT_TARS]:
                self._files.discard(self._box.place(f"{ANSWERED}/{name}"))

    # -- what has come ------------------------------------------------------------------------------------------

    def _new(self, tell: Callable[[Said], None]) -> bool:
        for came in self._box.come(self._world.now()):
            if self._interrupted():
                return False
            if not isinstance(came, Came):
                tell(Said(kind=SET_ASIDE, path=came.path, what=came.why))
            elif self._is_answered(came.place.dispatch_id):
                self._again(came, tell)
            elif self._is_wanted(came) and self._claimed(came) and self._worked(came.place.dispatch_id, tell):
                return True
        return False

    def _is_answered(self, name: str) -> bool:
        return self._box.is_there(f"{ANSWERED}/{name}.json")

    def _again(self, came: Came, tell: Callable[[Said], None]) -> None:
        """It was worked on before. Whoever sends it again may have lost the answer, and gets the same one."""
        name = came.place.dispatch_id
        kept, out = self._box.place(f"{ANSWERED}/{name}{BACK}"), self._box.place(f"{OUT}/{name}{BACK}")
        with suppress(FileNotFoundError):
            self._files.move(kept, out)
        self._files.discard(came.path)
        again = "the same answer goes again" if os.path.lexists(out) else "the answer was taken away"
        what = f"it came again, and was answered before; {again}"
        tell(Said(kind=PASSED, dispatch_id=name, experiment=came.place.experiment, what=what))

    def _is_wanted(self, came: Came) -> bool:
        if not self._classes:
            return True
        with suppress(LabError):
            data = tarball.file_of(came.path, f"{came.folder}/{package.OFFER}", packages.RECORD_BYTES)
            return data is not None and parse(Offer, data, came.path).executor_class in self._classes
        return True  # whoever takes it says what is wrong with it

    def _claimed(self, came: Came) -> bool:
        """One rename. A copy of what is under way is thrown away: it says nothing new."""
        target = self._box.place(f"{RUNNING}/{came.place.dispatch_id}.tar")
        try:
            if os.path.lexists(target):
                self._files.discard(came.path)
                return False
            self._files.move(came.path, target, durable=self._files.durable)
        except FileNotFoundError:
            return False  # another worker was quicker
        return True

    # -- what is claimed ----------------------------------------------------------------------------------------

    def _left_behind(self, tell: Callable[[Said], None]) -> bool:
        """Go on with what a worker left that was killed here: claimed, or under way, or answered but for the tar."""
        names = os.listdir(self._box.place(RUNNING))
        taken = {name for name in names if layout.is_draft(name) and not self._is_spent(name)}
        names = [
            name for name in names if not any(each.startswith(f".{name.removesuffix('.tar')}{AT}") for each in taken)
        ]
        found = {each.removesuffix(".tar") for each in names if package.place(each.removesuffix(".tar"))}
        return any(not self._interrupted() and self._worked(name, tell) for name in sorted(found))

    def _is_spent(self, draft: str) -> bool:
        """What was being unpacked: of a worker that lives here it is left alone, of a dead one it goes."""
        where, _, pid = draft.removesuffix(layout.DRAFT_SUFFIX).rpartition(AT)[2].partition("-")
        if where != machine.here() or not pid.isdecimal():
            return True  # this machine was started anew; or another one shares the disk: to unpack it twice is harmless
        if int(pid) != os.getpid() and not machine.is_gone(where, int(pid)):
            return False
        self._files.discard_folder(self._box.place(f"{RUNNING}/{draft}"))
        return True

    def _worked(self, name: str, tell: Callable[[Said], None]) -> bool:
        """Unpack, run, answer: from wherever it stands. False when it is somebody else's, or no package."""
        tar, folder = self._box.place(f"{RUNNING}/{name}.tar"), self._box.place(f"{RUNNING}/{name}")
        if not reading.is_folder(folder) and not self._unpacked(name, tar, folder, tell):
            return False
        try:
            with hold_folder(folder, wait_s=0.0):
                if not reading.is_folder(folder):
                    return False  # its worker was done with it
                if self._is_answered(name):
                    self._forget(name)
                    return False
                done = self._done(folder, tell)
                if done is None:
                    return False
                self._answered(name, done)
        except (Busy, FileNotFoundError):
            return False  # somebody is at it, or was
        outcome = Said(
            kind=DONE, run_id=done.run_id, tier=done.tier, role=done.role,
            dispatch_id=name, experiment=package.dispatch_id(name).experiment, worker=self._worker,
            outcome=done.outcome, what=done.reason, path=self._box.place(f"{OUT}/{name}{BACK}"),
        )  # fmt: skip
        tell(outcome)
        return True

    def _unpacked(self, name: str, tar: str, folder: str, tell: Callable[[Said], None]) -> bool:
        """Whole or absent. Judged is the copy that was claimed: until then it may have been written to."""
        draft = self._box.place(f"{RUNNING}/.{name}{AT}{machine.here()}-{os.getpid()}{layout.DRAFT_SUFFIX}")
        self._files.discard_folder(draft)
        try:
            if not tarball.digest_of(tar):
                if not os.path.lexists(tar):
                    return False
                raise Corrupt("it was written to after it had come", where=tar, fix="send it again")
            tarball.extract(self._files, tar, draft, below=tarball.top(tar))
            parcel.read_apart(draft)
            self._files.move(draft, folder)
        except LabError as wrong:
            self._aside(name, tar, wrong.what, tell)
            return False
        except OSError:
            if not os.path.lexists(tar) or reading.is_folder(folder):
                return False  # another worker did the same, and was quicker
            raise
        finally:
            self._files.discard_folder(draft)
        return True

    def _aside(self, name: str, tar: str, why: str, tell: Callable[[Said], None]) -> None:
        with suppress(FileNotFoundError):
            path = self._box.refuse(tar, why)
            tell(Said(kind=SET_ASIDE, dispatch_id=name, path=path, what=why))

    def _done(self, folder: str, tell: Callable[[Said], None]) -> Apart | None:
        """Run it, unless it was begun before: then how it ended is written down, and nothing is run."""
        name = os.path.basename(folder)
        run, asked = f"{folder}/{package.RUN}", self._box.place(f"{name}{CANCEL}")
        if not reading.is_file(f"{folder}/{package.DONE}") and reading.is_file(f"{folder}/{BEGUN}"):
            leftovers.end(run)
            if machine.writers(run):
                what = f"its worker is dead, and processes that it started still write to {run}"
                tell(Said(kind=PASSED, dispatch_id=name, what=what))
                return None
            taken, manifest, _ = parcel.read_apart(folder)
            how = completing.exit_of(run, manifest)
            reason = f"the worker that ran it on {machine.host().partition('/')[0]} ended before it was done"
            if how is not None and how.stopped == ORPHANED:  # its supervisor does not know whose it was
                how = msgspec.structs.replace(how, why=reason)
                self._files.replace(f"{run}/{layout.EXIT}", page(how), durable=self._files.durable)
            ended = Ended(outcome=CRASH, reason=reason) if how is None else completing.read(run, manifest, how)
            parcel.end_apart(self._files, self._world, folder, taken, ended)
        elif not reading.is_file(f"{folder}/{package.DONE}"):
            begun = Begun(worker=self._worker, begun_at=stamp(self._world.now()))
            self._files.replace(f"{folder}/{BEGUN}", page(begun), durable=self._files.durable)
        return parcel.work_apart(
            self._files, self._world, folder, interrupted=self._interrupted, asked=lambda: _word(asked)
        )

    def _answered(self, name: str, done: Apart) -> None:
        """The answer goes out whole; then it is on record; then what it was made of goes."""
        self._files.move(done.tar, self._box.place(f"{OUT}/{name}{BACK}"), durable=self._files.durable)
        record = Answered(
            dispatch_id=name, outcome=done.outcome, reason=done.reason, at=stamp(self._world.now()), by=self._worker
        )
        self._files.replace(self._box.place(f"{ANSWERED}/{name}.json"), page(record), durable=self._files.durable)
        self._forget(name)

    def _forget(self, name: str) -> None:
        for draft in os.listdir(self._box.place(RUNNING)):
            if draft.startswith((f".{name}{AT}", f".{name}.")):
                self._files.discard_folder(self._box.place(f"{RUNNING}/{draft}"))
        self._files.discard(self._box.place(f"{RUNNING}/{name}.tar"))
        self._files.discard(self._box.place(f"{name}{CANCEL}"))
        self._files.discard_folder(self._box.place(f"{RUNNING}/{name}"))

    def _drop_late_words(self) -> None:
        """A word to end what was answered meanwhile."""
        for each in os.listdir(self._box.path):
            if each.endswith(CANCEL) and self._is_answered(each.removesuffix(CANCEL)):
                self._files.discard(self._box.place(each))


def _word(path: str) -> str | None:
    asked = reading.read_head(path, 1_000) if reading.is_file(path) else None
    return None if asked is None else asked.decode(errors="replace").strip() or "somebody at the lab asked for it"
