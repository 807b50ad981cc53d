"""When an experiment is due, from what is written."""

from __future__ import annotations

import pytest

from lab.projections import due
from tests.projections import subjects as make


def test_the_next_run_is_due_one_cadence_after_the_last_one_ended() -> None:
    view = make.view([make.run(1, value=0.5)])
    assert due.next_due_at(view, make.spec(cadence="2h")) == "2026-01-02T06:00:01.000000Z"


def test_the_first_run_is_due_since_it_was_made() -> None:
    assert due.next_due_at(make.view(), make.spec()) == make.CREATED


@pytest.mark.parametrize("phase", ["paused", "awaiting-human", "completed", "archived"])
def test_nothing_is_due_where_nothing_may_run(phase: str) -> None:
    assert due.next_due_at(make.view([make.run(1), make.moved(phase)]), make.spec()) == ""


def test_nothing_is_due_without_a_spec() -> None:
    assert due.next_due_at(make.view([make.run(1)]), None) == ""


@pytest.mark.parametrize("ended_at", ["", "yesterday"])
def test_an_imported_run_without_its_times_holds_nothing_up(ended_at: str) -> None:
    assert due.next_due_at(make.view([make.run(1, ended_at=ended_at)]), make.spec()) == make.CREATED


def test_a_time_without_its_zone_is_read_as_utc() -> None:
    view = make.view([make.run(1, ended_at="2026-01-02T04:00:00")])
    assert due.next_due_at(view, make.spec(cadence="1h")) == "2026-01-02T05:00:00.000000Z"
