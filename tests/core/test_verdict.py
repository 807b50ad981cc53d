"""What is kept: by one measurement where there is no noise, by fresh pairs where there is."""

from __future__ import annotations

import math
from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.core.candidate import DISCARD, KEEP
from lab.core.loop import Loop, Node, fold
from lab.core.noise import Noise, pooled
from lab.core.spec_fields import Spec
from lab.core.verdict import (
    CONFIRMED,
    IMPROVE,
    SIMPLER,
    STALE,
    Again,
    Measured,
    Terms,
    Verdict,
    baseline,
    confidence,
    confidence_words,
    judge,
    terms,
    value_of,
)
from scripts.bench.quality import code_loop
from tests.core.loops import tried

LESS = code_loop.asked()
STEPPED = [each.name for each in code_loop.NULLS if each.stepped]
SLACK = 3.0  # standard errors: seeded, so it never flakes; and a change of the code should not fail it by chance


def saying(**fields: object) -> Terms:
    """The terms of a SPEC that says this besides."""
    return msgspec.structs.replace(LESS, **fields)


def a_loop(best: float = 10.0, noise: Noise | None = None, **more: object) -> Loop:
    node = Node(run_id="r0", commit="c0", value=best, kept=True)
    quiet = pooled(Noise(), (best, best, best))
    made = Loop(base=node, best=node, peak=best, level=best, seen=3, repeats=3, noise=noise or quiet)
    return msgspec.structs.replace(made, **more)


def noisy(sigma: float = 1.0, df: int = 20) -> Noise:
    return Noise(df=df, ss=df * sigma * sigma)


def answers(mine: list[float], theirs: list[float], loop: Loop, given: Terms = LESS, lines: int = 1) -> Verdict:
    """The verdict on a candidate that would measure so, however often it is asked."""
    measured = Measured(lines=lines)
    for _ in range(100):
        answer = judge(given, loop, measured)
        if isinstance(answer, Verdict):
            return answer
        values, against = len(measured.values) + (answer.pairs or 1), len(measured.against) + answer.pairs
        measured = Measured(values=tuple(mine[:values]), against=tuple(theirs[:against]), lines=lines)
    message = "it never ends"
    raise AssertionError(message)


def test_the_baseline_is_measured_as_often_as_the_spec_says() -> None:
    assert baseline(LESS, ()) == Again()
    assert baseline(LESS, (1.0, 1.0)) == Again()
    found = baseline(LESS, (1.0, 1.0, 1.0))
    assert isinstance(found, Verdict)
    assert (found.verdict, found.rule) == (KEEP, IMPROVE)
    found = baseline(LESS, (1.0, 1.0, 1.0000001))
    assert isinstance(found, Verdict)
    assert found.rule == CONFIRMED
    found = baseline(saying(repeats=1), (1.0,))
    assert isinstance(found, Verdict)
    assert found.rule == CONFIRMED  # measured once, nobody knows that it is not noisy


def test_words_for_people_are_no_rule() -> None:
    spec = Spec(id="a", metric_direction="minimize", acceptance_rule="only if the team likes it")
    assert terms(spec).rule == ""
    assert terms(msgspec.structs.replace(spec, acceptance_rule="improve")).rule == IMPROVE


SAME = [10.0] * 9  # what is to be beaten, however often it is measured


def test_without_noise_one_measurement_decides_and_what_it_would_keep_is_measured_twice_more() -> None:
    assert isinstance(judge(LESS, a_loop(), Measured(values=(10.0,))), Verdict)  # a loser costs no more
    assert judge(LESS, a_loop(), Measured(values=(9.9,))) == Again(pairs=2)
    found = answers([9.9] * 9, SAME, a_loop())
    assert (found.verdict, found.rule, found.p) == (KEEP, IMPROVE, None)
    more = saying(minimize=False)
    assert answers([10.1] * 9, SAME, a_loop(), more).verdict == KEEP
    assert answers([9.9], [], a_loop(), more).verdict == DISCARD


def test_a_declared_improve_asks_once_and_has_no_eye_for_what_is_simpler() -> None:
    given = saying(rule=IMPROVE)
    assert answers([9.9], [], a_loop(), given).verdict == KEEP
    assert answers([10.0], [], a_loop(), given, lines=-9).verdict == DISCARD


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        ([9.0, 10.0, 10.0], [10.0, 10.0]),  # it was luck
        ([9.0, 9.0, 10.0], [10.0, 10.0]),
        ([9.0, 9.0, 9.0], [11.0, 11.0]),  # what is to be beaten is not what it was
        ([9.0, 9.0, 9.0], [10.0, 9.0]),
    ],
)
def test_a_code_that_differs_from_itself_ends_no_noise_before_anything_is_kept_for_it(
    mine: list[float], theirs: list[float]
) -> None:
    measured = Measured(values=tuple(mine), against=tuple(theirs))
    answer = judge(LESS, a_loop(), measured)
    assert answer == Again(pairs=2) or (isinstance(answer, Verdict) and answer.verdict == DISCARD)
    run = tried(1, DISCARD, 9.5, values=measured.values, against=measured.against)
    assert run.candidate is not None
    assert not fold(a_loop(), run, run.candidate).noise.none  # and it is not forgotten


def test_what_ended_no_noise_has_no_part_in_the_test_that_follows() -> None:
    luck, fresh = [9.0, 10.0, 10.0], [9.9, 10.1, 10.0] * 6
    assert answers([*luck, *fresh], SAME[:2] + [10.1, 9.9, 10.0] * 6, a_loop()).verdict == DISCARD
    real = answers([5.0, 5.5, 5.0, *[5.0, 5.5] * 9], [10.0, 10.0, *[10.5, 10.0] * 9], a_loop())
    assert (real.verdict, real.rule) == (KEEP, CONFIRMED)


def test_a_gain_below_the_smallest_that_is_worth_it_is_not_kept() -> None:
    given = saying(min_effect=0.5)
    found = answers([9.6], [], a_loop(), given)
    assert (found.verdict, found.why) == (DISCARD, "the gain is below min_effect")
    assert answers([9.4] * 9, SAME, a_loop(), given).verdict == KEEP
    mine, theirs = [9.7, 9.71, 9.69] * 6, [10.0, 10.01, 9.99] * 6
    assert answers(mine, theirs, a_loop(noise=noisy(0.01)), given).verdict == DISCARD
    assert answers(mine, theirs, a_loop(noise=noisy(0.01))).verdict == KEEP


def test_as_good_with_fewer_lines_is_kept() -> None:
    for rule in ("", SIMPLER):
        given = saying(rule=rule)
        found = answers([10.0] * 9, SAME, a_loop(), given, lines=-1)
        assert (found.verdict, found.rule) == (KEEP, SIMPLER)
        assert answers([10.0], [], a_loop(), given, lines=0).verdict == DISCARD
        assert answers([10.1], [], a_loop(), given, lines=-1).verdict == DISCARD
    mine, theirs = [10.1, *[9.9, 9.8, 10.0, 9.9, 10.0] * 2], [10.0, 10.2, 9.8, 10.1, 9.9] * 2
    found = answers(mine, theirs, a_loop(noise=noisy(0.3)), lines=-1)
    assert (found.verdict, found.rule) == (KEEP, SIMPLER)
    assert answers(mine, theirs, a_loop(noise=noisy(0.3)), lines=0).verdict == DISCARD
    kept_by_luck = a_loop(9.5, noise=noisy(0.3), peak=9.5)  # it has measured as well as this only once
    assert answers(mine, theirs, kept_by_luck, lines=-1).verdict == DISCARD


def test_where_there_is_no_noise_pairs_are_measured_only_if_the_spec_says_so() -> None:
    given = saying(rule=CONFIRMED)
    loop = a_loop(0.0)
    assert judge(given, loop, Measured(values=(-1.0,))) == Again(pairs=2)
    assert answers([-1.0] * 9, [0.0] * 9, loop, given).verdict == KEEP
    assert answers([0.0] * 9, [0.0] * 9, loop, given, lines=-1).rule == SIMPLER
    assert answers([1.0] * 9, [0.0] * 9, loop, given, lines=-1).verdict == DISCARD


def test_what_makes_measuring_noisier_is_not_as_good() -> None:
    mine = [10.0, *[40.0, -15.0, 38.0, -12.0, 41.0, -17.0, 40.0, -10.0] * 2]
    assert answers(mine, [10.0, 10.2, 9.8, 10.1, 9.9] * 2, a_loop(noise=noisy()), lines=-1).verdict == DISCARD


def test_what_only_looked_better_once_is_not_kept() -> None:
    found = answers([5.0, *[10.0, 9.9, 10.1] * 6], [10.0, 10.1, 9.9] * 6, a_loop(noise=noisy()))
    assert (found.verdict, found.rule) == (DISCARD, CONFIRMED)
    assert found.alpha > 0


def test_the_measurement_that_selected_a_candidate_has_no_part_in_its_test() -> None:
    again, theirs = [9.5, 9.9, 9.2, 9.8, 9.6] * 2, [10.0, 10.1, 9.9, 10.2, 10.0] * 2
    lucky, luckier = (answers([first, *again], theirs, a_loop(noise=noisy())) for first in (7.0, -50.0))
    assert (lucky.gain, lucky.p) == (luckier.gain, luckier.p)


def test_the_alpha_of_a_session_is_never_overdrawn() -> None:
    loop, spent = a_loop(noise=noisy()), 0.0
    for number in range(200):
        found = answers([5.0, *[10.0, 9.9, 10.1] * 6], [10.0, 10.1, 9.9] * 6, loop)
        assert found.alpha > 0
        spent += found.alpha
        loop = msgspec.structs.replace(loop, alpha=spent, tests=number + 1)
    assert spent <= LESS.alpha
    nothing_left = msgspec.structs.replace(loop, alpha=LESS.alpha)
    assert answers([5.0, *[1.0] * 20], [10.0] * 20, nothing_left).verdict == DISCARD


def test_candidates_at_once_leave_each_other_something() -> None:
    given = saying(parallel=4)
    found = answers([1.0, *[10.0, 9.9, 10.1] * 6], [10.0, 10.1, 9.9] * 6, a_loop(noise=noisy()), given)
    assert found.alpha <= LESS.alpha / 4


def test_a_large_gain_is_confirmed_by_fresh_measurements_and_worth_their_mean() -> None:
    mine = [1.0, 5.0, 5.2, 4.9, 5.1, 5.0, 4.8, 5.0, 5.0]
    found = answers(mine, [10.0, 10.1, 9.9, 10.0, 10.0, 10.1, 9.9, 10.0], a_loop(noise=noisy()))
    assert (found.verdict, found.rule) == (KEEP, CONFIRMED)
    assert found.p is not None
    assert found.p <= found.alpha <= LESS.alpha
    measured = Measured(values=(1.0, 5.0, 5.2), against=(10.0, 10.1))
    assert value_of(measured) == pytest.approx(5.1)  # and not of the 1.0 that selected it


def test_the_incumbent_is_looked_at_again_though_nothing_looks_better() -> None:
    """A machine that became slower would make everything look worse than the best, for ever."""
    loop = a_loop(noise=noisy(), unseen=STALE)
    assert judge(LESS, loop, Measured(values=(14.0,))) == Again(pairs=1)
    better = Measured(values=(14.0, 14.1), against=(17.0,))
    assert judge(LESS, loop, better) == Again(pairs=2)


def test_a_metric_that_differs_from_itself_is_noisy_from_then_on() -> None:
    loop = a_loop(unseen=20)
    assert judge(LESS, loop, Measured(values=(9.9,))) == Again(pairs=1)
    same = Measured(values=(9.9, 9.9), against=(10.0,))
    assert judge(LESS, loop, same) == Again(pairs=1)  # and one more, before it is kept
    assert isinstance(judge(LESS, loop, Measured(values=(10.1, 10.1), against=(10.0,))), Verdict)
    other = Measured(values=(9.9, 9.9), against=(10.5,))
    assert judge(LESS, loop, other) == Again(pairs=2)


def test_without_a_baseline_nothing_is_kept() -> None:
    found = judge(LESS, Loop(), Measured(values=(1.0,)))
    assert isinstance(found, Verdict)
    assert found.verdict == DISCARD


@given(
    st.lists(st.floats(-1e308, 1e308), min_size=30, max_size=30),
    st.lists(st.floats(-1e308, 1e308), min_size=30, max_size=30),
    st.sampled_from(["", *[IMPROVE, SIMPLER, CONFIRMED]]),
    st.integers(-3, 3),
    st.integers(0, 30),
    st.integers(2, 9),
)
def test_every_candidate_comes_to_a_verdict(
    mine: list[float], theirs: list[float], rule: str, lines: int, unseen: int, pairs: int
) -> None:
    for known in (Noise(), noisy(), pooled(Noise(), (10.0, 10.0))):
        given = saying(minimize=False, rule=rule, max_pairs=pairs)
        loop = a_loop(noise=known, unseen=unseen)
        found = answers(mine, theirs, loop, given, lines)
        assert found.verdict in (KEEP, DISCARD)
        assert found.alpha <= given.alpha


@given(st.lists(st.floats(5, 15), min_size=20, max_size=20), st.lists(st.floats(5, 15), min_size=20, max_size=20))
def test_the_two_directions_mirror_each_other(mine: list[float], theirs: list[float]) -> None:
    down = answers(mine, theirs, a_loop(noise=noisy()))
    up = answers([-x for x in mine], [-x for x in theirs], a_loop(-10.0, noise=noisy()), saying(minimize=False))
    assert down == up


def test_under_noise_alone_a_session_keeps_something_false_as_rarely_as_declared() -> None:
    sessions, alpha = 60, LESS.alpha
    bound = alpha + SLACK * math.sqrt(alpha * (1 - alpha) / sessions)
    for scenario in code_loop.NULLS:
        if scenario.lines < 0:  # takes as long as all of the others
            continue
        told = code_loop.told(scenario, sessions=sessions, candidates=30, seed=3)
        assert sum(each.false > 0 for each in told) / sessions <= bound, scenario.name
        # What the peers' rule keeps in the same sessions: less often where most measurements are equal.
        assert sum(each.greedy for each in told) / sessions > (0.5 if scenario.name in STEPPED else 2), scenario.name


def test_a_real_gain_is_still_found() -> None:
    told = code_loop.told(code_loop.REALS[1], sessions=60, candidates=30, seed=3)
    chances, with_one = sum(each.chances for each in told), [each for each in told if each.chances]
    assert sum(each.found for each in told) / chances > 0.65
    assert sum(each.found > 0 for each in with_one) / len(with_one) > 0.75


def walked(step: float, seed: int, changes: int) -> tuple[float, int]:
    """Where changes end that each take away a line and so many sigmas, and how many of them were kept."""
    scenario = code_loop.Scenario("worse and simpler", code_loop.gauss, lines=-1)
    machine = code_loop.Machine(scenario, Random(seed))
    loop, worth = code_loop.begun(LESS, machine), 0.0
    for number in range(changes):
        measured, found = code_loop.tried(LESS, loop, machine, (worth, worth - step), scenario)
        loop = code_loop.folded(loop, number + 1, measured, found)
        worth -= step if found.verdict == KEEP else 0
    return worth, loop.simpler


@pytest.mark.parametrize("step", [0.25, 0.5])
def test_many_simpler_changes_do_not_walk_downhill(step: float) -> None:
    """Taken one by one, each would be as good as the one before."""
    ends = [walked(step, seed, 60) for seed in range(12)]
    assert sum(simpler for _, simpler in ends) > 0
    assert sum(worth for worth, _ in ends) / len(ends) > -0.8
    assert min(worth for worth, _ in ends) > -2.0


def test_what_is_as_good_and_shorter_is_mostly_found_in_the_end() -> None:
    assert sum(simpler for _, simpler in (walked(0.0, seed, 30) for seed in range(6))) > 20


def test_the_confidence_of_the_peers_is_printed_as_they_compute_it() -> None:
    assert confidence(8.0, 10.0, [10.0, 9.0, 8.0, 11.0, 10.0]) == pytest.approx(2.0)
    assert confidence(8.0, 10.0, [10.0, 8.0]) is None
    assert confidence(10.0, 10.0, [10.0, 10.0, 10.0]) is None
    assert [confidence_words(each) for each in (None, 0.5, 1.5, 2.0)] == ["", "noise", "marginal", "likely real"]
