"""Coordinates, slices and bars: tested by their marks. No word lies on another, and none leaves the frame."""

from __future__ import annotations

import itertools
import sys
import xml.etree.ElementTree as ET
from random import Random
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from lab.projections.drawing import coordinates, importance, lanes, named, slices, svg
from lab.projections.drawing.scene import LOOKS, Box, Mark, Marks, Scene, Stroke, Words
from lab.projections.picture.columns import Axis
from lab.projections.picture.importance import Importance, Weight
from tests.projections.drawing.staircases import area_of
from tests.projections.subjects import HOSTILE
from tests.projections.tried import UNIT, drawn, given, seen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.projections.drawing.scene import Point
    from lab.projections.picture.parameters import Parameters

SPACE: dict[str, object] = {
    "lr": {"low": 1e-5, "high": 1e-1, "log": True},
    "optimizer": {"choices": ["adamw", "sgd", "muon"]},
    "momentum": {**UNIT, "when": {"optimizer": "sgd"}},
    "depth": {"type": "int", "low": 2, "high": 24},
    "warm_up": {"type": "bool"},
}


def search(count: int, seed: int = 1) -> Parameters:
    luck = Random(seed)
    runs: list[tuple[dict[str, object], float]] = []
    for _ in range(count):
        point: dict[str, object] = {
            "lr": 10 ** luck.uniform(-5, -1),
            "optimizer": luck.choice(["adamw", "sgd", "muon"]),
            "depth": luck.randint(2, 24),
            "warm_up": luck.random() < 0.5,
        }
        if point["optimizer"] == "sgd":
            point["momentum"] = luck.random()
        runs.append((point, luck.gauss(0, 1)))
    return seen(runs, SPACE)


def points(scene: Scene) -> Iterator[Point]:
    for item in scene.items:
        match item:
            case Stroke():
                yield from item.points
            case Marks():
                yield from item.at
            case Mark():
                yield item.at
            case Box():
                yield item.at
                yield item.at[0] + item.width, item.at[1] + item.height
            case Words():
                area = area_of(item.text, item.at, item.size, item.anchor)
                yield area.left, area.top
                yield area.right, area.bottom


def check(scene: Scene) -> None:
    """What holds of every picture: it is well-formed, known looks, inside its frame, and no word lies on another."""
    ET.fromstring(svg.render(scene, alone=True))  # noqa: S314  # our own
    assert {item.look for item in scene.items} <= LOOKS
    for x, y in points(scene):
        assert -0.5 <= x <= scene.width + 0.5
        assert -0.5 <= y <= scene.height + 0.5
    areas = [
        (item.text, area_of(item.text, item.at, item.size, item.anchor))
        for item in scene.items
        if isinstance(item, Words)
    ]
    for (one, here), (other, there) in itertools.combinations(areas, 2):
        assert not here.overlaps(there), (one, other)


def words(scene: Scene) -> str:
    return " ".join(item.text for item in scene.items if isinstance(item, Words))


@pytest.mark.parametrize("count", [1, 2, 40, 400])
def test_a_search_is_drawn_inside_its_frame(count: int) -> None:
    found = search(count)

    check(coordinates.draw(found))
    for number in range(len(found.axes)):
        check(slices.draw(found, number))
    if found.importance:
        check(importance.draw(found.importance))


def test_one_axis_and_twelve_find_room() -> None:
    for names in ("a", "abcdefghijkl"):
        long = {f"{name} is a rather long name of a parameter": UNIT for name in names}
        luck = Random(2)
        runs = [({name: luck.random() for name in long}, luck.random()) for _ in range(30)]
        found = seen(runs, long)

        check(coordinates.draw(found))
        check(slices.draw(found, 0))
        assert found.importance is not None
        check(importance.draw(found.importance))


def test_names_that_begin_alike_are_told_apart_by_their_ends() -> None:
    names = [f"a parameter of the learning rate's schedule, number {number}" for number in range(9)]
    luck = Random(6)
    runs = [({name: luck.random() for name in names}, luck.random()) for _ in range(30)]
    found = seen(runs, dict.fromkeys(names, UNIT))
    assert found.importance is not None

    for scene in (coordinates.draw(found), importance.draw(found.importance)):
        cut = {item.text[-1] for item in scene.items if isinstance(item, Words) and item.text.startswith("…")}
        assert cut == set("012345678")


def test_better_lines_lie_over_worse_ones_and_the_best_on_top() -> None:
    found = search(60)
    lines = [item for item in coordinates.draw(found).items if isinstance(item, Stroke) and len(item.points) == 6]

    assert [line.look for line in lines[:-1]] == sorted(line.look for line in lines[:-1])
    assert lines[-1].look == lanes.BEST
    assert lines[-1].width > lines[0].width
    assert len(lines) == 60


def test_a_run_has_a_place_of_its_own_where_a_parameter_did_not_count() -> None:
    found = seen([({"a": 0.0, "b": 0.5}, 1.0), ({"a": 1.0}, 2.0)], {"a": UNIT, "b": UNIT})
    scene = coordinates.draw(found)

    lines = [item for item in scene.items if isinstance(item, Stroke) and len(item.points) == 3]
    here, there = (next(line for line in lines if (line.look == lanes.BEST) is best) for best in (True, False))
    assert there.points[1][1] > max(y for _, y in here.points)
    assert "not there" in words(scene)
    assert "none" in words(slices.draw(found, 1))
    assert "not there" not in words(coordinates.draw(seen([({"a": 0.5}, 1.0)], {"a": UNIT})))


def test_the_best_leads_to_its_page_and_says_what_it_had() -> None:
    found = search(50)
    scenes = [coordinates.draw(found, href="#{}".format), slices.draw(found, 0, href="#{}".format)]

    for scene in scenes:
        mark = next(item for item in scene.items if isinstance(item, Mark) and item.href == f"#{found.best}")
        assert mark.look == lanes.BEST
        assert "the best" in mark.says
        assert "lr " in mark.says
        assert found.best in scene.told


def test_a_value_that_went_wild_does_not_squash_the_others_and_is_told() -> None:
    runs = [*drawn(Random(3), 40, lambda point: point["a"], "a"), ({"a": 0.5}, 1e12)]
    found = seen(runs, {"a": UNIT})
    slice_ = slices.draw(found, 0)

    crowd = next(item for item in slice_.items if isinstance(item, Marks))
    ys = [y for _, y in crowd.at]
    assert max(ys) - min(ys) > 80
    assert "1 beyond the edge" in words(slice_)
    assert sum(len(item.at) for item in slice_.items if isinstance(item, Marks) and item.look == "clipped") == 1
    assert "1 value beyond the last axis" in words(coordinates.draw(found))


def test_what_is_left_out_is_said_in_the_picture() -> None:
    found = search(700)
    told = words(coordinates.draw(msgspec.structs.replace(found, left_out=4)))

    assert "300 of 700 runs" in told
    assert "4 more parameters not shown" in told
    assert "Lower is better" in told


def test_runs_without_a_value_are_said_to_be_left_out() -> None:
    runs: list[tuple[dict[str, object] | None, float | None]] = [*drawn(Random(3), 8, lambda point: point["a"], "a")]
    found = seen([*runs, *[({"a": 0.5}, None)] * 52], {"a": UNIT})

    assert found.without == 52
    assert "52 runs without a value are not shown." in words(coordinates.draw(found))
    assert "without a value" not in words(coordinates.draw(search(8)))
    whole = given([*runs, *[({"a": 0.5}, None)] * 52], {"a": UNIT})
    assert "52 runs without a value are not shown." in words(named.draw(whole, named.Wish(name="slices")).scene)


@pytest.mark.parametrize("width", [320, 340, 360, 480])
def test_the_legend_is_inside_however_narrow_it_is(width: float) -> None:
    scene = coordinates.draw(search(40), width=width, height=240)

    for item in scene.items:
        if isinstance(item, Words) and item.text in ("worst", "best, by rank", "the best run"):
            assert area_of(item.text, item.at, item.size, item.anchor).right <= width
            assert item.at[1] < scene.height
    areas = [area_of(item.text, item.at, item.size) for item in scene.items if isinstance(item, Words)
             and item.look == "muted" and item.anchor == "start"]  # fmt: skip
    assert not [1 for one, other in itertools.combinations(areas, 2) if one.overlaps(other)]


def test_bars_carry_what_they_are_worth() -> None:
    found = seen(drawn(Random(4), 60, lambda point: point["a"]), dict.fromkeys("abcd", UNIT)).importance
    assert found is not None
    scene = importance.draw(found)

    told = words(scene)
    assert "From 60 runs" in told
    assert "does not try evenly" in told
    assert told.count("not told from chance") == 3
    bars = [item for item in scene.items if isinstance(item, Box)]
    assert [bar.look for bar in bars] == ["bar", "discard", "discard", "discard"]
    assert bars[0].width > 5 * bars[1].width
    assert any(isinstance(item, Stroke) and item.look == "hint" and item.dashed for item in scene.items)


def test_the_colour_and_the_words_of_a_bar_are_those_of_its_range() -> None:
    """A range across the line of chance, in the colour of what is told apart from it, says two things at once."""
    given = [("sure", 0.6, 0.4, 0.8), ("opt", 0.31, 0.05, 0.57), ("idle", 0.02, 0.0, 0.1)]
    weights = [
        Weight(name=name, share=share, low=low, high=high, chance=share <= 0.15, unsure=low <= 0.15)
        for name, share, low, high in given
    ]
    scene = importance.draw(Importance(n=60, weights=tuple(weights), method="how", caveat="From 60.", floor=0.15))

    assert [item.look for item in scene.items if isinstance(item, Box)] == ["bar", "discard", "discard"]
    said = {item.text: item.look for item in scene.items if isinstance(item, Words)}
    assert said["60% (40% to 80%)"] == "label"
    assert said["31% (5% to 57%), perhaps chance"] == "muted"
    assert said["not told from chance"] == "muted"
    assert "opt: 31% (5% to 57%), perhaps chance" in scene.told
    assert "what reaches below it perhaps not" in words(scene)


def test_what_a_run_wrote_does_no_harm_in_a_picture() -> None:
    luck = Random(5)
    runs = [
        ({HOSTILE: luck.choice([HOSTILE, "b", "مرحبا", "日本語"]), "x": luck.random()}, luck.random())
        for _ in range(30)
    ]
    found = seen(runs)

    for scene in (coordinates.draw(found), slices.draw(found, 0)):
        check(scene)
        assert "<script" not in svg.render(scene)
        assert "\x1b" not in svg.render(scene)


def test_the_same_parameters_give_the_same_bytes() -> None:
    one, other = search(80), search(80)

    assert svg.render(coordinates.draw(one)) == svg.render(coordinates.draw(other))
    assert svg.render(slices.draw(one, 0)) == svg.render(slices.draw(other, 0))


_values = st.one_of(st.floats(allow_nan=False), st.sampled_from([0.0, 1e308, -1e308, 5e-324, 1.0]))
_points = st.fixed_dictionaries(
    {},
    optional={
        "a": st.floats(allow_nan=False, allow_infinity=False),
        "b": st.one_of(st.text(max_size=30), st.integers(), st.none()),
        "a parameter with a name that goes on": st.sampled_from(["x", "W" * 40, "한국어" * 9, "i" * 40]),
        **{f"p{number}": st.integers(-(10**12), 10**12) for number in range(9)},
    },
)


def test_the_end_of_an_axis_is_its_last_number_however_large() -> None:
    most = sys.float_info.max
    assert lanes.value_at(Axis(name="a", low=166.0, high=most, log=True), 1.0) == most


@settings(max_examples=25, deadline=None)
@for_all(st.lists(st.tuples(_points, _values), min_size=1, max_size=12), st.sampled_from([420.0, 640.0, 960.0]))
def test_whatever_was_tried_no_word_lies_on_another(runs: list[tuple[dict[str, object], float]], width: float) -> None:
    try:
        found = seen(runs)
    except AssertionError:  # nothing varied
        return
    check(coordinates.draw(found, width=width))
    for number in range(len(found.axes)):
        check(slices.draw(found, number, width=width / 2))


def test_a_range_is_never_cut() -> None:
    luck = Random(8)
    for _ in range(300):
        low, share, high = sorted(luck.random() for _ in range(3))
        each = Weight(name="k", share=share, low=low, high=high, unsure=low < 0.5)
        found = Importance(n=30, weights=(each,), method="how", caveat="From 30 runs.", floor=0.1)
        told = words(importance.draw(found, width=luck.choice([480, 640, 960, 999.9, 1601])))
        assert f"{share:.0%} ({low:.0%} to {high:.0%})" in told
        assert "…" not in told


_share = st.floats(0, 1)
_names = st.sampled_from(["lr", "W" * 60, "한국어" * 20, "a name", "i" * 60])


@settings(max_examples=25, deadline=None)
@for_all(
    st.lists(st.tuples(_names, _share, _share, _share, st.booleans()), min_size=1, max_size=12),
    _share,
    st.sampled_from([320.0, 480.0, 640.0, 960.0]),
)
def test_whatever_the_weights_are_no_word_lies_on_another(
    given: list[tuple[str, float, float, float, bool]], floor: float, width: float
) -> None:
    weights = []
    for name, *ends, chance in given:
        low, share, high = sorted(ends)
        weights.append(Weight(name=name, share=share, low=low, high=high, chance=chance, unsure=chance or low < 0.3))
    found = Importance(n=30, weights=tuple(weights), method="how " * 40, caveat="From 30 runs. " * 12, floor=floor)

    check(importance.draw(found, width=width))
