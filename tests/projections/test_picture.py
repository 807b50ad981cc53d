"""The picture as a whole: the same files give the same bytes, its size is bounded, and nothing is hidden in it."""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given as with_data
from hypothesis import settings
from hypothesis import strategies as st

from lab.core import candidate as code
from lab.core.candidate import BASELINE, IMPROVE, KEEP, Candidate
from lab.core.errors import BadInput
from lab.core.origin import BASELINE as FIRST
from lab.core.origin import Origin
from lab.core.parameter import Parameter
from lab.core.run import Run
from lab.core.space import Space
from lab.core.subject import Finding
from lab.projections.picture import stairs, thinning, whole
from lab.projections.picture.given import Given, UnderWay, Weighed
from lab.projections.tables import Line
from tests.projections import markdown
from tests.projections import subjects as make
from tests.projections.givens import given

if TYPE_CHECKING:
    from collections.abc import Iterator


HEX = "0123456789abcdef"


def picture(*runs: object, **more: object) -> whole.Picture:
    return whole.of(given(runs, **more))  # type: ignore[arg-type]


def loop_run(number: int, value: float, kind: str = IMPROVE, verdict: str = KEEP, **more: object) -> Run:
    about = Candidate(kind=kind, parent="" if kind == BASELINE else "RUN-0", commit="c" * 40)
    return make.run(number, value=value, verdict=verdict, candidate=msgspec.structs.replace(about, **more))


def many(count: int, seed: int = 1) -> Given:
    luck = random.Random(seed)
    runs: list[Run] = []
    points: list[dict[str, object] | None] = []
    for number in range(1, count + 1):
        made = make.run(number, "crash" if number % 9 == 0 else "success", None if number % 9 == 0 else luck.random())
        runs.append(msgspec.structs.replace(made, run_id=f"RUN-20260102-030000-{number:06d}-scout"))
        points.append({"lr": luck.random(), "depth": number % 5, "same": 1})
    return given(runs, params=points)


# -- one value, the same for the same files ---------------------------------------------------------------------------


@settings(max_examples=40)
@with_data(
    st.lists(make.runs() | make.events, max_size=20, unique_by=lambda each: getattr(each, "run_id", id(each))),
    st.lists(st.none() | st.dictionaries(st.text(max_size=5), make.values | make.texts, max_size=3), max_size=4),
)
def test_any_history_has_a_picture_that_comes_back_as_it_was(happened: list[object], params: list[object]) -> None:
    runs = sum(isinstance(each, Run) for each in happened)
    of = given(happened, params=params[:runs], spec=make.spec(fidelity_tiers=("default", "final")))  # type: ignore[arg-type]
    made = whole.of(of)
    data = whole.encode(made)
    assert whole.encode(whole.of(of)) == data
    assert whole.parse(data) == made
    assert whole.encode(whole.parse(data)) == data


def test_the_keys_are_sorted() -> None:
    keys = list(msgspec.json.decode(whole.encode(picture(make.run(1, value=1.0)))))
    assert keys == sorted(keys)


@pytest.mark.parametrize("data", [b"", b"{}", b"[" * 100_000, b"\xff", b'{"format":1}'])
def test_what_is_no_picture_is_refused(data: bytes) -> None:
    with pytest.raises(BadInput):
        whole.parse(data)


def test_a_picture_of_another_labctl_is_refused_by_its_number() -> None:
    later = msgspec.structs.replace(picture(), format=whole.FORMAT + 1)
    with pytest.raises(BadInput, match=f"format {whole.FORMAT + 1}"):
        whole.parse(whole.encode(later))


# -- its size, and what is said of it ---------------------------------------------------------------------------------


def test_of_many_runs_the_best_every_new_best_and_the_newest_are_shown_and_the_rule_is_told() -> None:
    of = many(5_000)
    made = whole.of(of)
    shown = {row.run_id for row in made.rows}
    assert len(made.rows) == made.rows_sample.shown == whole.MOST_ROWS
    assert made.rows_sample.total == 5_000
    assert made.rows_sample.rule.startswith("the best, every new best, every keep, the newest; of the rest an even")
    assert made.best is not None
    assert made.best.run_id in shown
    assert {step.run_id for step in made.stairs.steps} <= shown
    assert {line.run_id for line in of.lines[-whole.MOST_LAST :]} <= shown
    assert [row.n for row in made.rows] == sorted(row.n for row in made.rows)
    assert {row.kind for row in made.rows} == {"keep", "discard", "crash"}


def test_of_many_keeps_it_is_said_how_many_are_shown() -> None:
    """A loop that keeps every second change has more of them than a picture has room for."""
    kept = Candidate(kind="improve", values=(1.0,), gain=0.1)
    lines = tuple(
        Line(
            run_id=f"RUN-{number}", outcome="success", value=10 - number / 1_000 if number % 2 else 11.0,
            verdict="keep" if number % 2 else "discard", candidate=kept,
        )
        for number in range(6_000)
    )  # fmt: skip
    made = whole.of(Given(view=make.view([]), spec=None, lines=lines))
    spots = sum(spot.kind == "keep" for spot in made.stairs.spots)
    rows = sum(row.kind == "keep" for row in made.rows)
    assert 400 <= rows < spots < 3_000
    assert made.stairs.sample.rule.startswith(f"400 of 3,000 new bests, {spots:,} of 3,000 keeps, the first, the last")
    assert made.rows_sample.rule.startswith(f"the best, {rows} of 3,000 new bests, {rows} of 3,000 keeps, the newest")


def test_a_picture_does_not_grow_with_history() -> None:
    small, large = (len(whole.encode(whole.of(many(count)))) for count in (4_000, 16_000))
    assert large < 1.2 * small
    assert large < 2_000_000


def test_of_few_runs_all_are_shown() -> None:
    made = picture(*(make.run(number, value=1.0) for number in range(1, 30)))
    assert (made.rows_sample.shown, made.rows_sample.rule) == (29, thinning.ALL)


def test_what_improves_with_every_run_is_bounded_too() -> None:
    runs = [
        make.run(number % 3600, value=1.0 / number, run_id=f"RUN-20260102-030000-{number:06d}-scout")
        for number in range(1, 3_001)
    ]
    made = picture(*runs)
    assert len(made.rows) <= whole.MOST_ROWS
    assert len(made.spending.improvements) <= stairs.MOST_STEPS
    assert sum(each.took.runs for each in made.spending.improvements) + made.spending.since.runs == 3_000


def test_what_is_under_way_warnings_and_tiers_are_bounded_and_that_is_said() -> None:
    tiers = [f"t{number}" for number in range(30)]
    runs = [make.run(number, value=1.0, tier=tier) for number, tier in enumerate(tiers, start=1)]
    made = picture(
        *runs,
        under_way=tuple(UnderWay(run_id=f"RUN-{number}") for number in range(500)),
        warnings=tuple(f"warning {number}" for number in range(300)),
        findings=tuple(Finding(what=f"wrong {number}") for number in range(300)),
    )
    assert len(made.under_way) == whole.MOST_UNDER_WAY
    assert len(made.other_tiers) == whole.MOST_TIERS
    assert len(made.warnings) == whole.MOST_WARNINGS + 1
    assert len(made.wants) <= 20
    assert "more warnings" in made.warnings[-1]


# -- what it says -----------------------------------------------------------------------------------------------------


def test_an_experiment_without_runs_has_a_picture() -> None:
    made = picture()
    assert (made.rows, made.best, made.head.best, made.head.gain, made.head.luck) == ((), None, None, None, ())


def test_when_everything_crashed_there_is_no_best() -> None:
    made = picture(*(make.run(number, "crash", reason="OOM") for number in range(1, 25)))
    assert (made.best, made.head.best, made.head.best_run) == (None, None, "")
    assert {row.kind for row in made.rows} == {"crash"}
    assert made.rows[0].says == "OOM"
    assert made.spending.wasted.runs == 24


def test_a_row_says_of_its_run_what_its_spot_says() -> None:
    runs = [make.run(1, value=1.0), make.run(2, value=2.0, tier="final"), make.run(3, value=0.5), make.run(4, "crash")]
    made = picture(*runs, spec=make.spec(fidelity_tiers=("default", "final")))
    spots = {spot.run_id: (spot.n, spot.kind) for each in (made.stairs, *made.other_tiers) for spot in each.spots}
    assert {row.run_id: (row.n, row.kind) for row in made.rows} == spots


def test_the_gain_is_above_zero_where_it_is_better_whichever_way_the_metric_goes() -> None:
    first = Origin(strategy="tpe", kind=FIRST)
    lower = picture(make.run(1, value=1.0, origin=first), make.run(2, value=0.25))
    assert (lower.head.baseline, lower.head.gain) == (1.0, 0.75)
    view = make.view([make.run(1, value=1.0, direction="maximize", origin=first)], direction="maximize")
    higher = whole.of(given([make.run(1, value=1.0, direction="maximize", origin=first)], view=view))
    assert (higher.head.baseline, higher.head.gain) == (1.0, 0.0)


def test_only_parameters_that_vary_are_in_a_row() -> None:
    made = whole.of(
        given(
            [make.run(1, value=1.0), make.run(2, value=2.0)],
            params=[{"lr": 0.00123456, "seed": 1, "opt": "sgd"}, {"lr": 0.5, "seed": 1, "opt": "sgd", "warm": True}],
        )
    )
    assert [row.params for row in made.rows] == ["lr=0.001235", "lr=0.5, warm=true"]
    assert made.best is not None
    assert made.best.params == {"lr": 0.00123456, "seed": 1, "opt": "sgd"}


def test_many_parameters_are_cut_and_counted() -> None:
    params: dict[str, object] = {f"a_parameter_with_a_long_name_{number}": "x" * 100 for number in range(400)}
    made = whole.of(given([make.run(1, value=1.0)], params=[params]))
    assert made.best is not None
    assert made.best.params is not None
    assert len(made.best.params) + made.best.params_left_out == 400
    assert len(made.rows[0].params) <= whole.PARAMS_CHARS


# -- what must not be hidden ------------------------------------------------------------------------------------------


def test_of_a_search_it_is_said_that_nothing_is_known_of_the_noise() -> None:
    runs = [make.run(1, value=1.0), make.run(2, value=0.5)]
    points: list[dict[str, object] | None] = [{"lr": 0.1}, {"lr": 0.2}]
    unknown = whole.of(given(runs, params=points)).head.luck
    assert unknown == ("nothing is known of the noise: no parameters were run twice, and the SPEC does not say",)
    noisy = whole.of(given(runs, params=points, spec=make.spec(noise=True))).head.luck
    assert noisy[0].startswith("the metric is noisy, and no parameters were run twice")
    assert whole.of(given(runs, params=points, spec=make.spec(noise=False))).head.luck == ()


def test_where_the_noise_was_never_measured_it_is_said_who_weighs_the_runs() -> None:
    runs = [make.run(number, value=1.0 / number) for number in range(1, 9)]
    points: list[dict[str, object] | None] = [{"lr": 0.1 * number} for number in range(1, 9)]
    space = Space(parameters=(Parameter(name="lr", kind="float", low=0.0, high=1.0),))
    for noise, begins in ((True, "the metric is noisy"), (None, "nothing is known of the noise")):
        asked = given(runs, params=points, spec=make.spec(noise=noise), space=space)
        (told,) = whole.of(asked).head.luck
        assert told.startswith(begins)
        assert "labctl best lr-sweep" in told
        weighed = Weighed(run_id=runs[3].run_id, how="a model of all runs", expected=0.2, sd=0.01, noise=0.05)
        made = whole.of(msgspec.structs.replace(asked, take=weighed))
        assert made.head.luck[1].startswith(f"the best number is partly luck, the run to take is {runs[3].run_id}:")
        assert (made.head.sigma, made.head.sigma_source) == (0.05, "a model of all runs")
        assert made.take is not None
        assert (made.take.value, made.take.params) == (0.25, points[3])
        assert whole.parse(whole.encode(made)) == made
        same = whole.of(msgspec.structs.replace(asked, take=msgspec.structs.replace(weighed, run_id=runs[7].run_id)))
        assert "and was lucky too" in same.head.luck[1]
    assert whole.of(given(runs, params=points, spec=make.spec(noise=False), space=space)).head.luck == ()


def test_of_many_runs_the_one_to_take_is_in_the_table() -> None:
    asked = many(4_000)
    hidden = min({line.run_id for line in asked.lines} - {row.run_id for row in whole.of(asked).rows})
    weighed = Weighed(run_id=hidden, how="a model of all runs", expected=0.2, sd=0.01, noise=0.05)
    assert hidden in {row.run_id for row in whole.of(msgspec.structs.replace(asked, take=weighed)).rows}


def test_of_a_noisy_search_it_is_said_how_many_runs_may_be_as_good_as_the_best() -> None:
    values = [1.0, 1.1, 0.9, 5.0, 1.05]
    points: list[dict[str, object] | None] = [{"lr": 0.1}, {"lr": 0.1}, {"lr": 0.1}, {"lr": 0.5}, {"lr": 0.2}]
    made = whole.of(given([make.run(n, value=value) for n, value in enumerate(values, 1)], params=points))
    assert made.head.sigma == pytest.approx(0.1)
    assert made.head.luck[0].startswith("one measurement has a noise of about 0.1 (")
    assert made.head.luck[1].startswith("3 other runs lie no further from the best number")
    assert "labctl best lr-sweep" in made.head.luck[1]


def test_of_a_code_loop_unconfirmed_keeps_and_expected_luck_are_told() -> None:
    made = picture(
        loop_run(1, 1.0, BASELINE, values=(1.0, 1.01, 0.99)),
        loop_run(2, 0.5, gain=0.5, rule="improve", values=(0.5,)),
        loop_run(3, 0.4, gain=0.1, rule="improve", p=0.001, alpha=0.01, values=(0.4, 0.41), against=(0.5, 0.51)),
    )
    assert made.head.is_loop
    assert any(said.startswith("unconfirmed: 1 of the 2 kept") for said in made.head.luck)
    assert any("to be expected to be luck" in said for said in made.head.luck)
    assert made.head.baseline == pytest.approx(1.0)


def test_of_a_code_loop_the_best_is_what_was_kept_last() -> None:
    made = picture(
        loop_run(1, 1.0, BASELINE, values=(1.0, 1.01)),
        loop_run(2, 0.5, gain=0.5, rule="improve"),
        loop_run(3, 0.1, verdict=code.DISCARD, gain=0.4),
    )
    assert (made.head.best, made.best and made.best.value) == (0.5, 0.5)


def test_what_another_harness_claims_is_named() -> None:
    claimed = Candidate(kind=code.IMPORTED, claimed=0.1)
    made = picture(
        loop_run(1, 1.0, BASELINE, values=(1.0,)), make.run(2, value=None, outcome="failed", candidate=claimed)
    )
    assert any("claimed by another harness" in said for said in made.head.luck)


def test_an_alarm_is_told() -> None:
    runs = [loop_run(1, 1.0, BASELINE, values=tuple(1.0 + 0.001 * n for n in range(12)))]
    runs.append(loop_run(2, 0.5, verdict=code.DISCARD, gain=-1.0, values=(3.0, 3.001), against=(3.0, 3.001)))
    made = picture(*runs)
    assert any(said.startswith("alarm: metric_drift") for said in made.head.luck)


# -- what others wrote ------------------------------------------------------------------------------------------------


def test_no_text_from_outside_gets_into_a_picture_raw() -> None:
    hostile = make.HOSTILE
    clean = hostile.encode(errors="replace").decode()
    runs = [
        make.run(1, value=1.0, note=hostile, worker=hostile, tier="default"),
        make.run(2, "crash", reason=hostile, origin=Origin(strategy=clean, arm=clean, note=clean)),
        make.run(3, value=0.5, tier=hostile.encode(errors="replace").decode()),
    ]
    of = given(
        [*runs, make.moved("awaiting-human", hostile)],
        params=[{"lr": 0.1, clean: clean}, {"lr": 0.2, clean: [clean]}],
        spec=make.spec(goal=hostile, metric=hostile),
        under_way=(UnderWay(run_id="RUN-x", worker=hostile, tier=hostile, where=hostile),),
        findings=(Finding(what=hostile, where=hostile, fix=hostile),),
        warnings=(hostile,),
        diff=f"+{hostile}",
    )
    data = whole.encode(whole.of(of))
    raw = {where: said for where, said in _texts(msgspec.json.decode(data), "") if _is_raw(said)}
    assert raw == {}


def _is_raw(said: str) -> bool:
    return bool(markdown.UNSEEN.search(said) or re.search("[\ud800-\udfff]", said))


def _texts(value: object, where: str) -> Iterator[tuple[str, str]]:
    """Every text of a document, the names of its keys included, with its place."""
    if isinstance(value, str):
        yield where, value
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from _texts(each, f"{where}[{number}]")
    elif isinstance(value, dict):
        for name, each in value.items():
            yield f"a key of {where}", name
            yield from _texts(each, f"{where}.{name}")
