"""What a model may propose, as a schema for it and as a check for us. Pure.

The schema is a help for the model and for a server that can hold it to a grammar. The check is what counts: of all that
was measured, a grammar kept the shape and broke the bounds.
"""

from __future__ import annotations

import math
from itertools import islice
from typing import TYPE_CHECKING

import msgspec

from lab.core import assignment, scale
from lab.core.parameter import is_plain_number, same, shown
from lab.core.space import holds

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from lab.core.parameter import Parameter, Scalar
    from lab.core.space import Space

Key = tuple[tuple[str, object], ...]

HYPOTHESIS_CHARS = 500
CHANGE_CHARS = 200
_LISTED = 32  # values of a grid that a schema lists; above it they are described
_LISTED_CHOICES = 200
_NEAR = 0.25  # of a range: how far outside a value may lie that `clip` brings to the edge
_MAX_PROBLEMS = 4  # told of one proposal
_NAME_CHARS = 200


class Proposed(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One proposal that can be run as it stands. `repaired` says what was changed in it, and is empty for most."""

    params: dict[str, str | int | float | bool | None]
    hypothesis: str = ""
    change: str = ""
    parent: str = ""
    delta: float | None = None  # the change of the metric that the model expects; None where it gave none
    repaired: tuple[str, ...] = ()


def schema(space: Space, k: int) -> dict[str, object]:
    """The JSON Schema of an answer with up to `k` proposals.

    Every key is required, so that the strict modes of services take it: a parameter that does not count is null.
    """
    expect = shape({"delta": {"type": ["number", "null"], "description": "expected change of the metric"}})
    proposal = shape(
        {
            "params": point(space),
            "hypothesis": {"type": "string", "description": "why it should help, in a sentence"},
            "expect": expect,
            "parent": {"type": ["string", "null"], "description": "id of the run that it begins from, if any"},
            "change": {"type": "string", "description": "what differs from that run, in a line"},
        }
    )
    return shape({"proposals": {"type": "array", "minItems": 1, "maxItems": k, "items": proposal}})


def point(space: Space) -> dict[str, object]:
    """The JSON Schema of one point of a space. What is fixed is no choice, and not asked for."""
    return shape({each.name: _shape(each) for each in space.parameters if each.kind != "fixed"})


def shape(properties: dict[str, object]) -> dict[str, object]:
    """The JSON Schema of an object with these keys, all of them, and no other."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _shape(parameter: Parameter) -> dict[str, object]:
    shape = _plain_shape(parameter)
    if not parameter.when:
        return shape
    where = " and ".join(
        f"{condition.name} is {' or '.join(shown(value) for value in condition.values)}" for condition in parameter.when
    )
    told = {"description": f"null unless {where}"}
    if shape.get("enum") == [None]:
        return shape | told
    return {"anyOf": [shape, {"type": "null"}], **told}


def _plain_shape(parameter: Parameter) -> dict[str, object]:
    match parameter.kind:
        case "bool":
            return {"type": "boolean"}
        case "choice":
            some = list(parameter.choices[:_LISTED_CHOICES])
            if len(some) == len(parameter.choices):
                return {"enum": some}
            return {"description": f"one of {len(parameter.choices)} values, among them {some}"}
        case _:
            return _number_shape(parameter)


def _number_shape(parameter: Parameter) -> dict[str, object]:
    kind = "integer" if parameter.kind == "int" else "number"
    count = scale.levels(parameter)
    stepped = parameter.step is not None and not (parameter.kind == "int" and parameter.step == 1)
    if stepped and count is not None and count <= _LISTED:
        return {"type": kind, "enum": [scale.at_step(parameter, index) for index in range(count)]}
    shape: dict[str, object] = {"type": kind, "minimum": parameter.low, "maximum": parameter.high}
    told = [f"{parameter.low} plus whole steps of {parameter.step}"] if stepped else []
    told += ["counts by its logarithm"] if parameter.log else []
    return shape | ({"description": "; ".join(told)} if told else {})


def check(
    value: object,
    space: Space,
    *,
    limit: int,
    tried: Collection[Key] = (),
    runs: Collection[str] = (),
    clip: bool = False,
) -> tuple[tuple[Proposed, ...], list[str]]:
    """The candidates in an answer, and what is wrong with the rest of it.

    `tried` holds `assignment.key` of the points that need not be run again. A parent that is none of `runs` is left
    out: nothing is said to come from a run that nobody has made.
    """
    listed = _listed(value)
    if listed is None:
        return (), ['the answer must be an object such as {"proposals": [{"params": {...}, ...}]}']
    if not listed:
        return (), ["the answer has no proposal in it"]
    found: list[Proposed] = []
    problems: list[str] = []
    seen: set[Key] = set()
    for number, each in enumerate(listed[: 4 * limit], 1):
        if len(found) == limit:
            break
        candidate, wrong = _candidate(each, space, runs, clip=clip)
        if candidate is not None:
            key = assignment.key(candidate.params)
            if key in tried:
                wrong = ["these parameters were tried before, or are being tried; choose others"]
            elif key in seen:
                wrong = ["these parameters are in another proposal of this answer too"]
            else:
                seen.add(key)
                found.append(candidate)
        problems += [f"proposal {number}: {text}" for text in wrong]
    return tuple(found), problems


def _listed(value: object) -> list[object] | None:
    """The proposals in an answer. One alone and a bare list are taken too: what is meant is plain."""
    if isinstance(value, dict):
        if "proposals" not in value:
            return [value] if "params" in value else None
        value = value["proposals"]
    return value if isinstance(value, list) else None


def _candidate(value: object, space: Space, runs: Collection[str], *, clip: bool) -> tuple[Proposed | None, list[str]]:
    given = value.get("params") if isinstance(value, dict) else None
    if not isinstance(value, dict) or not isinstance(given, dict):
        return None, ["it must be an object with an object `params`"]
    params, repaired = _params(given, space, clip=clip)
    if wrong := assignment.problems(space, params):
        more = len(wrong) - _MAX_PROBLEMS
        return None, [*wrong[:_MAX_PROBLEMS], *([f"and {more} more problems"] if more > 0 else [])]
    parent = value.get("parent")
    expect = value.get("expect")
    return Proposed(
        params={name: params[name] for name in space.names if name in params},  # type: ignore[misc]  # checked above
        hypothesis=line(value.get("hypothesis"), HYPOTHESIS_CHARS),
        change=line(value.get("change"), CHANGE_CHARS),
        parent=parent if isinstance(parent, str) and parent in runs else "",
        delta=_finite(expect.get("delta") if isinstance(expect, dict) else None),
        repaired=tuple(repaired),
    ), []


def _params(given: Mapping[str, object], space: Space, *, clip: bool) -> tuple[dict[str, object], list[str]]:
    """The point that is meant, and what had to be changed for it. What is wrong beyond that stays in it, to be told."""
    meant: dict[str, object] = {}
    repaired: list[str] = []
    counts: set[str] = set()
    for parameter in assignment.in_order(space):
        name = parameter.name
        if holds(parameter, counts, meant):
            counts.add(name)
            if name not in given:
                meant |= {name: parameter.value} if parameter.kind == "fixed" else {}
                continue
            value = _whole(parameter, given[name])
            moved = _moved(parameter, value) if clip else value
            if not same(moved, value):
                repaired.append(f"{name} {shown(value)} became {shown(moved)}")
            # Spelt before the next is looked at: whether that one counts may hang on it.
            meant[name] = moved if parameter.problem(moved) else _spelt(parameter, moved)
        elif given.get(name) is not None:
            if clip:
                repaired.append(f"{name} was left out: it does not count here")
            else:
                meant[name] = given[name]
    known = set(space.names)
    strange = islice((name for name in given if name not in known), _MAX_PROBLEMS)
    # A few of them, and their beginnings: each is compared with every name of the space.
    meant |= {name if len(name) <= _NAME_CHARS else f"{name[:_NAME_CHARS]} ...": given[name] for name in strange}
    return meant, repaired


def _whole(parameter: Parameter, value: object) -> object:
    """3.0 as the 3 that it is, where a whole number is needed: JSON knows one kind of number, and so do models."""
    return int(value) if parameter.kind == "int" and isinstance(value, float) and value.is_integer() else value


def _moved(parameter: Parameter, value: object) -> object:
    """A number just outside its range on the edge, and one between two steps on the nearer; others as they are."""
    if parameter.kind not in ("float", "int") or isinstance(value, bool) or not isinstance(value, (int, float)):
        return value
    if not is_plain_number(value) or not parameter.problem(value):
        return value
    low, high = parameter.low, parameter.high
    if parameter.log:
        out = math.log(low / value) if 0 < value < low else math.log(value / high) if value > high else 0.0
        out = math.inf if value <= 0 else out
        width = math.log(high / low)
    else:
        out, width = max(low - value, value - high, 0.0), high - low
    if out > _NEAR * width:
        return value
    number = min(high, max(low, value))
    count = scale.levels(parameter)
    if count is None or parameter.low == parameter.high:
        return number
    return scale.at_step(parameter, min(count - 1, max(0, round((number - low) / (parameter.step or 1)))))


def _spelt(parameter: Parameter, value: object) -> Scalar:
    """A value that was let through, spelt as the space and every strategy spell it, so that the same point is found."""
    match parameter.kind:
        case "fixed":
            return parameter.value
        case "choice":
            return next(choice for choice in parameter.choices if same(choice, value))
        case "float" if isinstance(value, (int, float)):
            if parameter.step is None or parameter.low == parameter.high:
                return float(value)
            return float(scale.at_step(parameter, round((value - parameter.low) / parameter.step)))
        case _:
            return value  # type: ignore[return-value]  # `Parameter.problem` has let it through


def _finite(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not is_plain_number(value):
        return None
    return float(value)


def line(value: object, chars: int) -> str:
    """A text of a model in one line of bounded length, without what a terminal would obey."""
    if not isinstance(value, str):
        return ""
    words = "".join(each if each.isprintable() else " " for each in value[: 4 * chars]).split()
    text = " ".join(words)
    return text if len(text) <= chars else f"{text[: chars - 4]} ..."
