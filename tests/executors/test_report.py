"""What a run reported on the way, whatever it wrote there, and how fast."""

from __future__ import annotations

import os
import time
import tracemalloc
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.core import layout
from lab.core.curve import POINTS
from lab.core.launch import HOPELESS, Exit
from lab.core.run import CANCELLED, SUCCESS, cut_off
from lab.executors import outcome, report
from lab.executors.report import _HEAD_BYTES, _TAIL_BYTES, LONGEST_LINE_BYTES, Following, Report
from lab.testing.executors import RUN_ID, a_manifest

if TYPE_CHECKING:
    from pathlib import Path

    from lab.core.curve import Curve


def of(data: bytes) -> Curve:
    told = Report()
    told.feed(data)
    return told.curve


def left(folder: Path, data: bytes) -> Curve:
    (folder / layout.REPORT).write_bytes(data)
    return report.read(str(folder))


@pytest.mark.parametrize(
    ("text", "points", "passed_over"),
    [
        (b"1 0.5\n2\t0.25\n", ((1, 0.5), (2, 0.25)), 0),
        (b"  0   -1e-3 \r\n", ((0, -0.001),), 0),
        (b"1 0.5\n2 0.25", ((1, 0.5),), 0),  # the last may be half a number
        (b"\n1 0.5\n\n", ((1, 0.5),), 2),
        (b"1 nan\n2 inf\n3 1e999\nnan 1\n4 0.1\n", ((4, 0.1),), 4),
        (b"step 1\n1 loss\n1 2 3\n7\n0x1 1\n1_0 1\n\xff\xfe 1\n1 \xd9\xa1\n", (), 8),
        (b"1 0.5\n3 0.4\n2 0.1\n3 0.2\n4 0.3\n", ((1, 0.5), (3, 0.4), (4, 0.3)), 2),  # steps that go back
        (b"-1 0.5\n", (), 1),
        (b"", (), 0),
        (b"\0" * 5000 + b"\n1 2\n", ((1, 2),), 1),
    ],
)
def test_lines_with_a_step_and_a_number_are_points(
    tmp_path: Path, text: bytes, points: tuple[tuple[float, float], ...], passed_over: int
) -> None:
    found = left(tmp_path, text)
    assert (found.points, found.passed_over) == (points, passed_over)
    assert of(text) == found


@given(st.binary(max_size=600) | st.text("0123456789. \n\t-e", max_size=600).map(str.encode), st.integers(1, 50))
def test_what_comes_out_does_not_depend_on_where_it_was_cut(data: bytes, cut: int) -> None:
    pieces = Report()
    for at in range(0, len(data), cut):
        pieces.feed(data[at : at + cut])
    assert pieces.curve == of(data)


def test_a_line_that_does_not_end_is_passed_over_and_not_kept() -> None:
    told = Report()
    for _ in range(100):
        told.feed(b"1" * LONGEST_LINE_BYTES)
    assert len(told._rest) <= LONGEST_LINE_BYTES
    assert told.feed(b"1 7\n2 0.5\n") == [(2.0, 0.5)]
    assert told.passed_over == 1


def test_a_huge_report_costs_little_and_tells_its_beginning_and_its_end(tmp_path: Path) -> None:
    lines = b"".join(b"%d 0.5\n" % step for step in range(10_000_000, 10_100_000))
    with (tmp_path / layout.REPORT).open("wb") as file:
        file.write(b"0 9.5\n")
        for _ in range(90):
            file.write(lines)
        file.write(b"99999999 0.125\n")
    assert (tmp_path / layout.REPORT).stat().st_size > 100_000_000
    tracemalloc.start()
    began_s = time.process_time()
    found = report.read(str(tmp_path))
    spent_s, peak = time.process_time() - began_s, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (found.points[0], found.points[-1]) == ((0.0, 9.5), (99999999.0, 0.125))
    assert len(found.points) <= POINTS
    assert peak < 4 << 20
    assert spent_s < 10  # of which the tracing is most
    following = Following(str(tmp_path))
    assert len(following.more()) < 10_000


def test_two_halves_of_lines_around_what_is_not_read_are_no_line(tmp_path: Path) -> None:
    head, tail = b"x\n" * (_HEAD_BYTES // 2 - 1) + b"\n5", b"0 0.25\n"
    tail += b"\n" * (_TAIL_BYTES - len(tail))
    assert left(tmp_path, head + b"y" * 70_000 + tail).points == ()
    assert left(tmp_path, head + tail).points == ((50.0, 0.25),)


@pytest.mark.parametrize("what", ["folder", "pipe", "link", "zeros"])
def test_what_is_no_report_tells_nothing_and_holds_nobody(tmp_path: Path, what: str) -> None:
    place = tmp_path / layout.REPORT
    if what == "folder":
        place.mkdir()
    elif what == "pipe":
        os.mkfifo(place)
    elif what == "link":
        (tmp_path / "elsewhere").write_bytes(b"1 0.5\n")
        place.symlink_to(tmp_path / "elsewhere")
    else:
        with place.open("wb") as file:
            file.truncate(200 << 20)
    assert report.read(str(tmp_path)).points == ()
    assert Following(str(tmp_path)).more() == []


def test_a_growing_report_is_followed_line_by_line(tmp_path: Path) -> None:
    following = Following(str(tmp_path))
    assert following.more() == []
    with (tmp_path / layout.REPORT).open("ab", buffering=0) as file:
        file.write(b"1 0.5\n2 0.")
        assert following.more() == [(1.0, 0.5)]
        file.write(b"25\n")
        assert following.more() == [(2.0, 0.25)]
        assert following.more() == []


def test_a_report_that_is_written_anew_goes_on_after_the_last_step(tmp_path: Path) -> None:
    place = tmp_path / layout.REPORT
    place.write_bytes(b"1 0.5\n2 0.4\n3 0.3\n4 0.")
    following = Following(str(tmp_path))
    assert len(following.more()) == 3
    place.write_bytes(b"3 0.2\n4 0.1\n")
    assert following.more() == [(4.0, 0.1)]


def test_the_reading_of_a_run_has_its_curve_and_says_what_was_passed_over(tmp_path: Path) -> None:
    (tmp_path / "stdout.log").write_bytes(b"METRIC loss=0.25\n")
    (tmp_path / layout.REPORT).write_bytes(b"1 0.5\noh\n2 0.25\n")
    ended = outcome.read(str(tmp_path), a_manifest(), Exit(run_id=RUN_ID, code=0))
    assert (ended.outcome, ended.value, ended.curve.points) == (SUCCESS, 0.25, ((1.0, 0.5), (2.0, 0.25)))
    assert f"{layout.REPORT}: passed over 1 line without" in ended.result
    assert layout.REPORT in ended.note


def test_a_run_without_a_report_is_read_as_ever(tmp_path: Path) -> None:
    (tmp_path / "stdout.log").write_bytes(b"METRIC loss=0.25\n")
    ended = outcome.read(str(tmp_path), a_manifest(), Exit(run_id=RUN_ID, code=0))
    assert (ended.curve.points, ended.note) == ((), "")
    assert layout.REPORT not in ended.result


@pytest.mark.parametrize("code", [0, 3, None])
def test_a_run_that_was_stopped_early_is_cancelled_without_a_value_and_not_tried_again(
    tmp_path: Path, code: int | None
) -> None:
    (tmp_path / "stdout.log").write_bytes(b"METRIC loss=0.25\n")
    how = Exit(run_id=RUN_ID, code=code, signal=None if code is not None else 15, stopped=HOPELESS, why="step 3: bad")
    ended = outcome.read(str(tmp_path), a_manifest(), how)
    assert (ended.outcome, ended.value, ended.reason) == (CANCELLED, None, "it was stopped early: step 3: bad")
    assert not cut_off(ended.outcome, ended.reason)
