"""What an experiment took: each run counted once, and nothing that is not known called 0."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given as with_data
from hypothesis import strategies as st

from lab.core.candidate import BASELINE, IMPROVE, KEEP, Candidate
from lab.core.origin import Origin
from lab.core.view import Reserved, Spent
from lab.projections.drawing import spending as spending_drawn
from lab.projections.drawing.scene import Words
from lab.projections.picture import arms, spending, stairs, words
from lab.projections.picture.given import AskTook, UnderWay
from lab.projections.picture.spending import Spending
from tests.projections import subjects as make
from tests.projections.givens import given

if TYPE_CHECKING:
    from lab.core.run import Run
    from lab.projections.picture.given import Given


def spent(of: Given) -> Spending:
    return spending.of(of, stairs.of(of, of.view.tier))


def asked(number: int) -> Origin:
    return Origin(strategy="llm", ask=f"ASK-{number:06d}", number=number)


@with_data(st.lists(make.runs(), max_size=30, unique_by=lambda run: run.run_id))
def test_the_improvements_and_what_came_after_are_the_total(runs: list[Run]) -> None:
    found = spent(given(runs))
    parts = [*(each.took for each in found.improvements), found.since]
    assert sum(part.runs for part in parts) == found.total.runs == len(runs)
    assert math.isclose(sum(part.hours for part in parts), found.total.hours, abs_tol=1e-4)
    assert found.wasted.runs == sum(run.value is None for run in runs)
    assert found.wasted.hours <= found.total.hours + 1e-6


def test_an_improvement_costs_all_that_was_tried_since_the_one_before() -> None:
    runs = [
        make.run(1, value=1.0, wall_s=3600.0),
        make.run(2, "crash", wall_s=1800.0),
        make.run(3, value=2.0, wall_s=3600.0),
        make.run(4, value=0.5, wall_s=3600.0),
        make.run(5, value=0.75, wall_s=900.0),
    ]
    found = spent(given(runs))
    assert [(each.n, each.took.runs, each.took.hours) for each in found.improvements] == [(1, 1, 1.0), (4, 3, 2.5)]
    assert (found.since.runs, found.since.hours) == (1, 0.25)
    assert (found.wasted.runs, found.wasted.hours) == (1, 0.5)


def test_a_run_of_a_millisecond_did_not_take_no_time() -> None:
    found = spent(given([make.run(number, value=1.0 / number, wall_s=0.001) for number in range(1, 6)]))
    assert all(math.isclose(each.took.hours * 3600.0, 0.001, rel_tol=0.01) for each in found.improvements)
    assert math.isclose(found.total.hours * 3600.0, 0.005, rel_tol=0.01)


def test_runs_of_another_tier_are_counted_where_they_fell_and_that_is_said() -> None:
    runs = [make.run(1, value=1.0, tier="proxy"), make.run(2, value=0.5), make.run(3, value=0.25, tier="proxy")]
    found = spent(given(runs))
    assert [(each.n, each.took.runs) for each in found.improvements] == [(1, 2)]
    assert found.since.runs == 1
    assert any("tier default" in remark for remark in found.remarks)


def test_what_nobody_told_is_not_zero() -> None:
    found = spent(given([make.run(1, value=1.0)]))
    assert (found.total.tokens, found.total.usd) == (None, None)
    assert "no run said what it cost" in found.remarks
    assert "no tokens are known: no model was asked through the lab" in found.remarks


def test_an_experiment_without_runs_took_nothing() -> None:
    found = spent(given([]))
    assert (found.total.runs, found.total.hours, found.improvements, found.remarks) == (0, 0.0, (), ())


def test_a_question_is_counted_once_at_the_first_run_that_came_of_it() -> None:
    runs = [
        make.run(1, value=1.0, origin=asked(1)),
        make.run(2, value=0.5, origin=asked(1)),
        make.run(3, value=0.25, origin=asked(3)),  # what ASK-2 was asked for came to nothing
    ]
    asks = {
        "ASK-000001": AskTook(calls=1, tokens=100, usd=0.5),
        "ASK-000002": AskTook(calls=2, tokens=20, usd=0.25),
        "ASK-000003": AskTook(calls=1, tokens=3),
        "ASK-000004": AskTook(calls=1, tokens=4000, usd=1.0),
    }
    found = spent(given(runs, asks=asks))
    assert [(each.took.tokens, each.took.usd) for each in found.improvements] == [(100, 0.5), (None, None), (23, 0.25)]
    assert (found.since.tokens, found.since.usd) == (4000, 1.0)
    assert (found.total.tokens, found.total.usd) == (4123, 1.75)
    assert "of 4 questions to models, 1 did not tell their price" in found.remarks


@with_data(st.lists(st.integers(0, 40), max_size=12), st.sets(st.integers(1, 40)))
def test_no_question_is_lost_or_counted_twice(origins: list[int], answered: set[int]) -> None:
    runs = [
        make.run(number, value=1.0, origin=asked(ask) if ask else None) for number, ask in enumerate(origins, start=1)
    ]
    asks = {f"ASK-{number:06d}": AskTook(calls=1, tokens=1 << number) for number in answered}
    handed, rest = spending.charged(given(runs, asks=asks))
    told = [each.tokens or 0 for each in [*(one for several in handed.values() for one in several), *rest]]
    assert sorted(told) == sorted(each.tokens or 0 for each in asks.values())


def test_what_is_set_aside_for_an_answer_that_never_came_is_named_and_in_no_sum() -> None:
    of = given([make.run(1, value=1.0, cost=0.5)])
    held = Reserved(ask="ASK-000001", calls=1, usd=2.0)
    of.view.model = Spent(asks=1, calls=1, usd=2.0, reserved=(held,))
    found = spent(of)
    assert found.total.usd == 0.5
    assert any("the 2 USD that were set aside are in no sum" in remark for remark in found.remarks)
    assert spending.of_view(of.view).usd == 0.5


def test_what_is_under_way_is_not_counted_and_that_is_said() -> None:
    found = spent(given([make.run(1, value=1.0)], under_way=(UnderWay(run_id="RUN-x"), UnderWay(run_id="RUN-y"))))
    assert "2 runs under way, not counted yet" in found.remarks


def test_the_sum_from_the_view_is_the_sum_of_the_lines() -> None:
    made = Candidate(kind=IMPROVE, parent="RUN-0", tokens=500)
    runs = [
        make.run(1, value=1.0, verdict=KEEP, candidate=Candidate(kind=BASELINE, values=(1.0,)), cost=0.25),
        make.run(2, value=0.5, verdict=KEEP, candidate=made, cost=0.5),
    ]
    of = given(runs)
    assert spending.of_view(of.view) == spent(of).total
    assert spending.together([spending.of_view(of.view)] * 2).tokens == 1000


@pytest.mark.parametrize("huge", [1e308, math.nextafter(math.inf, 0)])
def test_absurd_amounts_stay_numbers(huge: float) -> None:
    runs = [make.run(number, value=1.0, wall_s=huge, cost=huge) for number in range(1, 4)]
    found = spent(given(runs))
    assert msgspec.json.decode(msgspec.json.encode(found), type=Spending) == found
    assert math.isfinite(found.total.hours)
    assert math.isfinite(found.total.usd or 0.0)
    assert math.isfinite(spending.together([found.total] * 3).hours)
    assert math.isfinite(spending.of_view(given(runs).view).hours)


def test_an_arm_is_told_with_what_it_brought_and_took() -> None:
    runs = [
        make.run(1, value=1.0, origin=Origin(strategy="portfolio", arm="tree"), wall_s=3600.0),
        make.run(2, "crash", origin=Origin(strategy="portfolio", arm="tree")),
        make.run(3, value=0.5, origin=Origin(strategy="portfolio", arm="tpe"), cost=2.0),
        make.run(4, value=2.0, origin=Origin(strategy="portfolio", arm="tree")),
    ]
    of = given(runs)
    tree, tpe = arms.of(of, of.lines, [runs[0].run_id, runs[2].run_id])
    assert (tree.name, tree.runs, tree.scored, tree.failed, tree.improvements) == ("tree", 3, 2, 1, 1)
    assert (tree.best, tree.best_run) == (1.0, runs[0].run_id)
    assert (tpe.name, tpe.best, tpe.took.usd) == ("tpe", 0.5, 2.0)


def test_what_luck_may_have_done_is_called_as_in_the_staircase() -> None:
    """In a code loop a keep that no test confirmed; in a search a new best within the noise."""
    tried = Candidate(kind=IMPROVE, parent="RUN-0")
    loop = [
        make.run(1, value=1.0, verdict=KEEP, candidate=Candidate(kind=BASELINE, values=(1.0, 1.01, 0.99))),
        make.run(2, value=0.99, verdict=KEEP, candidate=tried),
    ]
    points: list[dict[str, object] | None] = [{"lr": 0.1}, {"lr": 0.1}, {"lr": 0.1}, {"lr": 0.2}]
    search = [make.run(number, value=value) for number, value in enumerate((1.0, 1.1, 1.05, 0.99), 1)]
    for asked, word in ((given(loop), words.UNCONFIRMED), (given(search, params=points), words.of(stairs.WITHIN))):
        found = spent(asked)
        assert [each.unsure for each in found.improvements] == ["", word]
        assert word in [each.text for each in spending_drawn.draw(found).items if isinstance(each, Words)]


def test_of_a_code_loop_a_discarded_change_is_nobodys_best() -> None:
    lucky = Candidate(kind=IMPROVE, parent="RUN-0")
    runs = [
        make.run(1, value=1.0, verdict=KEEP, candidate=Candidate(kind=BASELINE)),
        make.run(2, value=0.5, verdict=KEEP, candidate=lucky),
        make.run(3, value=0.1, verdict="discard", candidate=lucky),
    ]
    of = given(runs)
    improve = arms.of(of, of.lines, ())[0]
    assert (improve.name, improve.runs, improve.best) == ("improve", 2, 0.5)


def test_what_was_cancelled_or_never_run_has_no_value_and_did_not_fail() -> None:
    made = Candidate(kind=IMPROVE, parent="RUN-0")
    runs = [
        make.run(1, "failed", verdict="discard", reason="nothing was changed", candidate=made),
        make.run(2, "failed", verdict="checks_failed", candidate=made),
        make.run(3, "timeout", candidate=made),
        make.run(4, "cancelled", candidate=made),
    ]
    of = given(runs)
    improve = arms.of(of, of.lines, ())[0]
    assert (improve.runs, improve.scored, improve.failed) == (4, 0, 2)
    assert spent(of).wasted.runs == 4


def test_many_arms_are_bounded_and_none_of_them_is_lost() -> None:
    runs = [make.run(number, value=1.0, origin=Origin(strategy=f"s{number}")) for number in range(1, 2 * arms.MOST + 1)]
    of = given(runs)
    found = arms.of(of, of.lines, ())
    assert len(found) == arms.MOST + 1
    assert found[-1].name == f"{arms.MOST} others"
    assert sum(each.runs for each in found) == len(runs)


def test_where_nobody_searched_there_are_no_arms() -> None:
    of = given([make.run(1, value=1.0)])
    assert arms.of(of, of.lines, ()) == ()


def test_a_baseline_has_a_row_of_its_own_as_on_the_board() -> None:
    """The portfolio handed it out, and has not chosen it: its row is no place for what the baseline brought."""
    runs = [
        make.run(1, value=1.0, origin=Origin(strategy="portfolio", kind="baseline")),
        make.run(2, value=2.0, origin=Origin(strategy="portfolio", arm="tree")),
    ]
    of = given(runs)
    assert [(each.name, each.runs) for each in arms.of(of, of.lines, [])] == [("baseline", 1), ("tree", 1)]
