"""What may vary in a search: parameters, their bounds, when each counts, and whether one assignment is inside.

`parse` reads what people write and reports everything that is wrong with it at once. Nothing is sampled here, and
constraints are kept as text: they are checked to be safe here, and evaluated in `core.assignment`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgspec

from lab.core import constraint
from lab.core.errors import BadInput, Corrupt, nearest
from lab.core.parameter import Condition, Kind, Parameter, Scalar, is_plain_number, same, shown, variable

__all__ = [
    "Condition", "Kind", "Parameter", "Scalar", "Space", "alike", "collect", "decode", "encode", "holds", "parse",
    "same",
]  # fmt: skip

Path = tuple[str | int, ...]
Problems = list[tuple[Path, str]]

MAX_PARAMETERS = 1000
MAX_CHOICES = 10_000

_KINDS: dict[str, Kind] = {
    "float": "float",
    "int": "int",
    "integer": "int",
    "choice": "choice",
    "choices": "choice",
    "categorical": "choice",
    "bool": "bool",
    "boolean": "bool",
    "fixed": "fixed",
}
_COMMON = ("type", "when", "default")
_KEYS: dict[Kind, tuple[str, ...]] = {
    "float": (*_COMMON, "low", "high", "log", "step"),
    "int": (*_COMMON, "low", "high", "log", "step"),
    "choice": (*_COMMON, "choices"),
    "bool": _COMMON,
    "fixed": (*_COMMON, "value"),
}
_ALL_KEYS = (*_COMMON, "low", "high", "log", "step", "choices", "value")
# Above it two whole numbers are one float, and a strategy that computes in floats would propose the neighbour.
_MAX_INT = 2**53
_MAX_NAME_CHARS = 100
_SHOWN_CHARS = 60
_MAX_SHOWN = 20


class Space(msgspec.Struct, frozen=True, kw_only=True):
    """The parameters in the order they were written, and the constraints as text."""

    parameters: tuple[Parameter, ...]
    constraints: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(parameter.name for parameter in self.parameters)

    def active(self, params: Mapping[str, object]) -> tuple[str, ...]:
        """Return the names that count under `params`: all conditions hold, and on parameters that count themselves."""
        counts = {parameter.name for parameter in self.parameters if not parameter.when}
        waiting = [parameter for parameter in self.parameters if parameter.when]
        while True:
            met = {parameter.name for parameter in waiting if holds(parameter, counts, params)}
            if not met:
                return tuple(name for name in self.names if name in counts)
            counts |= met
            waiting = [parameter for parameter in waiting if parameter.name not in met]

    def check(self, params: Mapping[str, object]) -> tuple[str, ...]:
        """Return every problem of one assignment. Constraints are not looked at."""
        active = set(self.active(params))
        names = self.names
        known = set(names)
        problems = []
        for extra in params:  # first: of a name that is mistyped the right one is missing too, and that says less
            if extra not in known:
                near = nearest(extra, names)
                problems.append(f"{extra[:_SHOWN_CHARS]!r} is no parameter" + (f"; is it {near}?" if near else ""))
        for parameter in self.parameters:
            name = parameter.name
            if name not in params:
                if name in active:
                    problems.append(f"{name} is missing")
            elif name not in active:
                rule = " and ".join(_worded(condition) for condition in parameter.when)
                problems.append(f"{name} counts only where {rule}")
            elif found := parameter.problem(params[name]):
                problems.append(f"{name} {found}")
        return tuple(problems)


def encode(space: Space) -> bytes:
    """Return the canonical JSON of a space."""
    return msgspec.json.encode(space, order="sorted")


def alike(one: Space, other: Space) -> bool:
    """Whether two spaces are the same. Python calls the choices [0, 1] and [false, true] equal."""
    return one is other or encode(one) == encode(other)


def decode(data: bytes) -> Space:
    """Return the space that `encode` wrote."""
    try:
        return msgspec.json.decode(data, type=Space)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Corrupt(f"not an encoded search space: {error}") from error


def parse(mapping: Mapping[str, object], where: str = "search_space.json") -> Space:
    """Return the space that `mapping` writes, or refuse it with everything that is wrong."""
    problems: Problems = []
    space = collect(mapping, problems)
    if problems:
        texts = [f"{'.'.join(str(part) for part in path) or 'the space'}: {text}" for path, text in problems]
        if len(texts) > _MAX_SHOWN:
            texts[_MAX_SHOWN:] = [f"and {len(texts) - _MAX_SHOWN} more"]
        count = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
        what = "\n".join((f"the search space has {count}:", *(f"  {text}" for text in texts)))
        raise BadInput(what, where=where, fix='write each parameter as {"low": 0.001, "high": 0.1, "type": "float"}')
    return space


def collect(mapping: Mapping[str, object], problems: Problems) -> Space:
    """Return the space in `mapping` and add what is wrong to `problems`; with a problem added, do not use the space."""
    at: Path = ()
    written: object = mapping
    constraints: object = None
    # The wrapped form; a plain form could use the word only for a parameter, whose own keys would be numbers.
    if isinstance(mapping.get("parameters"), Mapping) and set(mapping) <= {"parameters", "constraints"}:
        at, written, constraints = ("parameters",), mapping["parameters"], mapping.get("constraints")
    if not isinstance(written, Mapping) or not written:
        problems.append((at, "names no parameter"))
        return Space(parameters=())
    if len(written) > MAX_PARAMETERS:
        problems.append((at, f"has {len(written)} parameters; at most {MAX_PARAMETERS} can be searched"))
        return Space(parameters=())
    parameters = []
    for name, value in written.items():
        own: Problems = []
        parameters.append(_parameter(name, value, own))
        problems.extend(((*at, str(name)[:_MAX_NAME_CHARS], *path), text) for path, text in own)
    space = Space(parameters=tuple(parameters), constraints=_constraints(constraints, set(written), problems))
    _conditions(space, at, problems)
    meant: dict[str, str] = {}
    for name in space.names:
        other = meant.setdefault(variable(name), name)
        if other != name:
            problems.append(((*at, name), f"{name} and {other} would both be {variable(name)}; rename one of them"))
    return space


def _parameter(name: object, value: object, problems: Problems) -> Parameter:
    broken = Parameter(name=str(name), kind="fixed")
    if not isinstance(name, str) or not name.strip() or not name.isprintable() or len(name) > _MAX_NAME_CHARS:
        problems.append(((), f"a parameter needs a name of 1 to {_MAX_NAME_CHARS} visible characters"))
        return broken
    if not isinstance(value, Mapping):
        problems.append(((), f'must be a map such as {{"low": 0, "high": 1}}, not {shown(value)}'))
        return broken
    kind = _kind(value, problems)
    if kind is None:
        return broken
    for key in value:
        if key not in _KEYS[kind]:
            problems.append(((), _unknown(key, kind)))
    when = _when(value.get("when"), problems)
    match kind:
        case "float" | "int":
            parameter = _number(name, kind, value, problems)
        case "choice":
            parameter = Parameter(name=name, kind=kind, choices=_choices(value.get("choices"), problems))
        case "fixed":
            parameter = Parameter(name=name, kind=kind, value=_scalar(value.get("value"), ("value",), problems))
            if "value" not in value:
                problems.append(((), "is fixed and has no value"))
        case _:
            parameter = Parameter(name=name, kind=kind)
    default: Scalar | msgspec.UnsetType = msgspec.UNSET
    if "default" in value and not problems:
        default = _scalar(value["default"], ("default",), problems)
        if not problems and (found := parameter.problem(default)):
            problems.append((("default",), found))
    return msgspec.structs.replace(parameter, when=when, default=default)


def _kind(value: Mapping[object, object], problems: Problems) -> Kind | None:
    if "type" not in value:
        return "choice" if "choices" in value else "fixed" if "value" in value else "float"
    word = value["type"]
    if isinstance(word, str) and word.lower() in _KINDS:
        return _KINDS[word.lower()]
    near = nearest(word, tuple(_KINDS)) if isinstance(word, str) else ""
    hint = f"did you mean {near}?" if near else f"known are {', '.join(_KEYS)}"
    problems.append((("type",), f"{shown(word)} is no type of parameter; {hint}"))
    return None


def _unknown(key: object, kind: Kind) -> str:
    known = _KEYS[kind]
    if key in _ALL_KEYS:
        return f"a parameter of type {kind} has no {key!r}; it has {', '.join(known)}"
    near = nearest(key[:_SHOWN_CHARS], known) if isinstance(key, str) else ""
    return f"unknown key {shown(key)}; " + (f"did you mean {near}?" if near else f"known are {', '.join(known)}")


def _number(name: str, kind: Kind, value: Mapping[object, object], problems: Problems) -> Parameter:
    ends = {key: _bound(value, key, kind, problems) for key in ("low", "high")}
    log = value.get("log")
    if log not in (None, True, False) or type(log) in (int, float):
        problems.append((("log",), f"must be true or false, not {shown(log)}"))
    step = None if value.get("step") is None else _bound(value, "step", kind, problems)
    low, high = ends["low"], ends["high"]
    if low is None or high is None:
        return Parameter(name=name, kind=kind)
    if low > high:
        problems.append(((), f"low {low} is above high {high}"))
    elif not math.isfinite(high - low):
        problems.append(((), f"the range from {low} to {high} is too wide to compute with"))
    if log is True and low <= 0:
        problems.append((("log",), f"a logarithmic scale needs low above 0, not {low}"))
    if step is not None and step <= 0:
        problems.append((("step",), f"must be above 0, not {step}"))
    elif step is not None and step > high - low >= 0:
        problems.append((("step",), f"{step} is larger than the range from {low} to {high}"))
    elif step is not None and (high - low) / step > _MAX_INT:
        problems.append((("step",), f"{step} is too small for the range from {low} to {high}"))
    return Parameter(name=name, kind=kind, low=low, high=high, log=log is True, step=step)


def _bound(value: Mapping[object, object], key: str, kind: Kind, problems: Problems) -> int | float | None:
    given = value.get(key)
    if given is None:
        problems.append(((), f"has no {key}"))
        return None
    if isinstance(given, bool) or not isinstance(given, (int, float)):
        problems.append(((key,), f"must be a number, not {shown(given)}"))
        return None
    if not is_plain_number(given):
        problems.append(((key,), "must be a finite number that a float can hold"))
        return None
    if kind == "float":
        return float(given)
    if given != int(given) or abs(given) > _MAX_INT:
        problems.append(((key,), f"must be a whole number up to 2**53 for type int, not {shown(given)}"))
        return None
    return int(given)


def _choices(value: object, problems: Problems) -> tuple[Scalar, ...]:
    if not isinstance(value, (list, tuple)) or not value:
        problems.append((("choices",), "must be a list of one value or more"))
        return ()
    if len(value) > MAX_CHOICES:
        problems.append((("choices",), f"has {len(value)} values; at most {MAX_CHOICES} can be searched"))
        return ()
    seen: dict[tuple[bool, type | None, object], int] = {}
    found = []
    for index, item in enumerate(value):
        choice = _scalar(item, ("choices", index), problems)
        # The kinds that `same` tells apart: a bool is its own, all numbers are one.
        kind = None if isinstance(choice, (int, float)) else type(choice)
        first = seen.setdefault((isinstance(choice, bool), kind, choice), index)
        if first != index:
            problems.append((("choices", index), f"{shown(choice)} is in the list twice"))
        found.append(choice)
    return tuple(found)


def _when(value: object, problems: Problems) -> tuple[Condition, ...]:
    if value is None:
        return ()
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        problems.append((("when",), 'must be a map such as {"optimizer": ["adam"]}'))
        return ()
    conditions = []
    for name, values in value.items():
        listed = values if isinstance(values, (list, tuple)) else (values,)
        if not listed:
            problems.append((("when", name), "lists no value, so that the parameter would never count"))
        scalars = tuple(_scalar(item, ("when", name), problems) for item in listed)
        conditions.append(Condition(name, scalars))
    return tuple(conditions)


def _conditions(space: Space, at: Path, problems: Problems) -> None:
    by_name = {parameter.name: parameter for parameter in space.parameters}
    for parameter in space.parameters:
        for condition in parameter.when:
            path: Path = (*at, parameter.name, "when", condition.name)
            parent = by_name.get(condition.name)
            if parent is None:
                near = nearest(condition.name, space.names)
                problems.append((path, "is no parameter" + (f"; did you mean {near}?" if near else "")))
            elif not problems:
                texts = (parent.problem(value) for value in condition.values)
                problems.extend((path, f"can never hold: {condition.name} {text}") for text in texts if text)
    if not problems and (loop := _loop(space)):
        problems.append((at, f"the conditions of {', '.join(loop)} wait for one another"))


def _loop(space: Space) -> tuple[str, ...]:
    """Return the parameters on or behind a cycle of conditions: those left when all others have been set in turn."""
    left = {parameter.name: {condition.name for condition in parameter.when} for parameter in space.parameters}
    while free := [name for name, needs in left.items() if not needs & left.keys()]:
        for name in free:
            del left[name]
    return tuple(left)


def _constraints(value: object, names: set[object], problems: Problems) -> tuple[str, ...]:
    if value is None:
        return ()
    known = {name for name in names if isinstance(name, str)}
    listed = (value,) if isinstance(value, str) else value
    if not isinstance(listed, (list, tuple)):
        problems.append((("constraints",), 'must be a list of texts such as "a + b <= 1"'))
        return ()
    texts = []
    for index, text in enumerate(listed):
        found = constraint.problem(text, known) if isinstance(text, str) else "must be text"
        if found:
            problems.append((("constraints", index), f"{shown(text)} {found}"))
        else:
            texts.append(str(text).strip())
    return tuple(texts)


def holds(parameter: Parameter, counts: set[str], params: Mapping[str, object]) -> bool:
    """Whether a parameter counts: each of its conditions is met by a parameter that counts itself."""
    return all(
        condition.name in counts
        and condition.name in params
        and any(same(params[condition.name], value) for value in condition.values)
        for condition in parameter.when
    )


def _scalar(value: object, path: Path, problems: Problems) -> Scalar:
    if value is None or isinstance(value, bool):
        return value
    # Not printable are control characters, and lone surrogates, which no file could hold.
    if isinstance(value, str) and value.isprintable():
        return value
    if isinstance(value, (int, float)) and is_plain_number(value):
        return value
    problems.append((path, f"must be one plain and finite value, not {shown(value)}"))
    return None


def _worded(condition: Condition) -> str:
    return f"{condition.name} is {' or '.join(shown(value) for value in condition.values)}"
