"""One run of a study at the baseline, through the scheduler like every other, before anything is built on it."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from lab.core import assignment, layout
from lab.core.candidate import BASELINE as OF_LOOP
from lab.core.engines import HERE
from lab.core.errors import Interrupted, LabError
from lab.core.origin import BASELINE
from lab.core.run import SUCCESS, cut_off
from lab.executors import outcome
from lab.research.project import RESEARCH
from lab.research.rounds.begun import OVER_TIME, THE_END
from lab.research.studies import attempts, narrowed, sealed
from lab.scheduler import cycle
from lab.scheduler.cycle import Errand
from lab.scheduler.loop import scripts
from lab.scheduler.search import spaces
from lab.scheduler.search.plan import Search, Wanted
from lab.scheduler.turn import Turn
from lab.scheduler.visit import Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.core.assignment import Params
    from lab.core.run import Run
    from lab.research.worker import Task
    from lab.store.root import Root

_SAID_CHARS = 300


def run(task: Task, experiment: str) -> Run:
    """A sealed run at the baseline that measured something, the one of an earlier attempt where there is one.

    Here, whatever engines there are: it shows that the study works. `LabError` in words where it does not.
    """
    root, least_s = task.root, task.project.training.min_run_s
    attempts.take_up(task, experiment, 0)
    params, errand, search = _errand(root, experiment, task.project.training.strategy)
    done = _earlier(root, experiment, params)
    if done is None or problem(done, least_s):
        task.say(f"a run of {experiment} at its baseline, to see that it works")
        done = _made(task, experiment, errand, search)
        _refuse_cut_off(task, done)
    wrong = problem(done, least_s)
    if wrong:
        fix = f"labctl show {done.run_id} tells what it printed; mend the study, and the phase is done again"
        place = root.layout.run(experiment, done.run_id)
        raise LabError(f"the study does not work: {wrong}{_last_words(place, done)}", where=place, fix=fix)
    return done


def _refuse_cut_off(task: Task, done: Run) -> None:
    """A run that ended with its phase says nothing of the study: neither that it works, nor that it does not."""
    if not cut_off(done.outcome, done.reason, done.chunk):
        return
    came, fix = task.interrupted(), "the study is run once more when the phase is done again"
    if came:
        raise Interrupted(f"stopped by {came}", fix=fix)
    why = OVER_TIME if time.monotonic() >= task.until_s else done.reason or done.outcome
    raise LabError(f"{done.run_id} was cut off: {why}", fix=fix)


def _last_words(place: str, done: Run) -> str:
    """What the program said last: of a table that it cannot use, the line."""
    said = [line.strip() for line in outcome.tail(f"{place}/{layout.STDERR}") if line.strip()]
    return f"; it said: {said[-1][:_SAID_CHARS]}" if said and done.outcome != SUCCESS else ""


def problem(run: Run, least_s: float) -> str:
    """Why a run shows nothing; empty where it shows that the study works."""
    if run.outcome != SUCCESS:
        return f"{run.run_id} ended as {run.outcome}" + (f": {run.reason}" if run.reason else "")
    if run.value is None or not math.isfinite(run.value):
        return f"{run.run_id} says that it is done, and left no {run.metric or 'value'}"
    if abs(run.value) > sealed.MOST:
        return f"{run.run_id} left a {run.metric or 'value'} of {run.value:g}, which is too large to be compared"
    if run.wall_s < least_s:
        return (
            f"{run.run_id} took {run.wall_s:g} s, less than the {least_s:g} s that a run of it must take "
            "(training.min_run_s in project.yaml)"
        )
    return ""


def _errand(root: Root, experiment: str, strategy: str) -> tuple[Params | None, Errand | None, Search | None]:
    """What to run: the search's own first run where that is the baseline, so that the search need not make it again."""
    with root.section(experiment):
        view, loaded = cycle.observe(root, experiment)
    spec = cycle.usable(loaded)
    found = None if scripts.is_loop(spec.for_tier(view.tier)) else spaces.find(root, spec, view)
    if found is None:
        return None, None, None  # a code loop measures the code as it is first; a training has its first chunk
    params = narrowed.baseline(found.space, found.where)
    search = Search(root, experiment, Wanted(strategy=strategy))
    with root.section(experiment):
        first = search.errand(view, spec)
    if first.origin is not None and first.origin.kind == BASELINE and assignment.alike(first.params or {}, params):
        return params, first, search
    return params, Errand(params=params), None


def _earlier(root: Root, experiment: str, params: Params | None) -> Run | None:
    """The last sealed run of an earlier attempt that was one at the baseline, and ended well."""
    with root.section(experiment):
        view, _ = cycle.observe(root, experiment)
    found = [each for each in sealed.rows(root, experiment, view.tier) if each.run.outcome == SUCCESS]
    if params is None:
        found = [each for each in found if each.run.candidate is None or each.run.candidate.kind == OF_LOOP]
    else:
        found = [each for each in found if each.params is not None and assignment.alike(each.params, params)]
    return found[-1].run if found else None


def _made(task: Task, experiment: str, errand: Errand | None, search: Search | None) -> Run:
    turn = Turn(
        task.root,
        Request(max_runs=1, only=(experiment,), now=True, engine=HERE, by=task.spec.id),
        tell=lambda step: task.say(" ".join(word for word in (step.run_id, step.what) if word)),
        interrupted=_until(task.until_s, task.interrupted),
    )
    turn.settle(experiment)
    visit = turn.visit(experiment, search=search, errand=errand, owner=RESEARCH)
    turn.publish()
    if visit.made is not None:
        return visit.made.run
    why = getattr(visit.move, "reason", "") or next((step.what for step in reversed(turn.steps)), "")
    fix = f"labctl show {experiment} tells what it waits for"
    raise LabError(f"{experiment} did not run: {why or 'nothing says why'}", fix=fix)


def _until(until_s: float, interrupted: Callable[[], str]) -> Callable[[], str]:
    return lambda: interrupted() or (THE_END if time.monotonic() >= until_s else "")
