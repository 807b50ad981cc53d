"""Training: the runs of a round, made by the scheduler's own burst, the beginning first; each judged by its seal.

A run that says success without a number, or after no time at all, is kept in the table, and is nobody's best. A round
in which nothing but such runs came to an end has failed, and says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.core.errors import BadInput, LabError
from lab.core.record import page, parse
from lab.core.run import gain
from lab.research import study
from lab.research.projects import lacking
from lab.research.rounds.begun import built, guarded, implemented, refuse_unbuilt
from lab.research.studies import attempts, lent, mixed, sealed
from lab.research.studies.driving import Drive
from lab.research.study import LOOP, SEARCH
from lab.research.trained import FILE, NOTHING_NEW, Made, Trained
from lab.research.walk import vouched
from lab.research.worker import Lack

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lab.research.order import Order
    from lab.research.studies.driving import Driven
    from lab.research.study import Study
    from lab.research.work.out import Out
    from lab.research.worker import Place, Task

_LEAST = 2  # runs that say something of each other


class Runs:
    """The worker `runs`."""

    def lacks(self, place: Place) -> Iterator[Lack]:
        """What its study lacks, and a round that would be over with the baseline."""
        yield from lacking.of(place)
        if place.project.training.runs < _LEAST and not place.project.proceed_from:
            what = "training.runs is 1, and the first run of a study is its baseline, so nothing would be tried"
            yield Lack(what=what, fix="write 2 or more, such as the usual 12")

    def work(self, task: Task) -> Mapping[str, float]:
        """Make the runs that are missing of this round, and tell of all."""
        found = study.opened(task.root, task.project, refuse_unbuilt(task))
        _refuse_aimless(found)
        after = attempts.take_up(task, found.experiment, _before(task, found))
        training = task.project.training
        with guarded(task):
            driven = Drive(task, found, after=after, strategy=training.strategy).up_to(training.runs)
        strange = vouched.told(task.root, found.experiment, task.say)
        told = tell(found, driven, after=after, wanted=training.runs, min_run_s=training.min_run_s, order=task.order)
        if driven.stopped:
            task.say(f"{driven.counted - driven.lost} of {training.runs} runs: {driven.stopped}")
        _refuse_idle(task, driven, found.experiment)
        wrong = sealed.failing(told.made)
        if wrong:
            why = f" ({driven.stopped})" if driven.stopped else ""
            raise LabError(wrong + why, where=found.experiment, fix=f"labctl list {found.experiment} shows each")
        remarks = told.remarks if implemented(task) else (*told.remarks, *mixed.remarks(task.root, found, driven.rows))
        for words in (*remarks, *([] if driven.anew else [NOTHING_NEW])):
            task.say(words)
        told = msgspec.structs.replace(told, disowned=strange, remarks=remarks, anew=driven.anew)
        task.out.write(FILE, page(told))
        void = sum(bool(each.void) for each in told.made)
        numbers = {"runs": driven.counted, "void": void, "failed": sum(each.outcome != "success" for each in told.made)}
        return {**numbers, **({} if told.gain is None else {"gain": told.gain})}


def _refuse_idle(task: Task, driven: Driven, experiment: str) -> None:
    """A first round without a run of its own would tell what was there before as if it were its work.

    A later one may have none where its search has come to an end: the iteration says what follows. It has not come to
    one where a person paused it.
    """
    is_later = task.order.round > 1
    closed = None if driven.counted else lent.closed(task.root, experiment, task.spec.id, measured=is_later)
    if driven.counted or (is_later and closed is None):
        return
    why, fix = closed or (driven.stopped or "nobody knows why", f"labctl show {experiment}")
    raise BadInput(f"none of {task.project.training.runs} runs was made: {why}", where=experiment, fix=fix)


def _before(task: Task, found: Study) -> int:
    """The generation after which the runs of a round come.

    The run that showed that a study works is the first of them where nothing has followed it yet: it is its baseline.
    """
    made = implemented(task)
    counted = [each for each in sealed.rows(task.root, found.experiment, found.tier) if each.counts] if made else []
    if not counted or not made or counted[-1].run.run_id != made.smoke_run:
        return found.view.generation
    return counted[-1].seal.generation - 1


def tell(found: Study, driven: Driven, *, after: int, wanted: int, min_run_s: float, order: Order) -> Trained:
    """The table of a round."""
    made = sealed.table(found, driven.rows, min_run_s)
    baseline = next((each for each in made if each.is_baseline), None)
    best = sealed.best(found.kind, found.direction, made, sealed.kept(driven.rows))
    quick = _quick(best, baseline)
    return Trained(
        experiment=found.experiment,
        metric=found.metric,
        direction=found.direction,
        tier=found.tier,
        made=made,
        baseline=baseline.run_id if baseline else "",
        best=best.run_id if best else "",
        gain=gain(best.value, baseline.value, found.direction) if best and baseline else None,
        round=order.round,
        idea=order.idea,
        after=after,
        runs=driven.counted,
        wanted=wanted,
        stopped=driven.stopped,
        min_run_s=min_run_s,
        remarks=(quick,) if quick else (),
    )


def _quick(best: Made | None, baseline: Made | None) -> str:
    return sealed.quick(best.run_id, best.wall_s, baseline.wall_s) if best and baseline else ""


def _refuse_aimless(found: Study) -> None:
    """A search without a beginning has nothing that a gain could be over."""
    if found.kind == SEARCH and found.beginning is None:
        fix = "write a search_space into its SPEC, with a `default` for what is done without this project"
        raise BadInput(f"{found.experiment} has no parameters with defaults, so there is no baseline", fix=fix)


def problems(order: Order, out: Out, task: Task | None) -> Iterator[str]:
    """What is wrong with training.json: with itself, and, where the lab is at hand, with what is sealed."""
    data = out.read(FILE)
    told = parse(Trained, data or b"", FILE)
    yield from _inner(told)
    if (told.round, told.idea) != (order.round, order.idea):
        yield f"it is of round {told.round} and the idea {told.idea!r}, and was to be of {order.round}, {order.idea!r}"
    if task is not None:
        yield from _outer(told, task)


def _inner(told: Trained) -> Iterator[str]:
    names = [each.run_id for each in told.made]
    if len(set(names)) != len(names):
        yield "a run is in it twice"
    wrong = sealed.failing(told.made)
    if wrong:
        yield wrong
    by_name: dict[str, Made] = {each.run_id: each for each in told.made}
    baseline, best = by_name.get(told.baseline), by_name.get(told.best)
    for name, one in (("baseline", baseline), ("best", best)):
        if one is None or not one.is_believable:
            yield f"its {name} is no run that may be believed"
    if baseline is not None and best is not None and told.gain != gain(best.value, baseline.value, told.direction):
        yield f"its gain {told.gain} is not that of {told.best} over {told.baseline}"
    quick = _quick(best, baseline)
    if quick and quick not in told.remarks:
        yield f"it does not tell that {quick}"
    if any(each.tier != told.tier for each in told.made):
        yield "it has runs of another tier"


def _outer(told: Trained, task: Task) -> Iterator[str]:
    wanted = built(task)
    if told.experiment != wanted:
        yield f"it is of the experiment {told.experiment}, and the study is {wanted}"
        return
    found = study.opened(task.root, task.project, told.experiment)
    rows = sealed.rows(task.root, told.experiment, found.tier)
    if told.tier != found.tier or told.direction != found.direction or told.metric != found.metric:
        yield "its tier, metric or direction is not the study's"
    newest = max((each.seal.generation for each in rows if each.run.run_id in {m.run_id for m in told.made}), default=0)
    rows = [each for each in rows if each.seal.generation <= newest]
    real = {each.run_id: each for each in sealed.table(found, rows, task.project.training.min_run_s)}
    for each in told.made:
        if each != real.get(each.run_id):
            yield f"{each.run_id} is not as it was sealed" if each.run_id in real else f"{each.run_id} is not sealed"
    left_out = [name for name in real if name not in {each.run_id for each in told.made}]
    if left_out:
        yield f"{', '.join(left_out[:3])} {'is' if len(left_out) == 1 else 'are'} left out"
    best = sealed.best(found.kind, found.direction, tuple(real.values()), sealed.kept(rows))
    if best is None or best.run_id != told.best:
        yield f"its best is {told.best}, and by the seals it is {best.run_id if best else 'none'}"
    if found.kind == LOOP and not any(each.run.candidate for each in rows):
        yield "none of its runs is a candidate of the code loop"
