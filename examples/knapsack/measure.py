"""How good the packing is: its value as a share of what no packing can exceed, over fixed cases."""

from __future__ import annotations

import random

import solve

CASES, ITEMS, SEED = 12, 60, 7


def cases() -> list[tuple[list[solve.Item], int]]:
    """The knapsacks, and how much each holds."""
    luck = random.Random(SEED)
    found: list[tuple[list[solve.Item], int]] = []
    for _ in range(CASES):
        items = [solve.Item(value=luck.randint(10, 100), weight=luck.randint(5, 60)) for _ in range(ITEMS)]
        found.append((items, sum(item.weight for item in items) // 4))
    return found


def bound(items: list[solve.Item], limit: int) -> float:
    """What could be carried if the last item could be cut."""
    total, room = 0.0, limit
    for item in sorted(items, key=lambda item: item.value / item.weight, reverse=True):
        total += item.value * min(1.0, room / item.weight)
        room -= min(room, item.weight)
    return total


if __name__ == "__main__":
    shares: list[float] = []
    for items, limit in cases():
        packed = sum(items[at].value for at in solve.pack(items, limit))
        shares.append(packed / bound(items, limit))
    print(f"METRIC share={sum(shares) / len(shares):.6f}")
