"""Axes, and where runs lie on them: whatever a run was given has a place or none, and nothing is left out unsaid."""

from __future__ import annotations

import math

import msgspec
import pytest
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from lab.projections import text
from lab.projections.picture import parameters
from lab.projections.picture.columns import CHOICES
from lab.projections.picture.parameters import AXES, LIMIT, Parameters
from lab.projections.tables import Line
from tests.projections.subjects import HOSTILE
from tests.projections.tried import UNIT, given, seen

SPACE: dict[str, object] = {
    "lr": {"low": 1e-4, "high": 1, "log": True},
    "optimizer": {"choices": ["adam", "sgd"]},
    "momentum": {**UNIT, "when": {"optimizer": "sgd"}},
    "version": {"value": 7},
}


def test_without_runs_that_have_both_there_is_nothing_to_see() -> None:
    assert parameters.of(given([])) is None
    assert parameters.of(given([(None, 1.0), ({"a": 1}, None)], {"a": UNIT})) is None


def test_one_run_is_seen_on_the_axes_of_its_space() -> None:
    found = seen([({"lr": 0.01, "optimizer": "adam", "version": 7}, 1.0)], SPACE)

    assert [axis.name for axis in found.axes] == ["lr", "optimizer", "momentum"]
    assert found.axes[0].log
    assert found.axes[1].choices == ("adam", "sgd")
    assert [round(place, 9) if place is not None else None for place in found.tried[0].at] == [0.5, 0.0, None]
    assert found.tried[0].rank == 1
    assert found.best == found.tried[0].run_id


def test_without_a_space_only_what_varied_has_an_axis() -> None:
    found = seen([({"a": 1, "b": "x", "seed": 3}, 1.0), ({"a": 5, "b": "y", "seed": 3}, 2.0)])

    assert [axis.name for axis in found.axes] == ["a", "b"]
    assert [each.at for each in found.tried] == [(0.0, 0.0), (1.0, 1.0)]
    assert parameters.of(given([({"seed": 3}, 1.0), ({"seed": 3}, 2.0)])) is None


def test_what_spans_many_decades_is_seen_on_a_logarithmic_scale() -> None:
    found = seen([({"lr": 10.0**-power}, 1.0) for power in range(1, 6)])

    assert found.axes[0].log
    assert [each.at[0] for each in found.tried] == pytest.approx([1, 0.75, 0.5, 0.25, 0])


def test_an_axis_reaches_to_what_was_tried_before_the_space_was_edited() -> None:
    found = seen([({"lr": 10.0, "optimizer": "lion"}, 1.0), ({"lr": 1e-4, "optimizer": "adam"}, 2.0)], SPACE)

    assert (found.axes[0].low, found.axes[0].high) == (1e-4, 10.0)
    assert found.axes[1].choices == ("adam", "sgd", "lion")
    assert found.tried[0].at[:2] == (1.0, 1.0)


def test_a_logarithmic_axis_on_which_a_zero_lies_is_a_plain_one() -> None:
    found = seen([({"lr": 0.0}, 1.0), ({"lr": 1.0}, 2.0)], {"lr": {"low": 0.001, "high": 1, "log": True}})

    assert not found.axes[0].log
    assert [each.at for each in found.tried] == [(0.0,), (1.0,)]


def test_the_largest_and_the_least_numbers_have_a_place() -> None:
    for values in ((-1e308, 0.0, 1e308), (0.0, 5e-324, 1e-323)):
        found = seen([({"a": value}, 1.0) for value in values])

        assert [each.at[0] for each in found.tried] == [0, 0.5, 1]


def test_values_that_python_calls_equal_are_told_apart() -> None:
    values: list[object] = [1, True, "1", "true", None, "null", [1], ""]

    found = seen([({"a": value}, float(number)) for number, value in enumerate(values)])

    assert len({each.at for each in found.tried}) == 8
    assert set(found.axes[0].choices) == {"1", "true", '"1"', '"true"', "null", '"null"', "[1]", '""'}
    assert seen([({"a": value}, 1.0) for value in (True, 1, True)]).axes[0].choices == ("1", "true")


def test_numbers_among_choices_stand_in_their_order() -> None:
    assert seen([({"a": value}, 1.0) for value in ("16", "none", "8", "128", "8")]).axes[0].choices == (
        '"8"', '"16"', '"128"', "none",
    )  # fmt: skip


def test_of_very_many_choices_those_of_most_runs_are_spelled_out() -> None:
    runs = [({"prompt": f"prompt {number % 7 if number % 2 else number}"}, 1.0) for number in range(400)]

    found = seen(runs)
    axis = found.axes[0]

    assert len(axis.choices) == CHOICES
    assert all(each.at[0] is not None for each in found.tried)
    assert {f"prompt {number}" for number in range(7)} < set(axis.choices)
    assert axis.choices[-1].endswith(" others")


def test_of_many_parameters_the_important_ones_are_shown_in_the_order_of_the_space() -> None:
    names = [f"p{number:02d}" for number in range(15)]
    runs = [
        ({name: ((place + 3) * (number + 1) * 0.7548) % 1 for place, name in enumerate(names)}, 0.0)
        for number in range(60)
    ]
    runs = [(point, point["p14"]) for point, _ in runs]

    found = seen(runs, dict.fromkeys(names, UNIT))

    assert len(found.axes) == AXES
    assert found.left_out == 3
    assert [axis.name for axis in found.axes] == sorted(axis.name for axis in found.axes)
    assert "p14" in {axis.name for axis in found.axes}
    assert found.importance is not None
    assert found.importance.weights[0].name == "p14"
    assert found.importance.left_out == 3


def test_of_many_runs_the_best_are_never_left_out() -> None:
    values = [(number * 7919) % 2_003 for number in range(2_000)]
    found = seen([({"a": value / 2_003}, float(value)) for value in values], {"a": UNIT})

    assert len(found.tried) == LIMIT
    assert sorted(values)[:30] == sorted(int(each.value) for each in found.tried)[:30]
    assert max(values) in {each.value for each in found.tried}
    assert (found.sample.shown, found.sample.total) == (LIMIT, 2_000)
    assert "best" in found.sample.rule
    assert [each.run_id for each in found.tried] == sorted(each.run_id for each in found.tried)


def test_runs_whose_parameters_are_not_on_record_are_told() -> None:
    found = seen([({"a": 0.1}, 1.0), (None, 2.0), ({}, 3.0), ({"a": 0.2}, 4.0)], {"a": UNIT})

    assert len(found.tried) == 2
    assert "2 more runs with a value, but no parameters on record" in found.sample.rule


def test_runs_of_another_tier_are_not_compared() -> None:
    whole = given([({"a": 0.1}, 1.0), ({"a": 0.2}, 2.0)], {"a": UNIT})
    other = Line(run_id="RUN-X", outcome="success", value=-5.0, tier="proxy", params={"a": 0.9})

    found = parameters.of(msgspec.structs.replace(whole, lines=(*whole.lines, other)))

    assert found is not None
    assert [each.run_id for each in found.tried] == ["RUN-000000", "RUN-000001"]


@pytest.mark.parametrize(("direction", "best"), [("minimize", "RUN-000001"), ("maximize", "RUN-000002")])
def test_the_best_has_rank_one(direction: str, best: str) -> None:
    found = seen([({"a": 0.1}, 2.0), ({"a": 0.2}, 1.0), ({"a": 0.3}, 9.0)], {"a": UNIT}, direction=direction)

    ranks = {each.run_id: each.rank for each in found.tried}
    assert found.best == best
    assert ranks[best] == 1
    assert sorted(ranks.values()) == [0, 0.5, 1]


def test_equal_runs_are_equally_good() -> None:
    found = seen([({"a": number / 10}, 1.0) for number in range(5)], {"a": UNIT})

    assert {each.rank for each in found.tried} == {1}


def test_what_a_run_wrote_is_clean_before_it_is_shown() -> None:
    found = seen([({HOSTILE: HOSTILE}, 1.0), ({HOSTILE: "b"}, 2.0)])

    words = [found.axes[0].name, *found.axes[0].choices]
    assert not any(text.UNSEEN.search(word) for word in words)
    assert "\n" not in "".join(words)


_odd = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([10**400, -(2**80)]),
    st.floats(),
    st.text(max_size=5),
    st.lists(st.integers(), max_size=2),
)
_names = st.sampled_from(["a", "b", "lr", "optimizer", "momentum", *(f"p{number}" for number in range(14))])


@settings(max_examples=60)
@for_all(
    st.lists(st.tuples(st.dictionaries(_names, _odd, max_size=8), st.floats(allow_nan=False)), max_size=24),
    st.booleans(),
)
def test_whatever_runs_were_given_has_a_place_or_none(
    runs: list[tuple[dict[str, object], float]], has_space: bool
) -> None:
    found = parameters.of(given(runs, SPACE if has_space else None))

    if found is None:
        return
    assert len(found.axes) <= AXES
    for each in found.tried:
        assert math.isfinite(each.value)
        assert len(each.at) == len(found.axes)
        assert all(place is None or 0 <= place <= 1 for place in each.at)
        assert 0 <= each.rank <= 1
    assert found.best in {each.run_id for each in found.tried}
    assert msgspec.json.decode(msgspec.json.encode(found), type=Parameters) == found
