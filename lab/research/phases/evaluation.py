"""Evaluation: the candidate and the baseline measured again, by turns, on what the search never saw.

The candidate is the best of the runs of training, so its value there is too good: the luckiest of many. Here both are
measured with seeds of their own, in another tier, and the difference is told with its interval.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.core import noise
from lab.core.errors import BadInput, LabError
from lab.core.record import page, parse
from lab.core.run import SUCCESS
from lab.research import study
from lab.research.evaluated import FILE, Evaluated, Side
from lab.research.phases import training
from lab.research.projects import lacking
from lab.research.rounds import repeating
from lab.research.rounds.begun import guarded, refuse_unbuilt
from lab.research.rounds.repeating import Repeats as Measurements
from lab.research.rounds.weighed import judged
from lab.research.studies import attempts, sealed
from lab.research.studies.driving import Driven
from lab.research.studies.sealed import Row
from lab.research.study import CHAIN
from lab.research.trained import FILE as TRAINING_FILE
from lab.research.trained import NOTHING_NEW, Made, Trained
from lab.research.walk import vouched

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lab.research.order import Order
    from lab.research.study import Study
    from lab.research.work.out import Out
    from lab.research.worker import Lack, Place, Task

_TRAINING = f"training/{TRAINING_FILE}"
_SURE, _LEAST = 0.05, 3
_MOST_TRIES = 2  # seeds for each that is wanted: a side that fails half of the time cannot be told of


class Repeats:
    """The worker `repeats`."""

    def lacks(self, place: Place) -> Iterator[Lack]:
        """What its study lacks, and that repeats are made here."""
        yield from lacking.of(place)
        yield from lacking.of_repeats(place)

    def work(self, task: Task) -> Mapping[str, float]:
        """Measure both, and tell of it."""
        found = study.opened(task.root, task.project, refuse_unbuilt(task))
        _refuse_chain(found)
        _refuse_seen(task, found)
        told = _trained(task, found)
        attempts.take_up(task, found.experiment, found.view.generation)
        with guarded(task):
            made = _evaluated(task, found, told)
        vouched.told(task.root, found.experiment, task.say)
        repeating.published(task)
        for words in (made.why, *made.remarks, *([] if made.anew else [NOTHING_NEW])):
            task.say(words)
        task.out.write(FILE, page(made))
        numbers = {"runs": len(made.baseline.made) + len(made.candidate.made), "is_better": float(made.is_better)}
        more = {"gain": made.gain, "noise": made.noise}
        return {**numbers, **{name: value for name, value in more.items() if value is not None}}


def _refuse_chain(found: Study) -> None:
    if found.kind == CHAIN:
        what = (
            f"the runs of {found.experiment} are chunks of one training, and none of them can be measured again alone"
        )
        raise BadInput(what, fix="write `strategy:` into its SPEC: then each run is a whole training")


def _refuse_seen(task: Task, found: Study) -> None:
    """What a search has looked at is no report of what it found, whichever tier it was in."""
    seen = [row.run.run_id for row in sealed.rows(task.root, found.experiment, found.report) if row.is_sought]
    if seen:
        what = f"{found.experiment} was searched in {found.report} too ({len(seen)} runs, such as {seen[0]})"
        fix = "name another tier in `evaluation: tier` of project.yaml, with a measurement on data that nobody searched"
        raise BadInput(f"{what}, so nothing is left to report by", fix=fix)


def _trained(task: Task, found: Study) -> Trained:
    """What the round trained; where a project has no training, what its experiment has."""
    data = task.given.find(_TRAINING)
    if data is not None:
        told = parse(Trained, data, _TRAINING)
    else:
        rows = tuple(sealed.rows(task.root, found.experiment, found.tier))
        driven = Driven(rows=rows, counted=len(rows))
        least_s = task.project.training.min_run_s
        told = training.tell(found, driven, after=0, wanted=len(rows), min_run_s=least_s, order=task.order)
    wrong = sealed.failing(told.made) if not told.baseline else ""
    if wrong:
        raise LabError(wrong, where=found.experiment)
    if told.tier == found.report:
        fix = "write another tier into `evaluation: tier` of project.yaml, with a measurement on other data"
        raise BadInput(f"the candidate was chosen in {told.tier}, which is the tier that is reported", fix=fix)
    return told


def _evaluated(task: Task, found: Study, told: Trained) -> Evaluated:
    """Both sides by turns, each with as many measurements as were asked for."""
    wanted = task.project.evaluation.seeds
    rows = {name: _row(task, told, name) for name in {told.baseline, told.best}}
    sides = {name: list[Row]() for name in (told.baseline, *([told.best] if told.best != told.baseline else []))}
    measurements = Measurements(task, found)
    seeds = _seeds(told, wanted * _MOST_TRIES)
    for turn, seed in enumerate(seeds):
        for name in sides if turn % 2 == 0 else list(sides)[::-1]:
            if sum(_is_well(each, told) for each in sides[name]) < wanted:
                row = measurements.of(rows[name], seed)
                sides[name].append(row)
                task.say(f"{name} with seed {seed}: {row.run.outcome} {row.run.value} ({row.run.run_id})")
    limit_s = _limit_s(sides[told.baseline], told)
    measured = {
        name: _side(rows[name], tuple(sealed.made(each, limit_s, is_baseline=name == told.baseline) for each in made))
        for name, made in sides.items()
    }
    for name, side in measured.items():
        _refuse_few(name, side, wanted)
    sure = 1 - _SURE / task.project.iteration.max_rounds
    candidate = measured[told.best] if told.best != told.baseline else Side(of="")
    made = judged(told, found.report, measured[told.baseline], candidate, sure)
    return msgspec.structs.replace(made, anew=measurements.anew, among=_among(task, told))


def _among(task: Task, told: Trained) -> tuple[Made, ...]:
    """The runs that were chosen from, where no file of a training has them."""
    return told.made if task.given.find(_TRAINING) is None else ()


def _row(task: Task, told: Trained, name: str) -> Row:
    found = sealed.row(task.root, told.experiment, name)
    if found is None:
        raise LabError(f"{name} is not sealed here any more", fix="labctl prune --restore ARCHIVE, if it was archived")
    return found


def _seeds(told: Trained, count: int) -> list[int]:
    """The first numbers from 1 on that nothing was chosen with."""
    used = {each.seed for each in told.made}
    return [seed for seed in range(1, count + len(used) + 1) if seed not in used][:count]


def _is_well(row: Row, told: Trained) -> bool:
    return not sealed.doubt(row.run, told.min_run_s)


def _limit_s(baseline: Sequence[Row], told: Trained) -> float:
    first = next((each.run.wall_s for each in baseline if _is_well(each, told)), 0.0)
    return sealed.least_s(told.min_run_s, first)


def _side(row: Row, made: tuple[Made, ...]) -> Side:
    return _counted(Side(of=row.run.run_id, params=dict(row.params or {}), made=made))


def _counted(side: Side) -> Side:
    values = side.values
    alone = noise.repeated([values]).sigma
    return msgspec.structs.replace(side, mean=noise.mean(values) if values else None, sd=alone)


def _refuse_few(name: str, side: Side, wanted: int) -> None:
    if len(side.values) >= wanted:
        return
    lost = next((each for each in reversed(side.made) if each.outcome != SUCCESS or each.void), None)
    because = f"; the last that failed: {lost.run_id} ({lost.void or lost.outcome})" if lost else ""
    what = f"{name} was measured {len(side.values)} times in {len(side.made)} runs, and was to be {wanted} times"
    raise LabError(what + because, fix=f"labctl show {lost.run_id}" if lost else "")


def problems(order: Order, out: Out, task: Task | None) -> Iterator[str]:
    """What is wrong with evaluation.json: with itself, and, where the lab is at hand, with what is sealed."""
    told = parse(Evaluated, out.read(FILE) or b"", FILE)
    if (told.round, told.idea) != (order.round, order.idea):
        yield f"it is of round {told.round} and the idea {told.idea!r}, and was to be of {order.round}, {order.idea!r}"
    yield from _inner(told)
    if task is not None:
        yield from _outer(told, task)


def _inner(told: Evaluated) -> Iterator[str]:
    if told.tier == told.selected_in:
        yield f"what is reported was chosen in the same tier, {told.tier}"
    yield from _unchosen(told)
    for name, side in (("baseline", told.baseline), ("candidate", told.candidate)):
        if not side.of and name == "candidate":
            continue
        believed = [each for each in side.made if each.is_believable]
        seeds = [each.seed for each in believed]
        if len(believed) < _LEAST:
            yield f"the {name} has {len(believed)} measurements; at least {_LEAST} are needed"
        if len(set(seeds)) != len(seeds) or None in seeds:
            yield f"the seeds of the {name} are not all different: {seeds}"
        if any(each.tier != told.tier for each in side.made):
            yield f"the {name} has measurements of another tier"
        if any(abs(value) > sealed.MOST for value in side.values):
            yield f"the {name} has values above {sealed.MOST:g}, which are too large to be compared"
            return
        if _counted(side) != side:
            yield f"the mean or the spread of the {name} is not that of its measurements"
    if {each.run_id for each in told.baseline.made} & {each.run_id for each in told.candidate.made}:
        yield "a measurement is on both sides"
    again = _again(told)
    numbers = ("gain", "low", "high", "noise", "is_better", "is_worse", "remarks")
    wrong = [name for name in numbers if getattr(again, name) != getattr(told, name)]
    if wrong:
        yield f"{', '.join(wrong)} do not follow from its measurements"


def _unchosen(told: Evaluated) -> Iterator[str]:
    """Whether what was measured is of the runs that it says were chosen from."""
    chosen = {each.run_id for each in told.among}
    if chosen and not {told.baseline.of, told.candidate.of or told.baseline.of} <= chosen:
        yield "what it measured is none of the runs that it says were chosen from"
    if any(each.tier != told.selected_in for each in told.among):
        yield f"the candidate was chosen among runs of another tier than {told.selected_in}"


def _again(told: Evaluated) -> Evaluated:
    """The same from its measurements alone."""
    source = Trained(
        experiment=told.experiment, metric=told.metric, direction=told.direction, tier=told.selected_in, made=(),
        baseline=told.baseline.of, round=told.round, idea=told.idea, min_run_s=told.min_run_s,
    )  # fmt: skip
    return judged(source, told.tier, told.baseline, told.candidate, told.sure)


def _outer(told: Evaluated, task: Task) -> Iterator[str]:
    found = study.opened(task.root, task.project, refuse_unbuilt(task))
    _refuse_seen(task, found)
    trained = _trained(task, found)
    if told.experiment != found.experiment or told.tier != found.report or told.selected_in != trained.tier:
        yield f"it is of {told.experiment} in {told.tier}, and was to be of {found.experiment} in {found.report}"
        return
    if (told.metric, told.direction) != (found.metric, found.direction):
        yield "its metric or direction is not the study's"
    candidate = "" if trained.best == trained.baseline else trained.best
    if (told.baseline.of, told.candidate.of) != (trained.baseline, candidate):
        yield f"it compares {told.candidate.of or 'nothing'} with {told.baseline.of}, and training found others"
    if told.among != _among(task, trained):
        yield "the runs that it says the candidate was chosen from are not those of the study"
    if told.sure < 1 - _SURE / task.project.iteration.max_rounds:
        yield f"its interval is for one round, and the project may make {task.project.iteration.max_rounds}"
    limit_s = _limit_of(told.baseline, trained.min_run_s)
    seeds = _seeds(trained, max(len(told.baseline.made), len(told.candidate.made)))
    for side in (told.baseline, told.candidate):
        if side.of:
            yield from _measured(side, task, found, limit_s, seeds)


def _limit_of(baseline: Side, min_run_s: float) -> float:
    first = next((each.wall_s for each in baseline.made if each.is_believable), 0.0)
    return sealed.least_s(min_run_s, first)


def _measured(side: Side, task: Task, found: Study, limit_s: float, seeds: list[int]) -> Iterator[str]:
    """Whether each measurement is a sealed one of these parameters, and nobody chose among several."""
    believed = sum(each.is_believable for each in side.made)
    if believed < task.project.evaluation.seeds:
        yield f"{side.of} has {believed} measurements, and {task.project.evaluation.seeds} were asked for"
    if [each.seed for each in side.made] != seeds[: len(side.made)]:
        yield f"the seeds of {side.of} are not the first {len(side.made)} that nothing was chosen with"
    source = sealed.row(task.root, found.experiment, side.of)
    if source is None or (source.params or {}) != side.params:
        yield f"the parameters of {side.of} are not those that it was sealed with"
        return
    known = Measurements(task, found)
    for each in side.made:
        row = sealed.row(task.root, found.experiment, each.run_id)
        first = known.known(source, each.seed) if each.seed is not None else None
        if row is None:
            yield f"{each.run_id} is not sealed"
        elif each != sealed.made(row, limit_s, is_baseline=each.is_baseline):
            yield f"{each.run_id} is not as it was sealed"
        elif first is None or first.run.run_id != each.run_id:
            yield f"{each.run_id} is not the measurement of {side.of} with seed {each.seed}"
