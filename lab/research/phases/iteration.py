"""Iteration: keep, refine, pivot or stop, by the rule of `lab.research.rounds.rule` on what was measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.core.record import page, parse
from lab.core.view import Said
from lab.research import idea
from lab.research.decision import FILE, KEEP, PIVOT, REFINE, Decision
from lab.research.evaluated import FILE as EVALUATION_FILE
from lab.research.evaluated import Evaluated
from lab.research.rounds import rule
from lab.research.rounds.rule import RULE, Ruling, Standing
from lab.research.studies import attempts
from lab.research.trained import FILE as TRAINING_FILE
from lab.research.trained import Trained
from lab.research.worker import Lack

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from lab.core.view import View
    from lab.research.idea import Idea
    from lab.research.order import Order
    from lab.research.work.out import Out
    from lab.research.worker import Place, Task

_TRAINING, _EVALUATION = f"training/{TRAINING_FILE}", f"evaluation/{EVALUATION_FILE}"
_IDEAS = f"ideation/{idea.FOLDER}"
_HOUR_S = 3600.0
_LAST = 4  # runs that come after the rounds, and this one: a project that spends all on rounds has no paper
_BY_PERSON = ("human", "human_stop")


class Rules:
    """The worker `rules`."""

    def lacks(self, place: Place) -> Iterable[Lack]:
        """Patience that no project has the rounds for is never lost."""
        asked = place.project.iteration
        if asked.patience > asked.max_rounds:
            what = f"iteration.patience ({asked.patience}) is more than its max_rounds ({asked.max_rounds})"
            yield Lack(what=what, fix="lower it, or it will never give an idea up", is_fatal=False)

    def work(self, task: Task) -> Mapping[str, float]:
        """Decide."""
        told = rule.decide(standing(task))
        task.say(f"{told.decision} ({told.reason}): {told.why}")
        task.out.write(FILE, page(told))
        return {"round": told.round, **({} if told.gain is None else {"gain": told.gain})}


def standing(task: Task, spent: str | None = None) -> Standing:
    """What is known after this round."""
    evaluated = parse(Evaluated, task.given.read(_EVALUATION), _EVALUATION)
    data = task.given.find(_TRAINING)
    trained = None if data is None else parse(Trained, data, _TRAINING)
    ideas, asked = _ideas(task), task.project.iteration
    past = tuple(msgspec.structs.replace(each, least=_least(ideas.get(each.idea))) for each in attempts.past(task))
    mine = ideas.get(task.order.idea)
    tried = {each.idea for each in past} | {task.order.idea}
    return Standing(
        round=task.order.round,
        idea=task.order.idea,
        believable=len(trained.believable) if trained is not None else len(evaluated.candidate.values),
        gain=evaluated.gain,
        low=evaluated.low,
        high=evaluated.high,
        is_better=evaluated.is_better,
        is_worse=evaluated.is_worse,
        predicted=mine.predicted_gain if mine is not None else None,
        kill=mine.kill if mine is not None else None,
        past=past,
        ideas_left=tuple(name for name in ideas if name not in tried),
        max_rounds=asked.max_rounds,
        patience=asked.patience,
        spent=_spent(task) if spent is None else spent,
        ruling=_ruling(task),
    )


def _ideas(task: Task) -> dict[str, Idea]:
    """By name, in the order of their files: that is how they were ranked."""
    found = (idea.parse(task.given.read(name), name) for name in task.given.names(_IDEAS))
    return {each.name: each for each in found}


def _least(found: Idea | None) -> float | None:
    return None if found is None else found.kill.gain_below


def _ruling(task: Task) -> Ruling | None:
    if not task.ruled:
        return None
    said = (task.view.pursuit.ruling if task.view.pursuit is not None else None) or Said(text=task.steering)
    return Ruling(decision=task.ruled, why=said.text, by=said.actor or "a person")


def _spent(task: Task) -> str:
    """Which budget of the project does not bear another round, if that takes what a round took so far."""
    stop, view, rounds = task.spec.stop_conditions, task.view, task.order.round
    for name, used, limit in (
        ("budget_hours", view.wall_s / _HOUR_S, stop.budget_hours),
        ("budget_cost", view.cost, stop.budget_cost),
        ("budget_tokens", float(_tokens(view)), stop.budget_tokens),
        ("max_iterations_total", float(view.iterations + _LAST), float(task.spec.max_iterations_total)),
    ):
        if limit is not None and used + used / rounds > limit:
            return f"{name}: {used:.4g} of {limit:g} are used, and another round would take {used / rounds:.4g}"
    return ""


def _tokens(view: View) -> int:
    return view.tokens + view.model.tokens


def problems(order: Order, out: Out, task: Task | None) -> Iterator[str]:
    """What is wrong with decision.json: with itself, and with what the rule says of the same numbers."""
    told = parse(Decision, out.read(FILE) or b"", FILE)
    if (told.round, told.idea) != (order.round, order.idea):
        yield f"it is of round {told.round} and the idea {told.idea!r}, and was to be of {order.round}, {order.idea!r}"
    if bool(told.next_idea) != (told.decision == PIVOT):
        yield "a pivot names the next idea, and nothing else does"
    if bool(told.kept_round) != (told.decision == KEEP):
        yield "a keep names its round, and nothing else does"
    if told.decision in (REFINE, PIVOT) and not told.rounds_left:
        yield f"{told.decision} in the last round"
    if (told.reason in _BY_PERSON) != (told.by != RULE):
        yield f"the reason {told.reason} is not one of {told.by or 'nobody'}"
    if task is None:
        return
    if told.by != RULE and not task.ruled:
        yield f"no person has said {told.decision}"
        return
    again = rule.decide(standing(task, told.spent))
    if again != told:
        yield f"by the rule it is {again.decision} ({again.reason}), and it says {told.decision} ({told.reason})"
