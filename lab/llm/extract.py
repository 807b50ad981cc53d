"""From what a model said to the one JSON value in it. Models wrap it in fences, in prose, in thoughts.

Stricter than Python: no NaN, no number that overflows, no key twice, nothing too deep. Pure, and of bounded cost.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from typing import TYPE_CHECKING

from lab.core import canonical
from lab.core.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAX_CHARS = 4 << 20
MAX_DEPTH = 40
MAX_NODES = 100_000
_MAX_DIGITS = 400
_SEARCHED_CHARS = 1 << 18  # of the end, where a model that thinks aloud comes to its answer
_MAX_STARTS = 200
_MOST_READ = 8 * _SEARCHED_CHARS  # of all the starts together: each of them may be read to the end
# One way to read each run of spaces: with two, a megabyte of them is tried out for hours, and nothing interrupts that.
_FENCE = re.compile(r"```[ \t]*(?:[A-Za-z0-9_-]+[ \t]*)?\r?\n(.*?)```", re.DOTALL)
_START = re.compile(r"\{(?=\s*[\"}])")  # {x} is a set, and a list in prose a footnote, [1]


def value(text: str, wanted: Sequence[str] = ()) -> object:
    """The JSON value that a text holds; `BadInput` says why there is none, in words for the model.

    Of several the last object that has all the keys `wanted`, else the last one: drafts come before the answer. A list
    counts where it is all that was said, or stands in a fence.
    """
    if len(text) > MAX_CHARS:
        raise BadInput(f"the answer has {len(text):,} characters; at most {MAX_CHARS:,} are read")
    bare = text.strip().removeprefix("\ufeff").strip()
    if not bare:
        raise BadInput("the answer is empty")
    refusals: list[str] = []
    try:
        return _sound(_DECODER.decode(bare))
    except (ValueError, RecursionError) as error:
        refusals += _words(error)
    last: object = None
    for found, is_whole in _within(bare, refusals):
        if wanted and isinstance(found, dict) and all(name in found for name in wanted):
            return found
        if is_whole and (last is None or (isinstance(found, dict) and not isinstance(last, dict))):
            last = found
    if last is not None:
        return last
    if refusals:
        raise BadInput(f"the JSON in the answer cannot be read: {refusals[0]}")
    cut = bool(_START.search(bare))
    raise BadInput("the JSON in the answer is broken or cut off" if cut else "the answer holds no JSON")


def _within(text: str, refusals: list[str]) -> Iterator[tuple[object, bool]]:
    """Every value in a text, the last first, and whether it is whole: what stands in fences, then what stands anywhere.

    What comes after the beginning of a broken object may be a part of it, and would be taken for all of it.
    """
    end = text[-_SEARCHED_CHARS:]
    for block in reversed(_FENCE.findall(end)):
        try:
            yield _sound(_DECODER.decode(block.strip())), True
        except (ValueError, RecursionError) as error:
            refusals += _words(error)
    yield from reversed(_scanned(end, refusals))


def _scanned(text: str, refusals: list[str]) -> list[tuple[object, bool]]:
    """The objects that stand in prose. A start inside of one that was read is none of its own."""
    found: list[tuple[object, bool]] = []
    at = read = 0
    is_whole = True
    for _ in range(_MAX_STARTS):
        start = _START.search(text, at)
        if start is None or read > _MOST_READ:
            break
        at = start.end()
        try:
            one, at = _DECODER.raw_decode(text, start.start())
            found.append((_sound(one), is_whole))
        except (ValueError, RecursionError) as error:
            refusals += _words(error)
            is_whole = False
            end = error.pos if isinstance(error, json.JSONDecodeError) else len(text)
            read += end - start.start()
    return found


class _Refused(ValueError):
    """It is JSON, or what some call so, and not to be used."""


def _words(error: Exception) -> list[str]:
    if isinstance(error, _Refused):
        return [str(error)]
    return ["it is nested too deeply"] if isinstance(error, RecursionError) else []


def _constant(name: str) -> object:
    raise _Refused(f"{name} is no number that can be used")


def _whole(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        raise _Refused(f"a number has {len(digits):,} digits")
    return int(digits)


def _real(digits: str) -> float:
    found = float(digits)
    if not math.isfinite(found):
        raise _Refused(f"the number {digits[:40]} is too large")
    return found


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    made = dict(pairs)
    if len(made) < len(pairs):
        counts = Counter(name for name, _ in pairs)
        twice = next(name for name in made if counts[name] > 1)
        raise _Refused(f"the key {twice[:60]!r} is there twice")
    return made


_DECODER = json.JSONDecoder(parse_constant=_constant, parse_int=_whole, parse_float=_real, object_pairs_hook=_object)


def _sound(found: object) -> object:
    """The value, if it is neither too deep nor too large, and all its texts are such that a file can hold them."""
    level: list[object] = [found]
    depth = nodes = 0
    while level:
        depth += 1
        nodes += len(level)
        if depth > MAX_DEPTH or nodes > MAX_NODES:
            raise _Refused("it is nested too deeply" if depth > MAX_DEPTH else f"it has more than {MAX_NODES:,} values")
        below: list[object] = []
        for each in level:
            if isinstance(each, dict):
                below += [*each.keys(), *each.values()]
            elif isinstance(each, list):
                below += each
            elif isinstance(each, str) and not canonical.is_text(each):
                raise _Refused("a text holds half a character (a lone surrogate)")
        level = below
    return found
