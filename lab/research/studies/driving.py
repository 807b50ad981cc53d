"""Runs of a study, by the scheduler's own burst in this process: up to a number, from wherever the last one stopped.

What its policy decides holds here as everywhere: a study that is paused, or is at its end, makes no more runs, and that
is told. Runs that an engine has go on when this process ends, and are counted by the next.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec

from lab.core.errors import Interrupted, LabError
from lab.core.origin import BASELINE, PERSON
from lab.core.view import OPEN_PHASES
from lab.research.project import RESEARCH
from lab.research.rounds.begun import OVER_TIME, THE_END
from lab.research.studies import sealed
from lab.research.studies.sealed import Row  # msgspec resolves annotations
from lab.research.study import CHAIN, LOOP, SEARCH
from lab.scheduler import cycle
from lab.scheduler.cycle import Errand
from lab.scheduler.search.burst import AGAIN, MOST_RUNS, OVER, Burst, Order
from lab.scheduler.search.plan import Wanted
from lab.scheduler.step import HELD, MOVED, PASSING, PROBLEM, RAN

if TYPE_CHECKING:
    from lab.research.study import Study
    from lab.research.worker import Task
    from lab.scheduler.step import Step

_TRIES = 3  # bursts in a row that brought nothing


class Driven(msgspec.Struct, frozen=True, kw_only=True):
    """What there is now. `stopped` says why it is less than was wanted."""

    rows: tuple[Row, ...]
    counted: int
    lost: int = 0  # of those, failures of attempts that came to nothing: others are made in their place
    stopped: str = ""
    anew: int = 0  # of the rows, those that were not there before


class Drive:
    """The runs of one round. `after` is the generation before the first of them."""

    def __init__(self, task: Task, study: Study, *, after: int, strategy: str) -> None:
        self._task = task
        self._study = study
        self._after = after
        self._before = len(sealed.rows(task.root, study.experiment, study.tier))
        self._lost: frozenset[str] = frozenset()
        self._wanted = Wanted(strategy=strategy) if study.kind == SEARCH and not study.spec.strategy else Wanted()

    def up_to(self, runs: int) -> Driven:
        """Make what is missing. Raises what kept the first of them from being made at all; `Interrupted`."""
        idle, stopped, may_begin = 0, "", True
        self._lost = self._in_vain(runs)
        while True:
            found = self._found()
            missing = runs - (found.counted - found.lost)
            if missing <= 0 and not (may_begin and self._wants_beginning(found.rows)):
                return found
            may_begin = False  # one more than was wanted, in an attempt that finds the others: alone they say nothing
            stopped = stopped or self._out_of_time()
            if stopped or idle >= _TRIES:
                return msgspec.structs.replace(found, stopped=stopped or "its runs ended with the lab, again and again")
            stopped = self._closed() or self._some(min(max(missing, 1), MOST_RUNS), found)
            stopped = stopped and (self._closed() or stopped)  # a burst says that it is closed; here is why
            idle = idle + 1 if self._found().counted == found.counted else 0

    def _found(self) -> Driven:
        rows = tuple(sealed.rows(self._task.root, self._study.experiment, self._study.tier))
        counted = [each for each in rows if each.counts and each.seal.generation > self._after]
        lost = sum(each.run.run_id in self._lost for each in counted)
        return Driven(rows=rows, counted=len(counted), lost=lost, anew=len(rows) - self._before)

    def _in_vain(self, runs: int) -> frozenset[str]:
        """The failures of earlier attempts, where all the runs were made and say nothing: each attempt makes its own.

        Else what was mended outside of the lab would help nobody. Where they say something, what is sealed counts.
        """
        found, least_s = self._found(), self._task.project.training.min_run_s
        table = sealed.table(self._study, found.rows, least_s)
        if found.counted < runs or not sealed.failing(table):
            return frozenset()
        return frozenset(each.run_id for each in table if not each.is_believable)

    def _closed(self) -> str:
        """Why the study runs nothing now, by its own policy or a person's word."""
        with self._task.root.section(self._study.experiment):
            view, _ = cycle.observe(self._task.root, self._study.experiment)
        if view.tier != self._study.tier:
            return f"it was moved to the tier {view.tier}"
        if view.phase in OPEN_PHASES:
            return ""
        return f"it is {view.phase}" + (f" ({view.phase_reason})" if view.phase_reason else "")

    def _some(self, runs: int, found: Driven) -> str:
        """A burst of so many. Why it ended before its time."""
        study = self._study
        jobs = 1 if study.kind in (CHAIN, LOOP) else min(study.spec.for_tier(study.tier).max_parallel, runs)
        burst = Burst(
            self._task.root,
            Order(experiment=study.experiment, runs=runs, jobs=jobs, by=self._task.spec.id),
            self._wanted,
            tell=self._tell,
            interrupted=self._interrupted,
            worker=RESEARCH,
        )
        try:
            burst.prepare()
            if self._wants_beginning(found.rows):
                return self._beginning(burst, again=any(sealed.begins(study, each) for each in found.rows))
            self._make(burst)
        except Interrupted:
            raise
        except LabError as refusal:
            if not found.rows:
                raise
            return refusal.what
        finally:
            self._refuse_interrupted()
        if burst.refusal is not None and not found.rows and not burst.turn.ran:
            raise burst.refusal
        return burst.stopped

    def _make(self, burst: Burst) -> None:
        if not burst.is_afar:
            burst.run()
            return
        from lab.scheduler.search.afar import Afar  # noqa: PLC0415  # most studies run in this process

        afar = Afar(self._task.root, burst)
        afar.adopt()  # what an earlier attempt handed over comes back to this one
        afar.run()

    def _wants_beginning(self, rows: tuple[Row, ...]) -> bool:
        """Whether something ran here before, and nobody has measured the beginning: no search goes back to it.

        A run that failed there measured nothing. Where there is no run yet the search itself begins there.
        """
        is_search = self._study.kind == SEARCH and self._study.beginning is not None
        least_s = self._task.project.training.min_run_s
        measured = (each for each in rows if each.is_chosen_from and not sealed.doubt(each.run, least_s))
        return is_search and bool(rows) and not any(sealed.begins(self._study, each) for each in measured)

    def _beginning(self, burst: Burst, *, again: bool) -> str:
        """Measure it. `again`: a run that tried the same failed, and only a person goes where somebody was before."""
        root, study = self._task.root, self._study
        with root.section(study.experiment):
            origin = burst.search.of_person(study.spec)
        origin = msgspec.structs.replace(
            origin, kind=PERSON if again else BASELINE, strategy=burst.search.name(study.spec), note="the defaults"
        )
        errand = Errand(params=study.beginning, tier=study.tier, origin=origin, seed=origin.seed)
        try:
            while not burst.ends() and (how := burst.one(errand)) == AGAIN:
                pass
            return burst.stopped if not burst.ends() and how == OVER else ""
        finally:
            burst.turn.publish()

    def _interrupted(self) -> str:
        return self._task.interrupted() or (THE_END if self._out_of_time() else "")

    def _out_of_time(self) -> str:
        return OVER_TIME if time.monotonic() >= self._task.until_s else ""

    def _refuse_interrupted(self) -> None:
        came = self._task.interrupted()
        if came:
            raise Interrupted(f"stopped by {came}; what was sealed of {self._study.experiment} stands, and is counted")

    def _tell(self, step: Step) -> None:
        if step.kind == RAN:
            value = "" if step.value is None else f" {step.value!r}"
            self._task.say(f"{step.run_id} {step.outcome}{value} in {step.wall_s:.3g} s {step.what}".rstrip())
        elif step.kind in (MOVED, HELD, PROBLEM):
            self._task.say(f"{study_word(step)}{step.what}" + (f"; {step.fix}" if step.fix else ""))
        elif step.kind not in PASSING and step.what:
            self._task.say(step.what)


def study_word(step: Step) -> str:
    """Whose word it is."""
    return f"{step.experiment}: " if step.experiment else ""
