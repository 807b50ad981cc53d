"""What comes next: each branch, with the numbers it rests on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.core.policy import Escalate, Finish, Pause, Proceed, Promote, Wait, decide
from lab.core.run import FAILED, SUCCESS, Run
from lab.core.spec import Spec
from lab.core.spec_fields import Override, StopConditions
from lab.core.view import Tier, View
from lab.core.world import stamp
from tests.core.loops import after, baseline, tried

NOW = datetime(2026, 1, 2, 12, 0, 0, tzinfo=UTC)


def a_run(value: float | None = 1.0, *, ago: timedelta = timedelta(hours=9), **more: object) -> Run:
    outcome = FAILED if value is None else SUCCESS
    made = Run(run_id="RUN-1", experiment="a", outcome=outcome, value=value, ended_at=stamp(NOW - ago), tier="proxy")
    return msgspec.structs.replace(made, **more)


def a_spec(**more: object) -> Spec:
    made = Spec(id="a", fidelity_tiers=("proxy", "final"), initial_fidelity_tier="proxy", max_iterations_total=100)
    return msgspec.structs.replace(made, **more)


def stop(**more: object) -> Spec:
    return a_spec(stop_conditions=msgspec.structs.replace(StopConditions(), **more))


def a_view(tier: Tier | None = None, *, at: str = "proxy", **more: object) -> View:
    last = tier.best if tier else None
    made = View(experiment="a", phase="active", tier=at, tiers={at: tier or Tier()}, last=last, runs_since_opened=1)
    return msgspec.structs.replace(made, **more)


def test_what_nothing_speaks_against_goes_on() -> None:
    assert decide(a_view(), a_spec(), NOW) == Proceed(tier="proxy")
    assert decide(a_view(last=a_run(), runs=1), a_spec(), NOW) == Proceed(tier="proxy")


@pytest.mark.parametrize("phase", ["paused", "awaiting-human", "completed", "archived"])
def test_what_is_not_open_waits_and_is_never_finished_again(phase: str) -> None:
    view = a_view(phase=phase, runs=1000, failure_streak=99)
    assert decide(view, a_spec(), NOW) == Wait(reason=f"it is {phase}")


def test_what_is_not_due_waits_until_it_is() -> None:
    view = a_view(last=a_run(ago=timedelta(minutes=10)))
    assert decide(view, a_spec(cadence="30m"), NOW) == Wait(reason="not due yet", until=NOW + timedelta(minutes=20))
    assert decide(view, a_spec(cadence="30m"), NOW + timedelta(minutes=20)) == Proceed(tier="proxy")


def test_a_clock_that_jumped_back_does_not_stop_the_lab() -> None:
    view = a_view(last=a_run(ago=timedelta(days=-400)))
    assert decide(view, a_spec(cadence="30m"), NOW) == Proceed(tier="proxy")


@pytest.mark.parametrize("written", ["", "yesterday", "2026-01-02T11:59:00"])
def test_a_moment_that_is_missing_foreign_or_without_a_zone_is_survived(written: str) -> None:
    verdict = decide(a_view(last=a_run(ended_at=written)), a_spec(cadence="30m"), NOW)
    assert isinstance(verdict, Wait if written.startswith("2026") else Proceed)


def test_a_tier_that_left_the_spec_is_for_a_person() -> None:
    verdict = decide(a_view(at="gold"), a_spec(), NOW)
    assert isinstance(verdict, Escalate)
    assert verdict.facts == {"tiers": "proxy, final"}


@pytest.mark.parametrize(("runs", "done"), [(99, False), (100, True), (101, True)])
def test_it_ends_after_so_many_runs(runs: int, done: bool) -> None:
    verdict = decide(a_view(runs=runs), a_spec(), NOW)
    assert (verdict == Finish(reason="max iterations", facts={"runs": runs, "max": 100})) is done


@pytest.mark.parametrize(
    ("direction", "best", "at", "done"),
    [
        ("minimize", 0.1, "final", True),
        ("minimize", 0.11, "final", False),
        ("maximize", 0.1, "final", True),
        ("maximize", 0.09, "final", False),
        ("minimize", 0.01, "proxy", False),  # only the last tier's word counts
    ],
)
def test_it_ends_when_its_last_tier_reached_the_target(direction: str, best: float, at: str, done: bool) -> None:
    spec = msgspec.structs.replace(stop(target=0.1), metric_direction=direction)
    verdict = decide(a_view(Tier(best=a_run(best, tier=at), runs=1), at=at), spec, NOW)
    assert (verdict == Finish(reason="target reached", facts={"best": best, "target": 0.1})) is done


@pytest.mark.parametrize(
    ("view", "spec", "verdict"),
    [
        (
            a_view(failure_streak=2),
            stop(max_consecutive_failures=2),
            Finish(reason="too many failures in a row", facts={"failures": 2, "max": 2}),
        ),
        (
            a_view(Tier(quiet_streak=4)),
            stop(plateau_after_consecutive_low_signal_runs=4),
            Finish(reason="plateau", facts={"runs_without_new_best": 4, "max": 4}),
        ),
        (
            a_view(wall_s=7200.0),
            stop(budget_hours=2.0),
            Finish(reason="time budget used", facts={"hours": 2.0, "max": 2.0}),
        ),
        (a_view(cost=5.0), stop(budget_cost=5.0), Finish(reason="cost budget used", facts={"cost": 5.0, "max": 5.0})),
        (
            a_view(created_at=stamp(NOW - timedelta(days=3))),
            stop(hard_stop_after_days=3),
            Finish(reason="hard stop", facts={"days": 3.0, "max": 3.0}),
        ),
    ],
    ids=["failures", "plateau", "hours", "cost", "days"],
)
def test_it_ends_for_each_reason_with_the_numbers(view: View, spec: Spec, verdict: Finish) -> None:
    assert decide(view, spec, NOW) == verdict


@pytest.mark.parametrize(
    ("view", "spec"),
    [
        (a_view(failure_streak=1), stop(max_consecutive_failures=2)),
        (a_view(Tier(quiet_streak=3)), stop(plateau_after_consecutive_low_signal_runs=4)),
        (a_view(wall_s=7199.0), stop(budget_hours=2.0)),
        (a_view(cost=4.99), stop(budget_cost=5.0)),
        (a_view(created_at=stamp(NOW - timedelta(days=2, hours=23))), stop(hard_stop_after_days=3)),
        (a_view(created_at=stamp(NOW + timedelta(days=9))), stop(hard_stop_after_days=3)),
    ],
)
def test_it_goes_on_just_below_each_limit(view: View, spec: Spec) -> None:
    assert decide(view, spec, NOW) == Proceed(tier="proxy")


@pytest.mark.parametrize(
    ("streak", "kind"), [(0, Proceed), (2, Proceed), (3, Escalate), (4, Escalate), (5, Pause), (50, Pause)]
)
def test_failures_in_a_row_are_first_told_and_then_stop_it(streak: int, kind: type) -> None:
    verdict = decide(a_view(failure_streak=streak), a_spec(), NOW)
    assert isinstance(verdict, kind)
    if isinstance(verdict, Escalate | Pause):
        assert verdict.facts == {"failures": streak}
        assert str(streak) in verdict.reason


def test_changes_that_were_never_run_are_not_told_as_failures() -> None:
    idle = Run(run_id="RUN-1", experiment="a", outcome="failed", verdict="discard")
    move = decide(a_view(failure_streak=5, recent=[idle] * 5), a_spec(), NOW)
    assert move == Pause(reason="5 runs in a row had no value", facts={"failures": 5})


@pytest.mark.parametrize(
    ("streak", "kind"), [(3, Proceed), (9, Proceed), (10, Escalate), (14, Escalate), (15, Pause), (50, Pause)]
)
def test_a_search_bears_more_failures_in_a_row(streak: int, kind: type) -> None:
    assert isinstance(decide(a_view(failure_streak=streak), a_spec(), NOW, searching=True), kind)
    spec = stop(max_consecutive_failures=4)
    verdict = decide(a_view(failure_streak=streak), spec, NOW, searching=True)
    assert isinstance(verdict, Finish) is (streak >= 4)


@pytest.mark.parametrize("at", ["proxy", "middle", "final"])
@pytest.mark.parametrize(("best", "done"), [(0.9, True), (0.89, False), (None, False)])
def test_a_race_has_reached_its_target_when_its_last_tier_has(at: str, best: float | None, done: bool) -> None:
    there = Tier() if best is None else Tier(best=a_run(best, tier="final"))
    tiers = {"proxy": Tier(best=a_run(5.0)), "middle": Tier(best=a_run(5.0, tier="middle")), "final": there}
    spec = msgspec.structs.replace(
        stop(target=0.9), fidelity_tiers=("proxy", "middle", "final"), fidelity_promotion_rule="asha",
        metric_direction="minimize", overrides=(Override(tier="final", field="metric_direction", value="maximize"),),
    )  # fmt: skip
    verdict = decide(a_view(at=at, tiers=tiers), spec, NOW)
    assert (verdict == Finish(reason="target reached", facts={"best": best, "target": 0.9})) is done


def test_in_a_race_the_policy_promotes_nothing_and_judges_plateaus_at_the_front() -> None:
    tiers = {"proxy": Tier(quiet_streak=9, success_streak=9, best=a_run()), "final": Tier(quiet_streak=3)}
    spec = msgspec.structs.replace(
        stop(plateau_after_consecutive_low_signal_runs=4), fidelity_promotion_rule="asha", promote_after_successes=1
    )
    assert decide(a_view(at="final", tiers=tiers), spec, NOW) == Proceed(tier="final")
    fresh = {"proxy": Tier(success_streak=9, best=a_run())}
    assert decide(a_view(at="proxy", tiers=fresh), spec, NOW) == Proceed(tier="proxy")
    assert isinstance(decide(a_view(at="proxy", tiers=tiers), spec, NOW), Finish)


def test_a_signal_of_the_last_run_calls_a_person() -> None:
    view = a_view(last=a_run(signals=("breakthrough_found",)))
    spec = a_spec(escalate_when=("breakthrough_found",))
    assert decide(view, spec, NOW) == Escalate(reason="breakthrough_found", facts={"run": "RUN-1"})
    assert isinstance(decide(msgspec.structs.replace(view, runs_since_opened=0), spec, NOW), Proceed)


@pytest.mark.parametrize(("successes", "called"), [(1, False), (2, True)])
def test_a_new_best_calls_a_person_but_the_first_value_does_not(successes: int, called: bool) -> None:
    tier = Tier(best=a_run(0.5), successes=successes)
    verdict = decide(a_view(tier), a_spec(escalate_when=("new_best",)), NOW)
    assert (verdict == Escalate(reason="new_best", facts={"run": "RUN-1", "value": 0.5})) is called


@pytest.mark.parametrize(("streak", "called"), [(2, False), (3, True), (4, True)])
def test_a_regression_calls_a_person_after_as_many_as_it_says(streak: int, called: bool) -> None:
    word = "metric_regression_3_consecutive"
    view = a_view(Tier(worsening_streak=streak), last=a_run(), runs_since_opened=9)
    verdict = decide(view, a_spec(escalate_when=(word,)), NOW)
    assert (verdict == Escalate(reason=word, facts={"worse_in_a_row": streak, "max": 3})) is called
    opened = msgspec.structs.replace(view, runs_since_opened=1)  # of before a person opened it, nothing counts
    assert decide(opened, a_spec(escalate_when=(word,)), NOW) == Proceed(tier="proxy")


def test_what_is_not_autonomous_asks_after_each_run_and_not_before_the_first() -> None:
    spec = a_spec(autonomous=False)
    assert isinstance(decide(a_view(), spec, NOW), Proceed)
    assert isinstance(decide(a_view(last=a_run()), spec, NOW), Escalate)
    assert isinstance(decide(a_view(last=a_run(), runs_since_opened=0), spec, NOW), Proceed)


@pytest.mark.parametrize(
    ("streak", "quiet", "at", "rule", "promoted"),
    [
        (3, 0, "proxy", "after-success-streak", True),
        (2, 0, "proxy", "after-success-streak", False),
        (3, 3, "proxy", "after-success-streak", False),  # it succeeds and gets no better
        (3, 0, "final", "after-success-streak", False),
        (3, 0, "proxy", "manual", False),
    ],
)
def test_it_moves_on_after_a_streak_in_which_the_best_moved(
    streak: int, quiet: int, at: str, rule: str, promoted: bool
) -> None:
    tier = Tier(success_streak=streak, quiet_streak=quiet, best=a_run(0.5, tier=at))
    verdict = decide(a_view(tier, at=at), a_spec(fidelity_promotion_rule=rule, promote_after_successes=3), NOW)
    facts: dict[str, str | int | float | bool | None] = {"successes_in_a_row": streak, "needed": 3, "best": 0.5}
    wanted = Promote(tier="final", reason="success streak with a new best", facts=facts)
    assert (verdict == wanted) is promoted


def test_without_a_value_there_is_nothing_to_promote() -> None:
    spec = a_spec(fidelity_promotion_rule="after-success-streak")
    assert isinstance(decide(a_view(Tier(success_streak=9)), spec, NOW), Proceed)


def test_the_end_goes_before_everything_else() -> None:
    view = a_view(runs=100, failure_streak=9, last=a_run(signals=("x",)))
    assert isinstance(decide(view, a_spec(escalate_when=("x",), autonomous=False), NOW), Finish)


@given(
    st.builds(
        a_view,
        st.builds(
            Tier, quiet_streak=st.integers(0, 9), success_streak=st.integers(0, 9), best=st.none() | st.just(a_run(1.0))
        ),
        phase=st.sampled_from(["queued", "active", "paused", "completed"]),
        runs=st.integers(0, 200),
        failure_streak=st.integers(0, 9),
        last=st.none() | st.just(a_run(None)),
    ),
    st.datetimes(datetime(1980, 1, 1), datetime(2199, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
)
def test_deciding_changes_nothing_and_the_same_is_decided_again(view: View, now: datetime) -> None:
    before = msgspec.json.encode(view)
    spec = a_spec(fidelity_promotion_rule="after-success-streak", autonomous=False)
    assert decide(view, spec, now) == decide(view, spec, now)
    assert msgspec.json.encode(view) == before


@pytest.mark.parametrize(("under_way", "goes_on"), [(0, True), (1, True), (2, False), (5, False)])
def test_runs_under_way_count_towards_the_last_iteration(under_way: int, goes_on: bool) -> None:
    view = a_view(runs=8)
    move = decide(view, a_spec(max_iterations_total=10), NOW, under_way=under_way)
    assert move == (Proceed(tier="proxy") if goes_on else Wait(reason="its last runs are under way", for_runs=True))


@pytest.mark.parametrize(
    ("view", "stop_at", "may_be_out"),
    [
        (a_view(runs=4, wall_s=7200.0, whole_runs=4, whole_s=7200.0), {"budget_hours": 3.0}, 1),  # half an hour each
        (a_view(runs=4, wall_s=400.0, whole_runs=4, whole_s=400.0), {"budget_hours": 3.0}, 95),
        (a_view(runs=64, wall_s=60.0), {"budget_hours": 1.0}, 2),
        (a_view(runs=64, wall_s=1800.0, whole_runs=1, whole_s=1740.0), {"budget_hours": 1.0}, 1),
        (a_view(), {"budget_hours": 1.0}, 2),  # 20 minutes each, for all that is known
        (a_view(Tier(successes=4, dearest=2.0), runs=4, cost=5.0), {"budget_cost": 11.0}, 2),
        (a_view(Tier(successes=4), runs=4), {"budget_cost": 11.0}, 95),
        (a_view(Tier(runs=4), runs=4), {"budget_cost": 11.0}, 0),
        (a_view(), {"budget_cost": 11.0, "cost_per_run": 4.0}, 1),
    ],
    ids=[
        "by the mean so far",
        "cheap ones",
        "cancelled ones are no measure",
        "beside one that ended",
        "by the budget of a run",
        "by the dearest",
        "that cost nothing",
        "of which nothing is known",
        "by what the SPEC says",
    ],
)
def test_runs_under_way_count_towards_a_budget_as_what_they_will_probably_cost(
    view: View, stop_at: dict[str, float], may_be_out: int
) -> None:
    spec = msgspec.structs.replace(stop(**stop_at), time_budget_s=1200.0)
    out = [isinstance(decide(view, spec, NOW, under_way=under_way), Proceed) for under_way in range(120)]
    assert out == [under_way <= may_be_out for under_way in range(120)]


@pytest.mark.parametrize(("losses", "limit", "stops"), [(2, None, False), (3, None, True), (3, 4, False), (1, 1, True)])
def test_runs_that_are_lost_in_a_row_stop_it_for_a_person(losses: int, limit: int | None, stops: bool) -> None:
    view = a_view(losses=losses, loss_reason="the place where it ran was lost on n7")
    move = decide(view, stop(max_consecutive_failures=limit), NOW)
    assert isinstance(move, Pause if stops else Proceed)
    if isinstance(move, Pause):
        assert move.reason == f"{losses} runs in a row were lost; the last: the place where it ran was lost on n7"


def test_runs_that_never_began_are_no_iterations() -> None:
    assert decide(a_view(runs=12, unbegun=3), a_spec(max_iterations_total=10), NOW) == Proceed(tier="proxy")
    assert isinstance(decide(a_view(runs=13, unbegun=3), a_spec(max_iterations_total=10), NOW), Finish)


def test_a_run_that_nothing_is_under_way_beside_is_not_held_back_by_what_it_might_cost() -> None:
    assert decide(a_view(runs=1, wall_s=3000.0), stop(budget_hours=1.0), NOW) == Proceed(tier="proxy")


def test_at_once_passes_over_the_cadence_and_nothing_else() -> None:
    fresh = a_view(last=a_run(ago=timedelta(minutes=1)), runs=1)
    assert isinstance(decide(fresh, a_spec(cadence="weekly"), NOW), Wait)
    assert decide(fresh, a_spec(cadence="weekly"), NOW, at_once=True) == Proceed(tier="proxy")
    paused = a_view(phase="paused", last=a_run(), runs=1)
    assert decide(paused, a_spec(), NOW, at_once=True) == Wait(reason="it is paused")
    spent = a_view(last=a_run(), runs=100)
    assert isinstance(decide(spent, a_spec(), NOW, at_once=True), Finish)


def a_loop(*candidates: Run, failure_streak: int = 0) -> View:
    """A view of a code loop, after its baseline and these."""
    last = (baseline(10, 11), *candidates)[-1]
    ended = msgspec.structs.replace(last, ended_at=stamp(NOW - timedelta(hours=9)))
    tier = Tier(loop=after(baseline(10, 11), *candidates), best=ended if last.verdict == "keep" else None, successes=2)
    return a_view(tier, last=ended, runs_since_opened=1 + len(candidates), failure_streak=failure_streak)


def test_a_loop_that_gains_no_more_than_the_noise_is_saturated() -> None:
    quiet = [tried(number, "discard", 10.0, gain=0.1) for number in range(1, 4)]
    found = decide(a_loop(*quiet), stop(saturation=3), NOW)
    assert found == Finish(reason="saturated", facts={"candidates_without_a_gain": 3, "max": 3})
    assert decide(a_loop(*quiet[:2]), stop(saturation=3), NOW) == Proceed(tier="proxy")
    simpler = tried(4, "keep", 10.0, rule="improve-or-simpler")
    assert isinstance(decide(a_loop(*quiet, simpler), stop(saturation=4), NOW), Finish)
    assert decide(a_loop(*quiet, tried(4, "keep", 9.0)), stop(saturation=4), NOW) == Proceed(tier="proxy")


def test_tokens_that_are_used_up_end_it() -> None:
    view = a_loop(tried(1, "discard", 10.0, tokens=600), tried(2, "crash", tokens=500))
    assert decide(view, stop(budget_tokens=1000), NOW) == Finish(
        reason="token budget used", facts={"tokens": 1100, "max": 1000}
    )
    assert decide(view, stop(budget_tokens=2000), NOW) == Proceed(tier="proxy")


def test_so_many_that_were_not_kept_pause_it_and_resuming_gives_as_many_again() -> None:
    spec, unkept = a_spec(pause_after_unkept=3), [tried(number, "discard", 10.0) for number in range(1, 5)]
    found = decide(a_loop(*unkept), spec, NOW)
    assert found == Pause(reason="4 candidates in a row were not kept", facts={"unkept": 4, "max": 3})
    resumed = msgspec.structs.replace(a_loop(*unkept), runs_since_opened=2)
    assert decide(resumed, spec, NOW) == Proceed(tier="proxy")
    assert decide(a_loop(*unkept[:2]), spec, NOW) == Proceed(tier="proxy")


def test_a_loop_bears_more_crashes_in_a_row_than_a_run_that_is_always_the_same() -> None:
    assert decide(a_loop(failure_streak=5), a_spec(), NOW) == Proceed(tier="proxy")
    assert isinstance(decide(a_view(failure_streak=5), a_spec(), NOW), Pause)
    assert isinstance(decide(a_loop(failure_streak=15), a_spec(), NOW), Pause)
    limit = stop(max_consecutive_failures=4)
    assert isinstance(decide(a_loop(failure_streak=4), limit, NOW), Finish)


def test_only_a_gain_is_a_new_best_of_a_loop() -> None:
    spec = a_spec(escalate_when=("new_best",))
    assert decide(a_loop(), spec, NOW) == Proceed(tier="proxy")
    assert decide(a_loop(tried(1, "keep", 10.0, rule="improve-or-simpler")), spec, NOW) == Proceed(tier="proxy")
    assert isinstance(decide(a_loop(tried(1, "keep", 9.0)), spec, NOW), Escalate)


@pytest.mark.parametrize("word", ["metric_drift", "holdout_gap"])
def test_an_alarm_of_a_loop_hands_it_over_where_the_spec_says_so(word: str) -> None:
    alarmed = msgspec.structs.replace(tried(1, "discard", 10.0), signals=(word,))
    assert decide(a_loop(alarmed), a_spec(escalate_when=(word,)), NOW) == Escalate(
        reason=word, facts={"run": "RUN-000001"}
    )
    assert decide(a_loop(alarmed), a_spec(), NOW) == Proceed(tier="proxy")
