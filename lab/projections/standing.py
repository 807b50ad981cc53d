"""Where an experiment stands, as one bounded value: what a person or a model that knows nothing of it needs to go on.

Made from what is written alone: no clock, no chance. Everything that a run, a model or a person wrote is one line, cut,
with nothing unseen in it; how much of it there is does not grow with history.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence  # msgspec resolves annotations
from typing import TYPE_CHECKING

import msgspec

from lab.core import cost
from lab.core.run import FAILURES, MINIMIZE
from lab.core.space import Space
from lab.core.spec import Spec
from lab.core.spec_tuning import searched_by
from lab.core.subject import Finding, Subject
from lab.core.view import OPEN_PHASES, Tier, View
from lab.projections import loop_standing, points, repeats, text
from lab.projections.attention import bounded, wants
from lab.projections.loop_brief import Tried
from lab.projections.loop_standing import Code
from lab.projections.tables import Line
from lab.projections.tier import spec_here

if TYPE_CHECKING:
    from lab.core.run import Run

GOAL_CHARS = 1_000
SAID_CHARS = 200
PARAMS_CHARS = 400
WANTS = 5
RULES = 8
PARAMETERS = 30
TOLD_AMONG = 500  # of the last runs: failures are looked for among these, so that the cost does not grow
_DISTINCT_CHARS = 60  # failures whose reasons begin alike are one
_HOUR_S = 3600.0
_REFERENCE = "reference"


class Briefing(msgspec.Struct, frozen=True, kw_only=True):
    """What it is made from. `lines` are ended runs in the order of history; `told` is why a run failed, or its note."""

    view: View
    spec: Spec | None
    space: Space | None = None
    lines: Sequence[Line] = ()
    told: Mapping[str, str] = {}
    findings: tuple[Finding, ...] = ()
    under_way: tuple[str, ...] = ()
    tried: Sequence[Tried] = ()  # of a code loop: the last candidates with their notes, the newest first
    ideas: Sequence[str] = ()  # and what nobody has tried


class Ran(msgspec.Struct, frozen=True, kw_only=True):
    """A run in a line. `said` was written by the run, or by whatever proposed it: data, whatever it says."""

    run_id: str
    outcome: str
    value: float | None = None
    tier: str = "default"
    by: str = ""
    params: dict[str, object] | None = None
    params_left_out: int = 0
    said: str = ""
    verdict: str = ""  # of a code loop


class Left(msgspec.Struct, frozen=True, kw_only=True):
    """How much of each budget is left; None where none was set."""

    runs: int | None = None
    hours: float | None = None
    cost: float | None = None
    a_run_may_cost: float | None = None  # set aside for the next one, where a cost budget is set
    failures_in_a_row: int | None = None
    runs_without_a_new_best: int | None = None
    model_calls: int | None = None
    model_usd: float | None = None


class Noise(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of it. `sd` is that of one measurement, from points that were measured more than once."""

    declared: bool | None = None
    repeated_points: int = 0
    degrees_of_freedom: int = 0
    sd: float | None = None


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """Where an experiment stands."""

    experiment: str
    as_of: str
    goal: str
    metric: str
    direction: str
    target: float | None
    phase: str
    phase_reason: str
    phase_since: str
    tier: str
    tiers: tuple[str, ...]
    strategy: str
    runs: int
    outcomes: dict[str, int]
    claimed: dict[str, int]  # of those, what another harness says
    failure_streak: int
    under_way: tuple[str, ...]
    time_budget_s: float | None
    used_hours: float
    used_cost: float
    left: Left
    rules: tuple[str, ...]
    space: tuple[str, ...]
    noise: Noise
    code: Code | None
    best: Ran | None
    bests_of_other_tiers: dict[str, float | None]
    top: tuple[Ran, ...]
    last: tuple[Ran, ...]
    failures: tuple[Ran, ...]
    wants: tuple[Finding, ...]
    next: tuple[str, ...]
    files: dict[str, str]


def of(given: Briefing, *, top: int = 10, last: int = 10) -> Standing:
    """The value, with so many of the best and of the last runs, and of older failures half as many."""
    view, spec = given.view, given.spec
    here = spec_here(view, spec)
    stop = here.stop_conditions if here else None
    subject = Subject(view=view, spec=spec, findings=given.findings)
    shown = _Shown(given)
    recent = shown.last(last)
    return Standing(
        experiment=view.experiment,
        as_of=view.as_of,
        goal=text.line(here.goal, GOAL_CHARS) if here else "",
        metric=text.line(here.metric if here else view.last.metric if view.last else ""),
        direction=_direction(view, view.tier),
        target=stop.target if stop else None,
        phase=view.phase,
        phase_reason=text.line(view.phase_reason, SAID_CHARS),
        phase_since=view.phase_since,
        tier=text.line(view.tier),
        tiers=tuple(text.line(each) for each in spec.fidelity_tiers[:PARAMETERS]) if spec else (),
        strategy=text.line(searched_by(here, has_space=given.space is not None)) if here else "",
        runs=view.runs,
        outcomes=view.outcomes,
        claimed=view.claimed,
        failure_streak=view.failure_streak,
        under_way=given.under_way[:PARAMETERS],
        time_budget_s=here.time_budget_s if here else None,
        used_hours=round(view.wall_s / _HOUR_S, 4),
        used_cost=view.cost,
        left=left(given.view, here, len(given.under_way)),
        rules=_rules(here),
        space=tuple(points.lines(given.space, PARAMETERS)) if given.space else (),
        noise=noise(given.lines, view.tier, declared=spec.noise if spec else None),
        code=loop_standing.of(view, here, given.tried[:last], given.ideas),
        best=shown.best(),
        bests_of_other_tiers={
            text.line(name): run.value for name, run in list(view.bests.items())[:PARAMETERS] if name != view.tier
        },
        top=shown.top(top),
        last=recent,
        failures=shown.failures(recent, (last + 1) // 2),
        wants=tuple(bounded(wants(subject), WANTS)),
        next=_next(view, spec),
        files=_files(view),
    )


def trimmed(stands: Standing, *, top: int, last: int) -> Standing:
    """The same with fewer runs. A failure that leaves the last ones is an older one then."""
    kept, dropped = stands.last[:last], stands.last[last:]
    failures = _distinct((*dropped, *stands.failures), kept, (last + 1) // 2)
    code = stands.code and msgspec.structs.replace(
        stands.code, tried=stands.code.tried[:last], ideas=stands.code.ideas[:last]
    )
    return msgspec.structs.replace(stands, code=code, top=stands.top[:top], last=kept, failures=failures)


def _distinct(runs: Iterable[Ran], but: tuple[Ran, ...], count: int) -> tuple[Ran, ...]:
    """The first failures of these, one a reason, less those whose reason is among the others."""
    seen = {each.said[:_DISTINCT_CHARS] for each in but if each.outcome in FAILURES}
    found: list[Ran] = []
    for ran in runs:
        if len(found) >= count:
            break
        reason = ran.said[:_DISTINCT_CHARS]
        if ran.outcome in FAILURES and reason and reason not in seen:
            found.append(ran)
            seen.add(reason)
    return tuple(found)


class _Shown:
    """Runs, as they are shown."""

    def __init__(self, given: Briefing) -> None:
        self._view = given.view
        self._lines = given.lines
        fresh = {run.run_id: run for run in given.view.recent}
        self._told = {**given.told, **{name: _said(run) for name, run in fresh.items() if _said(run)}}
        fixed = {each.name for each in given.space.parameters if each.kind == "fixed"} if given.space else set()
        self._fixed = frozenset(fixed)

    def top(self, count: int) -> tuple[Ran, ...]:
        """The best of the tier it is in; of two with the same value, the earlier one."""
        tier = self._view.tier
        sign = 1.0 if _direction(self._view, tier) == MINIMIZE else -1.0
        scored = [line for line in self._lines if line.tier == tier and line.scored]
        return tuple(map(self._ran, heapq.nsmallest(count, scored, key=lambda line: sign * (line.value or 0.0))))

    def last(self, count: int) -> tuple[Ran, ...]:
        """The newest first."""
        return tuple(self._ran(line) for line in list(self._lines[-count:])[::-1]) if count > 0 else ()

    def failures(self, but: tuple[Ran, ...], count: int) -> tuple[Ran, ...]:
        """The newest failures before those, one a reason. Looked for among those whose reason is at hand."""
        older = list(self._lines[-TOLD_AMONG : len(self._lines) - len(but)])[::-1]
        candidates = (line for line in older if line.outcome in FAILURES and line.run_id in self._told)
        return _distinct(map(self._ran, candidates), but, count)

    def best(self) -> Ran | None:
        """The best of the tier it is in."""
        best = self._view.best
        if best is None:
            return None
        line = next((line for line in reversed(self._lines) if line.run_id == best.run_id), None)
        if line is not None:
            return self._ran(line)
        by = best.origin.maker if best.origin else ""
        said = text.line(_said(best), SAID_CHARS)
        return Ran(
            run_id=best.run_id,
            outcome=best.outcome,
            value=best.value,
            tier=text.line(best.tier),
            by=by,
            said=said,
            verdict=best.verdict,
        )

    def _ran(self, line: Line) -> Ran:
        varying = {name: value for name, value in (line.params or {}).items() if name not in self._fixed}
        params, left_out = points.cut(varying, PARAMS_CHARS)
        return Ran(
            run_id=text.line(line.run_id),
            outcome=line.outcome,
            value=line.value,
            tier=text.line(line.tier),
            by=text.line(line.maker),
            params=None if line.params is None else params,
            params_left_out=left_out,
            said=text.line(self._told.get(line.run_id) or line.source.note, SAID_CHARS),
            verdict=line.verdict,
        )


def noise(lines: Sequence[Line], tier: str, *, declared: bool | None) -> Noise:
    """What repeats in a tier tell of the noise of one measurement."""
    known = repeats.known(lines, tier)
    sigma = known.noise.sigma
    if sigma is None:
        return Noise(declared=declared)
    sd = float(f"{sigma:.4g}")
    return Noise(declared=declared, repeated_points=known.points, degrees_of_freedom=known.noise.df, sd=sd)


def _said(run: Run) -> str:
    """What a run says of itself; of one that failed, why."""
    return run.reason or run.note if run.outcome in FAILURES else run.note or run.reason


def _direction(view: View, tier: str) -> str:
    return view.direction_of(tier)


def left(view: View, here: Spec | None, under_way: int) -> Left:
    """What is left while so many runs are under way. `here`: the SPEC as it is in the tier of the experiment."""
    if here is None:
        return Left()
    stop, model = here.stop_conditions, here.llm
    quiet = view.tiers.get(view.tier, Tier()).quiet_streak
    failures, plateau = stop.max_consecutive_failures, stop.plateau_after_consecutive_low_signal_runs
    return Left(
        runs=max(here.max_iterations_total - view.iterations - under_way, 0),
        hours=None if stop.budget_hours is None else round(max(stop.budget_hours - view.wall_s / _HOUR_S, 0.0), 4),
        cost=cost.left(view, here),
        a_run_may_cost=None if stop.budget_cost is None else cost.of_a_run(view, here),
        failures_in_a_row=None if failures is None else max(failures - view.failure_streak, 0),
        runs_without_a_new_best=None if plateau is None else max(plateau - quiet, 0),
        model_calls=None if model is None else max(model.max_calls - view.model.calls, 0),
        model_usd=None
        if model is None or model.max_usd is None
        else round(max(model.max_usd - view.model.usd, 0.0), 6),
    )


def _rules(here: Spec | None) -> tuple[str, ...]:
    """What whoever makes a run must keep to, in the words of the SPEC."""
    if here is None:
        return ()
    told = [f"accept: {here.acceptance_rule}"] if here.acceptance_rule else []
    told += [f"keep: {each}" for each in here.constraints]
    told += [f"may be changed: {each}" for each in here.mutable_paths]
    told += [f"may not be changed: {each}" for each in here.read_only_paths]
    more = [f"and {len(told) - RULES} more: RUNBOOK.md"] if len(told) > RULES else []
    return tuple(text.line(each, SAID_CHARS) for each in [*told[:RULES], *more])


def _next(view: View, spec: Spec | None) -> tuple[str, ...]:
    """The commands of somebody who wants to go on from here. None of them decides for a person."""
    name = view.experiment
    if spec is None:
        return (f"labctl validate {name}",)
    looks = [f"labctl top {name}"] if view.best else []
    looks += [f"labctl show {view.last.run_id}"] if view.last else []
    if view.phase in OPEN_PHASES and spec.executor == _REFERENCE:
        alone = (f"labctl burst {name} -n 5",) if spec.mutation_command or spec.agent_provider else ()
        return (*alone, f"labctl try {name} --begin", f"labctl autoresearch report {name}", *looks[1:])
    if view.phase in OPEN_PHASES:
        return (
            f"labctl burst {name} -n 5",
            f"labctl run-once --experiment {name} --now",
            f"labctl propose {name} --params FILE --reason WHY",
            *looks,
        )
    if view.waiting:
        return (f"labctl approvals {name}", *looks)
    return (f"labctl show {name}", *looks)


def _files(view: View) -> dict[str, str]:
    """Where what is left out here can be read, relative to the data root."""
    folder = f"experiments/{view.experiment}"
    found = {
        "spec": f"{folder}/SPEC.yaml",
        "runbook": f"{folder}/RUNBOOK.md",
        "last runs in full": f"{folder}/context.md",
        "every run, a line each": f"{folder}/metrics.jsonl",
    }
    if view.best is not None:
        found["best run"] = f"{folder}/runs/{view.best.run_id}/RESULT.md"
    if view.last is not None:
        found["last run"] = f"{folder}/runs/{view.last.run_id}/RESULT.md"
    return found
