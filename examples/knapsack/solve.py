"""Packs a knapsack by a rule of thumb. The four constants are what the loop changes."""

from __future__ import annotations

from typing import NamedTuple

VALUE_POWER = 1.0
WEIGHT_POWER = 0.0  # 0 picks what is worth most, whatever it weighs
SWAPS = 0  # how many times each packed item is compared with what was left out
SLACK = 0  # weight above the limit that is put up with


class Item(NamedTuple):
    """Something that may be packed."""

    value: int
    weight: int


def pack(items: list[Item], limit: int) -> list[int]:
    """The places of the items to take."""
    order = sorted(range(len(items)), key=lambda at: (-score(items[at]), at))
    taken: list[int] = []
    room = limit + SLACK
    for at in order:
        if items[at].weight <= room:
            taken.append(at)
            room -= items[at].weight
    for _ in range(SWAPS):
        room = swap(items, taken, room)
    return taken


def score(item: Item) -> float:
    """What is packed first."""
    return float(item.value**VALUE_POWER / item.weight**WEIGHT_POWER)


def swap(items: list[Item], taken: list[int], room: int) -> int:
    """Put a better item in the place of a packed one, where it fits. Returns the room that is left."""
    inside = set(taken)
    for place, old in enumerate(taken):
        for new, item in enumerate(items):
            if new in inside or item.value <= items[old].value or item.weight > room + items[old].weight:
                continue
            inside.remove(old)
            inside.add(new)
            room += items[old].weight - item.weight
            taken[place] = new
            break
    return room
