"""A search space and a run's parameters in few words: what varies, between what, and what a run had of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.projections import data, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lab.core.parameter import Parameter
    from lab.core.space import Space

_WORD_CHARS = 80


def values(parameter: Parameter) -> str:
    """What it can be."""
    match parameter.kind:
        case "float" | "int":
            return f"{parameter.low!r} to {parameter.high!r}"
        case "choice":
            return " ".join(map(spelled, parameter.choices))
        case "bool":
            return "false true"
        case _:
            return spelled(parameter.value)


def when(parameter: Parameter) -> str:
    """Under which other values it counts; empty where it always does."""
    return " and ".join(f"{each.name} is {' or '.join(map(spelled, each.values))}" for each in parameter.when)


def spelled(value: object) -> str:
    """A value as JSON spells it."""
    return data.encode(value).decode()


def lines(space: Space, limit: int) -> Iterator[str]:
    """A parameter a line, then a constraint a line; of very many, the first `limit` of each."""
    for parameter in space.parameters[:limit]:
        words = [f"{parameter.kind} {values(parameter)}"]
        if parameter.kind in ("float", "int") and parameter.log:
            words.append("log scale")
        if parameter.step is not None:
            words.append(f"step {parameter.step!r}")
        if parameter.default is not msgspec.UNSET:
            words.append(f"default {spelled(parameter.default)}")
        if parameter.when:
            words.append(f"only where {when(parameter)}")
        yield text.line(f"{parameter.name}: {', '.join(words)}")
    if len(space.parameters) > limit:
        yield f"and {text.count(len(space.parameters) - limit, 'more parameter')}"
    for constraint in space.constraints[:limit]:
        yield text.line(f"constraint: {constraint}")
    if len(space.constraints) > limit:
        yield f"and {text.count(len(space.constraints) - limit, 'more constraint')}"


def cut(params: Mapping[str, object], limit: int) -> tuple[dict[str, object], int]:
    """As many of these parameters as fit into so many characters of JSON, and how many were left out.

    A run may have been given anything: a text is cut, and what is no plain value is named by its type.
    """
    kept: dict[str, object] = {}
    room = limit
    for name, value in params.items():
        shown = _plain(value)
        key = text.line(name, _WORD_CHARS)
        room -= len(spelled(key)) + len(spelled(shown)) + len(",:")
        if room < 0:
            break
        kept[key] = shown
    return kept, len(params) - len(kept)


def _plain(value: object) -> object:
    if isinstance(value, str):
        return text.line(value, _WORD_CHARS)
    return data.clean(value) if value is None or isinstance(value, bool | int | float) else f"a {type(value).__name__}"
