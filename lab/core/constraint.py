"""The constraints of a search space: arithmetic and comparisons, safe to keep, and whether a point meets one.

What is safe to keep can still overflow (`9 ** 9 ** 9`) or meet text where a number is needed. It is computed in floats,
and a point at which it cannot be computed lies outside the space.
"""

from __future__ import annotations

import ast
import math
import operator
from functools import cache
from typing import TYPE_CHECKING

from lab.core.errors import nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    Point = Mapping[str, object]
    Value = Callable[[Point], object]

MAX_CHARS = 500
CALLS = ("min", "max", "abs")

_ALLOWED = (
    ast.Expression,
    ast.BoolOp,
    ast.And,
    ast.Or,
    ast.UnaryOp,
    ast.Not,
    ast.USub,
    ast.UAdd,
    ast.BinOp,
    ast.Add,
    ast.Sub,
    ast.Mult,
    ast.Div,
    ast.FloorDiv,
    ast.Mod,
    ast.Pow,
    ast.Compare,
    ast.Eq,
    ast.NotEq,
    ast.Lt,
    ast.LtE,
    ast.Gt,
    ast.GtE,
    ast.Call,
    ast.Name,
    ast.Load,
    ast.Constant,
)


def problem(text: str, names: Collection[str]) -> str:
    """Return what is wrong with a constraint over the parameters `names`, or an empty string."""
    if not text.strip():
        return "is empty"
    if len(text) > MAX_CHARS:
        return f"is longer than {MAX_CHARS} characters"
    if "\\" in text or "\n" in text.strip() or "\0" in text:
        return "may hold neither a backslash nor a line break"
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return "is not an expression"
    return _unsafe(tree, names) or _pointless(tree.body)


def _unsafe(tree: ast.Expression, names: Collection[str]) -> str:
    functions = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    # Text is for comparing only: `"a" * 10 ** 9` would fill the memory of whoever evaluates it.
    compared = {
        id(side) for node in ast.walk(tree) if isinstance(node, ast.Compare) for side in (node.left, *node.comparators)
    }
    for node in ast.walk(tree):
        if not isinstance(node, _ALLOWED):
            return f"uses {type(node).__name__}; allowed are + - * / // % **, comparisons, and, or, not, min, max, abs"
        found = ""
        if isinstance(node, ast.Call):
            found = _bad_call(node)
        elif isinstance(node, ast.Name) and id(node) not in functions:
            found = _bad_name(node.id, names)
        elif isinstance(node, ast.Constant):
            found = _bad_constant(node.value, compared=id(node) in compared)
        if found:
            return found
    return ""


def _bad_call(node: ast.Call) -> str:
    if not isinstance(node.func, ast.Name) or node.func.id not in CALLS:
        return f"may call {', '.join(CALLS)} and nothing else"
    if node.keywords or any(isinstance(argument, ast.Starred) for argument in node.args):
        return f"may give {node.func.id} plain values only"
    if node.func.id == "abs" and len(node.args) != 1:
        return "must give abs one value"
    if node.func.id != "abs" and len(node.args) < 2:  # noqa: PLR2004  # min of one value is a slip of the pen
        return f"must give {node.func.id} two values or more"
    return ""


def _bad_name(word: str, names: Collection[str]) -> str:
    if word in names:
        return ""
    near = nearest(word, tuple(names))
    return f"names {word!r}, which is no parameter" + (f"; did you mean {near}?" if near else "")


def _bad_constant(value: object, *, compared: bool) -> str:
    if isinstance(value, (bool, int)):
        return ""
    if isinstance(value, float):
        return "" if math.isfinite(value) else "holds a number that is too large"
    if isinstance(value, str):
        return "" if compared else "may compare text, and do nothing else with it"
    return f"holds a value of type {type(value).__name__}"


def _pointless(node: ast.expr) -> str:
    """Return a complaint about `a + b`, which is neither true nor false and was meant to be compared."""
    if isinstance(node, (ast.Compare, ast.BoolOp, ast.Name)):
        return ""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return ""
    return "compares nothing; write for example a + b <= 1"


@cache
def compiled(text: str) -> Callable[[Point], bool]:
    """Whether a point meets the constraint `text`, which `problem` has let through.

    One that names a parameter which does not count at this point says nothing about it, and is met.
    """
    value = _value(ast.parse(text.strip(), mode="eval").body)

    def is_met(point: Point) -> bool:
        try:
            return bool(value(point))
        except KeyError:
            return True
        except (ArithmeticError, TypeError, ValueError):
            return False

    return is_met


def _value(node: ast.expr) -> Value:
    match node:
        case ast.Constant(value=constant):
            fixed = _plain(constant)
            return lambda _: fixed
        case ast.Name(id=name):
            return lambda point: _plain(point[name])
        case ast.UnaryOp(op=sign, operand=operand):
            return _unary(sign, _value(operand))
        case ast.BinOp(left=left, op=sign, right=right):
            return _binary(_OPERATORS[type(sign)], _value(left), _value(right))
        case ast.BoolOp(op=word, values=parts):
            sides = tuple(map(_value, parts))
            return _every(sides) if isinstance(word, ast.And) else _some(sides)
        case ast.Compare():
            return _compared(node)
        case ast.Call(func=ast.Name(id=name), args=arguments):
            call, given = {"min": min, "max": max, "abs": abs}[name], tuple(map(_value, arguments))
            return lambda point: call(*(each(point) for each in given))  # type: ignore[operator]
        case _:
            raise TypeError(f"a constraint cannot hold {type(node).__name__}")


def _plain(value: object) -> object:
    """Numbers as floats: whole ones of any size would fill the memory (`9 ** 9 ** 9`)."""
    return float(value) if isinstance(value, (bool, int, float)) else value


def _unary(sign: ast.unaryop, operand: Value) -> Value:
    if isinstance(sign, ast.Not):
        return lambda point: not operand(point)
    call: Callable[..., object] = operator.neg if isinstance(sign, ast.USub) else operator.pos
    return lambda point: call(operand(point))


def _binary(call: Callable[..., object], left: Value, right: Value) -> Value:
    return lambda point: call(left(point), right(point))


def _every(sides: tuple[Value, ...]) -> Value:
    """`a and b and c`: the first that is false, else the last, as in Python."""

    def value(point: Point) -> object:
        found: object = True
        for side in sides:
            found = side(point)
            if not found:
                break
        return found

    return value


def _some(sides: tuple[Value, ...]) -> Value:
    def value(point: Point) -> object:
        found: object = False
        for side in sides:
            found = side(point)
            if found:
                break
        return found

    return value


def _compared(node: ast.Compare) -> Value:
    """`a < b <= c`: what stands right of a comparison that does not hold is not computed."""
    first = _value(node.left)
    pairs = [(_COMPARISONS[type(sign)], _value(side)) for sign, side in zip(node.ops, node.comparators, strict=True)]

    def holds(point: Point) -> bool:
        one = first(point)
        for sign, side in pairs:
            other = side(point)
            if not sign(one, other):
                return False
            one = other
        return True

    return holds


_OPERATORS: dict[type[ast.operator], Callable[..., object]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
_COMPARISONS: dict[type[ast.cmpop], Callable[..., object]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
