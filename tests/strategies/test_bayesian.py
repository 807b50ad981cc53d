"""The model-based strategy: what is special about it; the rest is the contract."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from statistics import median

import msgspec
import pytest

from lab.core import assignment, space
from lab.core.run import CANCELLED, FAILED, SUCCESS
from lab.core.trial import History, Trial, luck
from lab.strategies.bayesian import Bayesian
from lab.strategies.random_ import sobol_point
from lab.testing.strategies import SPACES, LearnerContract, bowl, inside, simulated

_WITHOUT = """
import sys
sys.modules["numpy"] = None
from lab.core import space
from lab.core.errors import Unavailable
from lab.core.trial import History, luck
from lab.strategies.bayesian import Bayesian
from lab.strategies.recommend import recommend
over = space.parse({"x": {"low": 0, "high": 1}})
try:
    Bayesian().propose(over, History(), luck(0, 0))
except Unavailable as error:
    print(error.fix)
print(sorted(name for name in sys.modules if name in ("scipy", "optuna", "torch")))
"""


class TestBayesian(LearnerContract):
    strategy = Bayesian()


def test_without_numpy_it_says_what_to_install() -> None:
    told = subprocess.run([sys.executable, "-c", _WITHOUT], capture_output=True, check=True, text=True)
    assert told.stdout.splitlines() == ["pip install 'labctl[search]'", "[]"]


def test_the_first_trials_are_spread_evenly() -> None:
    over = SPACES["floats"]
    steps, _ = simulated(Bayesian(), over, bowl(over), 12)
    assert [step.proposal.params for step in steps[:10]] == [sobol_point(over, 7, number) for number in range(10)]
    assert "evenly" not in steps[11].proposal.note


def test_what_a_person_did_not_want_is_not_offered_again_a_hair_beside_it() -> None:
    """Of 0.05724 that was skipped, 0.05719 was offered, then 0.05726, and so on."""
    over = space.parse({"x": {"low": 0.0, "high": 1.0}})
    _, known = simulated(Bayesian(), over, bowl(over), 14)
    offered: list[float] = []
    for _ in range(5):
        points: tuple[assignment.Params, ...] = tuple({"x": x} for x in offered)
        keys = {assignment.key(each) for each in points}
        history = msgspec.structs.replace(known, number=14, skipped=keys, unwanted=points)
        offered.append(float(Bayesian().propose(over, history, luck(7, 14)).params["x"] or 0))
    assert min(abs(one - other) for k, one in enumerate(offered) for other in offered[:k]) > 0.005


def test_where_runs_fail_it_stays_away() -> None:
    over = space.parse({"x": {"low": 0, "high": 1}, "y": {"low": 0, "high": 1}})

    def score(params: assignment.Params, _: int) -> float | None:
        x, y = float(params["x"] or 0), float(params["y"] or 0)
        return None if x > 0.5 else (x - 0.42) ** 2 + (y - 0.3) ** 2

    _, history = simulated(Bayesian(), over, score, 60)
    failed = [trial.failed for trial in history.trials]
    assert sum(failed[20:]) < 16
    assert min(loss for _, loss in history.scored()) < 1e-4


def test_a_run_that_was_stopped_early_is_never_taken_for_a_good_one() -> None:
    over = SPACES["one dimension"]
    trials = [
        Trial(run_id=f"r{k}", params={"x": k / 20 + 0.01}, value=abs(k - 5.0), outcome=SUCCESS) for k in range(20)
    ]
    # Stopped runs at the other end tell of numbers that are far better than any final one.
    stopped = [Trial(run_id=f"s{k}", params={"x": 0.9 + k / 100}, reported=-100.0, outcome=CANCELLED) for k in range(4)]
    for minimize in (True, False):
        sign = 1.0 if minimize else -1.0
        told = tuple(
            msgspec.structs.replace(
                trial,
                value=None if trial.value is None else sign * trial.value,
                reported=None if trial.reported is None else sign * trial.reported,
            )
            for trial in (*trials, *stopped)
        )
        history = History(trials=told, minimize=minimize, number=24)
        found = [float(Bayesian().propose(over, history, luck(1, k)).params["x"] or 0) for k in range(9)]
        assert abs(median(found) - 0.26) < 0.05


def test_twenty_in_a_hundred_failing_hardly_matter() -> None:
    over = SPACES["floats"]
    found = [
        min(loss for _, loss in simulated(Bayesian(), over, bowl(over, failing=failing), 40)[1].scored())
        for failing in (0.0, 0.2)
    ]
    assert max(found) < 0.002


def test_values_that_are_not_known_to_be_equal_objects_are_kept_apart() -> None:
    """Two histories with the same run ids and other values: what was kept of the one must not answer for the other."""
    over = SPACES["floats"]
    _, history = simulated(Bayesian(), over, bowl(over), 15)
    turned = msgspec.structs.replace(
        history,
        trials=tuple(msgspec.structs.replace(trial, value=1 - (trial.value or 0)) for trial in history.trials),
    )
    strategy = Bayesian()
    strategy.propose(over, history, luck(0, 15))
    assert strategy.propose(over, turned, luck(0, 15)) == Bayesian().propose(over, turned, luck(0, 15))


@pytest.mark.parametrize("name", ["one dimension", "many dimensions"])
def test_trials_of_which_only_one_has_a_value_are_enough(name: str) -> None:
    over = SPACES[name]
    _, history = simulated(Bayesian(), over, lambda _, number: 1.0 if number == 3 else None, 14)
    inside(over, simulated(Bayesian(), over, bowl(over), 4, before=history.trials)[0])


def test_many_trials_at_one_point_stop_nothing() -> None:
    over = SPACES["one dimension"]
    trials = tuple(
        Trial(run_id=f"r{k}", params={"x": 0.3}, value=luck(0, k).gauss(0, 1), outcome=SUCCESS) for k in range(30)
    )
    inside(over, simulated(Bayesian(), over, bowl(over), 3, before=trials)[0])


def test_a_metric_that_is_said_to_be_noisy_is_modelled_so() -> None:
    over = SPACES["one dimension"]
    trials = tuple(
        Trial(run_id=f"r{k}", params={"x": k / 30}, value=luck(0, k).gauss(0, 1), outcome=SUCCESS) for k in range(20)
    )
    said = {
        noisy: Bayesian().propose(over, History(trials=trials, number=20, noisy=noisy), luck(0, 20)).params["x"]
        for noisy in (True, False)
    }
    assert said[True] != said[False]


def test_it_keeps_within_twenty_milliseconds_or_tells(capsys: pytest.CaptureFixture[str]) -> None:
    """Printed, not asserted: a loaded machine is no fault of the strategy."""
    over = SPACES["floats"]
    strategy = Bayesian()
    _, history = simulated(strategy, over, bowl(over), 60)
    began = time.process_time()
    simulated(strategy, over, bowl(over), 10, before=history.trials)
    with capsys.disabled():
        sys.stdout.write(f"[{(time.process_time() - began) * 100:.1f} ms of CPU a proposal at 60 trials] ")


def test_failed_runs_alone_are_no_model() -> None:
    over = SPACES["conditions"]
    trials = tuple(Trial(run_id=f"r{k}", params=sobol_point(over, 1, k), outcome=FAILED) for k in range(30))
    proposal = Bayesian().propose(over, History(trials=trials, number=30), luck(0, 30))
    assert proposal.note == "evenly spread"


def test_the_number_of_threads_does_not_change_the_answer() -> None:
    code = (
        "from lab.testing.strategies import SPACES, bowl, simulated\n"
        "from lab.strategies.bayesian import Bayesian\n"
        "over = SPACES['floats']\n"
        "print([step.proposal.params for step in simulated(Bayesian(), over, bowl(over), 30)[0]])\n"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "OPENBLAS_NUM_THREADS": threads, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            capture_output=True,
            check=True,
        ).stdout
        for threads in ("1", "2")
    }
    assert len(said) == 1


def test_what_is_kept_of_a_space_does_not_answer_for_one_that_python_calls_equal() -> None:
    strategy = Bayesian()
    for choices in ([0, 1], [False, True], [0, 1]):
        over = space.parse({"x": {"low": 0, "high": 1}, "a": {"choices": choices}})
        inside(over, simulated(strategy, over, bowl(over), 16)[0])
