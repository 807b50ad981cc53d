"""One measurement of a run's parameters again, in the tier that is reported, with a seed of its own.

A run like any other, claimed, supervised and sealed; like a replay it asks no policy, so that a study that has come to
its end can still be reported of. Its budgets of hours, cost and tokens hold.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

from lab.core import assignment
from lab.core.ended import Ended
from lab.core.errors import BadInput, Busy, Interrupted, LabError
from lab.core.origin import REPLAY, Origin
from lab.core.run import FAILED, cut_off
from lab.research.project import RESEARCH
from lab.research.rounds.begun import OVER_TIME, THE_END
from lab.research.studies import lent, sealed
from lab.research.study import LOOP
from lab.scheduler import cycle, engines, reclaim, refresh, work
from lab.scheduler.chaining.order import ordered
from lab.scheduler.cycle import Errand
from lab.scheduler.search.book import Book
from lab.store import machine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.core.spec import Spec
    from lab.core.view import View
    from lab.research.studies.sealed import Row
    from lab.research.study import Study
    from lab.research.worker import Task
    from lab.scheduler.cycle import Running

_LOOK_EVERY_S = 0.1
_HOUR_S = 3600.0


class Repeats:
    """The measurements of one study. Each that is sealed is there for the next attempt too."""

    def __init__(self, task: Task, study: Study) -> None:
        self._task = task
        self._study = study
        self.anew = 0
        self._known: list[Row] = sealed.rows(task.root, study.experiment, study.report)

    def of(self, what: Row, seed: int) -> Row:
        """The measurement of these parameters with this seed: one that is sealed already, else made now."""
        found = self.known(what, seed)
        if found is not None:
            return found
        while True:
            self._refuse_stopped()
            with suppress(Busy):
                made = self._made(what, seed)
                self._refuse_stopped()  # one that was stopped says nothing of what it measured
                _refuse_cut_off(made)
                self._known.append(made)
                self.anew += 1
                return made
            self._wait()

    def known(self, what: Row, seed: int) -> Row | None:
        """The one that is sealed already: the first, where somebody has made it twice."""
        return next((each for each in self._known if self._is(each, what, seed)), None)

    def _is(self, row: Row, what: Row, seed: int) -> bool:
        """Whether a run measured exactly this, by the SPEC as it is now, and was not cut off."""
        run, manifest = row.run, row.manifest
        if manifest is None or manifest.seed != seed or manifest.spec_sha256 != self._study.spec_sha256:
            return False
        if cut_off(run.outcome, run.reason, run.chunk):
            return False
        if self._study.kind == LOOP:
            return run.candidate is not None and run.candidate.parent == what.run.run_id
        return assignment.alike(row.params or {}, what.params or {})

    def _made(self, what: Row, seed: int) -> Row:
        root, name = self._task.root, self._study.experiment
        reclaim.make_way(root, name)
        running, view = self._begun(what, seed)
        ended = self._carried_out(running, view, what)
        run_id = cycle.finish(root, running, ended).run.run_id
        found = sealed.row(root, name, run_id)
        if found is None:
            raise LabError(f"{run_id} was sealed, and its seal is gone", fix=f"labctl verify {name}")
        return found

    def _begun(self, what: Row, seed: int) -> tuple[Running, View]:
        """Claim the experiment and open the bundle, in one section."""
        root, study = self._task.root, self._study
        with root.section(study.experiment):
            view, loaded = cycle.observe(root, study.experiment)
            spec = cycle.usable(loaded)
            if (shut := lent.shut(root, view, self._task.spec.id, measured=True)) is not None:
                raise BadInput(shut[0], fix=shut[1])
            if loaded.sha256 != study.spec_sha256:
                raise LabError(f"the SPEC of {study.experiment} was edited while it was evaluated", fix="begin again")
            used = next(spent(view, spec), "")
            if used:
                raise LabError(f"{study.experiment}: {used}", fix=f"raise it in {root.layout.spec(study.experiment)}")
            here = spec.for_tier(study.report)
            if engines.chosen(root, here) is not None:
                fix = "give that tier a class that engines.yaml leaves here: `report_executor_class: default`"
                raise BadInput(f"an engine has the class {here.executor_class}; repeats are made here", fix=fix)
            work.require_work(root, here, view, what.params)
            errand = Errand(params=what.params, origin=self._origin(what, seed), tier=study.report, seed=seed)
            errand = ordered(root, view, spec, errand, slots=1)
            lease = cycle.claim(root, view, spec, owner=machine.this_process(RESEARCH), tier=study.report)
            return cycle.opened(root, lease, view, spec, loaded.sha256, errand), view

    def _origin(self, what: Row, seed: int) -> Origin:
        before = what.run.origin or self._nobodys()
        return Origin(
            kind=REPLAY, seed=before.seed, number=before.number, seen=before.seen, parents=(what.run.run_id,),
            note=f"{what.run.run_id} again, with seed {seed}",
        )  # fmt: skip

    def _nobodys(self) -> Origin:
        """The place of a run that no search made: after the last one of the search."""
        book = Book(self._task.root, self._study.experiment)
        book.catch_up()
        return Origin(seed=book.seed or 0, number=book.highest + 1)

    def _carried_out(self, running: Running, view: View, what: Row) -> Ended:
        root = self._task.root
        if self._study.kind != LOOP:
            return work.carry_out(root, running, view, interrupted=self._stopped)
        from lab.scheduler.loop import again  # noqa: PLC0415  # git and all: most studies are no code loops

        try:
            return again.carry_out(root, running, view, what.run, interrupted=self._stopped, path=running.path)
        except LabError as refusal:
            return Ended(outcome=FAILED, reason=refusal.what + (f"; {refusal.fix}" if refusal.fix else ""))

    def _stopped(self) -> str:
        return self._task.interrupted() or (THE_END if time.monotonic() >= self._task.until_s else "")

    def _refuse_stopped(self) -> None:
        came = self._task.interrupted()
        fix = "what was measured is sealed, and counted when the phase is done again"
        if came:
            raise Interrupted(f"stopped by {came}", fix=fix)
        if self._stopped():
            raise LabError(f"{OVER_TIME} before everything was measured", fix=f"{fix}; or raise its budget")

    def _wait(self) -> None:
        """Somebody else is at the experiment."""
        time.sleep(_LOOK_EVERY_S)


def _refuse_cut_off(row: Row) -> None:
    """One that ended with the lab, or for want of its service, measured nothing, and so says nothing of a side."""
    run = row.run
    if cut_off(run.outcome, run.reason, run.chunk):
        fix = "what was measured is sealed; the phase goes on from there when it is done again"
        raise LabError(f"{run.run_id} was cut off: {run.reason or run.outcome}", fix=fix)


def spent(view: View, spec: Spec) -> Iterator[str]:
    """Which budgets of an experiment are used up."""
    stop = spec.stop_conditions
    if stop.budget_hours is not None and view.wall_s >= stop.budget_hours * _HOUR_S:
        yield f"budget_hours: {view.wall_s / _HOUR_S:.4g} of {stop.budget_hours:g} are used"
    if stop.budget_cost is not None and view.cost >= stop.budget_cost:
        yield f"budget_cost: {view.cost:g} of {stop.budget_cost:g} are used"
    if stop.budget_tokens is not None and view.tokens >= stop.budget_tokens:
        yield f"budget_tokens: {view.tokens:,} of {stop.budget_tokens:,} are used"


def published(task: Task) -> None:
    """The lab's two pages, once for all measurements."""
    with suppress(OSError):
        refresh.lab_pages(task.root)
