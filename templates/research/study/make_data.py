"""Writes data.csv: a made-up table whose rule is known, and is not quite a straight line. The same bytes every time.

python3 make_data.py > data.csv
"""

from __future__ import annotations

import math
import random

ROWS, SEED = 360, 11


def table() -> str:
    """How much of a product a mixture yields: linear in two columns, curved in two more, and some noise."""
    luck = random.Random(SEED)
    lines = ["heat,acid,stirring,minutes,product"]
    for _ in range(ROWS):
        heat, acid, stirring, minutes = (round(luck.uniform(-2, 2), 3) for _ in range(4))
        curved = 1.6 * math.sin(1.5 * stirring) + 0.8 * minutes * minutes
        product = 2.0 * heat - 1.2 * acid + curved + luck.gauss(0, 0.4)
        lines.append(f"{heat},{acid},{stirring},{minutes},{product:.3f}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(table(), end="")
