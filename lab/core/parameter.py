"""One parameter of a search space, and whether it can have a value."""

import math
from typing import Literal

import msgspec

Scalar = str | int | float | bool | None
Kind = Literal["float", "int", "choice", "bool", "fixed"]

# JSON readers of other languages stop there.
_MAX_WORD = 2**63
_SHOWN_CHARS = 60
_GRID_TOLERANCE = 1e-9


class Condition(msgspec.Struct, frozen=True):
    """A parameter counts only where the parameter `name` has one of `values`."""

    name: str
    values: tuple[Scalar, ...]


class Parameter(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that varies. `low`, `high`, `log` and `step` are for numbers; a step counts from `low`."""

    name: str
    kind: Kind
    low: int | float = 0
    high: int | float = 0
    log: bool = False
    step: int | float | None = None
    choices: tuple[Scalar, ...] = ()
    value: Scalar = None
    when: tuple[Condition, ...] = ()
    default: Scalar | msgspec.UnsetType = msgspec.UNSET

    def problem(self, value: object) -> str:
        """Return why this parameter cannot have `value`, or an empty string."""
        match self.kind:
            case "fixed":
                return "" if same(value, self.value) else f"must be {shown(self.value)}, not {shown(value)}"
            case "bool":
                return "" if isinstance(value, bool) else f"must be true or false, not {shown(value)}"
            case "choice":
                is_choice = any(same(value, choice) for choice in self.choices)
                return "" if is_choice else f"has no choice {shown(value)}"
            case _:
                return self._number_problem(value)

    def _number_problem(self, value: object) -> str:
        if isinstance(value, bool) or not isinstance(value, int if self.kind == "int" else (int, float)):
            return f"must be {'a whole number' if self.kind == 'int' else 'a number'}, not {shown(value)}"
        if not self.low <= value <= self.high:  # true for NaN as well
            return f"must be between {self.low} and {self.high}, not {shown(value)}"
        if self.step is not None:
            steps = round((value - self.low) / self.step)
            slack = _GRID_TOLERANCE * max(abs(self.low), abs(self.high), self.step)
            if abs(value - (self.low + steps * self.step)) > slack:
                return f"must be {self.low} plus whole steps of {self.step}, not {shown(value)}"
        return ""


def variable(name: str) -> str:
    """What a parameter is called among the variables of a run."""
    return "LAB_PARAM_" + "".join(each if each.isascii() and each.isalnum() else "_" for each in name).upper()


def same(one: object, other: object) -> bool:
    """Whether two values are one choice: 1 and 1.0 are, 1 and true are not, though Python calls them equal."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, (int, float)) and isinstance(other, (int, float)):
        return one == other
    if isinstance(one, (str, type(None))):
        return one == other
    return mark(one) == mark(other)


def mark(value: object) -> object:
    """Something to look a value up by: two values are `same` exactly when their marks are equal. Lists have one too."""
    if isinstance(value, bool):
        return ("bool", value)
    if isinstance(value, (list, tuple)):
        return ("list", *map(mark, value))
    if isinstance(value, dict):
        return ("dict", frozenset((name, mark(item)) for name, item in value.items()))
    return value


def is_plain_number(value: int | float) -> bool:  # noqa: PYI041  # the two are treated apart
    """Whether a number is finite, and neither too large for a float nor, as an integer, for a word."""
    if isinstance(value, int):
        return abs(value) < _MAX_WORD
    return math.isfinite(value)


def shown(value: object) -> str:
    """Return a value as an error names it: short, whatever it is."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, str):
        return repr(value[:_SHOWN_CHARS])
    if isinstance(value, int):
        return str(value) if abs(value) < _MAX_WORD else "a huge number"
    return f"a value of type {type(value).__name__}"
