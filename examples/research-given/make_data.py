"""Writes visits.csv: made-up visits to a page, a row a day. The same bytes every time.

It is typed so: python3 make_data.py > visits.csv
"""

from __future__ import annotations

import random

DAYS, SEED = 420, 3
WEEK = (-14, 6, 9, 8, 4, -2, -11)


def table() -> str:
    """A level that wanders, a slow climb, a week that repeats itself, and some noise."""
    luck = random.Random(SEED)
    level, lines = 120.0, ["day,visits"]
    for day in range(DAYS):
        level += 0.05 + luck.gauss(0, 1.5)
        lines.append(f"{day},{level + WEEK[day % 7] + luck.gauss(0, 5):.0f}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(table(), end="")
