"""A limit as batch systems write it."""

from __future__ import annotations

import math

import pytest

from lab.core import time_limit

MINUTE_S, HOUR_S, DAY_S = 60.0, 3_600.0, 86_400.0


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("90", 90 * MINUTE_S), ("30:00", 30 * MINUTE_S), ("0:30", 30.0), ("2:00:00", 2 * HOUR_S), ("1-0", DAY_S),
        ("1-12", DAY_S + 12 * HOUR_S), ("1-12:30", DAY_S + 12.5 * HOUR_S), ("2-1:00:05", 2 * DAY_S + HOUR_S + 5),
        ("unlimited", math.inf), ("INFINITE", math.inf),
        ("soon", None), ("", None), ("-5", None), ("1:x", None), ("1-", None), ("1:2:3:4", None), ("\u0661", None),
    ],
)  # fmt: skip
def test_a_time_is_read_as_slurm_reads_it(said: str, expected: float | None) -> None:
    assert time_limit.seconds(said) == expected
