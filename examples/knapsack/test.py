"""What must hold before a change is measured: nothing is packed twice, and nothing is packed that does not fit."""

from __future__ import annotations

import sys

import measure
import solve

for items, limit in measure.cases():
    taken = solve.pack(items, limit)
    if len(taken) != len(set(taken)):
        sys.exit("an item is packed twice")
    weight = sum(items[at].weight for at in taken)
    if weight > limit:
        sys.exit(f"{weight} is packed where {limit} is the limit")
