"""One turn of the crank, the same for every mode: observe, decide, act. One experiment's trouble stops no other."""

from __future__ import annotations

import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from lab.core.engines import HERE
from lab.core.errors import BadInput, Busy, LabError, Superseded, Unavailable
from lab.core.run import FAILURES
from lab.scheduler import decisions, due, engines, moves, reclaim, refresh
from lab.scheduler.control import inbox, proposals, untold
from lab.scheduler.crew import Crew, slots
from lab.scheduler.patience import Patience
from lab.scheduler.step import ANSWERED, HELD, MOVED, PASSING, PROBLEM, QUEUED, RAN, SETTLED, WAITING, Step
from lab.scheduler.visit import Request, Visit
from lab.store import experiments, leases, machine, packages, reading, refusals, standing, strays

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lab.core.subject import Subject
    from lab.core.view import View
    from lab.scheduler.cycle import Errand
    from lab.scheduler.search.plan import Search
    from lab.store.root import Root

OWNER = "run-once"
_PAGES_EVERY_S = 5.0  # a long turn tells how far it is; a short one writes the lab's pages once


class Turn:
    """A turn under way: what it was told to do, and what it has done so far."""

    def __init__(
        self, root: Root, request: Request, *, tell: Callable[[Step], None], interrupted: Callable[[], str]
    ) -> None:
        self.root = root
        self.request = request
        self.interrupted = interrupted
        self.steps: list[Step] = []
        self.warnings: list[str] = []
        self._tell = tell
        self._edited: frozenset[str] = frozenset()
        self._fresh: dict[str, Subject] = {}
        self._changes: list[tuple[View | None, Subject]] = []
        self._told_at_s = time.monotonic()
        self._waits: list[Step] = []
        self._closed: set[str] = set()  # engines that did not answer, and classes that one takes nothing of now

    @property
    def ran(self) -> int:
        """How many runs this turn brought to their end."""
        return sum(step.kind == RAN for step in self.steps)

    @property
    def queued(self) -> int:
        """How many runs this turn handed to an engine."""
        return sum(step.kind == QUEUED for step in self.steps)

    @property
    def failed(self) -> bool:
        """Whether a run did not succeed, or an experiment could not be run."""
        return any(step.kind == PROBLEM or (step.kind == RAN and step.outcome in FAILURES) for step in self.steps)

    def take(self) -> None:
        """Everything that is due, up to the limits."""
        self.hear()
        self.reconcile()
        for name in leases.unsettled(self.root):
            if not self.interrupted() and (not self.request.only or name in self.request.only):
                self._safely(name, self.settle)
        found = due.due(self.root, classes=self.request.classes, only=self.request.only, now=self.request.now)
        self._edited = found.edited
        if found.names and not self._knows_where():
            self.publish()
            return
        if self.request.jobs > 1:
            # What an engine runs needs no process of its own here.
            away = [name for name in found.names if self._goes_away(name, found.tiers[name])]
            self._one_by_one(away)
            self._in_parallel([name for name in found.names if name not in set(away)])
        else:
            self._one_by_one(found.names)
        self.publish()

    def reconcile(self) -> None:
        """Compare what the lab has claimed with what engines have. Asks none where none has anything."""
        only = self.request.only
        placed = [name for name in leases.placed(self.root) if not only or name in only]
        if not placed and (only or not strays.suspected(self.root)):
            return
        from lab.scheduler.placing import reconciling  # noqa: PLC0415  # most labs have no engine

        for step in reconciling.reconcile(self.root, only=placed if only else ()):
            self._done(step)

    def ask_again(self) -> None:
        """Engines that did not answer, or took nothing, do so now: runs are handed to them again."""
        self._closed.clear()

    def _knows_where(self) -> bool:
        """Whether it can be told where runs are to happen. Said once, and before a model is asked what to run."""
        if self.request.engine == HERE:
            return True
        try:
            engines.table(self.root)
        except LabError as broken:
            where = f" ({broken.where})" if broken.where else ""
            what = f"{' '.join(broken.what.split())}{where}; until it is mended nothing runs"
            self._done(Step(kind=PROBLEM, experiment="", what=what, fix=broken.fix))
            return False
        return True

    def _goes_away(self, name: str, tier: str) -> bool:
        """Whether an engine runs it in this tier. What is wrong with the table of engines is told by the visit."""
        if self.request.engine:
            return self.request.engine != HERE
        spec = experiments.load(self.root, name).spec
        with suppress(LabError):
            return spec is not None and engines.chosen(self.root, spec.for_tier(tier)) is not None
        return True

    def visit(
        self,
        name: str,
        *,
        search: Search | None = None,
        errand: Errand | None = None,
        proposal: str = "",
        owner: str = OWNER,
    ) -> Visit:
        """One experiment: judge it, and run it once if it is due."""
        visit = Visit(
            self.root, name, self.request, owner=machine.this_process(owner), tell=self._done,
            interrupted=self.interrupted, search=search, errand=errand, proposal=proposal, closed=self._closed,
        )  # fmt: skip
        try:
            visit.pay()
        except (BadInput, Unavailable) as refusal:
            if visit.made is None and not (search or errand or proposal or self.request.engine):
                visit.subject = self._refused(name, refusal) or visit.subject  # by no wish of who asks for this one
            raise
        finally:
            if visit.subject is not None:
                self._fresh[name] = visit.subject
                self._changes.append((visit.before, visit.subject))
        return visit

    def _refused(self, name: str, refusal: LabError) -> Subject | None:
        """Leave what the turn met where people look. That it cannot be left changes nothing about it."""
        with suppress(LabError, OSError):
            return decisions.refused(self.root, name, refusal)
        return None

    def publish_now_and_then(self) -> None:
        """The lab's two pages, where they have not been written for a while: a long turn tells how far it is."""
        if time.monotonic() - self._told_at_s > _PAGES_EVERY_S:
            self.publish()

    def hear(self) -> None:
        """What people left in control/ meanwhile: commands first, then what has waited too long."""
        for done in inbox.answer(self.root):
            what = f"{done.intent or done.file}: {done.state}" + (f" ({done.what})" if done.what else "")
            self._done(Step(kind=ANSWERED, experiment=done.target, what=what))
        if packages.under_way(self.root):
            from lab.scheduler.dispatch import ingest  # noqa: PLC0415  # only where work was handed out

            for said in ingest.tend(self.root):
                what = f"package {said.dispatch_id}: {said.kind}" + (f" ({said.what})" if said.what else "")
                kind = PROBLEM if said.kind == PROBLEM else SETTLED
                self._done(Step(kind=kind, experiment=said.experiment, run_id=said.run_id, what=what, fix=said.fix))
        if proposals.names(self.root):
            from lab.scheduler.control import approvals  # noqa: PLC0415  # only where something waits

            for ruling in approvals.expire(self.root):
                what = f"proposal {ruling.proposal_id}: {ruling.verdict}"
                self._done(Step(kind=ANSWERED, experiment=ruling.experiment, what=what))
            self.warnings += untold.tell(self.root, proposals.names(self.root))

    def _one_by_one(self, names: Sequence[str]) -> None:
        for name in names:
            if self._has_enough():
                break
            self._safely(name, self._visit_while_queued)
            self.publish_now_and_then()

    def _has_enough(self) -> bool:
        return self.ran + self.queued >= self.request.max_runs or bool(self.interrupted())

    def _visit_while_queued(self, name: str) -> None:
        """An experiment with several slots gets as many as are free, where an engine has them: none is waited for."""
        most = self.request.slots or slots(self.root, name)
        free = 0
        while self.visit(name).placed is not None and not self._has_enough():
            # Slots that were free stay so but for the one just taken: a look each would cost more than the submission.
            free = free - 1 if free > 1 else most - standing.under_way(self.root, name)
            if free <= 0:
                return

    def _in_parallel(self, names: Sequence[str]) -> None:
        """Each run in a process of its own. An experiment with several slots gets as many as are free."""
        crew = Crew(self.request.jobs, self._visit_apart, self._heard, self._lost, self.interrupted)
        many = {name: slots(self.root, name) for name in names}
        in_turns = [name for slot in range(max(many.values(), default=0)) for name in names if many[name] > slot]
        crew.work(in_turns, more=lambda under_way: self.ran + self.queued + under_way < self.request.max_runs)

    def _visit_apart(self, name: str, send: Callable[[bytes], None]) -> None:
        """In a worker: the same visit, told to the turn that started it."""
        self.tell_to(lambda step: send(msgspec.json.encode(step)))
        self._safely(name, self.visit)
        self.tell_what_follows()

    def tell_to(self, tell: Callable[[Step], None]) -> Callable[[Step], None]:
        """Tell somebody else from now on. In a worker: whoever started it."""
        self._tell = tell
        return tell

    def _heard(self, line: bytes) -> None:
        self._done(msgspec.json.decode(line, type=Step))

    def _lost(self, name: str, what: str) -> None:
        fix = "what it left is settled by the next turn"
        self._done(Step(kind=PROBLEM, experiment=name, what=f"its worker failed: {what}", fix=fix))

    def settle(self, name: str) -> None:
        """Bring what dead holders left of an experiment to its end."""
        beat = Patience(name, tell=self._done, interrupted=self.interrupted)
        for item in reclaim.reclaim(self.root, name, beat):
            self._done(Step(kind=SETTLED, experiment=name, run_id=item.run_id, what=item.what))

    def _safely(self, name: str, act: Callable[[str], object]) -> None:
        """One experiment's trouble is told and stops no other; a disk that refuses everybody is not its trouble."""
        told = partial(Step, experiment=name)
        try:
            act(name)
        except Superseded as lost:  # a run of ours was lost; that is no "somebody else is at it"
            self._done(told(kind=PROBLEM, what=lost.what, fix=lost.fix))
        except Busy as busy:
            self._done(told(kind=HELD, what=busy.what, fix=busy.fix))
        except LabError as error:
            self._done(told(kind=PROBLEM, what=error.told, fix=error.fix))
        except OSError as error:
            if not reading.is_local(error) or not reading.is_writable(self.root.layout.locks):
                raise  # nor is a lab that may only be read
            refusal = refusals.refused(error)
            self._done(told(kind=PROBLEM, what=refusal.told, fix=refusal.fix))

    def _done(self, step: Step) -> None:
        if step.kind == WAITING and step in self._waits:  # a burst asks again whenever a run is over
            return
        if step.kind == WAITING:
            self._waits.append(step)
        if step.kind == PROBLEM and self.request.only and step.experiment not in ("", *self.request.only):
            return  # another experiment's: the next turn of the whole lab tells it
        if step.kind not in PASSING:
            self.steps.append(step)
        if step.closed:
            self._closed.add(step.closed)
        self._tell(step)

    def publish(self) -> None:
        """The lab's two pages, once for all that happened; without them `status` counts it in from the ledger."""
        self._told_at_s = time.monotonic()
        if self._edited or any(step.kind in (RAN, MOVED, SETTLED, QUEUED, PROBLEM) for step in self.steps):
            fresh, self._fresh = tuple(self._fresh.values()), {}
            with suppress(OSError):
                refresh.lab_pages(self.root, fresh, edited=sorted(self._edited))
        self.tell_what_follows()

    def tell_what_follows(self) -> None:
        """Tell people. Outside every section: an address that does not answer takes its seconds."""
        changes, self._changes = self._changes, []
        if changes:
            self.warnings += moves.tell_people(self.root, changes)
