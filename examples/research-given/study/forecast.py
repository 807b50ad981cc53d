"""Says each day how many visits the next one will have, and prints how far off that was.

    python3 forecast.py selection    days 140 to 279, which a search looks at
    python3 forecast.py report       days 280 to 419, which no search sees

The method is Holt's and Winters': a level, a trend and a week are carried on from day to day, and each is moved a share
of the way to what the day was. The days before day 140 are there to begin with. A search reads no line of a day after
279. $LAB_SEED draws the days that are counted, with putting back.
"""

from __future__ import annotations

import csv
import itertools
import json
import math
import os
import random
import sys

DATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "visits.csv")
COUNTED = {"selection": (140, 280), "report": (280, 420)}
DEFAULTS = {"level": 0.3, "trend": 0.02, "season": 0.1}
WEEK = 7


def main(part: str) -> None:
    begin, end = COUNTED[part]
    with open(DATA, encoding="utf-8", newline="") as file:
        visits = [float(row["visits"]) for row in itertools.islice(csv.DictReader(file), end)]
    if len(visits) < end:
        sys.exit(f"the table has {len(visits)} days, and {end} are needed")
    place = os.environ.get("LAB_PARAMS_PATH", "")
    params = dict(DEFAULTS)
    if place:
        with open(place, encoding="utf-8") as file:
            params.update(json.load(file))
    off = misses(visits, params)[begin:end]
    luck = random.Random(os.environ.get("LAB_SEED", "0"))
    drawn = [luck.choice(off) for _ in off]
    print(f"METRIC miss={math.sqrt(sum(miss * miss for miss in drawn) / len(drawn)):.6f}")


def misses(visits: list[float], params: dict[str, float]) -> list[float]:
    """What each day was, less what was said of it the day before."""
    level, trend = sum(visits[:WEEK]) / WEEK, 0.0
    season = [value - level for value in visits[:WEEK]]
    found = []
    for day, value in enumerate(visits):
        weekday = day % WEEK
        found.append(value - (level + trend + season[weekday]))
        was = level
        level += trend + params["level"] * (value - season[weekday] - level - trend)
        trend += params["trend"] * (level - was - trend)
        season[weekday] += params["season"] * (value - level - season[weekday])
    return found


if __name__ == "__main__":
    main(sys.argv[1])
