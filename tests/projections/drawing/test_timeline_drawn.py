"""The drawing of a timeline: boxes where their runs ran, breaks that say how long they are, and open ends."""

from __future__ import annotations

import pytest

from lab.projections.drawing import timeline as drawing
from lab.projections.drawing.scene import Box, Scene, Stroke
from lab.projections.picture import timeline
from lab.projections.picture.given import UnderWay
from lab.projections.picture.timeline import MOST, Timeline
from lab.projections.tables import Line, Ran
from tests.projections import framed
from tests.projections.kin import at, evolved, given, line, looped, named
from tests.projections.subjects import HOSTILE


def seen(lines: list[Line], *under_way: UnderWay, width: float = 960) -> tuple[Timeline, Scene]:
    found = timeline.of(given(lines, under_way=under_way))
    return found, drawing.draw(found, width=width, href=lambda run_id: f"#{run_id}")


def boxes(scene: Scene) -> list[Box]:
    """Those of runs: the swatches of the legend are 8 high."""
    return [item for item in scene.items if isinstance(item, Box) and item.height != 8]


def odd(began: str, wall_s: float = 5, worker: str = "alder") -> Line:
    return line(10_000_000, 1.0, ran=Ran(began=began, wall_s=wall_s, worker=worker))


def many(count: int, workers: int) -> list[Line]:
    return [
        line(number, 1.0, ran=Ran(began=at(10 * number), wall_s=60, worker=f"{HOSTILE}{number % workers}"))
        for number in range(count)
    ]


NIGHTS = [
    line(number, 1.0, ran=Ran(began=at(86_400 * (number // 8) + 3_600 * (number % 8)), wall_s=3_000))
    for number in range(80)
]
DAYS = [line(number, 1.0, ran=Ran(began=at(86_400 * number), wall_s=60)) for number in range(300)]


@pytest.mark.parametrize("width", [1, 400, 960])
@pytest.mark.parametrize(
    "lines",
    [
        [], [line(1)], evolved(300), looped(120), NIGHTS, DAYS, many(3_000, 40), many(30, 3),
        [*looped(20), odd("2000-01-01T00:00:00Z")], [*looped(20), odd("2199-12-31T23:59:59Z", 1e300)],
        [odd("0001-01-01T00:00:00Z", 0)], [odd("")],
    ],
)  # fmt: skip
def test_all_of_it_is_inside_and_nothing_collides(lines: list[Line], width: float) -> None:
    found, scene = seen(lines, width=width)

    framed.holds(scene)
    stretches = sum(len(lane.stretches) for lane in found.lanes)
    assert stretches <= MOST
    assert len(boxes(scene)) >= stretches
    assert scene.height < 700


def test_a_box_is_as_wide_as_its_run_was_long_and_leads_to_it() -> None:
    lines = [line(number, 1.0, ran=Ran(began=at(start), wall_s=wall_s)) for number, start, wall_s in
             ((1, 0, 100), (2, 100, 200), (3, 300, 100))]  # fmt: skip
    _, scene = seen(lines)

    first, second, third = boxes(scene)

    assert second.width == pytest.approx(2 * first.width)
    assert third.at[0] == pytest.approx(second.at[0] + second.width)
    assert second.href == f"#{named(2)}"
    assert "3 min 20 s" in second.says


def test_a_break_says_how_long_it_is() -> None:
    _, scene = seen(NIGHTS[:16])

    assert any(each.text == "16 h 10 min" for each in framed.words(scene))
    assert "1 break in the axis, 16 h 10 min in all" in framed.said(scene)


def test_what_is_under_way_has_an_open_end() -> None:
    _, scene = seen([line(1, 1.0)], UnderWay(run_id="u", began=at(70), worker="alder"))

    assert [item.look for item in scene.items if isinstance(item, Stroke) and item.close] == ["running"]


def test_of_runs_drawn_together_each_kind_is_as_high_as_it_is_frequent() -> None:
    lines = [line(number, None if number % 4 else 1.0 - number / 1e6, ran=Ran(began=at(10 * number), wall_s=9))
             for number in range(20_000)]  # fmt: skip
    _, scene = seen(lines)

    high: dict[str, float] = {}
    for box in boxes(scene):
        high[box.look] = high.get(box.look, 0) + box.height * box.width
    assert high["crash"] / sum(high.values()) == pytest.approx(0.75, abs=0.02)


def test_a_picture_of_very_many_runs_stays_light() -> None:
    _, scene = seen(evolved(5_000))

    assert len(scene.items) < 2_500
