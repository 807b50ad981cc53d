"""What a model may propose: the schema says it, and the check holds whatever the schema did."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import jsonschema  # type: ignore[import-untyped]  # its types come in a package of their own
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.core import assignment
from lab.core import space as core_space
from lab.core.space import parse
from lab.core.trial import luck
from lab.llm import proposals
from tests.core.spaces import spaces

if TYPE_CHECKING:
    from lab.core.space import Space
    from lab.llm.proposals import Proposed

SPACE = parse(
    {
        "parameters": {
            "lr": {"low": 0.0001, "high": 0.1, "log": True},
            "layers": {"low": 1, "high": 8, "type": "int"},
            "opt": {"choices": ["adam", "sgd"]},
            "momentum": {"low": 0.0, "high": 0.9, "step": 0.3, "when": {"opt": ["sgd"]}},
            "amp": {"type": "bool"},
            "seed": {"value": 7},
        },
        "constraints": ["lr * layers <= 0.4"],
    }
)
GOOD: dict[str, object] = {"lr": 0.01, "layers": 3, "opt": "adam", "momentum": None, "amp": True}


def one(params: dict[str, object], **more: object) -> tuple[Proposed | None, list[str]]:
    clip = bool(more.pop("clip", False))
    found, problems = proposals.check({"proposals": [{"params": params, **more}]}, SPACE, limit=1, clip=clip)
    return (found[0] if found else None), problems


@given(space=spaces(), seed=st.integers(0, 2**32))
def test_every_point_of_a_space_fits_its_schema_and_comes_back_as_it_was(space: Space, seed: int) -> None:
    point = assignment.draw(space, luck(seed, 0))
    schema = proposals.schema(space, 1)
    free = [each.name for each in space.parameters if each.kind != "fixed"]
    said = {"params": {name: point.get(name) for name in free}, "hypothesis": "", "expect": {"delta": None},
            "parent": None, "change": ""}  # fmt: skip
    answer = json.loads(json.dumps({"proposals": [said]}))
    jsonschema.Draft202012Validator(schema).validate(answer)
    found, problems = proposals.check(answer, space, limit=1)
    assert problems == []
    assert assignment.alike(found[0].params, point)
    assert found[0].repaired == ()
    assert assignment.key(found[0].params) == assignment.key(point)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["proposals", "params", "lr", "layers", "opt", "momentum", "amp", "seed", "expect", "delta",
                         "hypothesis", "parent", "change", "else"]), inner, max_size=6),
    max_leaves=25,
)  # fmt: skip


@given(value=ANYTHING, clip=st.booleans())
def test_what_is_let_through_is_inside_whatever_was_said(value: object, clip: bool) -> None:
    found, problems = proposals.check(value, SPACE, limit=3, clip=clip)
    assert found or problems
    for each in found:
        assert assignment.problems(SPACE, each.params) == ()


@given(space=spaces(), values=st.lists(st.integers() | st.floats() | st.text(max_size=3) | st.none(), min_size=5))
def test_clipping_never_leaves_the_space(space: Space, values: list[object]) -> None:
    params = dict(zip(space.names, values, strict=False))
    found, _ = proposals.check({"params": params}, space, limit=1, clip=True)
    for each in found:
        assert assignment.problems(space, each.params) == ()


def test_whether_a_parameter_counts_is_decided_on_values_as_they_are_spelt() -> None:
    wide = {"low": 0.5, "high": 1e10, "step": 9999999999.5}
    space = parse({"scale": wide, "more": {"low": 0.0, "high": 1.0, "when": {"scale": [0.5]}}})
    found, problems = proposals.check({"params": {"scale": 1.0}}, space, limit=1)
    assert (found, problems) == ((), ["proposal 1: more is missing"])
    found, _ = proposals.check({"params": {"scale": 1.0, "more": 0.25}}, space, limit=1)
    assert [each.params for each in found] == [{"scale": 0.5, "more": 0.25}]


def test_a_good_proposal_is_taken_with_what_is_said_of_it() -> None:
    value = {
        "params": GOOD, "hypothesis": "Wider\nsteps\x1b[31m help.", "expect": {"metric": "loss", "delta": -0.02},
        "parent": "RUN-1", "change": "lr 0.02 -> 0.01",
    }  # fmt: skip
    found, problems = proposals.check({"proposals": [value]}, SPACE, limit=1, runs={"RUN-1"})
    assert problems == []
    assert found == (
        proposals.Proposed(
            params={"lr": 0.01, "layers": 3, "opt": "adam", "amp": True, "seed": 7},
            hypothesis="Wider steps [31m help.",
            change="lr 0.02 -> 0.01",
            parent="RUN-1",
            delta=-0.02,
        ),
    )


def test_nothing_is_said_to_come_from_a_run_that_is_not_there() -> None:
    found, _ = one(GOOD, parent="RUN-invented")
    assert found is not None
    assert found.parent == ""


@pytest.mark.parametrize("delta", [None, True, "big", 1e400, float("nan"), 10**400, [1]])
def test_an_expectation_that_is_no_number_is_none(delta: object) -> None:
    found, _ = one(GOOD, expect={"delta": delta})
    assert found is not None
    assert found.delta is None


def test_texts_are_cut() -> None:
    found, _ = one(GOOD, hypothesis="a" * 10**6, change="b\n" * 10**5)
    assert found is not None
    assert len(found.hypothesis) == proposals.HYPOTHESIS_CHARS
    assert len(found.change) == proposals.CHANGE_CHARS


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"lr": 0.2}, "lr must be between 0.0001 and 0.1, not 0.2"),
        ({"lr": float("nan")}, "lr must be between 0.0001 and 0.1, not nan"),
        ({"lr": "0.01"}, "lr must be a number, not '0.01'"),
        ({"lr": True}, "lr must be a number, not true"),
        ({"lr": None}, "lr must be a number, not nothing"),
        ({"lr": [0.01]}, "lr must be a number, not a value of type list"),
        ({"layers": 2.5}, "layers must be a whole number, not 2.5"),
        ({"layers": 10**400}, "layers must be between 1 and 8, not a huge number"),
        ({"opt": "lion"}, "opt has no choice 'lion'"),
        ({"opt": "sgd", "momentum": 0.4}, "momentum must be 0.0 plus whole steps of 0.3, not 0.4"),
        ({"opt": "sgd"}, "momentum must be a number, not nothing"),
        ({"momentum": 0.3}, "momentum counts only where opt is 'sgd'"),
        ({"amp": 1}, "amp must be true or false, not 1"),
        ({"seed": 8}, "seed must be 7, not 8"),
        ({"rate": 0.1}, "'rate' is no parameter"),
        ({"lr": 0.1, "layers": 8}, "it does not meet lr * layers <= 0.4"),
    ],
)
def test_what_is_wrong_with_a_point_is_told(change: dict[str, object], problem: str) -> None:
    found, problems = one({**GOOD, **change})
    assert found is None
    assert problems == [f"proposal 1: {problem}"]


def test_a_missing_parameter_is_told_and_a_fixed_one_is_filled_in() -> None:
    found, problems = one({name: value for name, value in GOOD.items() if name not in ("lr", "momentum")})
    assert (found, problems) == (None, ["proposal 1: lr is missing"])


@pytest.mark.parametrize(
    ("change", "name", "spelt"),
    [
        ({"layers": 3.0}, "layers", 3),
        ({"lr": 0.05}, "lr", 0.05),
        ({"opt": "sgd", "momentum": 0.3}, "momentum", 0.3),
        ({"opt": "sgd", "momentum": 0.1 + 0.2}, "momentum", 0.3),
        ({"opt": "sgd", "momentum": 0}, "momentum", 0.0),
    ],
)
def test_the_same_point_is_spelt_the_same(change: dict[str, object], name: str, spelt: object) -> None:
    found, problems = one({**GOOD, **change})
    assert found is not None, problems
    assert repr(found.params[name]) == repr(spelt)
    assert found.repaired == ()


@pytest.mark.parametrize(
    ("change", "repaired"),
    [
        ({"lr": 0.12}, "lr 0.12 became 0.1"),
        ({"layers": 9, "lr": 0.001}, "layers 9 became 8"),
        ({"layers": 2.4}, "layers 2.4 became 2"),
        ({"opt": "sgd", "momentum": 0.4}, "momentum 0.4 became 0.3"),
        ({"opt": "sgd", "momentum": -0.01}, "momentum -0.01 became 0.0"),
        ({"momentum": 0.3}, "momentum was left out: it does not count here"),
    ],
)
def test_with_clip_what_lies_just_outside_is_moved_and_told(change: dict[str, object], repaired: str) -> None:
    found, problems = one({**GOOD, **change}, clip=True)
    assert found is not None, problems
    assert found.repaired == (repaired,)
    assert one({**GOOD, **change})[0] is None


@pytest.mark.parametrize("change", [{"lr": 5.0}, {"lr": 0.0}, {"layers": 40}, {"opt": "lion"}, {"lr": "0.2"}])
def test_with_clip_what_is_far_outside_is_refused_all_the_same(change: dict[str, object]) -> None:
    assert one({**GOOD, **change}, clip=True)[0] is None


def test_good_ones_are_kept_and_bad_ones_told() -> None:
    other = {**GOOD, "lr": 0.02}
    value = {"proposals": [{"params": GOOD}, {"params": {**GOOD, "lr": 9}}, "what?", {"params": other}]}
    found, problems = proposals.check(value, SPACE, limit=4)
    assert [each.params["lr"] for each in found] == [0.01, 0.02]
    assert [text.split(":")[0] for text in problems] == ["proposal 2", "proposal 3"]


def test_what_was_tried_and_what_is_there_twice_is_told() -> None:
    point = {"lr": 0.01, "layers": 3, "opt": "adam", "amp": True, "seed": 7}
    twice = {"proposals": [{"params": GOOD}, {"params": {**GOOD, "layers": 3.0}}]}
    found, problems = proposals.check(twice, SPACE, limit=4)
    assert len(found) == 1
    assert problems == ["proposal 2: these parameters are in another proposal of this answer too"]
    found, problems = proposals.check(twice, SPACE, limit=4, tried={assignment.key(point)})
    assert found == ()
    assert "were tried before" in problems[0]


def test_more_than_was_asked_for_is_left_out() -> None:
    many = [{"params": {**GOOD, "layers": 1 + number % 8, "lr": 0.001 + number / 1e6}} for number in range(1000)]
    found, problems = proposals.check({"proposals": many}, SPACE, limit=4)
    assert (len(found), problems) == (4, [])


@pytest.mark.parametrize("value", [{"params": GOOD}, [{"params": GOOD}], {"proposals": [{"params": GOOD}]}])
def test_one_alone_and_a_bare_list_are_understood(value: object) -> None:
    assert len(proposals.check(value, SPACE, limit=4)[0]) == 1


@pytest.mark.parametrize("value", [None, 3, "text", {}, [], {"proposals": None}, {"proposals": []}, {"lr": 0.01}])
def test_what_is_no_answer_is_told(value: object) -> None:
    found, problems = proposals.check(value, SPACE, limit=4)
    assert found == ()
    assert len(problems) == 1


def test_the_schema_is_one_that_strict_services_take() -> None:
    def objects(schema: object) -> list[dict[str, object]]:
        if isinstance(schema, list):
            return [found for each in schema for found in objects(each)]
        if not isinstance(schema, dict):
            return []
        own = [schema] if schema.get("type") == "object" else []
        return own + [found for each in schema.values() for found in objects(each)]

    schema = proposals.schema(SPACE, 3)
    jsonschema.Draft202012Validator.check_schema(schema)
    for each in objects(schema):
        assert each["additionalProperties"] is False
        properties = each["properties"]
        assert isinstance(properties, dict)
        assert each["required"] == list(properties)
    assert "seed" not in json.dumps(schema)
    assert '"enum": [0.0, 0.3, 0.6, 0.9]' in json.dumps(schema)


def test_thousands_of_choices_do_not_fill_the_question() -> None:
    space = parse({"word": {"choices": [f"word-{number}" for number in range(10_000)]}})
    assert len(json.dumps(proposals.schema(space, 1))) < 5000


def test_thousands_of_strange_names_are_not_all_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is compared with every name of the space, which for an answer of 4 MiB would take minutes."""
    looked_up: list[str] = []

    def nearest(word: str, known: tuple[str, ...]) -> str:
        del known
        looked_up.append(word)
        return ""

    monkeypatch.setattr(core_space, "nearest", nearest)
    found, wrong = proposals.check({"params": {f"{'x' * 300}{k}": 1 for k in range(5_000)}}, SPACE, limit=1)
    assert found == ()
    assert wrong
    assert 0 < len(looked_up) <= 10
    assert max(map(len, looked_up)) < 300
