from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.core import ids
from lab.core.errors import BadInput

MOMENT = datetime(2026, 11, 21, 9, 30, 5, 42, tzinfo=UTC)
VALIDATORS = (ids.experiment_id, ids.role, ids.tier, ids.worker)


@pytest.mark.parametrize("check", VALIDATORS)
@pytest.mark.parametrize("name", ["a", "0", "lr-sweep", "A.b_c-9", "x" * 64, "console", "com10"])
def test_a_plain_name_is_returned_as_it_is(check: type[str], name: str) -> None:
    assert check(name) == name


@pytest.mark.parametrize("check", VALIDATORS)
@pytest.mark.parametrize(
    "name",
    [
        "",
        " ", ".", "..", "a..b", "a.", "../x", "a/b", "a\\b", "/abs", "-a", "_a", ".a", "a b", "a\n", "a\0", "é",
        "\u0661",
        "x" * 65, "con", "NUL", "nul.txt", "Com1", "lpt0.log", "a@b", "~a", "C:", "a\u2028", None, 3, True, ["a"],
    ],
)  # fmt: skip
def test_a_name_that_could_leave_its_folder_is_refused(check: type[str], name: object) -> None:
    with pytest.raises(BadInput):
        check(name)


def test_the_refusal_says_what_to_write_instead() -> None:
    with pytest.raises(BadInput, match=r"experiment id '\.\./x' cannot be used") as caught:
        ids.experiment_id("../x")
    assert "letters, digits" in caught.value.fix


@given(st.text(max_size=70))
def test_every_name_that_passes_is_one_part_of_a_path(name: str) -> None:
    try:
        ids.experiment_id(name)
    except BadInput:
        return
    assert name.isascii()
    assert not set("/\\:\0") & set(name)
    assert name.strip(".") != ""
    assert len(name) <= 64


def test_a_run_id_tells_its_moment_in_utc() -> None:
    assert ids.new_run_id(MOMENT, "scout") == "RUN-20261121-093005-000042-scout"
    elsewhere = MOMENT.astimezone(timezone(timedelta(hours=-7)))
    assert ids.new_run_id(elsewhere, "scout") == "RUN-20261121-093005-000042-scout"


def test_a_run_id_needs_a_time_with_its_zone_and_a_fit_role() -> None:
    with pytest.raises(ValueError, match="zone"):
        ids.new_run_id(MOMENT.replace(tzinfo=None), "scout")
    with pytest.raises(BadInput):
        ids.new_run_id(MOMENT, "../x")


@given(st.datetimes(timezones=st.just(UTC)), st.datetimes(timezones=st.just(UTC)))
def test_run_ids_are_valid_and_sort_by_time(one: datetime, other: datetime) -> None:
    first, second = (ids.run_id(ids.new_run_id(moment, "scout")) for moment in sorted((one, other)))
    assert first <= second


@pytest.mark.parametrize(
    "name",
    [
        "RUN-20261121-093005-000042-", "RUN-20261121-093005-000042", "RUN-20261321-093005-000042-a",
        "RUN-20261121-253005-000042-a", "run-20261121-093005-000042-a", "RUN-20261121-093005-000042-../a",
        "RUN-20261121-093005-000042-a\n", "RUN-20260230-093005-000042-a", "", 5,
    ],
)  # fmt: skip
def test_a_run_id_of_another_shape_is_refused(name: object) -> None:
    with pytest.raises(BadInput):
        ids.run_id(name)


@pytest.mark.parametrize(
    ("name", "is_fit"), [("HF_TOKEN", True), ("_x", True), ("A=b", False), ("1A", False), ("", False)]
)
def test_a_variable_has_a_name_and_no_value(name: str, is_fit: bool) -> None:
    if is_fit:
        assert ids.variable(name) == name
    else:
        with pytest.raises(BadInput):
            ids.variable(name)
