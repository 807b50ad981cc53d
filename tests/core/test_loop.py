"""What a code loop knows after its runs, and what it forgets."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given

from lab.core.candidate import CHECKS_FAILED, CRASHED, DEBUG, DISCARD, KEEP
from lab.core.loop import KEEPS, NODES, SAMPLE, WINDOW, Loop, alarms, fold, gained
from lab.core.run import CANCELLED, Run
from tests.core.loops import after, baseline, loops, tried

CONFIRMED = "confirmed"


@given(loops())
def test_what_is_folded_comes_back_from_a_page_and_is_bounded(runs: list[Run]) -> None:
    state: Loop | None = None
    for run in runs:
        assert run.candidate is not None
        before = msgspec.json.encode(state)
        following = fold(state, run, run.candidate)
        assert msgspec.json.encode(state) == before  # the given state is left as it was
        state = msgspec.json.decode(msgspec.json.encode(following), type=Loop)
        assert state == following
        assert len(state.nodes) <= NODES
        assert len(state.keeps) <= KEEPS
        assert len(state.sample) <= SAMPLE
        assert state.seen <= max(WINDOW, 1)
        assert state.kept + state.discarded + state.crashed + state.failed_checks == state.candidates


@given(loops())
def test_only_what_was_kept_is_to_be_beaten(runs: list[Run]) -> None:
    kept = {run.run_id: run.value for run in runs if run.verdict == KEEP}
    state = after(*runs) if runs else Loop()
    assert state.best is None or kept[state.best.run_id] == state.best.value


def test_a_baseline_begins_again_and_what_was_spent_stays_spent() -> None:
    spent = tried(2, DISCARD, 9.9, alpha=0.004, p=0.3, rule=CONFIRMED, gain=0.1, tokens=5)
    before = after(baseline(10, 11, 12), tried(1, KEEP, 9.0), spent)
    assert before.best is not None
    assert before.best.run_id == "RUN-000001"
    state = after(baseline(20, 22, number=3, evaluator="other"), loop=before)
    assert (state.best, state.base) == (state.base, state.best)
    assert state.best is not None
    assert (state.best.value, state.peak, state.level, state.evaluator) == (21, 21, 21, "other")
    assert state.noise.sigma == pytest.approx(2**0.5)
    assert (state.kept, state.discarded, state.tests, state.tokens) == (1, 1, 1, 5)
    assert state.alpha == 0.004
    assert (state.nodes, state.keeps, state.sample, state.stale) == ((), (), (21,), 0)


def test_a_baseline_that_crashed_is_none() -> None:
    state = after(tried(0, CRASHED, kind="baseline"))
    assert (state.base, state.best, state.candidates) == (None, None, 0)


def test_a_test_that_confirmed_a_gain_gives_its_alpha_back() -> None:
    confirmed = tried(1, KEEP, 8.0, alpha=0.004, p=0.001, rule=CONFIRMED, gain=2.0)
    assert after(baseline(10, 11, 12), confirmed).alpha == 0
    lucky = tried(1, DISCARD, 8.0, alpha=0.004, p=0.1, rule=CONFIRMED, gain=2.0)
    state = after(baseline(10, 11, 12), lucky)
    assert (state.alpha, state.tests, state.risk) == (0.004, 1, 0.004)


def test_what_was_kept_for_being_simpler_is_no_gain_and_moves_no_peak() -> None:
    simpler = tried(1, KEEP, 10.5, rule="improve-or-simpler", added=0, removed=7)
    state = after(baseline(10, 10), simpler)
    assert state.best is not None
    assert (state.best.run_id, state.best.lines) == ("RUN-000001", -7)
    assert (state.peak, state.stale, state.simpler, state.unkept) == (10, 1, 1, 0)
    assert not gained(simpler)
    assert gained(tried(2, KEEP, 9.0))
    assert not gained(baseline(1, 1))


def test_what_was_kept_as_better_without_a_test_is_counted() -> None:
    tested = tried(1, KEEP, 8.0, alpha=0.004, p=0.001, rule=CONFIRMED, gain=2.0)
    simpler = tried(2, KEEP, 8.0, rule="improve-or-simpler", added=0, removed=7)
    assert after(baseline(10, 11, 12), tested, simpler, tried(3, KEEP, 7.0)).unconfirmed == 1


def test_near_misses_and_what_a_repair_may_save_are_remembered() -> None:
    runs = [
        tried(1, DISCARD, 9.9, gain=0.1),
        tried(2, DISCARD, 10.9, gain=-0.9),
        tried(3, CRASHED, crash="syntax"),
        tried(4, CRASHED, crash="oom"),
        tried(5, CRASHED, kind=DEBUG, parent="RUN-000003", crash="other"),
        tried(6, CRASHED, kind=DEBUG, parent="RUN-000005", crash="other"),
        tried(7, CHECKS_FAILED),
    ]
    state = after(baseline(10, 10), *runs)
    assert [node.run_id[-1] for node in state.nodes] == ["1", "3", "5"]  # a repair of a repair is the last
    assert [node.children for node in state.nodes] == [0, 1, 1]
    assert state.base is not None
    assert state.base.children == 5
    assert (state.unkept, state.crashed, state.failed_checks) == (7, 4, 1)


def test_a_cancelled_run_counts_what_it_took_and_nothing_else() -> None:
    cancelled = msgspec.structs.replace(tried(1, "", alpha=0.004, tokens=7), outcome=CANCELLED)
    state = after(baseline(10, 10), cancelled)
    assert (state.candidates, state.unkept, state.tokens, state.tests) == (0, 0, 7, 1)


def test_an_incumbent_that_measures_otherwise_raises_an_alarm_and_moves_the_level() -> None:
    begun = after(baseline(10.0, 10.1, 9.9))
    same = tried(1, DISCARD, 10.0, values=(9.8, 10.0, 10.1, 9.9, 10.0), against=(10.0, 9.9, 10.1, 10.0), gain=0.0)
    assert alarms(after(same, loop=begun)) == ()
    other = tried(1, DISCARD, 13.0, values=(9.8, 13.0, 13.1, 12.9, 13.0), against=(13.0, 12.9, 13.1, 13.0), gain=0.0)
    state = after(other, loop=begun)
    assert alarms(state) == ("metric_drift",)
    assert state.drift is not None
    assert state.drift < 0  # it got worse
    assert state.level == pytest.approx((3 * 10 + 4 * 13) / 7)
    assert state.unseen == 0


def test_a_wild_change_that_was_discarded_does_not_hide_later_gains() -> None:
    begun = after(baseline(*[9.9, 10.0, 10.1] * 6))
    wild = tried(1, DISCARD, 10.0, values=(9.8, 50.0, -40.0, 70.0, -35.0), against=(10.0, 9.9, 10.1, 10.0), gain=0.0)
    sigma = after(wild, loop=begun).noise.sigma
    assert sigma is not None
    assert sigma < 0.2  # and not 20


def test_a_metric_that_never_differed_and_then_does_is_noisy() -> None:
    state = after(baseline(10, 10, 10))
    assert state.noise.none
    state = after(tried(1, DISCARD, 10.0, values=(9.0, 10.0), against=(10.5,)), loop=state)
    assert not state.noise.none


def test_a_gain_that_the_hidden_measurement_does_not_show_raises_an_alarm() -> None:
    begun = after(baseline(10.0, 10.1, 9.9, holdout=20.0))
    shown = after(tried(1, KEEP, 5.0, holdout=15.2), loop=begun)
    assert alarms(shown) == ()
    hidden = after(tried(1, KEEP, 5.0, holdout=19.9), loop=begun)
    assert hidden.gap == pytest.approx(0.98)
    assert alarms(hidden) == ("holdout_gap",)
    within = after(tried(1, KEEP, 9.9, holdout=20.1), loop=begun)
    assert within.gap is None  # two noisy numbers always differ
