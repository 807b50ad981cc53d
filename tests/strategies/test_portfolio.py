"""The portfolio: whom it asks and when, from the history alone; the rest is the contract."""

from __future__ import annotations

import os
import subprocess
import sys
from textwrap import dedent
from typing import TYPE_CHECKING

import msgspec
import pytest

from lab.core import space
from lab.core.errors import BadInput, Unavailable
from lab.core.origin import Origin
from lab.core.run import CRASH, SUCCESS
from lab.core.trial import History, Trial, luck
from lab.strategies import door
from lab.strategies.portfolio import ARMS, MODELLED, SPREAD_FIRST, WINDOW, Portfolio, area, by_merit
from lab.testing.strategies import StrategyContract, simulated

if TYPE_CHECKING:
    from collections.abc import Sequence

SQUARE = space.parse({"x": {"low": 0, "high": 1}, "y": {"low": 0, "high": 1}})
BOTH = ("perturb", "random")


class TestPortfolio(StrategyContract):
    strategy = Portfolio()


def told(rows: Sequence[tuple[str, float | None]], *, minimize: bool = True, first: int = SPREAD_FIRST) -> History:
    """A history of trials by arm and value; None is a failure."""
    trials = tuple(
        Trial(
            run_id=f"RUN-{place:06}",
            params={"x": place / 1000, "y": 0.5},
            value=value,
            outcome=CRASH if value is None else SUCCESS,
            origin=Origin(strategy="portfolio", arm=arm, number=first + place),
        )
        for place, (arm, value) in enumerate(rows)
    )
    return History(trials=trials, minimize=minimize, number=first + len(rows))


def arms_of(portfolio: Portfolio, trials: int, *, workers: int = 1) -> list[str]:
    """Which arm made each trial of a search."""
    steps, _ = simulated(
        portfolio, SQUARE, lambda params, _: abs(float(params["x"] or 0) - 0.3), trials, workers=workers
    )
    return [step.proposal.arm for step in steps]


def test_a_search_begins_evenly_spread_then_the_model_learns_alone_and_then_all_may() -> None:
    arms = arms_of(Portfolio(), 60)
    assert arms[:SPREAD_FIRST] == ["random"] * SPREAD_FIRST
    assert arms[SPREAD_FIRST:MODELLED] == ["bayesian"] * (MODELLED - SPREAD_FIRST)
    assert set(arms[MODELLED:]) == set(ARMS)


def test_where_most_trials_fail_the_spreading_goes_on_until_a_few_have_a_value() -> None:
    history = told([("random", None)] * 20 + [("random", 1.0)] * 2)
    assert Portfolio().propose(SQUARE, history, luck(0, 22)).arm == "random"


def test_the_arm_that_improves_on_the_best_is_asked_and_an_idle_one_first() -> None:
    good = [(arm, 10.0 - place if arm == "perturb" else 50.0) for place in range(20) for arm in BOTH]
    assert by_merit(BOTH, told(good)) == ["perturb", "random"]
    assert by_merit((*BOTH, "tree"), told(good))[0] == "tree"


def test_a_failure_earns_nothing_whatever_the_direction() -> None:
    rows = [(arm, None if arm == "perturb" else 0.1 * place) for place in range(20) for arm in BOTH]
    assert by_merit(BOTH, told(rows, minimize=False)) == ["random", "perturb"]
    assert by_merit(BOTH, told([(arm, value and -value) for arm, value in rows])) == ["random", "perturb"]


def test_only_the_last_trials_count() -> None:
    once = [("perturb", 100.0 - place) for place in range(30)]
    since = [(arm, 60.0 - place if arm == "random" else 90.0) for place in range(WINDOW) for arm in BOTH]
    assert by_merit(BOTH, told([*once, *since]))[0] == "random"


def test_the_trials_that_every_search_begins_with_credit_nobody() -> None:
    begun = told([("random", 10.0 - place) for place in range(SPREAD_FIRST)], first=0)
    assert by_merit(("random", "perturb"), begun)[0] == "random"  # neither was asked: as they stand


def test_what_a_person_or_a_replay_chose_credits_nobody() -> None:
    own = [("perturb", 200.0 if place % 2 else 100.0 - place) for place in range(6)] + [("random", 200.0)] * 2
    history = told([*own, *(("random", 50.0 - place) for place in range(10))])
    again = tuple(
        msgspec.structs.replace(trial, origin=msgspec.structs.replace(trial.origin, kind="replay"))
        for trial in history.trials[len(own) :]
    )
    replayed = msgspec.structs.replace(history, trials=(*history.trials[: len(own)], *again))
    assert by_merit(BOTH, history)[0] == "random"
    assert by_merit(BOTH, replayed)[0] == "perturb"


def test_the_later_improvements_count_for_more() -> None:
    assert area([]) == 0
    assert area([True, False]) < area([False, True])
    assert area([True] * 7) == pytest.approx(1)


def test_arms_whose_library_is_missing_are_passed_over_and_said_to_be() -> None:
    history = told([("random", 10.0 - place) for place in range(12)])
    program = dedent("""
        import sys
        sys.modules["numpy"] = None  # as where it is not installed
        import msgspec
        from lab.core import space
        from lab.core.errors import Unavailable
        from lab.core.trial import History, luck
        from lab.strategies.portfolio import Portfolio
        history = msgspec.json.decode(sys.stdin.buffer.read(), type=History)
        square = space.parse({"x": {"low": 0, "high": 1}, "y": {"low": 0, "high": 1}})
        found = Portfolio().propose(square, history, luck(0, 12))
        assert found.arm == "perturb", found
        assert "bayesian was passed over" in found.note, found
        try:
            Portfolio(("bayesian",)).propose(square, history, luck(0, 12))
        except Unavailable as error:
            assert "labctl[search]" in error.fix
        else:
            raise AssertionError("no arm was left, and that was not said")
    """)
    told_by = subprocess.run(
        [sys.executable, "-c", program],
        input=msgspec.json.encode(history),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        check=False,
    )
    assert told_by.returncode == 0, told_by.stderr.decode()


def test_an_arm_that_cannot_load_stops_nothing_while_another_can(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nevergrad.optimization.optimizerlib", None)
    door.load(Portfolio(("evolution", "perturb")))
    with pytest.raises(Unavailable, match="nevergrad"):
        door.load(Portfolio(("evolution",)))


def test_a_name_that_is_no_strategy_stops_nothing_while_another_is_one() -> None:
    proposal = Portfolio(("pertrub", "perturb"), rotate=True).propose(SQUARE, History(), luck(0, 0))
    assert proposal.arm == "perturb"
    assert "pertrub" in proposal.note


def test_in_rotation_each_has_its_turn() -> None:
    arms = arms_of(Portfolio(("perturb", "random", "bayesian"), rotate=True), 9)
    assert arms == ["perturb", "random", "bayesian"] * 3


def test_a_portfolio_is_no_arm_of_one() -> None:
    with pytest.raises(BadInput, match="arm of a portfolio"):
        Portfolio(("portfolio",))
