"""Long histories: what is looked at of them, and that a proposal costs no more for the rest."""

from __future__ import annotations

from functools import cache

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.core import assignment
from lab.core.origin import Origin
from lab.core.run import FAILED, SUCCESS
from lab.core.trial import History, Trial, luck
from lab.strategies import door, tpe
from lab.strategies.essence import BEST, LATEST, essence
from lab.strategies.nearby import Neighbourhood
from lab.strategies.perturb import Perturb, step_size
from lab.strategies.tree import Tree, grown
from lab.testing.strategies import SPACES, bowl, inside, simulated

OVER = SPACES["conditions"]


def run(place: int) -> str:
    return f"RUN-{place:06}"


def told(values: list[float | None], under_way: int = 0, *, minimize: bool = True) -> History:
    """Trials with these values; None is a failure."""
    ended = [
        Trial(run_id=run(k), params={"x": k}, value=value, outcome=FAILED if value is None else SUCCESS)
        for k, value in enumerate(values)
    ]
    pending = [Trial(run_id=run(k), params={"x": k}) for k in range(len(ended), len(ended) + under_way)]
    return History(trials=(*ended, *pending), minimize=minimize, number=len(ended) + under_way)


@cache
def long(trials: int) -> History:
    """A search in which each trial is a change of one before, and in which nothing is learnt."""
    rng, score = luck(0, 0, "long"), bowl(OVER, failing=0.2)
    found = []
    for number in range(trials):
        params = assignment.draw(OVER, rng)
        value = score(params, number)
        parents = (run(rng.randrange(max(0, number - 40), number)),) if number > 20 else ()
        origin = Origin(strategy="perturb", number=number, seen=number, parents=parents)
        outcome = FAILED if value is None else SUCCESS
        found.append(Trial(run_id=run(number), params=params, value=value, outcome=outcome, origin=origin))
    return History(trials=tuple(found), seed=7, number=trials)


@given(
    values=st.lists(st.none() | st.integers(-5, 5).map(float), max_size=40),
    under_way=st.integers(0, 3),
    minimize=st.booleans(),
    best=st.integers(1, 6),
    latest=st.integers(1, 6),
)
def test_the_best_and_the_latest_are_kept_in_their_order(
    values: list[float | None], under_way: int, best: int, latest: int, *, minimize: bool
) -> None:
    history = told(values, under_way, minimize=minimize)
    kept = essence(history, best, latest)
    if len(values) <= best + latest:
        assert kept is history
        return
    sign = 1 if minimize else -1
    ranked = sorted(range(len(values)), key=lambda k: float("inf") if (value := values[k]) is None else sign * value)
    places = {*ranked[:best], *range(len(values) - latest, len(values) + under_way)}
    assert [trial.run_id for trial in kept.trials] == [run(k) for k in sorted(places)]
    assert kept.pending == history.pending


def test_up_to_three_hundred_trials_nothing_is_left_out() -> None:
    history = long(300)
    assert essence(history) is history
    assert tpe.told_of(history) == history.trials


@pytest.mark.parametrize("name", ["random", "perturb", "tree", "bayesian", "portfolio"])
def test_it_matters_not_who_keeps_what_was_tried(name: str) -> None:
    strategy, over = door.find(name), SPACES["steps"]
    steps, _ = simulated(strategy, over, bowl(over, failing=0.2), 45, workers=3)
    for step in steps[::4]:
        known = frozenset(assignment.key(trial.params) for trial in step.history.ended)
        history = msgspec.structs.replace(step.history, known=known)
        assert strategy.propose(over, history, luck(7, history.number, "mine")) == step.proposal


@pytest.mark.parametrize("strategy", [Perturb(), Tree()])
def test_after_five_thousand_trials_only_some_hundreds_are_looked_at(
    strategy: Perturb | Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    placed: list[int] = []
    places = Neighbourhood.places

    def counted(self: Neighbourhood, params: assignment.Params) -> object:
        placed.append(1)
        return places(self, params)

    monkeypatch.setattr(Neighbourhood, "places", counted)
    history = long(5000)
    for number in range(12):
        del placed[:]
        params = strategy.propose(OVER, history, luck(1, number)).params
        assert assignment.problems(OVER, params) == ()
        assert len(placed) < BEST + LATEST + 400  # what is offered is placed too


@pytest.mark.parametrize("name", ["perturb", "tree"])
def test_a_trial_that_is_neither_good_nor_late_has_no_say(name: str) -> None:
    history = long(2000)
    left = {trial.run_id for trial in essence(history).trials}
    elsewhere = history.trials[0].params
    trials = tuple(
        trial if trial.run_id in left else msgspec.structs.replace(trial, params=elsewhere, value=9.0)
        for trial in history.trials
    )
    changed = msgspec.structs.replace(history, trials=trials)
    strategy = door.find(name)
    for number in range(8):
        assert strategy.propose(OVER, changed, luck(1, number)) == strategy.propose(OVER, history, luck(1, number))


@pytest.mark.parametrize("name", ["perturb", "tree", "bayesian", "portfolio"])
def test_a_long_search_goes_on(name: str) -> None:
    inside(OVER, simulated(door.find(name), OVER, bowl(OVER), 4, before=long(1500).trials)[0])


def test_a_study_is_told_some_hundreds_and_seldom_begun_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("optuna")
    told: list[str] = []
    frozen = tpe._frozen

    def counted(space: object, history: History, trial: Trial) -> object:
        told.append(trial.run_id)
        return frozen(OVER, history, trial)

    monkeypatch.setattr(tpe, "_frozen", counted)
    history, parzen = long(5000), tpe.Parzen()
    for ended in range(4900, 4910):
        parzen.point(OVER, msgspec.structs.replace(history, trials=history.trials[:ended]), luck(0, ended))
    assert len(told) < tpe.BEST + tpe.LATEST + tpe.TOGETHER + 10
    assert told[-9:] == [run(k) for k in range(4900, 4909)]


def test_what_a_study_is_told_does_not_depend_on_how_it_came_there() -> None:
    pytest.importorskip("optuna")
    history, used = long(2000), tpe.Parzen()
    for ended in (1240, 1249, 1250, 1251, 1240):
        shorter = msgspec.structs.replace(history, trials=history.trials[:ended], number=ended)
        assert used.point(OVER, shorter, luck(3, ended)) == tpe.Parzen().point(OVER, shorter, luck(3, ended))


def test_a_line_of_which_some_were_left_out_hangs_together() -> None:
    history = long(1000)
    left = essence(history)
    nodes = {node.trial.run_id: node for node in grown(left, history)}
    assert list(nodes) == [trial.run_id for trial in left.trials]
    kept, lost = set(nodes), {trial.run_id: trial for trial in history.trials}
    mended = 0
    for name, node in nodes.items():
        line = lost[name].origin.parents
        while line and line[0] not in kept:
            line = lost[line[0]].origin.parents
            mended += 1
        assert (node.parent.trial.run_id if node.parent else "") == (line[0] if line else "")
    assert mended > 10


def test_only_the_latest_move_the_step() -> None:
    origin = Origin(strategy="perturb", parents=(run(0),))
    worse = [(Trial(run_id=run(k), params={}, origin=origin), 1.0 + k) for k in range(LATEST)]
    first = (Trial(run_id=run(LATEST), params={}, origin=origin), 1.0)
    assert step_size([first, first, *worse]) == step_size([first, *worse])
    assert step_size([first, *worse]) < step_size(worse[:9])
