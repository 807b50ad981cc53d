from __future__ import annotations

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.core import space
from lab.core.errors import BadInput, Corrupt
from lab.core.parameter import variable
from lab.core.space import Condition, Parameter, Space, parse

WIDE = {
    "lr": {"low": 1e-4, "high": 0.1, "log": True, "type": "float"},
    "layers": {"low": 1, "high": 11, "step": 4, "type": "int"},
    "optimizer": {"choices": ["adam", "sgd", None, 1, True]},
    "momentum": {"low": 0.0, "high": 0.9, "step": 0.3, "when": {"optimizer": ["sgd"]}},
    "nesterov": {"type": "bool", "default": False, "when": {"momentum": [0.9]}},
    "seed": {"value": 7},
}


def problems(**parameters: object) -> str:
    with pytest.raises(BadInput) as caught:
        parse(parameters)
    return str(caught.value)


def constraint_problem(text: object) -> str:
    with pytest.raises(BadInput) as caught:
        parse({"parameters": {"a": {"low": 0, "high": 1}, "b": {"choices": ["x", "y"]}}, "constraints": [text]})
    return str(caught.value)


def test_the_older_form_works_unchanged() -> None:
    read = parse(
        {"lr": {"low": 1e-4, "high": 0.1, "log": True, "type": "float"}, "n": {"low": 1, "high": 8, "type": "int"}}
    )
    assert read.parameters == (
        Parameter(name="lr", kind="float", low=1e-4, high=0.1, log=True),
        Parameter(name="n", kind="int", low=1, high=8),
    )


def test_parameters_keep_their_order_and_kind() -> None:
    read = parse(WIDE)
    assert read.names == ("lr", "layers", "optimizer", "momentum", "nesterov", "seed")
    assert [parameter.kind for parameter in read.parameters] == ["float", "int", "choice", "float", "bool", "fixed"]
    assert read.parameters[3].when == (Condition("optimizer", ("sgd",)),)
    assert read.parameters[4].default is False
    assert read.parameters[0].default is msgspec.UNSET


def test_bounds_are_floats_unless_the_type_is_int() -> None:
    (free,) = parse({"x": {"low": 1, "high": 2}}).parameters
    (whole,) = parse({"x": {"low": 1.0, "high": 2.0, "type": "int"}}).parameters
    assert type(free.low) is float
    assert type(whole.low) is int


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ({"low": 2, "high": 1}, "x: low 2.0 is above high 1.0"),
        ({"low": 0, "high": 1, "log": True}, "needs low above 0"),
        ({"low": -1, "high": 1, "log": True}, "needs low above 0"),
        ({"low": 0, "high": 1, "log": "yes"}, "x.log: must be true or false"),
        ({"low": 0, "high": 1, "log": 1}, "x.log: must be true or false"),
        ({"low": 0, "high": 1, "type": "flaot"}, "did you mean float?"),
        ({"low": 0, "high": 1, "type": 3}, "known are float, int, choice, bool, fixed"),
        ({"low": 0, "hihg": 1}, "unknown key 'hihg'; did you mean high?"),
        ({"low": 0, "high": 1, "choices": [1], "type": "int"}, "type int has no 'choices'"),
        ({"low": 0}, "x: has no high"),
        ({}, "has no low"),
        ({"low": "0", "high": 1}, "x.low: must be a number"),
        ({"low": True, "high": 1}, "x.low: must be a number"),
        ({"low": math.nan, "high": 1}, "x.low: must be a finite number"),
        ({"low": 0, "high": math.inf}, "x.high: must be a finite number"),
        ({"low": 0, "high": 10**400}, "x.high: must be a finite number"),
        ({"low": -1.7e308, "high": 1.7e308}, "too wide"),
        ({"low": 0.5, "high": 2, "type": "int"}, "x.low: must be a whole number"),
        ({"low": 0, "high": 2**60, "type": "int"}, "x.high: must be a whole number up to 2**53"),
        ({"low": 0, "high": 4, "step": 0.5, "type": "int"}, "x.step: must be a whole number"),
        ({"low": 0, "high": 1, "step": 2}, "larger than the range"),
        ({"low": 0, "high": 1, "step": 0}, "x.step: must be above 0"),
        ({"low": 0, "high": 1, "step": -0.1}, "x.step: must be above 0"),
        ({"low": 0, "high": 1, "default": 2}, "x.default: must be between"),
        ({"low": 0, "high": 1, "step": 0.25, "default": 0.3}, "x.default: must be 0.0 plus whole steps"),
        ({"low": 0, "high": 4, "type": "int", "default": 1.0}, "x.default: must be a whole number"),
        ({"choices": []}, "list of one value or more"),
        ({"choices": "abc"}, "list of one value or more"),
        ({"choices": [1, 2, 1.0]}, "x.choices.2: 1.0 is in the list twice"),
        ({"choices": [math.nan]}, "x.choices.0: must be one plain and finite value"),
        ({"choices": [[1]]}, "x.choices.0: must be one plain and finite value"),
        ({"choices": ["a\0"]}, "x.choices.0"),
        ({"choices": ["a"], "default": "b"}, "x.default: has no choice 'b'"),
        ({"type": "bool", "default": 1}, "x.default: must be true or false"),
        ({"type": "fixed"}, "fixed and has no value"),
        ({"value": [1]}, "x.value: must be one plain"),
        ({"low": 0, "high": 1, "when": ["y"]}, "x.when: must be a map"),
        ({"low": 0, "high": 1, "when": {"y": []}}, "would never count"),
        (3, "must be a map"),
        (None, "must be a map"),
        ([1, 2], "must be a map"),
    ],
)
def test_a_parameter_that_cannot_be_searched_is_refused(written: object, said: str) -> None:
    assert said in problems(x=written)


def test_all_problems_are_told_together() -> None:
    text = problems(a={"low": 2, "high": 1}, b={"choices": []}, c={"typ": "int"})
    assert "5 problems" in text
    assert [line.split(":")[0].strip() for line in text.splitlines()[1:6]] == ["a", "b.choices", "c", "c", "c"]


@pytest.mark.parametrize("mapping", [{}, {"parameters": {}}, {"": {"low": 0, "high": 1}}, {3: {"low": 0, "high": 1}}])
def test_a_space_without_named_parameters_is_refused(mapping: dict[str, object]) -> None:
    with pytest.raises(BadInput):
        parse(mapping)


def test_conditions_must_be_on_parameters_that_can_have_the_value() -> None:
    one = {"low": 0, "high": 1}
    assert "did you mean optimizer?" in problems(optimizer={"choices": ["a"]}, x={**one, "when": {"optimiser": ["a"]}})
    assert "can never hold" in problems(y={"choices": ["a"]}, x={**one, "when": {"y": ["b"]}})
    assert "wait for one another" in problems(x={**one, "when": {"y": [1]}}, y={**one, "when": {"x": [1]}})
    assert "wait for one another" in problems(x={**one, "when": {"x": [1]}})


def test_a_parameter_counts_where_its_conditions_hold_and_those_of_its_parents() -> None:
    read = parse(WIDE)
    always = ("lr", "layers", "optimizer", "seed")
    assert read.active({}) == always
    assert read.active({"optimizer": "sgd"}) == ("lr", "layers", "optimizer", "momentum", "seed")
    assert read.active({"optimizer": "sgd", "momentum": 0.9}) == read.names
    assert read.active({"optimizer": "adam", "momentum": 0.9}) == always


def test_an_assignment_inside_the_space_has_no_problems() -> None:
    read = parse(WIDE)
    assert read.check({"lr": 0.1, "layers": 9, "optimizer": True, "seed": 7}) == ()
    assert read.check({"lr": 1e-4, "layers": 1, "optimizer": "sgd", "momentum": 0.1 * 3 * 2, "seed": 7.0}) == ()
    just_below = 0.3 + 0.3 + 0.3  # 0.8999999999999999
    assert read.check(
        {"lr": 1e-4, "layers": 1, "optimizer": "sgd", "momentum": just_below, "seed": 7, "nesterov": True}
    )


def test_an_assignment_outside_is_told_everything_at_once() -> None:
    found = parse(WIDE).check({"lr": 1, "layers": 12, "optimizer": "sdg", "momentum": 0.1, "sede": 1})
    assert found == (
        "'sede' is no parameter; is it seed?",
        "lr must be between 0.0001 and 0.1, not 1",
        "layers must be between 1 and 11, not 12",
        "optimizer has no choice 'sdg'",
        "momentum counts only where optimizer is 'sgd'",
        "seed is missing",
    )


@pytest.mark.parametrize(
    ("value", "fits"),
    [(1, True), (5, True), (9, True), (3, False), (11, False), (13, False), (5.0, False), (True, False), ("5", False)],
)
def test_a_step_counts_from_low_and_never_leaves_the_bounds(value: object, fits: bool) -> None:
    read = parse({"n": {"low": 1, "high": 11, "step": 4, "type": "int"}})
    assert (read.check({"n": value}) == ()) is fits


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, None, [], 10**400])
def test_no_strange_value_is_inside_a_range(value: object) -> None:
    assert parse({"x": {"low": 0, "high": 1, "step": 0.1}}).check({"x": value})


def test_one_and_true_are_two_choices_and_one_and_one_point_nought_are_one() -> None:
    assert not space.same(1, True)
    assert not space.same(0, False)
    assert not space.same("1", 1)
    assert not space.same(None, False)
    assert space.same(1, 1.0)
    assert len(parse({"x": {"choices": [1, True, "1", 0, False, None]}}).parameters[0].choices) == 6


@pytest.mark.parametrize(
    "text",
    [
        "a <= 1", "0 < a < 1", "a + 2 * a - a / 3 // 1 % 2 ** 2 <= 1",
        "not (a > 0.5) or b == 'x'", "min(a, 1) < max(a, 2)",
        "abs(-a) >= +a", 'b != "y" and a == 1', "  a < 1  ", "a", "a == True",
    ],
)  # fmt: skip
def test_a_constraint_over_known_names_is_kept_as_text(text: str) -> None:
    read = parse({"parameters": {"a": {"low": 0, "high": 1}, "b": {"choices": ["x", "y"]}}, "constraints": [text]})
    assert read.constraints == (text.strip(),)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a <", "is not an expression"),
        ("", "is empty"),
        ("c < 1", "names 'c', which is no parameter"),
        ("min < 1", "names 'min'"),
        ("__import__('os').system('x') == 0", "may call min, max, abs and nothing else"),
        ("open('x') == 0", "may call min, max, abs"),
        ("len(b) < 1", "may call min, max, abs"),
        ("a.real < 1", "uses Attribute"),
        ("a[0] < 1", "uses Subscript"),
        ("[a][0] < 1", "uses"),
        ("(lambda: 1)() < 1", "may call"),
        ("a if a else a", "uses IfExp"),
        ("[x for x in b] == a", "uses"),
        ("(a := 1) < 2", "uses NamedExpr"),
        ("f'{a}' == b", "uses JoinedStr"),
        ("a in (1, 2)", "uses"),
        ("a is 1", "uses Is"),
        ("a << 9 < 1", "uses LShift"),
        ("a @ a < 1", "uses MatMult"),
        ("~a < 1", "uses Invert"),
        ("min(*b) < 1", "plain values only"),
        ("min(a, a, key=abs) < 1", "plain values only"),
        ("abs(a, a) < 1", "must give abs one value"),
        ("max(a) < 1", "two values or more"),
        ("'x' * 9 == b", "may compare text"),
        ("b == 'x' + 'y'", "may compare text"),
        ("a < 1e999", "too large"),
        ("a < 1j", "type complex"),
        ("b == b'x'", "type bytes"),
        ("a == None", "type NoneType"),
        ("a == ...", "type ellipsis"),
        ("a + 1", "compares nothing"),
        ("-a", "compares nothing"),
        ("1", "compares nothing"),
        ("a <\n1", "line break"),
        ("b == '\\x00'", "backslash"),
        ("a < 1; a", "is not an expression"),
        ("(" * 450 + "a", "is not an expression"),
        ("a<1 or " * 100 + "a<1", "longer than 500"),
        (3, "must be text"),
    ],
)
def test_a_constraint_that_is_more_than_arithmetic_is_refused(text: object, said: str) -> None:
    assert said in constraint_problem(text)


def test_a_deep_constraint_is_judged_without_trouble() -> None:
    read = parse({"parameters": {"a": {"low": 0, "high": 1}}, "constraints": "-" * 400 + "a < 1"})
    assert len(read.constraints) == 1


scalars = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
words = st.text(st.characters(categories=("L", "N", "P")), min_size=1, max_size=8)


@st.composite
def spaces(draw: st.DrawFn) -> dict[str, object]:
    written: dict[str, object] = {}
    for name in draw(st.lists(words, min_size=1, max_size=5, unique_by=variable)):
        low = draw(st.integers(-1000, 1000))
        high = low + draw(st.integers(1, 1000))
        written[name] = draw(
            st.sampled_from(
                [
                    {"low": low, "high": high},
                    {"low": low, "high": high, "step": 1, "type": "int", "default": low},
                    {"low": abs(low) + 0.5, "high": abs(low) + high - low + 1, "log": True},
                    {"choices": [low, high, "a", None, True], "default": None},
                    {"type": "bool"},
                    {"value": draw(scalars | words)},
                ]
            )
        )
    names = list(written)
    if len(names) > 1 and draw(st.booleans()):
        written[names[0]] = {"choices": ["p", "q"]}
        written[names[1]] = {"low": 0, "high": 1, "when": {names[0]: ["p"]}}
    return written


@given(spaces())
def test_a_space_reads_back_from_its_bytes(written: dict[str, object]) -> None:
    read = parse({"parameters": written})
    data = space.encode(read)
    again = space.decode(data)
    assert again == read
    assert space.encode(again) == data
    kinds = [[type(value) for value in (parameter.low, parameter.value)] for parameter in read.parameters]
    assert kinds == [[type(value) for value in (parameter.low, parameter.value)] for parameter in again.parameters]


@pytest.mark.parametrize("data", [b"", b"{}", b"[1]", b'{"parameters": [{"name": "a"}]}', b"\xff", b"[" * 9999])
def test_other_bytes_are_no_space(data: bytes) -> None:
    with pytest.raises(Corrupt):
        space.decode(data)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.binary(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["low", "high", "log", "step", "choices", "type", "when", "default"]), inner)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=5) | st.sampled_from(["parameters", "constraints"]), anything, max_size=4))
def test_any_mapping_is_a_space_or_is_refused(mapping: dict[str, object]) -> None:
    try:
        read = parse(mapping)
    except BadInput:
        return
    assert isinstance(read, Space)
    assert space.decode(space.encode(read)) == read
    for parameter in read.parameters:
        if parameter.default is not msgspec.UNSET:
            assert parameter.problem(parameter.default) == ""


def test_two_names_that_would_be_one_variable_are_refused() -> None:
    text = problems(**{"a-b": {"value": 1}, "a_b": {"value": 2}, "A.B": {"value": 3}})
    assert "a_b: a_b and a-b would both be LAB_PARAM_A_B" in text
    assert "A.B: A.B and a-b would both be LAB_PARAM_A_B" in text
    greek: dict[str, object] = {name: {"value": 1} for name in "\u03b1\u03b2"}
    assert "would both be LAB_PARAM__" in problems(**greek)


def test_a_step_that_no_float_could_count_is_refused() -> None:
    assert "too small for the range" in problems(x={"low": 0, "high": 1, "step": 1e-300})


def test_choices_that_python_calls_equal_make_two_spaces() -> None:
    spaces = [space.parse({"a": {"choices": choices}}) for choices in ([0, 1], [False, True], [0, 1])]
    assert spaces[0] == spaces[1]
    assert not space.alike(spaces[0], spaces[1])
    assert space.alike(spaces[0], spaces[2])
