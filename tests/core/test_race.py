"""Who goes on to the next tier, and which run is hopeless at its step."""

from __future__ import annotations

from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.core import race
from lab.core.curve import Track
from lab.core.origin import PROMOTED, REPLAY, Origin
from lab.core.race import Cohort, Judge, Promotion, promotable, spared
from lab.core.run import CANCELLED, FAILED, SUCCESS
from lab.core.spec import Spec
from lab.core.spec_fields import Override
from lab.core.trial import Trial

TIERS = ("low", "middle", "high")
LESS = dict.fromkeys(TIERS, True)
MORE = dict.fromkeys(TIERS, False)


def trial(number: int, value: float | None = None, tier: str = "low", **more: object) -> Trial:
    outcome = FAILED if value is None else SUCCESS
    origin = Origin(strategy="random", seed=1, number=number)
    made = Trial(
        run_id=f"{tier}-{number}", params={"x": number}, value=value, outcome=outcome, tier=tier, origin=origin
    )
    return msgspec.structs.replace(made, **more)


def promoted(of: Trial, tier: str, value: float | None = None, *, tries: int = 0, outcome: str = "") -> Trial:
    origin = msgspec.structs.replace(of.origin, kind=PROMOTED, tries=tries, parents=(of.run_id,))
    how = outcome or (FAILED if value is None else SUCCESS)
    return trial(of.origin.number, value, tier, run_id=f"{tier}-of-{of.run_id}", origin=origin, outcome=how)


def chosen(trials: list[Trial], *, share: float = 0.0, minimize: dict[str, bool] = LESS) -> Promotion | None:
    return promotable(trials, TIERS, minimize=minimize, eta=4, share=share, seed=1)


def who(trials: list[Trial], *, share: float = 0.0, minimize: dict[str, bool] = LESS) -> tuple[str, str] | None:
    found = chosen(trials, share=share, minimize=minimize)
    return None if found is None else (found.trial.run_id, found.tier)


def test_the_best_quarter_goes_on_and_nobody_before_there_are_four() -> None:
    trials = [trial(number, 1.0 - number / 10) for number in range(8)]
    assert who(trials[:3]) is None
    assert who(trials[:4]) == ("low-3", "middle")
    first = promoted(trials[3], "middle", 0.5)
    assert who([*trials[:7], first]) == ("low-6", "middle")  # another one is the best now
    gone = [first, promoted(trials[6], "middle", 0.4)]
    assert who([*trials[:7], *gone]) is None
    assert who([*trials, *gone]) == ("low-7", "middle")
    found = chosen(trials)
    assert found is not None
    assert (found.note, found.trial.params) == ("1st of 8 in low", {"x": 7})


def test_what_failed_is_no_candidate_and_does_not_count() -> None:
    trials = [trial(0, 0.5), trial(1), trial(2), trial(3), trial(4, 0.1)]
    assert who(trials) is None
    assert who([*trials, trial(5, 0.6), trial(6, 0.7)]) == ("low-4", "middle")


def test_what_was_stopped_as_hopeless_counts_as_beaten() -> None:
    hopeless = [trial(number, outcome=CANCELLED, reported=9.0) for number in range(3)]
    assert who([trial(9, 0.5), *hopeless]) == ("low-9", "middle")
    assert who([trial(9, 0.5), *(msgspec.structs.replace(each, reported=None) for each in hopeless)]) is None


@pytest.mark.parametrize(
    "next_run",
    [
        promoted(trial(0, 0.1), "middle", 5.0),
        promoted(trial(0, 0.1), "middle"),
        msgspec.structs.replace(promoted(trial(0, 0.1), "middle"), outcome=""),
        promoted(trial(0, 0.1), "middle", outcome=CANCELLED),
        promoted(trial(0, 0.1), "middle", tries=1, outcome=""),
    ],
    ids=["ended", "failed", "under way", "cancelled", "tried again"],
)
def test_a_candidate_goes_on_once_however_that_ends(next_run: Trial) -> None:
    trials = [trial(number, (number + 1) / 10) for number in range(4)]
    assert who(trials) == ("low-0", "middle")
    assert who([*trials, next_run]) is None


def test_the_highest_tier_goes_first_and_its_values_are_its_own() -> None:
    low = [trial(number, 1.0 + number) for number in range(20)]
    middle = [promoted(each, "middle", 100.0 - each.origin.number) for each in low[:4]]
    assert who([*low, *middle]) == ("middle-of-low-3", "high")
    there = promoted(middle[3], "high", 7.0)
    assert who([*low, *middle, there]) == ("low-4", "middle")


def test_each_tier_has_its_own_direction() -> None:
    trials = [trial(number, float(number)) for number in range(4)]
    assert who(trials, minimize=MORE) == ("low-3", "middle")
    spec = Spec(
        id="a", fidelity_tiers=("low", "high"), metric_direction="minimize",
        overrides=(Override(tier="high", field="metric_direction", value="maximize"),),
    )  # fmt: skip
    assert race.minimized(spec) == {"low": True, "high": False}


def test_a_run_that_was_repeated_does_not_compete_twice() -> None:
    trials = [trial(number, (number + 1) / 10) for number in range(3)]
    again = trial(0, 0.1, run_id="again", origin=Origin(kind=REPLAY, parents=("low-0",)))
    assert who([*trials, again]) is None


def test_whoever_is_spared_goes_on_through_every_tier_whatever_its_rank() -> None:
    number = next(number for number in range(100) if spared(1, number, 0.1))
    trials = [trial(number, 9.9), trial(1000, 0.1)]
    assert who(trials, share=0.1) == (f"low-{number}", "middle")
    second = promoted(trials[0], "middle", 9.9)
    assert who([*trials, second], share=0.1) == (second.run_id, "high")
    assert who([*trials, second, promoted(second, "high", 9.9)], share=0.1) is None
    assert who([trial(number)], share=1.0) is None  # not what failed
    assert who([trial(number, 9.9, origin=Origin())], share=1.0) is None  # nor what no search chose


def test_about_the_share_is_spared_and_the_same_are_by_everybody() -> None:
    drawn = [spared(7, number, 0.1) for number in range(5000)]
    assert 400 < sum(drawn) < 600
    assert drawn == [spared(7, number, 0.1) for number in range(5000)]
    assert drawn != [spared(8, number, 0.1) for number in range(5000)]
    assert not any(spared(7, number, 0.0) for number in range(1000))
    assert all(spared(7, number, 1.0) for number in range(1000))
    assert all(spared(7, number, 0.5) for number, each in enumerate(drawn) if each)


def _raced(values: list[float], order: Random, *, share: float = 0.0, minimize: bool = True) -> list[Trial]:
    """A whole race with up to three runs under way at once; a candidate's value is the same in each tier."""
    sign = 1.0 if minimize else -1.0
    waiting = list(enumerate(values))
    going: list[Trial] = []
    ended: list[Trial] = []
    while True:
        found = chosen([*ended, *going], share=share, minimize=LESS if minimize else MORE)
        if len(going) < 3 and found is not None:
            going.append(promoted(found.trial, found.tier, outcome=" "))
            going[-1] = msgspec.structs.replace(going[-1], outcome="")
        elif len(going) < 3 and waiting:
            going.append(trial(waiting.pop(0)[0], outcome=""))
        elif going:
            last = going.pop(order.randrange(len(going)))
            value = sign * values[last.origin.number]
            ended.append(msgspec.structs.replace(last, value=value, outcome=SUCCESS))
        else:
            return ended


@given(st.lists(st.floats(0, 1, width=16), min_size=1, max_size=40), st.integers(0, 9), st.sampled_from([0.0, 0.2]))
def test_a_race_ends_with_the_best_quarter_of_each_tier_in_the_next(
    values: list[float], seed: int, share: float
) -> None:
    ended = _raced(values, Random(seed), share=share)
    mirror = _raced(values, Random(seed), share=share, minimize=False)
    assert [each.run_id for each in mirror] == [each.run_id for each in ended]
    for lower, upper in (("low", "middle"), ("middle", "high")):
        here = [each for each in ended if each.tier == lower]
        gone = [parent for each in ended if each.tier == upper for parent in each.origin.parents]
        assert len(gone) == len(set(gone))
        assert set(gone) <= {each.run_id for each in here}
        ranked = sorted(here, key=lambda each: (each.value or 0.0, ended.index(each)))
        assert {each.run_id for each in ranked[: len(here) // 4]} <= set(gone)
        assert {each.run_id for each in here if spared(1, each.origin.number, share)} <= set(gone)


# -- stopping a run -------------------------------------------------------------------------------------------------


def falling(to: float, steps: int = 27, *, minimize: bool = True) -> Track:
    sign = 1.0 if minimize else -1.0
    return Track([(float(step), sign * (to + 1.0 / step)) for step in range(1, steps + 1)], minimize=minimize)


def cohort(*to: float, minimize: bool = True) -> Cohort:
    return Cohort(tracks=[falling(each, minimize=minimize) for each in to], longest=27.0)


def stopped(
    judge: Judge, to: float, before: Cohort, *, steps: range = range(1, 28), minimize: bool = True
) -> tuple[int, str] | None:
    sign = 1.0 if minimize else -1.0
    for step in steps:
        why = judge.told(float(step), sign * (to + 1.0 / step), lambda: before)
        if why:
            return step, why
    return None


def by(rule: str, *, minimize: bool = True, eta: float = 4.0, longest: float = 27.0) -> Judge:
    return Judge(rule, minimize=minimize, eta=eta, longest=longest)


@pytest.mark.parametrize("minimize", [True, False])
def test_what_is_worse_than_the_median_is_stopped_once_it_is_warm(minimize: bool) -> None:
    before = cohort(0.1, 0.2, 0.3, 0.4, 0.5, minimize=minimize)
    found = stopped(by("median", minimize=minimize), 0.31, before, minimize=minimize)
    sign = "" if minimize else "-"
    words = f"step 3: {sign}0.643333 is worse than the median {sign}0.633333 of 5 earlier runs"
    assert found == (3, words)
    assert stopped(by("median", minimize=minimize), 0.3, before, minimize=minimize) is None


def test_the_median_of_an_even_number_lies_between_the_two_in_the_middle() -> None:
    before = cohort(0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
    assert stopped(by("median"), 0.35, before) is None
    assert stopped(by("median"), 0.36, before) is not None


@pytest.mark.parametrize("minimize", [True, False])
def test_what_is_not_among_the_best_quarter_is_stopped_at_its_rung(minimize: bool) -> None:
    before = cohort(0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, minimize=minimize)
    found = stopped(by("asha", minimize=minimize), 0.21, before, minimize=minimize)
    sign = "" if minimize else "-"
    words = f"step 3: {sign}0.543333 is not among the best 1 in 4 of 8 runs, which have {sign}0.533333 or better"
    assert found == (3, words)
    assert stopped(by("asha", minimize=minimize), 0.2, before, minimize=minimize) is None


def test_between_its_rungs_asha_lets_a_run_be() -> None:
    before = cohort(0.1, 0.2, 0.3, 0.4)
    judge = by("asha")
    assert judge.told(3.0, 0.1, lambda: before) == ""
    looked: list[int] = []

    def seen() -> Cohort:
        looked.append(1)
        return before

    for step in range(4, 28):
        judge.told(float(step), 9.0, seen)
    assert len(looked) == 1  # at 12; the next rung would lie beyond the end


def test_at_its_end_and_beyond_a_run_is_let_be() -> None:
    before = Cohort(tracks=[falling(0.1, 99)] * 4, longest=27.0)
    judge = by("asha", eta=3.0)
    assert judge.told(9.0, 0.1, lambda: before) == ""
    judge = by("asha", eta=3.0)
    judge._look_at = judge._next(9.0, 27.0)
    assert [judge.told(float(step), 9.0, lambda: before) for step in range(10, 99)] == [""] * 89


def test_a_run_that_reports_seldom_is_judged_at_the_rung_it_has_passed() -> None:
    before = cohort(0.1, 0.2, 0.3, 0.4)
    assert stopped(by("asha"), 0.9, before, steps=range(7, 28, 7)) == (
        7, "step 7: 1.04286 is not among the best 1 in 4 of 5 runs, which have 0.242857 or better"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "before"),
    [
        ("median", cohort(0.1, 0.2, 0.3, 0.4)),
        ("asha", cohort(0.1, 0.2, 0.3)),
        ("median", Cohort()),
        ("none", cohort(*(0.1,) * 9)),
        ("median", Cohort(tracks=[falling(0.1, 2)] * 9, longest=27.0)),  # none of them got so far
    ],
)
def test_without_enough_earlier_runs_nobody_is_stopped(rule: str, before: Cohort) -> None:
    assert stopped(by(rule), 99.0, before) is None


def test_the_length_of_a_run_that_the_spec_does_not_say_is_that_of_the_longest_success() -> None:
    before = cohort(0.1, 0.2, 0.3, 0.4, 0.5)
    assert stopped(by("median", longest=0.0), 9.0, before) == stopped(by("median"), 9.0, before)
    unknown = Cohort(tracks=before.tracks, longest=0.0)
    assert stopped(by("median", longest=0.0), 9.0, unknown) is None


@pytest.mark.parametrize("rule", ["median", "asha"])
def test_nobody_is_stopped_near_the_end_or_within_the_noise(rule: str) -> None:
    before = cohort(0.1, 0.2, 0.3, 0.4, 0.5)
    assert by(rule).told(10.0, 0.9, lambda: before)
    assert not by(rule).told(25.0, 0.9, lambda: before)
    noisy = Cohort(tracks=before.tracks, longest=before.longest, sigma=0.4)
    assert not by(rule).told(10.0, 0.9, lambda: noisy)
    assert by(rule).told(10.0, 9.0, lambda: noisy)


def test_what_was_better_before_counts() -> None:
    before = cohort(0.1, 0.2, 0.3, 0.4, 0.5)
    judge = by("median")
    assert judge.told(1.0, 0.05, lambda: before) == ""
    assert judge.told(20.0, 9.0, lambda: before) == ""


@given(
    st.sampled_from(["median", "asha"]),
    st.lists(st.lists(st.floats(0, 1, width=16), min_size=1, max_size=30), max_size=20),
    st.lists(st.floats(0, 1, width=16), min_size=1, max_size=30),
    st.sampled_from([1.5, 2.0, 4.0, 10.0]),
)
def test_a_run_that_leads_at_every_step_is_never_stopped_and_directions_mirror(
    rule: str, others: list[list[float]], mine: list[float], eta: float
) -> None:
    told = {}
    for minimize in (True, False):
        sign = 1.0 if minimize else -1.0
        tracks = [
            Track([(float(at), sign * each) for at, each in enumerate(curve)], minimize=minimize) for curve in others
        ]
        before = Cohort(tracks=tracks, longest=30.0)
        leader = by(rule, minimize=minimize, eta=eta, longest=30.0)
        assert not any(leader.told(float(step), sign * -0.1, lambda: before) for step in range(30))  # noqa: B023  # at once
        judge = by(rule, minimize=minimize, eta=eta, longest=30.0)
        told[minimize] = [bool(judge.told(float(at), sign * each, lambda: before)) for at, each in enumerate(mine)]  # noqa: B023  # at once
    assert told[True] == told[False]
