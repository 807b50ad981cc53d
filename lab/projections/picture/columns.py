"""The parameters that runs had, one by one: what an axis shows, and where on it each run lies.

A run may have been given anything: a number too large for a float, a list, a text of a megabyte. Everything has a place
or none, and nothing is refused.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from itertools import chain
from typing import TYPE_CHECKING

import msgspec

from lab.core.parameter import same
from lab.projections import points, text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lab.core.parameter import Parameter
    from lab.core.space import Space

Params = Mapping[str, object]

MOST = 40  # parameters that are looked at; a hostile run may have a million
CHOICES = 24
NAME_CHARS = 60
_CHOICE_CHARS = 40
_DECADES = 1_000.0  # what spans more than that, and is above 0, is looked at on a logarithmic scale
_MOSTLY = 0.9
_WORDS = ("", "true", "false", "null")  # a text that reads so is spelled with its quotes, as JSON has it


class Axis(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A parameter that varied. A number has bounds, everything else its choices, spelled as they are shown.

    A number lies from `low` at 0 to `high` at 1, a choice at its place among the choices; one alone in the middle.
    """

    name: str
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    choices: tuple[str, ...] = ()


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """A parameter as it is in runs. `at` has a place for each of them, or None where it did not count or was not given.

    `conditional` is one that the space itself leaves out where it does not count.
    """

    axis: Axis
    key: str  # its name, as the runs have it
    at: tuple[float | None, ...]
    varied: bool
    conditional: bool = False


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """A parameter before any run is placed on it."""

    key: str
    axis: Axis
    varied: bool
    conditional: bool
    codes: dict[str, float]  # of a choice: spelled -> place
    other: float | None = None  # the place of choices that are not spelled out


def known(space: Space | None, runs: Sequence[Params]) -> tuple[tuple[Known, ...], int]:
    """The axes that runs can be placed on, and how many parameters nobody looked at."""
    parameters = {each.name: each for each in space.parameters if _can_vary(each)} if space else {}
    fixed = {each.name for each in space.parameters} - parameters.keys() if space else set()
    counted = Counter(chain.from_iterable(runs))
    extra = [name for name in counted if name not in parameters and name not in fixed]
    extra.sort(key=lambda name: -counted[name])  # of as many: in the order in which they turned up
    names = [*parameters, *extra]
    found = (
        _known(name, parameters.get(name), [run.get(name, msgspec.UNSET) for run in runs]) for name in names[:MOST]
    )
    return tuple(each for each in found if each.varied or each.key in parameters), max(len(names) - MOST, 0)


def placed(axes: Iterable[Known], runs: Sequence[Params]) -> tuple[Column, ...]:
    """The runs on these axes."""
    return tuple(
        Column(
            axis=each.axis,
            key=each.key,
            at=tuple(_place(each, run.get(each.key, msgspec.UNSET)) for run in runs),
            varied=each.varied,
            conditional=each.conditional,
        )
        for each in axes
    )


def spelled(value: object) -> str:
    """A choice as it is shown: a text bare, unless it reads like something else."""
    if isinstance(value, str):
        plain = text.line(value, _CHOICE_CHARS)
        return f'"{plain}"' if plain in _WORDS or _reads_as_number(plain) else plain
    return text.line(points.spelled(value), _CHOICE_CHARS)


def _can_vary(parameter: Parameter) -> bool:
    match parameter.kind:
        case "fixed":
            return False
        case "bool":
            return True
        case "choice":
            return len(parameter.choices) > 1 or bool(parameter.when)
        case _:
            return parameter.low < parameter.high or bool(parameter.when)


def _known(name: str, parameter: Parameter | None, values: list[object]) -> Known:
    given = [value for value in values if value is not msgspec.UNSET]
    conditional = parameter is not None and bool(parameter.when)
    numbers = [number for number in map(_number, given) if number is not None]
    varied = _differ(given) or (0 < len(given) < len(values) and not conditional)
    shown = text.line(name, NAME_CHARS) or "?"
    if parameter.kind in ("float", "int") if parameter else _is_scale(given, numbers):
        low, high = _bounds(parameter, numbers)
        log = low > 0 and (parameter.log if parameter else high / low >= _DECADES)
        axis = Axis(name=shown, low=low, high=high, log=log)
        return Known(key=name, axis=axis, varied=varied, conditional=conditional, codes={})
    choices, others = _choices(parameter, given)
    codes = {choice: _nth(place, len(choices)) for place, choice in enumerate(choices)}
    return Known(
        key=name,
        axis=Axis(name=shown, choices=choices),
        varied=varied,
        conditional=conditional,
        codes=codes,
        other=1.0 if others else None,
    )


def _is_scale(given: list[object], numbers: list[float]) -> bool:
    """Whether what nobody declared is to be seen as a number: everything is, or nearly, and it has many values."""
    if not numbers:
        return False
    return len(numbers) == len(given) or (len(numbers) >= _MOSTLY * len(given) and len(set(numbers)) > CHOICES)


def _bounds(parameter: Parameter | None, numbers: list[float]) -> tuple[float, float]:
    """From the space, and as far beyond as a run was: a SPEC that was edited does not move what was tried before."""
    declared = [float(parameter.low), float(parameter.high)] if parameter else []
    if not declared and not numbers:
        return 0.0, 0.0
    return min(chain(declared, numbers)), max(chain(declared, numbers))


def _choices(parameter: Parameter | None, given: list[object]) -> tuple[tuple[str, ...], bool]:
    """The choices, and whether the last stands for several: those that most runs had are spelled out."""
    counted = _counted(given)
    declared: list[object] = []
    if parameter:
        declared = [False, True] if parameter.kind == "bool" else list(parameter.choices)
    names = dict.fromkeys(map(spelled, declared))
    names.update(dict.fromkeys(counted if parameter else sorted(counted, key=_natural)))
    if len(names) <= CHOICES:
        return tuple(names), False
    order = {name: place for place, name in enumerate(names)}
    most = sorted(names, key=lambda name: (-counted[name], order[name]))[: CHOICES - 1]
    return (*sorted(most, key=order.__getitem__), f"{len(names) - len(most):,} others"), True


def _counted(given: list[object]) -> Counter[str]:
    """How often each is there, as it is spelled. Equal ones are spelled once: there may be 100,000."""
    try:
        alike = Counter(zip(map(type, given), given, strict=True))  # with its type: to Python 1 and true are equal
    except TypeError:  # a list among them
        return Counter(map(spelled, given))
    counted: Counter[str] = Counter()
    for (_, value), count in alike.items():
        counted[spelled(value)] += count
    return counted


def _natural(choice: str) -> tuple[bool, float, str]:
    """8 before 16, with quotes or without, and numbers before words."""
    bare = choice.strip('"')
    return (False, float(bare), choice) if _reads_as_number(bare) else (True, 0.0, choice)


def _place(axis: Known, value: object) -> float | None:
    if value is msgspec.UNSET:
        return None
    if axis.axis.choices:
        return axis.codes.get(spelled(value), axis.other)
    number = _number(value)
    return None if number is None else _share(axis.axis, number)


def _share(axis: Axis, value: float) -> float:
    low, high = axis.low, axis.high
    if low >= high:
        return 0.5
    if axis.log:
        share = (math.log(value) - math.log(low)) / (math.log(high) - math.log(low))
    else:
        part = 1.0 if math.isfinite(high - low) else 0.5  # the whole width may be no number; half of the least is 0
        share = (value * part - low * part) / (high * part - low * part)
    return min(max(share, 0.0), 1.0)


def _nth(place: int, count: int) -> float:
    return place / (count - 1) if count > 1 else 0.5


def _number(value: object) -> float | None:
    """A value as a number, where it is one that a float can hold."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _differ(given: list[object]) -> bool:
    return any(not same(given[0], each) for each in given[1:])


def _reads_as_number(plain: str) -> bool:
    try:
        return math.isfinite(float(plain))
    except ValueError:
        return False
