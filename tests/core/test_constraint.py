"""Constraints at points: what they say, and that nothing they meet stops a search."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.core import constraint

NAMES = ("a", "b", "c")


def met(text: str, **point: object) -> bool:
    assert constraint.problem(text, NAMES) == "", text
    return constraint.compiled(text)(point)


@pytest.mark.parametrize(
    ("text", "point", "answer"),
    [
        ("a + b <= 1", {"a": 0.5, "b": 0.5}, True),
        ("a + b <= 1", {"a": 0.5, "b": 0.6}, False),
        ("0 < a < b", {"a": 1, "b": 2}, True),
        ("0 < a < b", {"a": 3, "b": 2}, False),
        ("a == 'adam' or b > 2", {"a": "adam", "b": 1}, True),
        ("a == 'adam' or b > 2", {"a": "sgd", "b": 1}, False),
        ("not (a == 'sgd' and b > 2)", {"a": "sgd", "b": 3}, False),
        ("a != 'x'", {"a": None}, True),
        ("a == 1", {"a": 1.0}, True),
        ("a == True", {"a": True}, True),
        ("a", {"a": False}, False),
        ("(a > 1) + (b > 1) + (c > 1) <= 1", {"a": 2, "b": 2, "c": 0}, False),
        ("(a > 1) + (b > 1) + (c > 1) <= 1", {"a": 2, "b": 0, "c": 0}, True),
        ("max(a, b) - min(a, b) < abs(c)", {"a": 1, "b": 3, "c": -2.5}, True),
        ("a % 2 == 0 and a // 2 == 3", {"a": 7}, False),
        ("a ** 2 + b ** 2 <= 1", {"a": 0.6, "b": 0.8}, True),
        ("(a or b) > 1", {"a": 0, "b": 3}, True),  # as in Python: the value, not whether there is one
        ("(a and b) == 2", {"a": 1, "b": 2}, True),
        ("not (0 < a < 1 / a)", {"a": 0}, True),  # what stands behind a comparison that fails is not computed
    ],
)
def test_a_constraint_means_what_it_says(text: str, point: dict[str, object], answer: bool) -> None:
    assert met(text, **point) is answer


@pytest.mark.parametrize(
    ("text", "point"),
    [
        ("1 / a > 0", {"a": 0}),
        ("a % b == 0", {"a": 1, "b": 0}),
        ("9 ** 9 ** 9 ** a > 0", {"a": 9}),
        ("a ** b > 1", {"a": 1e300, "b": 2}),
        ("a ** 0.5 > 0", {"a": -1}),  # complex
        ("a < b", {"a": "x", "b": 1}),
        ("a + 1 > 0", {"a": "x"}),
        ("a - b > 0", {"a": None, "b": 1}),
        ("min(a, b) > 0", {"a": "x", "b": 1}),
        ("-a > 0", {"a": "x"}),
        ("abs(a) > 0", {"a": None}),
        ("a * b > 1", {"a": math.nan, "b": 1}),
    ],
)
def test_a_point_at_which_it_cannot_be_computed_is_outside(text: str, point: dict[str, object]) -> None:
    assert met(text, **point) is False


@pytest.mark.parametrize("text", ["a < 1", "not a", "a < 1 and b < 1", "b > 100 or a < 1", "max(a, b) < 0"])
def test_a_parameter_that_does_not_count_is_not_judged(text: str) -> None:
    assert met(text, b=5) is True


def test_whole_numbers_of_any_size_stay_cheap() -> None:
    assert met("2 ** 10 ** a < 1", a=9) is False
    assert met("a * a * a * a < 1", a=2**53) is False


def test_the_deepest_that_is_let_through_is_computed() -> None:
    for text in (
        "-" * 480 + "a < 1",
        "+".join("a" for _ in range(249)) + "<1",
        "not " * 100 + "a",
        "(" * 90 + "a<1" + ")" * 90,
    ):
        assert constraint.problem(text, NAMES) == ""
        assert isinstance(constraint.compiled(text)({"a": 0.5}), bool)


# -- any expression --------------------------------------------------------------------------------------------------

ATOMS = st.sampled_from(NAMES) | st.integers(-20, 20).map(str) | st.floats(0, 9).map(repr) | st.just("True")
NUMBERS = st.recursive(
    ATOMS,
    lambda inner: (
        st.tuples(inner, st.sampled_from(("+", "-", "*", "/", "//", "%", "**")), inner).map(
            lambda parts: f"({parts[0]} {parts[1]} {parts[2]})"
        )
        | st.tuples(st.sampled_from(("min", "max")), inner, inner).map(lambda p: f"{p[0]}({p[1]}, {p[2]})")
        | inner.map(lambda each: f"abs(-{each})")
    ),
    max_leaves=5,
)
TESTS = st.recursive(
    st.tuples(NUMBERS, st.sampled_from(("<", "<=", ">", ">=", "==", "!=")), NUMBERS).map(lambda p: f"({' '.join(p)})"),
    lambda inner: (
        st.tuples(inner, st.sampled_from(("and", "or")), inner).map(lambda p: f"({' '.join(p)})")
        | inner.map(lambda each: f"(not {each})")
    ),
    max_leaves=4,
)
POINTS = st.fixed_dictionaries({name: st.integers(-9, 9) | st.floats(-9, 9) | st.booleans() for name in NAMES})


@given(text=TESTS, point=POINTS)
def test_any_constraint_agrees_with_python_on_floats(text: str, point: dict[str, object]) -> None:
    if constraint.problem(text, NAMES):
        return
    answer = constraint.compiled(text)(point)
    assert isinstance(answer, bool)
    numbers = {name: float(value) for name, value in point.items()}  # type: ignore[arg-type]
    tree = compile(_with_floats(text), "constraint", "eval")
    try:
        expected = bool(eval(tree, {"__builtins__": {}, "min": min, "max": max, "abs": abs}, numbers))  # noqa: S307
    except (ArithmeticError, TypeError, ValueError):
        expected = False
    assert answer is expected


def _with_floats(text: str) -> str:
    import ast

    class Floats(ast.NodeTransformer):
        def visit_Constant(self, node: ast.Constant) -> ast.AST:
            return ast.copy_location(ast.Constant(float(node.value)), node)  # type: ignore[arg-type]

    return ast.unparse(Floats().visit(ast.parse(text, mode="eval")))


@given(
    text=TESTS,
    point=st.dictionaries(st.sampled_from(NAMES), st.none() | st.text(max_size=2) | st.floats() | st.integers()),
)
def test_no_point_makes_it_raise(text: str, point: dict[str, object]) -> None:
    if not constraint.problem(text, NAMES):
        assert isinstance(constraint.compiled(text)(point), bool)
