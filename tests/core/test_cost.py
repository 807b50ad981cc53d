"""Money: no run begins unless what a run costs is left, whatever is under way beside it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.core import cost, history
from lab.core.policy import Finish, Move, Pause, Proceed, Wait, decide
from lab.core.run import SUCCESS, Run
from lab.core.spec import Spec, StopConditions
from lab.core.view import Tier, View
from lab.core.world import stamp

NOW = datetime(2026, 3, 4, 23, 0, tzinfo=UTC)


def a_spec(**stop: float) -> Spec:
    return Spec(
        id="a", goal="g", metric="loss", cadence="1m", max_iterations_total=1_000, fidelity_tiers=("proxy", "final"),
        stop_conditions=StopConditions(**stop),  # type: ignore[arg-type]  # all of these are numbers
    )  # fmt: skip


def a_view(*costs: float, at: datetime = NOW) -> View:
    """An experiment in which runs of these costs have ended, folded one by one."""
    view = history.begin("a", direction="minimize", tier="proxy", spec="")
    for number, each in enumerate(costs):
        run = Run(
            run_id=f"RUN-{number}", experiment="a", tier="proxy", outcome=SUCCESS, value=1.0, cost=each,
            ended_at=stamp(at), started_at=stamp(at), wall_s=1.0,
        )  # fmt: skip
        view = history.fold(view, [history.Item(key=(number, 1, run.run_id), ts=stamp(at), run=run)])
    return view


def move(view: View, spec: Spec, *, now: datetime = NOW, under_way: int = 0) -> Move:
    return decide(view, spec, now, under_way=under_way, at_once=True)


@given(
    prices=st.lists(st.floats(0.01, 1.0), min_size=1, max_size=20),
    budget=st.floats(0.5, 12.0),
    slots=st.integers(1, 5),
    order=st.randoms(use_true_random=False),
)
def test_a_budget_is_never_overspent_where_a_run_costs_no_more_than_it_says(
    prices: list[float], budget: float, slots: int, order: object
) -> None:
    """Runs begin as the policy lets them, several at once, and end in any order."""
    spec, spent, out, at = a_spec(budget_cost=budget, cost_per_run=1.0), list[float](), list[float](), 0
    while at < len(prices):
        said = move(a_view(*spent), spec, under_way=len(out))
        if isinstance(said, Proceed) and len(out) < slots:
            out.append(prices[at])
            at += 1
        elif out:
            spent.append(out.pop(order.randrange(len(out))))  # type: ignore[attr-defined]  # a Random of hypothesis
        else:
            assert isinstance(said, Finish)
            break
    assert sum(spent) + sum(out) <= budget + 1e-6


@given(price=st.floats(0.4, 3.0), budget=st.floats(3.0, 9.0), slots=st.integers(1, 5))
def test_of_runs_that_cost_alike_none_is_one_too_many_and_none_too_few(price: float, budget: float, slots: int) -> None:
    spec, spent, out = a_spec(budget_cost=budget), list[float](), 0
    price = round(price, 6)
    while True:
        said = move(a_view(*spent), spec, under_way=out)
        if isinstance(said, Proceed) and out < slots:
            out += 1
            assert spent or out == 1  # until one is over, nobody knows
        elif out:
            spent.append(price)
            out -= 1
        else:
            break
    assert sum(spent) <= budget + 1e-6 < sum(spent) + price + 2e-6


def test_three_runs_at_a_third_fit() -> None:
    assert move(a_view(0.1, 0.1), a_spec(budget_cost=0.3)) == Proceed(tier="proxy")


def test_it_says_what_is_left_and_what_a_run_may_cost() -> None:
    said = move(a_view(1.0, 0.7), a_spec(budget_cost=2.5))
    assert isinstance(said, Finish)
    assert said.reason == "cost budget used: 0.8 is left, and a run may cost 1"
    assert said.facts == {"cost": 1.7, "max": 2.5, "a_run": 1.0}
    assert isinstance(move(a_view(0.1), a_spec(budget_cost=2.5, cost_per_run=2.45)), Finish)


def test_the_first_run_of_a_tier_may_begin_and_in_a_race_the_dearest_of_all_counts() -> None:
    view = msgspec.structs.replace(a_view(2.0), tier="final")
    assert move(view, a_spec(budget_cost=2.5)) == Proceed(tier="final")
    racing = msgspec.structs.replace(a_spec(budget_cost=2.5), fidelity_promotion_rule="asha")
    assert isinstance(move(view, racing), Finish)


@pytest.mark.parametrize("executor", ["tinker", "research"])
def test_what_keeps_to_its_budget_by_itself_is_not_held_back(executor: str) -> None:
    spec = msgspec.structs.replace(a_spec(budget_cost=2.5), executor=executor, strategy="random")
    assert move(a_view(2.0), spec) == Proceed(tier="proxy")


@pytest.mark.parametrize(
    ("costs", "under_way", "reason"),
    [
        ((1.0, 1.0), 0, ""),
        ((1.0, 1.0), 1, cost.USES_DAY_UP),
        ((1.0, 1.0, 1.0), 0, cost.DAY_USED),
        ((1.0, 1.0, 0.9), 0, cost.DAY_USED),
        ((), 0, ""),
        ((), 1, cost.UNKNOWN),
    ],
)
def test_a_day_is_not_overspent(costs: tuple[float, ...], under_way: int, reason: str) -> None:
    said = move(a_view(*costs), a_spec(budget_cost_per_day=3.0), under_way=under_way)
    if not reason:
        assert said == Proceed(tier="proxy")
        return
    until = datetime(2026, 3, 5, tzinfo=UTC) if reason == cost.DAY_USED else None
    assert said == Wait(reason=reason, until=until, for_runs=until is None)


def test_it_goes_on_the_next_day_of_utc_and_not_because_a_clock_went_back() -> None:
    view, spec = a_view(1.0, 1.0), a_spec(budget_cost_per_day=2.0)
    assert isinstance(move(view, spec, now=NOW + timedelta(minutes=59)), Wait)
    assert move(view, spec, now=NOW + timedelta(minutes=60)) == Proceed(tier="proxy")
    back = move(view, spec, now=NOW - timedelta(days=3))
    assert back == Wait(reason=cost.DAY_USED, until=datetime(2026, 3, 5, tzinfo=UTC))


@pytest.mark.parametrize("day", ["no day", "9999-99-99", "9999-12-31"])
def test_a_day_that_is_none_makes_nobody_wait_for_ever_and_ends_no_turn(day: str) -> None:
    """A ledger that was edited by hand may say so: `labctl verify` is who tells of it."""
    view = msgspec.structs.replace(a_view(1.0), day=day)
    assert cost.tomorrow(view, NOW) == datetime(2026, 3, 5, tzinfo=UTC)


def test_where_no_day_pays_for_a_run_a_person_is_told() -> None:
    said = move(a_view(2.5, at=NOW - timedelta(days=1)), a_spec(budget_cost_per_day=2.0))
    assert said == Pause(reason=cost.NO_DAY_PAYS, facts={"a_run": 2.5, "max": 2.0})


def test_the_fold_keeps_the_dearest_and_the_day() -> None:
    view = a_view(1.0, 3.0, 2.0)
    assert (view.tiers["proxy"].dearest, view.day, view.day_cost) == (3.0, "2026-03-04", 6.0)
    assert Tier().dearest == 0.0
