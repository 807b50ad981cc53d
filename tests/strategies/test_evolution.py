"""Evolution: the contract, and the replay."""

from __future__ import annotations

import sys

import msgspec
import pytest

from lab.core.errors import Unavailable
from lab.core.origin import Origin
from lab.core.trial import History, luck
from lab.strategies.evolution import Evolution
from lab.testing.strategies import FUNCTIONS, SPACES, LearnerContract, bowl, inside, simulated

pytest.importorskip("nevergrad")


@pytest.mark.heavy  # nevergrad takes seconds to load
class TestEvolution(LearnerContract):
    strategy = Evolution()
    learns_in = 100  # a dozen generations, of which failing runs lengthen each


def test_a_search_of_another_version_is_told_and_goes_on() -> None:
    over = SPACES["floats"]
    _, history = simulated(Evolution(), over, bowl(over), 12)
    moved = tuple(
        msgspec.structs.replace(trial, params={**trial.params, "x": 4.5 - k / 100}) if k % 2 else trial
        for k, trial in enumerate(history.trials)
    )
    steps, _ = simulated(Evolution(), over, bowl(over), 10, before=moved)
    inside(over, steps)


def test_what_other_arms_found_moves_the_cloud() -> None:
    over, function = FUNCTIONS["sphere"]
    _, history = simulated(Evolution(), over, lambda params, _: function(params, 0), 30)
    by_another = tuple(
        msgspec.structs.replace(trial, origin=Origin(strategy="portfolio", arm="perturb", number=k, seen=k))
        for k, trial in enumerate(history.trials)
    )
    asked = msgspec.structs.replace(history, trials=by_another)
    assert Evolution().propose(over, asked, luck(0, 30)) != Evolution().propose(over, history, luck(0, 30))
    nothing = History(seed=history.seed, number=30)
    assert Evolution().propose(over, asked, luck(0, 30)) != Evolution().propose(over, nothing, luck(0, 30))


def test_without_nevergrad_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nevergrad.optimization.optimizerlib", None)
    with pytest.raises(Unavailable) as caught:
        Evolution().propose(SPACES["floats"], History(), luck(0, 0))
    assert "labctl[search]" in caught.value.fix
