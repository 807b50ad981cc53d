"""Which trial is taken home: the best one seen where nothing is noisy, the best expected one where something is."""

from __future__ import annotations

import subprocess
import sys

import msgspec
import pytest

from lab.core import space
from lab.core.run import FAILED, SUCCESS
from lab.core.trial import History, Trial, luck
from lab.strategies.recommend import recommend
from lab.testing.strategies import SPACES, bowl, simulated

LINE = space.parse({"x": {"low": 0, "high": 1}})


def _line(noise: float, count: int, seed: int, noisy: bool | None = None) -> History:
    rng = luck(seed, 0)
    trials = []
    for k in range(count):
        x = rng.random() ** 2
        value = 4 * (x - 0.4) ** 2 + rng.gauss(0, noise)
        trials.append(Trial(run_id=f"r{k}", params={"x": x}, value=value, outcome=SUCCESS))
    return History(trials=tuple(trials), number=count, noisy=noisy)


def test_without_a_value_there_is_nothing_to_take_home() -> None:
    assert recommend(LINE, History()) is None
    failed = Trial(run_id="r", params={"x": 0.5}, outcome=FAILED)
    assert recommend(LINE, History(trials=(failed,), number=1)) is None


@pytest.mark.parametrize("noisy", [None, False])
def test_without_noise_it_is_the_best_one_seen(noisy: bool | None) -> None:
    history = _line(0.0, 40, 3, noisy)
    told = recommend(LINE, history)
    assert told is not None
    assert told.trial == min(history.trials, key=lambda trial: trial.value or 0.0)
    assert (told.mean, told.noisy, told.noise) == (told.trial.value, False, 0.0)


@pytest.mark.parametrize("noisy", [None, True])
def test_with_noise_it_is_nearer_to_the_truth_than_the_lowest_number(noisy: bool | None) -> None:
    off_lowest, off_told = 0.0, 0.0
    for seed in range(8):
        history = _line(0.3, 60, seed, noisy)
        told = recommend(LINE, history)
        assert told is not None
        assert told.noisy
        assert told.noise == pytest.approx(0.3, rel=0.5)
        assert abs(told.mean - 0.0) < 0.25
        lowest = min(history.trials, key=lambda trial: trial.value or 0.0)
        off_lowest += (float(lowest.params["x"] or 0) - 0.4) ** 2
        off_told += (float(told.trial.params["x"] or 0) - 0.4) ** 2
    assert off_told < 0.6 * off_lowest


def test_a_point_that_was_measured_twice_tells_the_noise() -> None:
    same = [Trial(run_id=f"r{k}", params={"x": 0.2}, value=1.0 + k % 2, outcome=SUCCESS) for k in range(10)]
    others = [Trial(run_id=f"s{k}", params={"x": 0.05 + k / 10}, value=3.0 + k, outcome=SUCCESS) for k in range(10)]
    told = recommend(LINE, History(trials=(*same, *others), number=20))
    assert told is not None
    assert told.noisy
    assert told.noise == pytest.approx(0.527, abs=0.01)
    alike = tuple(msgspec.structs.replace(trial, value=1.5) for trial in same)
    told = recommend(LINE, History(trials=(*alike, *others), number=20))
    assert told is not None
    assert not told.noisy


@pytest.mark.parametrize("name", ["conditions", "constraints", "choices"])
def test_the_largest_is_taken_home_as_the_smallest_is(name: str) -> None:
    over = SPACES[name]
    from lab.strategies.random_ import Random

    _, history = simulated(Random(), over, bowl(over, failing=0.2), 40)
    turned = tuple(
        msgspec.structs.replace(trial, value=None if trial.value is None else -trial.value) for trial in history.trials
    )
    for noisy in (None, True):
        down = recommend(over, msgspec.structs.replace(history, noisy=noisy))
        up = recommend(over, msgspec.structs.replace(history, trials=turned, minimize=False, noisy=noisy))
        assert down is not None
        assert up is not None
        assert up.trial.run_id == down.trial.run_id
        assert (up.mean, up.sd, up.noise) == (-down.mean, down.sd, down.noise)


@pytest.mark.parametrize("value", [1e308, -1e308, 0.0])
def test_no_finite_value_is_too_much(value: float) -> None:
    trials = tuple(
        Trial(run_id=f"r{k}", params={"x": k / 20}, value=value if k % 3 else -value, outcome=SUCCESS)
        for k in range(20)
    )
    assert recommend(LINE, History(trials=trials, number=20, noisy=True)) is not None


def test_without_numpy_it_says_what_to_install() -> None:
    code = (
        "import sys\nsys.modules['numpy'] = None\n"
        "from lab.core import space\nfrom lab.core.errors import Unavailable\n"
        "from lab.core.trial import History, Trial\nfrom lab.strategies.recommend import recommend\n"
        "trials = tuple(Trial(run_id=f'r{k}', params={'x': k / 9}, value=1.0 * k, outcome='success')"
        " for k in range(9))\n"
        "try:\n    recommend(space.parse({'x': {'low': 0, 'high': 1}}), History(trials=trials, number=9))\n"
        "except Unavailable as error:\n    print(error.fix)\n"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert told.stdout.strip() == "pip install 'labctl[search]'"
