"""Writes walks.csv: made-up walks, and the minutes that they took. The same bytes every time.

It is typed so: python3 make_data.py > walks.csv
"""

from __future__ import annotations

import random

ROWS, SEED = 240, 5


def table() -> str:
    """A walk takes 12 minutes a kilometre and, uphill, longer and longer; a load slows down who climbs."""
    luck = random.Random(SEED)
    lines = ["kilometres,climb,load,minutes"]
    for _ in range(ROWS):
        kilometres, climb, load = (
            round(luck.uniform(1, 20), 1),
            round(luck.uniform(0, 12), 2),
            round(luck.uniform(0, 20), 1),
        )
        minutes = 12 * kilometres + 2 * climb**2 + 0.15 * load * climb + luck.gauss(0, 12)
        lines.append(f"{kilometres},{climb},{load},{minutes:.0f}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(table(), end="")
