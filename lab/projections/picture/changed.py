"""What was different, in the fewest honest words: the one or two parameters that changed most, and how many more."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from lab.core.parameter import same
from lab.core.scale import to_unit
from lab.projections import text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.core.parameter import Parameter, Scalar
    from lab.core.space import Space

_NAME_CHARS, _VALUE_CHARS = 24, 16
_ALSO = 0.5  # of the largest change: a second one this large is named too
_SHOWN = 2
_MOST = 200  # parameters that are looked at


def between(space: Space | None, before: Mapping[str, object], after: Mapping[str, object]) -> str:
    """`lr 0.01 -> 0.003, +2 more`; empty where nothing differs. By its range, a change is large or not."""
    known = {each.name: each for each in space.parameters} if space else {}
    sizes: dict[str, float] = {}
    for name in [*after, *(name for name in before if name not in after)][:_MOST]:
        size = _size(known.get(name), before, after, name)
        if size > 0:
            sizes[name] = size
    if not sizes:
        return ""
    ranked = sorted(sizes, key=lambda name: -sizes[name])  # of two that changed alike, the one that is written first
    shown = [name for name in ranked[:_SHOWN] if sizes[name] >= _ALSO * sizes[ranked[0]]]
    words = ", ".join(_worded(name, before, after) for name in shown)
    rest = len(sizes) - len(shown)
    return f"{words}, +{rest} more" if rest else words


def _size(parameter: Parameter | None, before: Mapping[str, object], after: Mapping[str, object], name: str) -> float:
    """How large a change is, between 0 and 1."""
    if name not in before or name not in after:
        return 1.0
    one, other = _plain(before[name]), _plain(after[name])
    if same(one, other):
        return 0.0
    if parameter is not None and parameter.kind in ("float", "int"):
        if not parameter.problem(one) and not parameter.problem(other):
            return abs(to_unit(parameter, one) - to_unit(parameter, other))
        return 1.0
    if isinstance(one, bool) or isinstance(other, bool):
        return 1.0
    if isinstance(one, (int, float)) and isinstance(other, (int, float)):
        size = float(max(abs(one), abs(other)))
        return min(abs(one / size - other / size), 1.0) if math.isfinite(size) else 1.0
    return 1.0


def _worded(name: str, before: Mapping[str, object], after: Mapping[str, object]) -> str:
    shown = text.line(name, _NAME_CHARS)
    if name not in after:
        return f"no {shown}"
    now = _value(after[name])
    return f"{shown} {_value(before[name])} -> {now}" if name in before else f"{shown} {now}"


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, (int, str)):
        return text.line(str(value), _VALUE_CHARS)
    return "null" if value is None else f"a {type(value).__name__}"


def _plain(value: object) -> Scalar:
    """A list or a map is compared by what it says: a run may have been given anything."""
    return value if value is None or isinstance(value, (str, int, float, bool)) else repr(value)[:1_000]
