"""The staircase as a value: what each run is, which were steps, and what the noise makes of them."""

from __future__ import annotations

import itertools
import time

import msgspec
import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st

from lab.core import space as spaces
from lab.core.candidate import BASELINE, IMPORTED, IMPROVE, REPLAYED, Candidate
from lab.core.loop import Loop
from lab.core.noise import Noise
from lab.core.origin import Origin
from lab.core.view import Tier
from lab.projections.picture import changed, stairs, whole
from lab.projections.picture.given import Given
from lab.projections.tables import Line, Ran
from tests.projections import givens, subjects

Outcomes = list[float | str]


def search(values: Outcomes, *, direction: str = "minimize", noise: bool | None = None, tier: str = "") -> Given:
    """Runs of a search in the order of history; a word is how a run without a value ended."""
    lines = tuple(
        Line(
            run_id=f"RUN-{number}",
            outcome=value if isinstance(value, str) else "success",
            value=None if isinstance(value, str) else value,
            tier=tier or subjects.view().tier,
            params={"lr": number},
        )
        for number, value in enumerate(values, 1)
    )
    spec = subjects.spec()
    return Given(view=subjects.view(direction=direction), spec=msgspec.structs.replace(spec, noise=noise), lines=lines)


def loop(*runs: tuple[str, float | None, Candidate], noise: Noise | None = None) -> Given:
    """Runs of a code loop: verdict, value, candidate."""
    outcome = {"crash": "crash", "checks_failed": "failed"}
    view = subjects.view(direction="minimize")
    view.tiers = {view.tier: Tier(loop=Loop(noise=noise or Noise()))}
    lines = tuple(
        Line(
            run_id=f"RUN-{number}",
            outcome=outcome.get(verdict, "success"),
            value=value,
            tier=view.tier,
            verdict=verdict,
            candidate=candidate,
            ran=Ran(said=f"change {number}"),
        )
        for number, (verdict, value, candidate) in enumerate(runs, 1)
    )
    return Given(view=view, spec=subjects.spec(), lines=lines)


def of(given: Given) -> stairs.Stairs:
    return stairs.of(given, given.view.tier)


def kinds(found: stairs.Stairs) -> list[str]:
    return [spot.kind for spot in found.spots]


def test_in_a_search_whose_noise_nobody_knows_every_new_best_is_kept_and_that_it_is_not_known_is_told() -> None:
    found = of(search([3.0, 4.0, 2.0, "crash", 1.9, "timeout", "failed", "cancelled"]))
    assert kinds(found) == ["keep", "discard", "keep", "crash", "keep", "crash", "crash", "cancelled"]
    assert [step.n for step in found.steps] == [1, 3, 5]
    assert found.band is None
    assert found.counts == {"keep": 3, "discard": 1, "crash": 3, "cancelled": 1}


def test_a_crash_has_no_value_and_is_never_a_step() -> None:
    found = of(search(["crash", 3.0, "crash"]))
    assert [(spot.kind, spot.value) for spot in found.spots] == [("crash", None), ("keep", 3.0), ("crash", None)]
    assert [step.n for step in found.steps] == [2]


def test_maximising_mirrors_minimising() -> None:
    values: Outcomes = [3.0, 4.0, "crash", 2.0, 5.0, 1.0]
    mirrored: Outcomes = [value if isinstance(value, str) else -value for value in values]
    low, high = of(search(values)), of(search(mirrored, direction="maximize"))
    assert kinds(low) == kinds(high)
    assert [(step.n, -step.value) for step in low.steps] == [(step.n, step.value) for step in high.steps]


def repeated(*values: float) -> Given:
    """A search of which the first point was measured often: what its repeats differ by is the noise."""
    base = search([*values])
    lines = [msgspec.structs.replace(base.lines[0], run_id=f"AGAIN-{n}", value=values[0] + 0.01 * n) for n in range(9)]
    return msgspec.structs.replace(base, lines=(*lines, *base.lines))


def test_a_new_best_within_the_noise_is_a_step_and_is_said_to_be_within() -> None:
    found = of(repeated(3.0, 2.99, 1.0))
    assert found.band is not None
    assert 0.05 < found.band.width < 0.2
    assert found.band.sigma == pytest.approx(0.027, rel=0.1)
    assert "measured more than once" in found.band.source
    by_run = {spot.run_id: spot.kind for spot in found.spots}
    assert (by_run["RUN-2"], by_run["RUN-3"]) == ("within", "keep")
    assert {step.run_id: step.within for step in found.steps}["RUN-2"]


def test_many_small_lucks_do_not_add_up_unseen_but_a_real_descent_does() -> None:
    found = of(repeated(3.0, *(2.99 - 0.03 * step for step in range(1, 20))))
    told_apart = [step.value for step in found.steps if not step.within]
    assert found.band is not None
    gaps = [before - after for before, after in itertools.pairwise(told_apart)]
    assert gaps
    assert all(gap > found.band.width for gap in gaps)


def test_a_spec_that_says_there_is_no_noise_is_believed_until_a_repeat_differs() -> None:
    found = of(search([3.0, 2.0], noise=False))
    assert found.band == stairs.Band(sigma=0.0, width=0.0, source="the SPEC says that there is none")
    differs = repeated(3.0, 2.0)
    spec = msgspec.structs.replace(subjects.spec(), noise=False)
    band = of(msgspec.structs.replace(differs, spec=spec)).band
    assert band is not None
    assert band.width > 0


def test_a_code_loop_is_what_its_verdicts_say_not_what_its_numbers_look_like() -> None:
    found = of(
        loop(
            ("keep", 3.0, Candidate(kind=BASELINE)),
            ("discard", 2.5, Candidate(kind=IMPROVE, gain=0.5, p=0.2, alpha=0.01)),  # a lucky measurement
            ("keep", 2.8, Candidate(kind=IMPROVE, gain=0.2, p=0.001, alpha=0.01)),
            ("checks_failed", None, Candidate(kind=IMPROVE, why="the tests fail")),
            ("crash", None, Candidate(kind=IMPROVE, crash="oom")),
            ("discard", 2.9, Candidate(kind=IMPROVE, gain=-0.1)),
            noise=Noise(df=10, ss=0.1),
        )
    )
    assert kinds(found) == ["baseline", "within", "keep", "crash", "crash", "discard"]
    assert [(step.n, step.value, step.changed) for step in found.steps] == [(1, 3.0, "baseline"), (3, 2.8, "change 3")]
    assert found.spots[3].says == "change 4"


def test_a_change_that_was_discarded_before_it_was_run_is_no_crash() -> None:
    made = loop(
        ("discard", None, Candidate(kind=IMPROVE, why="nothing was changed")),
        ("checks_failed", None, Candidate(kind=IMPROVE, why="the tests fail")),
        ("crash", None, Candidate(kind=IMPROVE, crash="oom")),
        ("discard", None, Candidate(kind=IMPORTED)),
    )
    lines = [msgspec.structs.replace(line, outcome="failed") for line in made.lines[:3]]
    found = of(msgspec.structs.replace(made, lines=(*lines, made.lines[3])))
    assert kinds(found) == ["unmeasured", "crash", "crash", "unmeasured"]
    assert found.counts == {"crash": 2, "unmeasured": 2}
    assert not any(spot.value for spot in found.spots)


def test_wherever_a_failed_run_is_shown_the_reason_is_told_and_not_only_its_makers_note() -> None:
    runs = [
        subjects.run(1, "failed", reason="it ended with exit code 3", note="evenly spread"),
        subjects.run(2, "failed", reason="the tests fail", note="SLACK = 3", candidate=Candidate(kind=IMPROVE)),
    ]
    told = whole.of(givens.given(runs))
    said = ["it ended with exit code 3; evenly spread", "the tests fail; SLACK = 3"]
    assert [spot.says for spot in told.stairs.spots] == said
    assert [row.says for row in told.rows] == said
    assert [each.says for lane in told.timeline.lanes for each in lane.stretches] == said


def test_a_keep_that_no_test_confirmed_is_marked_where_the_noise_could_be_all_of_it() -> None:
    noise = Noise(df=10, ss=0.1)
    found = of(
        loop(
            ("keep", 3.0, Candidate(kind=BASELINE)),
            ("keep", 2.9, Candidate(kind=IMPROVE, gain=0.1)),  # nobody confirmed it
            ("keep", 2.8, Candidate(kind=IMPROVE, gain=0.1, p=0.001, alpha=0.01)),
            ("keep", 1.0, Candidate(kind=IMPROVE, gain=1.8)),  # nor this one, which is far outside
            noise=noise,
        )
    )
    assert [step.within for step in found.steps] == [False, True, False, False]
    assert kinds(found) == ["baseline", "keep", "keep", "keep"]


def test_what_was_kept_for_being_simpler_is_a_step_though_it_is_worse() -> None:
    found = of(
        loop(
            ("keep", 3.0, Candidate(kind=BASELINE)),
            ("keep", 3.1, Candidate(kind=IMPROVE, gain=-0.1, rule="improve-or-simpler")),
        )
    )
    assert [step.value for step in found.steps] == [3.0, 3.1]


def test_what_another_harness_claims_is_shown_and_compared_with_nothing() -> None:
    found = of(
        loop(
            ("keep", None, Candidate(kind=IMPORTED, claimed=0.1)),
            ("crash", None, Candidate(kind=IMPORTED)),
            ("keep", 3.0, Candidate(kind=BASELINE)),
            ("keep", 2.0, Candidate(kind=REPLAYED)),
        )
    )
    assert kinds(found) == ["claimed", "crash", "baseline", "replayed"]
    assert [spot.value for spot in found.spots] == [0.1, None, 3.0, 2.0]
    assert [step.n for step in found.steps] == [3]


def test_the_noise_of_a_loop_is_its_own_and_few_repeats_make_a_wide_band() -> None:
    base = ("keep", 3.0, Candidate(kind=BASELINE))
    few, many = of(loop(base, noise=Noise(df=2, ss=0.02))).band, of(loop(base, noise=Noise(df=50, ss=0.5))).band
    assert few is not None
    assert many is not None
    assert few.sigma == many.sigma == pytest.approx(0.1)
    assert few.width > 2 * many.width > 0.4
    none = of(loop(base, noise=Noise(df=2, ss=0.0))).band
    assert none is not None
    assert none.width == 0
    assert none.source.endswith("all equal")


def test_a_tier_is_shown_by_itself_and_kinds_are_those_of_every_tier() -> None:
    base = search([3.0, 4.0])
    other = search([9.0, 8.0, "crash"], tier="other")
    both = msgspec.structs.replace(base, lines=(*base.lines, *other.lines))
    assert [spot.value for spot in stairs.of(both, "other").spots] == [9.0, 8.0, None]
    assert [spot.n for spot in stairs.of(both, "other").spots] == [1, 2, 3]
    assert stairs.kinds(both) == ["keep", "discard", "keep", "keep", "crash"]


def test_a_step_says_the_parameter_that_changed_most_and_how_many_others_did() -> None:
    space = spaces.parse({"lr": {"low": 1e-4, "high": 1.0, "log": True}, "depth": {"type": "int", "low": 1, "high": 9}})
    before, after = {"lr": 0.01, "depth": 4, "seed": 1}, {"lr": 0.003, "depth": 4, "seed": 1}
    assert changed.between(space, before, after) == "lr 0.01 -> 0.003"
    assert changed.between(space, before, {**after, "depth": 5}) == "lr 0.01 -> 0.003, depth 4 -> 5"
    assert changed.between(space, before, {**after, "lr": 1.0, "depth": 5}) == "lr 0.01 -> 1, +1 more"
    assert changed.between(space, before, before) == ""
    assert changed.between(None, {"a": True}, {"b": None}) == "b null, no a"


@drawn(st.dictionaries(st.text(max_size=8), st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=9)
    | st.floats(allow_nan=False), lambda inner: st.lists(inner, max_size=3), max_leaves=5), max_size=6),
    st.dictionaries(st.text(max_size=8), st.integers() | st.floats(allow_nan=False) | st.text(max_size=9), max_size=6),
)  # fmt: skip
def test_whatever_parameters_a_run_had_the_change_is_one_short_line(
    before: dict[str, object], after: dict[str, object]
) -> None:
    told = changed.between(None, before, after)
    assert "\n" not in told
    assert len(told) < 200


@pytest.mark.parametrize(("kind", "word"), [("", "first"), ("baseline", "baseline")])
def test_of_a_search_the_first_new_best_is_called_what_it_is_and_not_by_who_made_it(kind: str, word: str) -> None:
    base = search([3.0])
    lines = (msgspec.structs.replace(base.lines[0], origin=Origin(strategy="random", kind=kind)),)
    assert of(msgspec.structs.replace(base, lines=lines)).steps[0].changed == word


def test_hostile_notes_are_one_clean_line() -> None:
    note = "\x1b[31m<script>\u202eevil\n\nsecond" + "x" * 5_000
    given = loop(("keep", 3.0, Candidate(kind=IMPROVE)))
    line = msgspec.structs.replace(given.lines[0], ran=Ran(said=note))
    found = of(msgspec.structs.replace(given, lines=(line,)))
    for told in (found.spots[0].says, found.steps[0].changed):
        assert told.startswith("<script>evil second")
        assert len(told) <= stairs.SAYS_CHARS


def test_no_run_makes_an_empty_staircase() -> None:
    found = of(search([]))
    assert (found.spots, found.steps, found.counts, found.sample) == (
        (),
        (),
        {},
        stairs.Sample(shown=0, total=0, rule="all of them"),
    )


def test_of_100_000_runs_every_step_and_the_ends_are_shown_and_it_is_said_what_is_not() -> None:
    values: Outcomes = [1.0 + (number * 7919 % 1000) / 100 for number in range(100_000)]
    values[40_000], values[70_000], values[60_000] = 0.5, 0.1, 99.0
    given = search(values)
    began = time.process_time()
    found = of(given)
    assert time.process_time() - began < 3
    shown = {spot.n for spot in found.spots}
    assert len(found.spots) == found.sample.shown == 2_000
    assert found.sample.total == sum(found.counts.values()) == 100_000
    assert {1, 100_000, 40_001, 70_001, 60_001} <= shown
    assert {step.n for step in found.steps} <= shown
    assert found.sample.rule.startswith("every new best")
    assert of(given) == found


@drawn(st.lists(st.tuples(st.sampled_from(["proxy", "final", "other"]), st.integers(0, 3), st.integers(0, 9))))
def test_judged_all_at_once_a_tier_is_what_it_is_by_itself(runs: list[tuple[str, int, int]]) -> None:
    lines = tuple(
        Line(run_id=f"RUN-{place}", outcome="success", value=value / 7, params={"a": point}, tier=tier)
        for place, (tier, point, value) in enumerate(runs)
    )
    given = Given(view=subjects.view([]), spec=None, lines=lines)
    told = stairs.everything(given)
    assert told.tiers == {tier: stairs.judge(given, tier) for tier in dict.fromkeys(line.tier for line in lines)}
    counts = dict.fromkeys(told.tiers, 0)
    for line, kind in zip(lines, told.kinds, strict=True):
        assert told.tiers[line.tier].kinds[counts[line.tier]] == kind
        counts[line.tier] += 1


def test_steps_without_end_are_thinned_too_and_that_is_said() -> None:
    found = of(search([float(-number) for number in range(3_000)]))
    assert len(found.steps) == stairs.MOST_STEPS
    assert (found.steps[0].n, found.steps[-1].n) == (1, 3_000)
    assert f"{stairs.MOST_STEPS} of its 3000 steps" in found.sample.rule
