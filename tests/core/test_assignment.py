"""Points of any space: complete, inside, and the same when they are brought over."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lab.core import assignment, scale
from lab.core.errors import BadInput
from lab.core.parameter import same
from lab.core.space import Space, parse
from lab.core.trial import luck
from tests.core.spaces import spaces

SEEDS = st.integers(0, 2**32)


@given(space=spaces(), seed=SEEDS)
def test_a_drawn_point_is_inside_and_complete(space: Space, seed: int) -> None:
    point = assignment.draw(space, luck(seed, 0))
    assert assignment.problems(space, point) == ()
    assert tuple(point) == space.active(point)


@given(space=spaces(), seed=SEEDS)
def test_the_same_luck_draws_the_same_point(space: Space, seed: int) -> None:
    assert assignment.draw(space, luck(seed, 3)) == assignment.draw(space, luck(seed, 3))


@given(space=spaces(), places=st.lists(st.floats(-1, 2), min_size=5, max_size=5))
def test_whatever_is_chosen_from_the_unit_cube_is_a_point(space: Space, places: list[float]) -> None:
    by_name = dict(zip(space.names, places, strict=False))
    point = assignment.completed(space, lambda parameter: scale.from_unit(parameter, by_name[parameter.name]))
    assert assignment.problems(space, point) == ()


@given(space=spaces(), seed=SEEDS)
def test_a_point_of_a_space_is_brought_over_to_it_as_it_is(space: Space, seed: int) -> None:
    point = assignment.draw(space, luck(seed, 1))
    again = assignment.brought_over(space, point)
    assert again is not None
    assert assignment.alike(again, point)
    assert assignment.key(again) == assignment.key(point)


@given(old=spaces(), new=spaces(), seed=SEEDS)
def test_what_is_brought_over_is_a_point_or_nothing(old: Space, new: Space, seed: int) -> None:
    found = assignment.brought_over(new, assignment.draw(old, luck(seed, 2)))
    assert found is None or assignment.problems(new, found) == ()


@given(
    space=spaces(),
    params=st.dictionaries(
        st.sampled_from(("p0", "p1", "p2")),
        st.none() | st.text(max_size=2) | st.floats() | st.integers() | st.lists(st.none()),
    ),
)
def test_anything_that_history_holds_is_brought_over_or_said_to_be_outside(
    space: Space, params: dict[str, object]
) -> None:
    found = assignment.brought_over(space, params)
    assert found is None or assignment.problems(space, found) == ()


@given(space=spaces())
def test_the_baseline_is_a_point_with_the_defaults(space: Space) -> None:
    point = assignment.baseline(space)
    given_any = any(
        parameter.default is not parse({"x": {"type": "bool"}}).parameters[0].default for parameter in space.parameters
    )
    assert (point is not None) == given_any
    if point is not None:
        assert assignment.problems(space, point) == ()
        for parameter in space.parameters:
            if parameter.name in point and isinstance(parameter.default, (str, int, float, bool, type(None))):
                assert same(point[parameter.name], parameter.default)


@given(space=spaces(most=3), seed=SEEDS)
def test_there_are_no_more_points_than_the_size_says(space: Space, seed: int) -> None:
    most = assignment.size(space)
    assume(most is not None and most <= 20)
    assert most is not None
    rng = luck(seed, 0)
    assert len({assignment.key(assignment.draw(space, rng)) for _ in range(40)}) <= most


def test_every_point_of_a_small_space_is_drawn() -> None:
    space = parse({"a": {"type": "bool"}, "n": {"low": 1, "high": 3, "type": "int", "when": {"a": [True]}}})
    rng = luck(1, 1)
    drawn = {assignment.key(assignment.draw(space, rng)) for _ in range(200)}
    assert len(drawn) == 4


def test_a_constraint_is_met_by_each_drawn_point_and_an_impossible_one_is_said_to_be() -> None:
    two = {"x": {"low": 0, "high": 1}, "y": {"low": 0, "high": 1}}
    space = parse({"parameters": two, "constraints": ["x + y <= 0.2"]})
    rng = luck(0, 0)
    assert all(sum(assignment.draw(space, rng).values()) <= 0.2 for _ in range(50))  # type: ignore[arg-type]
    with pytest.raises(BadInput, match=r"none of 500 points .* meets x > 2 and y > 2") as refused:
        assignment.draw(parse({"parameters": two, "constraints": ["x > 2", "y > 2"]}), rng, tries=500)
    assert "loosen them" in refused.value.fix


def test_a_space_that_was_edited_takes_over_what_still_fits() -> None:
    point = {"lr": 0.1, "layers": 3, "opt": "sgd"}
    new = parse(
        {
            "lr": {"low": 0.01, "high": 0.2, "log": True},
            "opt": {"choices": ["adam", "sgd"]},
            "momentum": {"low": 0, "high": 1, "default": 0.5, "when": {"opt": ["sgd"]}},
            "beta": {"low": 0, "high": 1, "when": {"opt": ["adam"]}},
            "seed": {"value": 7},
        }
    )
    assert assignment.brought_over(new, point) == {"lr": 0.1, "opt": "sgd", "momentum": 0.5, "seed": 7}
    assert assignment.brought_over(new, {**point, "opt": "adam"}) is None  # beta is new, and has no default
    assert assignment.brought_over(new, {**point, "lr": 0.5}) is None
    assert assignment.brought_over(new, {**point, "seed": 8}) is None
    assert assignment.brought_over(new, {"lr": 1, "opt": "sgd"}) is None


def test_one_and_true_are_two_points_and_one_and_one_point_nought_are_one() -> None:
    assert assignment.key({"x": 1}) == assignment.key({"x": 1.0}) != assignment.key({"x": True})
    assert assignment.alike({"x": 1}, {"x": 1.0})
    assert not assignment.alike({"x": 1}, {"x": True})
    assert not assignment.alike({"x": 1}, {"x": 1, "y": None})


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-1, 1), st.sampled_from([0.0, 1.0, 0.5]), st.sampled_from("01")
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(st.sampled_from("ab"), inner, max_size=2)),
    max_leaves=4,
)
ANY = st.dictionaries(st.sampled_from("xy"), VALUES, max_size=2)


@given(ANY, ANY)
def test_parameters_have_the_same_key_exactly_when_they_are_alike(
    one: dict[str, object], other: dict[str, object]
) -> None:
    assert (assignment.key(one) == assignment.key(other)) == assignment.alike(one, other)
    assert assignment.key(one) == assignment.key(dict(reversed(list(one.items()))))
    hash(assignment.key(one))


@given(VALUES, VALUES)
def test_lists_and_maps_are_the_same_where_all_in_them_is(one: object, other: object) -> None:
    assert same(one, one)
    assert same([one], [other]) == same({"a": one}, {"a": other}) == same(one, other)
    assert not same([one], one)


def test_one_and_true_in_a_list_differ() -> None:
    assert same([1], [1.0])
    assert not same([1], [True])
    assert not same(["list"], ("bool", True))
