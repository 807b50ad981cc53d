"""Optuna's TPE behind the same door: purity, conditional spaces, both directions, failures."""

from __future__ import annotations

import subprocess
import sys

import msgspec
import pytest

from lab.core import assignment, scale
from lab.core.run import CANCELLED
from lab.core.trial import History, luck
from lab.strategies import bayesian
from lab.strategies.bayesian import Bayesian
from lab.strategies.random_ import Random
from lab.strategies.tpe import Parzen, _raw
from lab.testing.strategies import SPACES, bowl, inside, simulated

pytest.importorskip("optuna")


def _history(name: str, trials: int, *, failing: float = 0.2) -> History:
    over = SPACES[name]
    return simulated(Random(), over, bowl(over, failing=failing), trials)[1]


@pytest.mark.parametrize("name", [name for name in SPACES if name != "constraints"])
def test_what_it_proposes_is_a_point_of_the_space(name: str) -> None:
    over, history, parzen = SPACES[name], _history(name, 30), Parzen()
    for number in range(5):
        assert assignment.problems(over, parzen.point(over, history, luck(0, number))) == ()


@pytest.mark.parametrize("name", ["conditions", "steps", "logarithms"])
def test_what_it_was_asked_before_changes_nothing(name: str) -> None:
    over, history, used = SPACES[name], _history(name, 60), Parzen()
    for ended in (20, 40, 41, 60, 30, 60):
        shorter = msgspec.structs.replace(history, trials=history.trials[:ended], number=ended)
        assert used.point(over, shorter, luck(3, ended)) == Parzen().point(over, shorter, luck(3, ended))


def test_the_largest_is_looked_for_as_the_smallest_is() -> None:
    over, history = SPACES["conditions"], _history("conditions", 50)
    turned = tuple(
        msgspec.structs.replace(trial, value=None if trial.value is None else -trial.value) for trial in history.trials
    )
    up = msgspec.structs.replace(history, trials=turned, minimize=False)
    assert Parzen().point(over, up, luck(0, 1)) == Parzen().point(over, history, luck(0, 1))


def test_it_looks_where_the_losses_are_low() -> None:
    over, history, parzen = SPACES["floats"], _history("floats", 120), Parzen()
    found = [parzen.point(over, history, luck(0, number)) for number in range(30)]
    score = bowl(over)
    assert sum(score(point, 0) or 0.0 for point in found) / 30 < 0.2  # chance has 0.37


def test_runs_that_were_stopped_early_and_nothing_but_failures_stop_nothing() -> None:
    over, history = SPACES["conditions"], _history("conditions", 40)
    stopped = tuple(
        msgspec.structs.replace(trial, value=None, outcome=CANCELLED, reported=trial.value) if k % 2 else trial
        for k, trial in enumerate(history.trials)
    )
    Parzen().point(over, msgspec.structs.replace(history, trials=stopped), luck(0, 0))
    failed = tuple(msgspec.structs.replace(trial, value=None, outcome="failed") for trial in history.trials)
    Parzen().point(over, msgspec.structs.replace(history, trials=failed), luck(0, 0))


@pytest.mark.parametrize("name", SPACES)
def test_a_value_is_known_by_the_number_that_leads_back_to_it(name: str) -> None:
    over = SPACES[name]
    for number in range(40):
        for key, value in assignment.draw(over, luck(0, number)).items():
            (parameter,) = (each for each in over.parameters if each.name == key)
            count, raw = scale.levels(parameter), _raw(parameter, value)
            if count is not None and not parameter.log and count > 1:
                assert isinstance(raw, int)
                assert scale.from_unit(parameter, (raw + 0.5) / count) == value


def test_beyond_what_a_gaussian_process_can_afford_it_takes_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bayesian, "LIMIT", 25)
    over = SPACES["conditions"]
    steps, _ = simulated(Bayesian(), over, bowl(over), 35)
    inside(over, steps)
    assert [step.proposal.note for step in steps[24:28]] == ["expected improvement"] * 2 + ["TPE"] * 2


_WITHOUT = """
import sys
sys.modules["optuna"] = None
from lab.core.errors import Unavailable
from lab.core.trial import luck
from lab.strategies import bayesian
from lab.testing.strategies import SPACES, bowl, inside, simulated
bayesian.LIMIT, bayesian.BEST, bayesian.LATEST = 25, 8, 12
over = SPACES["conditions"]
steps, _ = simulated(bayesian.Bayesian(), over, bowl(over), 35)
inside(over, steps)
print(steps[-1].proposal.note)
"""


def test_without_optuna_the_gaussian_process_goes_on_with_the_best_and_the_latest() -> None:
    told = subprocess.run([sys.executable, "-c", _WITHOUT], capture_output=True, check=True, text=True)
    assert told.stdout.strip() == "expected improvement"
