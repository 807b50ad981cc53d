"""Makes the change: the next idea of a list. A stand-in for an agent; see ../knapsack for one that goes on."""

from __future__ import annotations

import json
import os
import re

# Each is a constant, its new value, and what is expected of it.
IDEAS = (
    ("BATCH", "65", "one word more at a time: no difference that anybody could measure"),
    ("ORDERED", "False", "to sort once, at the end, is enough"),
    ("KNOWN_FIRST", "True", "to look twice takes longer"),
    ("BATCH", "66", "two words more at a time: no difference either"),
)


def main() -> None:
    """Change one line of count.py."""
    turn = max(0, int(os.environ.get("LAB_RUN_ITERATION", "2")) - 2)  # the first run is the baseline
    name, value, why = IDEAS[turn % len(IDEAS)]
    with open("count.py", encoding="utf-8") as file:
        text = file.read()
    with open("count.py", "w", encoding="utf-8") as file:
        file.write(re.sub(rf"^{name} = \w+", f"{name} = {value}", text, flags=re.MULTILINE))
    place = os.environ.get("LAB_ASI_PATH")
    if place:
        with open(place, "w", encoding="utf-8") as file:
            json.dump({"hypothesis": why, "change": f"{name} = {value}"}, file)
    print(f"{name} = {value}: {why}")


if __name__ == "__main__":
    main()
