"""The staircase as it is drawn, by its marks: nothing slanted, nothing left out unsaid, no words on others."""

from __future__ import annotations

import itertools
import time

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.projections.drawing import scene, stairs, svg
from lab.projections.picture.stairs import KINDS, Band, Spot, Stairs, Step
from tests.projections.drawing import staircases
from tests.projections.drawing.staircases import BAND, areas, descent, points, said, spot, strokes, words


def test_the_staircase_is_level_and_upright_and_never_slanted() -> None:
    line = strokes(stairs.draw(descent(60, 8)), "stair")[0].points
    assert all(x == to_x or y == to_y for (x, y), (to_x, to_y) in itertools.pairwise(line))
    xs = [x for x, _ in line]
    assert xs == sorted(xs)
    assert line[-1][0] == max(x for x, _ in strokes(stairs.draw(descent(60, 8)), "axis")[0].points)


def test_the_noise_is_a_band_of_steps_too() -> None:
    drawn = stairs.draw(descent(60, 8, band=BAND))
    (band,) = strokes(drawn, "band")
    assert band.close
    assert all(x == to_x or y == to_y for (x, y), (to_x, to_y) in itertools.pairwise(band.points))
    assert "same within ±0.03" in said(drawn)
    assert "3 points measured more than once" in said(drawn)


def test_the_band_is_as_wide_as_two_measurements_of_the_same_may_differ() -> None:
    drawn = stairs.draw(staircases.stairs([spot(1, "keep", 1.0), spot(2, "keep", 0.5)], band=BAND))
    (band,) = strokes(drawn, "band")
    ys = sorted(y for _, y in points(drawn, "keep") + points(drawn, "best"))
    pixels = (ys[1] - ys[0]) / 0.5
    assert band.points[-1][1] - band.points[0][1] == pytest.approx(2 * BAND.width * pixels)


def test_the_noise_lies_around_the_last_keep_and_not_around_a_luck_within_it() -> None:
    runs = [spot(1, "keep", 1.0), spot(2, "within", 0.98), spot(3, "keep", 0.96)]
    steps = [
        Step(n=one.n, run_id=one.run_id, value=one.value or 0.0, within=one.kind == "within", changed=f"run {one.n}")
        for one in runs
    ]
    (band,) = strokes(stairs.draw(staircases.stairs(runs, steps=steps, band=BAND)), "band")
    assert len(band.points) == 2 * 2 * 2  # around runs 1 and 3: run 3 lies outside of the first
    loop = [runs[0], spot(2, "keep", 0.98), runs[2]]  # what was kept unconfirmed is yet what comes is held against
    (band,) = strokes(stairs.draw(staircases.stairs(loop, steps=steps, band=BAND)), "band")
    assert len(band.points) == 3 * 2 * 2


def test_a_noise_that_is_not_known_is_said_and_one_that_is_none_is_said_otherwise() -> None:
    assert "Nothing was measured twice: the steps are not held against noise." in said(stairs.draw(descent(20, 3)))
    none = Band(sigma=0.0, width=0.0, source="2 points measured more than once, all equal")
    drawn = stairs.draw(descent(20, 3, band=none))
    assert "No noise: 2 points measured more than once, all equal." in said(drawn)
    assert not strokes(drawn, "band")


def test_crashes_are_crosses_on_the_floor_below_every_value() -> None:
    drawn = stairs.draw(descent(60, 8))
    told = descent(60, 8)
    crosses = points(drawn, "crash") + points(drawn, "cancelled")
    assert len(crosses) == told.counts["crash"] + told.counts["cancelled"]
    lowest = max(y for look in ("keep", "best", "within", "discard") for _, y in points(drawn, look))
    assert min(y for _, y in crosses) > lowest
    assert len({y for _, y in crosses}) == 1
    assert {item.shape for item in drawn.items if isinstance(item, scene.Mark) and item.look == "crash"} == {"cross"}
    assert "no value" in [each.text for each in words(drawn, "tick")]


def test_every_run_that_is_shown_has_its_mark() -> None:
    told = descent(500, 20)
    drawn = stairs.draw(told)
    found = sum(len(points(drawn, look)) for look in ("keep", "best", "within", "discard", "crash", "cancelled"))
    assert found + len(points(drawn, "clipped")) == len(told.spots)


def test_better_is_down_where_lower_is_better_and_up_where_higher_is() -> None:
    down = [spot(1, "keep", 3.0), spot(2, "keep", 1.0)]
    for direction, values, way in (("minimize", (3.0, 1.0), "lower"), ("maximize", (1.0, 3.0), "higher")):
        told = staircases.stairs(
            [msgspec.structs.replace(each, value=value) for each, value in zip(down, values, strict=True)],
            direction=direction,
        )
        drawn = stairs.draw(told)
        first, last = strokes(drawn, "stair")[0].points[0], strokes(drawn, "stair")[0].points[-1]
        assert (first[1] < last[1]) == (direction == "minimize")
        assert f"loss, {way} is better" in said(drawn)


def test_what_lies_outside_stands_at_the_edge_and_is_counted() -> None:
    crowd = [spot(n, "discard", 1.0 + n / 100) for n in range(2, 40)]
    told = staircases.stairs([spot(1, "keep", 1.0), *crowd, spot(40, "discard", 1e6), spot(41, "keep", -1e9)], steps=[
        Step(n=1, run_id="RUN-1", value=1.0),
    ])  # fmt: skip
    drawn = stairs.draw(told)
    assert len(points(drawn, "clipped")) == 1
    assert "1 run lies above the frame, as far as 1,000,000." in said(drawn)
    assert "1 run lies below the frame" in said(drawn)
    shapes = {item.shape for item in drawn.items if isinstance(item, scene.Mark) and "outside" in item.says}
    assert shapes == {"triangle-down"}


def test_a_target_is_a_line_or_is_said_to_be_outside() -> None:
    near = stairs.draw(descent(30, 5, target=0.9))
    assert len([each for each in strokes(near, "hint") if each.points[-1][0] - each.points[0][0] > 100]) == 1
    far = stairs.draw(descent(30, 5, target=-50.0))
    assert "The target, −50, lies below the frame." in said(far)  # noqa: RUF001  # a minus sign


def test_what_was_left_out_is_said() -> None:
    assert "Shown are 30 of 90,000 runs: every new best." in said(stairs.draw(descent(30, 3, total=90_000)))


def test_labels_that_found_no_room_are_counted() -> None:
    told = descent(300, 100, says="warm the learning rate up")
    drawn = stairs.draw(told)
    shown = len(words(drawn, "label"))
    assert 0 < shown < 100
    assert f"No room for {100 - shown} labels." in said(drawn)
    assert "No room" not in said(stairs.draw(descent(30, 3)))


def test_an_unconfirmed_keep_can_be_told_from_a_confirmed_one() -> None:
    told = descent(40, 6, band=BAND)
    unsure = [msgspec.structs.replace(step, within=n == 2) for n, step in enumerate(told.steps)]
    drawn = stairs.draw(msgspec.structs.replace(told, steps=tuple(unsure)))
    assert "kept unconfirmed 1" in said(drawn)
    (dots,) = [item for item in drawn.items if isinstance(item, scene.Marks) and item.look == "within"]
    assert len(dots.at) == 1
    told_of = [
        item.says for item in drawn.items if isinstance(item, scene.Mark) and ", kept unconfirmed, " in item.says
    ]
    assert len(told_of) == 1


def test_marks_that_count_can_be_pointed_at_and_lead_to_their_run() -> None:
    drawn = stairs.draw(descent(40, 6), href=lambda run: f"#{run}")
    marks = {item.says: item for item in drawn.items if isinstance(item, scene.Mark) and item.says}
    best = next(mark for says, mark in marks.items() if "best so far" in says)
    assert best.look == "best"
    assert best.href.startswith("#RUN-")
    assert all(mark.href for mark in marks.values())
    assert any(says.startswith("run 1, RUN-1, keep, 0.97: lr 0.01") for says in marks)


def test_no_run_one_run_and_only_crashes_say_so() -> None:
    assert "No run has ended yet." in said(stairs.draw(staircases.stairs([])))
    one = stairs.draw(staircases.stairs([spot(1, "keep", 3.0, "random")]))
    assert len(points(one, "best")) == 1
    assert "best 3 after 1 run" in said(one)
    crashed = stairs.draw(staircases.stairs([spot(n, "crash") for n in range(1, 13)]))
    assert "No run has a value: 12 failed." in said(crashed)
    assert len(points(crashed, "crash")) == 12


@pytest.mark.parametrize("size", [(320, 240), (960, 420), (2400, 600)])
@pytest.mark.parametrize(
    "says", ["lr 0.01 -> 0.003", "学习率减半并且加倍", "שלום עולם", "W" * 400, "\x1b[31m\u202ered"]
)
def test_no_words_lie_on_others_or_leave_the_paper(size: tuple[int, int], says: str) -> None:
    for told in (descent(120, 14, says=says, band=BAND, target=0.8), descent(12, 12, says=says, direction="maximize")):
        drawn = stairs.draw(told, width=size[0], height=size[1])
        assert not staircases.outside(drawn)
        assert not staircases.overlapping(areas(drawn))
        assert not any(char in said(drawn) for char in "\x1b\u202e")


VALUES = st.floats(allow_nan=False, allow_infinity=False) | st.none()
SPOTS = st.lists(st.tuples(st.sampled_from(KINDS), VALUES, st.text(max_size=12)), max_size=25)


@settings(max_examples=60)
@given(SPOTS, st.sampled_from(["minimize", "maximize"]), st.booleans(), st.floats(0, 1e308) | st.none())
def test_whatever_the_values_are_every_number_of_the_drawing_is_on_the_paper(
    runs: list[tuple[str, float | None, str]], direction: str, log: bool, width: float | None
) -> None:
    spots = [
        Spot(n=n, run_id=f"RUN-{n}", kind=kind if value is not None else "crash", value=value, says=says)
        for n, (kind, value, says) in enumerate(runs, 1)
    ]
    band = None if width is None else Band(sigma=width / 4, width=width, source="repeats")
    told = staircases.stairs(spots, direction=direction, band=band, target=width)
    drawn = stairs.draw(told, log=log)
    for item in drawn.items:
        corners = (
            item.points if isinstance(item, scene.Stroke) else item.at if isinstance(item, scene.Marks) else (item.at,)
        )
        for x, y in corners:
            assert 0 <= x <= drawn.width
            assert 0 <= y <= drawn.height
    assert not staircases.outside(drawn)
    assert svg.render(drawn) == svg.render(stairs.draw(told, log=log))


def test_a_logarithmic_scale_is_kept_to_values_above_zero() -> None:
    spots = [spot(n, "keep", 10.0 ** (3 - n)) for n in range(1, 7)]
    drawn = stairs.draw(staircases.stairs(spots), log=True)
    line = strokes(drawn, "stair")[0].points
    heights = sorted({y for _, y in line})
    gaps = [after - before for before, after in itertools.pairwise(heights)]
    assert max(gaps) == pytest.approx(min(gaps), rel=0.01)
    below = stairs.draw(staircases.stairs([*spots, spot(7, "keep", -1.0)]), log=True)
    told = staircases.stairs([*spots, spot(7, "keep", -1.0)])
    assert [each.text for each in words(below, "tick")] == [each.text for each in words(stairs.draw(told), "tick")]
    assert "The scale is not logarithmic: some values are not above 0 (the lowest is \u22121)." in said(below)
    assert "not logarithmic" not in said(drawn)


def test_a_logarithmic_scale_shows_what_lies_far_away() -> None:
    told = far_first()
    assert "below the frame" in said(stairs.draw(told))
    assert "the frame" not in said(stairs.draw(told, log=True))
    assert not strokes_dashed(stairs.draw(told, log=True))


def far_first() -> Stairs:
    """As a packing problem goes: the baseline is far from everything that came after it."""
    steps = [0.797, 0.985, 0.9878, 0.991]
    kept = [spot(1 + 5 * n, "keep" if n else "baseline", value, "warm up" * (n > 0)) for n, value in enumerate(steps)]
    crowd = [spot(n, "discard", 0.984 + n % 7 / 1_000) for n in range(2, 40) if n % 5 != 1]
    found = staircases.stairs(sorted([*kept, *crowd], key=lambda each: each.n), direction="maximize")
    first, *others = found.steps
    return msgspec.structs.replace(found, steps=(msgspec.structs.replace(first, changed="baseline"), *others))


def strokes_dashed(drawn: scene.Scene) -> list[scene.Stroke]:
    return [each for each in strokes(drawn, "stair") if each.dashed]


def test_a_step_outside_the_frame_breaks_the_line_and_its_value_is_written_there() -> None:
    drawn = stairs.draw(far_first())
    (broken,) = strokes_dashed(drawn)
    solid = [each for each in strokes(drawn, "stair") if not each.dashed]
    assert broken.points[-1] == solid[0].points[0]
    assert all(x == to_x or y == to_y for (x, y), (to_x, to_y) in itertools.pairwise(broken.points))
    assert "baseline 0.797" in [each.text for each in words(drawn, "label")]
    ticks = [each.at[1] for each in words(drawn, "tick") if each.text.startswith("0.9")]
    assert broken.points[0][1] > max(ticks) - 4
    slanted = [each for each in strokes(drawn, "axis") if each.points[0][1] != each.points[1][1] and each.width > 1]
    assert len(slanted) == 2
    assert not strokes_dashed(stairs.draw(descent(60, 8)))


def test_what_lies_outside_stands_beyond_everything_that_lies_inside() -> None:
    crowd = [spot(n, "discard", 1.0 + n / 1_500) for n in range(2, 302)]
    tail = [spot(n, "discard", 1.2 + (n - 301) / 150) for n in range(302, 602)]  # some just inside, some just outside
    drawn = stairs.draw(staircases.stairs([spot(1, "keep", 1.0), *crowd, *tail]))
    outside = {y for _, y in points(drawn, "clipped")}
    assert len(outside) == 1
    assert max(outside) + 4 < min(y for _, y in points(drawn, "discard"))


def test_2_000_spots_with_400_steps_are_drawn_in_well_under_a_second() -> None:
    told = descent(2_000, 400)
    began = time.process_time()
    drawn = stairs.draw(told)
    assert time.process_time() - began < 2
    assert len(svg.render(drawn)) < 400_000
