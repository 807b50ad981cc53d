"""What ran when: every run is on a row, under way, or counted among those that are left out."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from lab.projections.picture import timeline
from lab.projections.picture.given import UnderWay
from lab.projections.picture.timeline import MOST, MOST_LANES, SEVERAL, UNKNOWN, Timeline
from lab.projections.tables import Line, Ran
from tests.projections.kin import at, given, line, named

HOUR, DAY = 3_600.0, 86_400.0


def ran(start: float, wall_s: float, worker: str = "alder", value: float | None = 1.0) -> Line:
    ran.number += 1  # type: ignore[attr-defined]
    return line(ran.number, value, ran=Ran(began=at(start), wall_s=wall_s, worker=worker))  # type: ignore[attr-defined]


ran.number = 0  # type: ignore[attr-defined]


def seen(lines: list[Line], *under_way: UnderWay) -> Timeline:
    return timeline.of(given(lines, under_way=under_way))


def whole(found: Timeline) -> int:
    return sum(stretch.runs for lane in found.lanes for stretch in lane.stretches)


def test_where_nothing_ran_there_is_no_lane() -> None:
    found = seen([])

    assert (found.began, found.length_s, found.lanes, found.sample.total) == ("", 0.0, (), 0)


def test_what_a_worker_did_at_once_has_rows_of_its_own() -> None:
    found = seen([ran(0, 60), ran(10, 20), ran(30, 20), ran(60, 5), ran(0, 5, "birch"), ran(1, 1, "")])

    assert [(lane.worker, len(lane.stretches)) for lane in found.lanes] == [
        ("alder", 2), ("alder", 2), ("birch", 1), (UNKNOWN, 1),
    ]  # fmt: skip
    assert [lane.busy_s for lane in found.lanes] == [65, 40, 5, 1]


def test_idle_is_when_nobody_ran() -> None:
    found = seen([ran(0, 60), ran(30, 60, "birch"), ran(70, 5), ran(100, 10), ran(150, 10)])

    assert found.length_s == 160
    assert found.idle_s == 10 + 40


def test_what_is_under_way_has_no_end_and_lasts_at_least_until_now() -> None:
    found = seen(
        [ran(0, 60)],
        UnderWay(run_id="a", began=at(30), worker="alder"),
        UnderWay(run_id="b", began=at(90), worker="birch", state="lost"),
        UnderWay(run_id="c", state="waiting"),
    )

    assert [[(each.kind, each.start_s, each.end_s) for each in lane.stretches] for lane in found.lanes] == [
        [("keep", 0, 60)], [("running", 30, None)], [("lost", 90, None)],
    ]  # fmt: skip
    assert found.length_s == 90
    assert found.idle_s == 0
    assert found.sample.rule == "1 run that never began, or did not say when, left out"
    assert (found.sample.shown, found.sample.total) == (3, 4)


@pytest.mark.parametrize(
    ("began", "wall_s"),
    [
        ("", 5), ("yesterday", 5), ("0001-01-01T00:00:00+14:00", 5), ("9999-12-31T23:59:59-14:00", 5),
        ("2199-12-31T23:59:59Z", 1e300), ("2026-01-02T03:04:05", 0), ("2000-01-01T00:00:00Z", 1e-9),
    ],
)  # fmt: skip
def test_no_clock_is_too_wrong(began: str, wall_s: float) -> None:
    odd = line(1_000_000, 1.0, ran=Ran(began=began, wall_s=wall_s))

    found = seen([ran(0, 60), odd, ran(60, 60)])

    shown = whole(found)
    assert shown == found.sample.shown
    assert shown in (2, 3)
    assert (shown == 2) == ("did not say when" in found.sample.rule)
    assert 0 <= found.idle_s <= found.length_s < 1e12


@pytest.mark.parametrize("began", ["0001-01-01T00:00:00Z", "1970-01-01T00:00:10Z", "3939-01-01T00:00:00Z"])
def test_a_year_in_which_no_lab_was_is_no_start(began: str) -> None:
    odd = line(1_000_000, 1.0, ran=Ran(began=began, wall_s=10))

    found = seen([ran(0, 60), odd])

    assert found.began.startswith("2026-")
    assert (found.length_s, found.sample.shown, found.sample.total) == (60, 1, 2)
    assert found.sample.rule == "1 run that never began, or did not say when, left out"


def test_nights_are_cut_out_and_regular_pauses_are_not() -> None:
    nightly = seen([ran(DAY * day + HOUR * hour, HOUR) for day in range(3) for hour in range(8)])
    hourly = seen([ran(HOUR * hour, 300) for hour in range(72)])

    assert [(gap.start_s, gap.length_s) for gap in nightly.gaps] == [(8 * HOUR, 16 * HOUR), (32 * HOUR, 16 * HOUR)]
    assert nightly.idle_s == 32 * HOUR
    assert hourly.gaps == ()


def test_a_clock_that_was_wrong_once_squashes_nothing() -> None:
    old = line(2_000_000, 1.0, ran=Ran(began="2001-01-01T00:00:10Z", wall_s=10, worker="birch"))

    found = seen([ran(0, 60), old, ran(60, 60)])

    assert found.began.startswith("2001-")
    assert found.length_s - sum(gap.length_s for gap in found.gaps) == pytest.approx(130)


def test_of_very_many_workers_the_rest_is_counted() -> None:
    lines = [ran(number, 100, f"node-{number % 40:02d}") for number in range(200)]

    found = seen(lines)

    assert len(found.lanes) == MOST_LANES
    assert len({lane.worker for lane in found.lanes}) == MOST_LANES
    assert found.left_out == 40 * 3 - MOST_LANES
    assert f"rows of 40 workers with {200 - whole(found)} runs left out" in found.sample.rule


def test_very_many_runs_are_drawn_together_and_each_is_counted() -> None:
    lines = [ran(10 * number, 9, value=None if number % 3 else 1.0) for number in range(20_000)]

    found = seen(lines)

    stretches = found.lanes[0].stretches
    assert MOST / 2 < len(stretches) <= MOST
    assert whole(found) == 20_000
    assert sum((Counter(dict(each.of)) for each in stretches), Counter())["crash"] == 13_333
    assert {each.kind for each in stretches} == {SEVERAL}
    assert "20000 runs that followed each other closely are drawn together" in found.sample.rule


def test_what_is_under_way_is_not_drawn_together_with_what_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeline, "MOST", 2)

    found = seen([ran(number, 1) for number in range(50)], UnderWay(run_id="u", began=at(50), worker="alder"))

    assert [(each.runs, each.end_s) for each in found.lanes[0].stretches] == [(50, 50), (1, None)]


def test_very_many_that_began_this_moment_end_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeline, "MOST", 2)
    going = [UnderWay(run_id=f"{named(number)}-more", began=at(50), worker="alder") for number in range(20)]

    found = seen([line(number, ran=Ran(began=at(50), worker="alder")) for number in range(20)], *going)

    assert [(each.runs, each.end_s) for lane in found.lanes for each in lane.stretches] == [(20, 0), (20, None)]


@settings(max_examples=60)
@for_all(
    st.lists(st.tuples(st.integers(0, 500), st.floats(0, 60), st.sampled_from("ab"), st.booleans()), max_size=60),
    st.integers(0, 30),
)
def test_rows_never_overlap_and_nothing_is_lost(runs: list[tuple[int, float, str, bool]], under: int) -> None:
    lines = [ran(start, wall_s, worker, 1.0 if fine else None) for start, wall_s, worker, fine in runs]
    going = [UnderWay(run_id=f"u{number}", began=at(400 + number), worker="a") for number in range(under)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(timeline, "MOST", 16)
        patch.setattr(timeline, "MOST_LANES", 4)
        found = seen(lines, *going)

    assert sum(len(lane.stretches) for lane in found.lanes) <= 16
    assert whole(found) == found.sample.shown
    assert (found.left_out > 0) == (whole(found) < len(runs) + under)
    for lane in found.lanes:
        assert all("running" not in dict(each.of) for each in lane.stretches if each.end_s is not None)
        assert all({"running", *dict(each.of)} == {"running"} for each in lane.stretches if each.end_s is None)
        for before, after in pairwise(lane.stretches):
            assert before.end_s is None or before.end_s <= after.start_s + 0.001
        assert all(sum(count for _, count in each.of) == each.runs for each in lane.stretches if each.runs > 1)
    assert all(0 <= each.start_s <= found.length_s for lane in found.lanes for each in lane.stretches)
