"""Plays machines that pay by chance, and prints how much of what the best of them pays was won.

    python3 arms.py selection    on the machines that a search looks at
    python3 arms.py report       on others

The player mostly takes the machine that has paid best so far, and at times another one. How often, how soon that is
given up, and what is believed of a machine that nobody has tried, are what may vary. $LAB_SEED is the chance.
"""

from __future__ import annotations

import json
import os
import random
import sys

MACHINES, TURNS, GAMES = 8, 300, 12
FIRST = {"selection": 100, "report": 900}  # game: its machines
DEFAULTS = {"explore": 0.3, "fade": 0.0, "hope": 0.0}


def main(part: str) -> None:
    place = os.environ.get("LAB_PARAMS_PATH", "")
    params = dict(DEFAULTS)
    if place:
        with open(place, encoding="utf-8") as file:
            params.update(json.load(file))
    seed = os.environ.get("LAB_SEED", "0")
    shares = [game(FIRST[part] + number, seed, params) for number in range(GAMES)]
    print(f"METRIC share={sum(shares) / len(shares):.6f}")


def game(number: int, seed: str, params: dict[str, float]) -> float:
    """What was won in one game, as a share of what the best machine would have paid."""
    pays = [random.Random(f"{number} {machine}").uniform(0.1, 0.9) for machine in range(MACHINES)]
    luck = random.Random(f"{seed} {number}")
    tried, won = [1.0] * MACHINES, [params["hope"]] * MACHINES
    total = 0.0
    for turn in range(TURNS):
        if luck.random() < params["explore"] / (1 + params["fade"] * turn):
            machine = luck.randrange(MACHINES)
        else:
            machine = max(range(MACHINES), key=lambda each: won[each] / tried[each])
        paid = float(luck.random() < pays[machine])
        tried[machine] += 1
        won[machine] += paid
        total += paid
    return total / (TURNS * max(pays))


if __name__ == "__main__":
    main(sys.argv[1])
