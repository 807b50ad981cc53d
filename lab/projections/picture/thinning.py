"""Which of many are shown, when not all can be: the same ones each time, and nothing of note is dropped by chance.

What must be shown is; the rest of the room goes to an even sample, in proportion to how many of each kind there are.
Even is by place in history, so that a quiet stretch stays quiet and a busy one busy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

LIMIT = 2_000
ALL = "all of them"
_T = TypeVar("_T")


def chosen(total: int, must: Iterable[int], limit: int = LIMIT, *, kinds: Sequence[str] = ()) -> tuple[int, ...]:
    """The places that are shown, in order: at most `limit` of `total`.

    Of musts that do not fit by themselves, the first, the last and an even sample are shown. `kinds` has the kind of
    each of them all; without it they are of one kind.
    """
    if total <= limit:
        return tuple(range(total))
    musts = sorted({place for place in must if 0 <= place < total})
    if len(musts) >= limit:
        return tuple(evenly(musts, limit))
    taken = set(musts)
    groups: dict[str, list[int]] = {}
    if kinds:
        for place in range(total):
            if place not in taken:
                groups.setdefault(kinds[place], []).append(place)
    else:
        groups[""] = [place for place in range(total) if place not in taken]
    shares = _shares({kind: len(group) for kind, group in groups.items()}, limit - len(musts))
    for kind, group in groups.items():
        taken.update(_middles(group, shares[kind]))
    return tuple(sorted(taken))


def evenly(places: Sequence[_T], count: int) -> list[_T]:
    """So many of these, the first and the last among them; one alone is the last."""
    if len(places) <= count:
        return list(places)
    if count <= 1:
        return list(places[-1:]) if count else []
    return [places[(index * (len(places) - 1) + (count - 1) // 2) // (count - 1)] for index in range(count)]


def part(noun: str, shown: int, total: int) -> str:
    """`every keep`, or how many of them."""
    return f"every {noun}" if shown >= total else f"{shown:,} of {total:,} {noun}s"


def rule(shown: int, total: int, always: str) -> str:
    """The rule in words, for a `Sample`: `always` says what is never left out."""
    return ALL if shown >= total else f"{always}; of the rest an even sample of each kind"


def _shares(sizes: dict[str, int], room: int) -> dict[str, int]:
    """How many of each: in proportion, the largest remainders first, and of no kind none while there is room."""
    total = sum(sizes.values())
    least = 1 if room >= len(sizes) else 0
    spare = room - least * len(sizes)
    exact = {kind: spare * (size - least) / max(total - least * len(sizes), 1) for kind, size in sizes.items()}
    shares = {kind: least + int(part) for kind, part in exact.items()}
    left = room - sum(shares.values())
    for kind in sorted(sizes, key=lambda kind: (int(exact[kind]) - exact[kind], kind))[: max(left, 0)]:
        shares[kind] += 1
    return {kind: min(share, sizes[kind]) for kind, share in shares.items()}


def _middles(places: Sequence[int], count: int) -> list[int]:
    """So many, each from the middle of its part: the ends are no more likely to be shown than others."""
    return [places[(2 * index + 1) * len(places) // (2 * count)] for index in range(count)]
