from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.core import cadence
from lab.core.cadence import duration_s, parse
from lab.core.errors import BadInput

NOW = datetime(2026, 11, 21, 5, 8, 30, tzinfo=UTC)  # a Saturday


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        (None, 1800), ("", 1800), ("  ", 1800), (10, 600), (10.0, 600), (0.5, 30), (0, 0), ("10", 600), ("0.5", 30),
        ("30s", 30), ("5m", 300), ("2h", 7200), ("1d", 86400), ("1.5h", 5400), ("hourly", 3600), ("every-hour", 3600),
        ("daily", 86400), ("every-day", 86400), ("weekly", 604800), ("every-week", 604800), ("every-1-minute", 60),
        ("every-10-minutes", 600), ("every-2-hours", 7200), ("every-3-days", 259200), ("every-5-seconds", 5),
        ("Hourly", 3600), (" 5M ", 300), (3650 * 1440, 315360000), ("-0", 0),
    ],
)  # fmt: skip
def test_an_interval_is_understood(written: object, seconds: float) -> None:
    rule = parse(written)
    assert rule.every_s == seconds
    assert rule.next_due(NOW) == NOW + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "written",
    [
        "every-5-mours", "x", "every-", "every-ten-minutes", "10 minutes", "-5m", "5w", -1, "-1", float("nan"),
        float("inf"), "nan", "inf", 999999999999999, 3650 * 1440 + 1, True, False, [], {}, b"5m",
        "99999999999d", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * 32 * *", "* * * 13 *",
        "* * * * 8", "*/0 * * * *", "5/10 * * * *", "10-5 * * * *", "a * * * *", "* * * foo *", "@reboot", "@5m",
        "0 0 30 2 *", "0 0 31 4,6,9,11 *", "* * ? * *", "* * L * *", ", * * * *", "1, * * * *", "1-2-3 * * * *",
        "\u0661 * * * *",
    ],
)  # fmt: skip
def test_anything_else_is_refused_and_the_forms_are_named(written: object) -> None:
    with pytest.raises(BadInput) as caught:
        parse(written)
    assert caught.value.what.startswith("cadence")
    assert caught.value.fix


@pytest.mark.parametrize("digits", [400, 5000])
def test_a_number_too_long_to_print_is_refused_in_words(digits: int) -> None:
    with pytest.raises(BadInput):
        parse(10**digits)
    with pytest.raises(BadInput):
        duration_s(10**digits, "time_budget")


@pytest.mark.parametrize(
    ("written", "due"),
    [
        ("* * * * *", "2026-11-21T05:09"),
        ("*/5 * * * *", "2026-11-21T05:10"),
        ("8 5 * * *", "2026-11-22T05:08"),
        ("0,30 4-6 * * *", "2026-11-21T05:30"),
        ("0 9 * * mon-fri", "2026-11-23T09:00"),
        ("0 0 * * 7", "2026-11-22T00:00"),
        ("0 0 * * 0", "2026-11-22T00:00"),
        ("0 0 * * fri-sun", "2026-11-22T00:00"),
        ("0 0 1 jan *", "2027-01-01T00:00"),
        ("0 0 31 * *", "2026-12-31T00:00"),
        ("0 0 29 2 *", "2028-02-29T00:00"),
        ("0 0 13 * fri", "2026-11-27T00:00"),
        ("0 0 */2 * sun", "2026-11-29T00:00"),
        ("0 0 29 2 */7", "2032-02-29T00:00"),
        ("10-50/20 * * * *", "2026-11-21T05:10"),
        ("@hourly", "2026-11-21T06:00"),
        ("@daily", "2026-11-22T00:00"),
        ("@weekly", "2026-11-22T00:00"),
        ("@monthly", "2026-12-01T00:00"),
        ("@yearly", "2027-01-01T00:00"),
    ],
)
def test_cron_finds_the_next_moment(written: str, due: str) -> None:
    assert parse(written).next_due(NOW) == datetime.fromisoformat(due).replace(tzinfo=UTC)


def test_cron_asks_for_either_day_only_where_both_are_restricted() -> None:
    due = parse("0 0 13 * fri").next_due(datetime(2026, 12, 11, 0, 0, tzinfo=UTC))
    assert due == datetime(2026, 12, 13, tzinfo=UTC)  # a Sunday, but the 13th


def test_a_rare_date_across_a_century_without_its_leap_day_is_found() -> None:
    due = parse("0 0 29 2 *").next_due(datetime(2096, 3, 1, tzinfo=UTC))
    assert due == datetime(2104, 2, 29, tzinfo=UTC)


def test_what_is_due_after_the_end_of_the_calendar_is_due_at_its_end() -> None:
    late = datetime(9999, 12, 31, 23, 59, 30, tzinfo=UTC)
    assert parse("1d").next_due(late) == datetime.max.replace(tzinfo=UTC)
    assert parse("0 0 1 1 *").next_due(late) == datetime.max.replace(tzinfo=UTC)


def test_a_time_elsewhere_is_the_same_moment_and_a_naive_one_is_refused() -> None:
    there = NOW.astimezone(timezone(timedelta(hours=9)))
    assert parse("@daily").next_due(there) == parse("@daily").next_due(NOW)
    assert parse("@daily").next_due(there).tzinfo is UTC
    with pytest.raises(ValueError, match="zone"):
        parse("1h").next_due(NOW.replace(tzinfo=None))


numbers = st.lists(st.integers(0, 59), min_size=1, max_size=4).map(lambda ns: ",".join(map(str, ns)))
crons = st.builds(
    lambda minute, hour, day, month, weekday: f"{minute} {hour} {day} {month} {weekday}",
    numbers | st.just("*") | st.integers(1, 59).map(lambda n: f"*/{n}"),
    st.integers(0, 23).map(str) | st.just("*"),
    st.integers(1, 28).map(str) | st.just("*"),
    st.integers(1, 12).map(str) | st.just("*") | st.sampled_from(["jan", "jun-aug"]),
    st.integers(0, 7).map(str) | st.just("*") | st.sampled_from(["mon-fri", "sat,sun"]),
)


@given(crons, st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001  # hypothesis wants naive bounds
def test_cron_moves_forward_and_skips_nothing(written: str, last: datetime) -> None:
    rule = parse(written)
    due = rule.next_due(last)
    assert due > last
    assert due.second == due.microsecond == 0
    minute_before = due - timedelta(minutes=1)
    if minute_before >= last:  # asked from anywhere in between, the answer is the same
        assert rule.next_due(minute_before) == due
        assert rule.next_due(last + (minute_before - last) / 2) == due


@given(st.floats(0, 3650 * 1440) | st.integers(0, 3650 * 1440) | crons)
def test_the_text_of_a_cadence_reads_back(written: float | str) -> None:
    rule = parse(written)
    assert parse(rule.text) == rule


@given(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30) | st.binary(max_size=5))
def test_whatever_is_written_is_understood_or_refused(written: object) -> None:
    try:
        rule = parse(written)
    except BadInput:
        return
    assert 0 <= rule.every_s <= cadence.MAX_DAYS * 86400


@pytest.mark.parametrize(
    ("written", "seconds"), [("90s", 90), ("5m", 300), ("1.5h", 5400), ("2d", 172800), (7, 7), (0.25, 0.25), ("12", 12)]
)
def test_a_length_of_time_is_seconds_unless_it_has_a_unit(written: object, seconds: float) -> None:
    assert duration_s(written, "time_budget") == seconds


@pytest.mark.parametrize(
    "written", ["", "x", "5 m", "-5s", -5, True, None, float("nan"), float("inf"), "1e999", [], "5x"]
)
def test_what_is_no_length_of_time_is_refused_by_its_name(written: object) -> None:
    with pytest.raises(BadInput, match=r"^time_budget .* is (not a length of time|below 0)"):
        duration_s(written, "time_budget")


def test_a_length_below_0_is_shown_as_it_was_written() -> None:
    with pytest.raises(BadInput, match=r"^time_budget -5 is below 0"):
        duration_s(-5, "time_budget")
