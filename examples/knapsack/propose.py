"""Makes the change: the next idea of a list, and when the list is at its end, a small step of one constant.

A stand-in for an agent that costs nothing and does the same every time. It works in the tree that the lab gives it,
and tells what it expects in $LAB_ASI_PATH.
"""

from __future__ import annotations

import json
import os
import random
import re

# Each is a constant, its new value, and what is expected of it.
IDEAS = (
    ("WEIGHT_POWER", "1.0", "what is worth most for its weight goes first"),
    ("SLACK", "3", "a little more than the limit holds more"),
    ("SWAPS", "1", "one look at what was left out finds better items"),
    ("WEIGHT_POWER", "2.0", "light items first, whatever they are worth"),
    ("VALUE_POWER", "1.1", "worth counts a little more than weight"),
    ("SWAPS", "2", "a second look finds more"),
)


def chosen(turn: int) -> tuple[str, str, str]:
    """The idea of this turn. The baseline, which is measured before them all, asks for none."""
    if turn <= len(IDEAS):
        return IDEAS[turn - 1]
    luck = random.Random(turn)
    name = luck.choice(("VALUE_POWER", "WEIGHT_POWER"))
    return name, f"{luck.uniform(0.8, 1.4):.2f}", "a small step"


def main() -> None:
    """Change one line of solve.py."""
    name, value, why = chosen(max(1, int(os.environ.get("LAB_RUN_ITERATION", "2")) - 1))
    with open("solve.py", encoding="utf-8") as file:
        text = file.read()
    with open("solve.py", "w", encoding="utf-8") as file:
        file.write(re.sub(rf"^{name} = [\d.]+", f"{name} = {value}", text, flags=re.MULTILINE))
    notes = {"hypothesis": why, "change": f"{name} = {value}"}
    place = os.environ.get("LAB_ASI_PATH")
    if place:
        with open(place, "w", encoding="utf-8") as file:
            json.dump(notes, file)
    print(f"{name} = {value}: {why}")


if __name__ == "__main__":
    main()
