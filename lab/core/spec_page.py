"""What can be told of a SPEC's fields: a table of them, a JSON Schema for editors, a reference page for people."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import msgspec

from lab.core.evaluation import FILLED, OVERRIDES, Evaluation
from lab.core.model import Model
from lab.core.spec_fields import RECORDS, TIER_OVERRIDABLE_FIELDS, Spec, StopConditions
from lab.core.tuning import Tuning

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_BUDGET = "Wall-clock limit of one run"
_BUDGET_READERS = "executor, scheduler"
_NUMBER = {"type": "number"}
_BOUNDS = (("exclusiveMinimum", "above"), ("minimum", "from"), ("exclusiveMaximum", "below"), ("maximum", "to"))
_BLANK: dict[str, object] = {"enum": [None, ""]}  # the default, as a template leaves it for its reader to fill in


_Properties = dict[str, dict[str, object]]


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the reference page."""

    name: str
    type: str
    default: str
    read_by: str
    description: str


@cache
def fields() -> tuple[Field, ...]:
    """Every key that a SPEC may hold, in the order of the reference page; overrides for tiers apart."""
    found: list[Field] = []
    for name, told in _properties(Spec).items():
        if name == "overrides":
            continue
        if name == "time_budget_s":
            found += [
                Field(
                    name="time_budget",
                    type="length of time",
                    default="10m",
                    read_by=_BUDGET_READERS,
                    description=f"{_BUDGET}: 90s, 5m, 1.5h, or seconds; at most 30 days.",
                ),
                Field(
                    name="time_budget_minutes",
                    type="number above 0",
                    default="10",
                    read_by=_BUDGET_READERS,
                    description=f"{_BUDGET} in minutes, instead of time_budget.",
                ),
            ]
            continue
        found.append(
            Field(
                name=name,
                type=type_words(name, told),
                default="required" if name == "id" else default_words(told.get("default")),
                read_by=str(told["x-read-by"]),
                description=str(told["description"]),
            )
        )
    return tuple(found)


def nested() -> Iterator[Field]:
    """The keys of the maps of their own, each with the name of its map before it."""
    maps: Mapping[str, type[msgspec.Struct]] = {"stop_conditions": StopConditions, **RECORDS}
    for name, record in maps.items():
        for key, told in _properties(record).items():
            yield Field(
                name=f"{name}.{key}", type=type_words(key, told), default=default_words(told.get("default")),
                read_by="", description=str(told["description"]),
            )  # fmt: skip


def json_schema() -> dict[str, object]:
    """The JSON Schema of the file SPEC.yaml, for editors. It is more lenient than the reader in names and paths."""
    properties: dict[str, object] = {}
    for name, told in _properties(Spec).items():
        if name not in ("overrides", "time_budget_s", "search_space", "stop_conditions", *RECORDS):
            properties[name] = _written(name, told)
    for field in fields():
        if field.name not in properties:
            properties[field.name] = {
                "description": field.description,
                "x-read-by": field.read_by,
                "anyOf": [*_special(field.name), _BLANK],
            }
    tiers = "|".join(TIER_OVERRIDABLE_FIELDS)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "SPEC.yaml of a labctl experiment",
        "type": "object",
        "required": ["id"],
        "properties": {name: properties[name] for name in sorted(properties)},
        "patternProperties": {f"^[A-Za-z0-9][A-Za-z0-9._-]*_({tiers})$": {}},
        "additionalProperties": False,
    }


def reference_page() -> str:
    """The text of docs/reference/spec.md."""
    rows = [
        f"| `{field.name}` | {field.type} | {field.default} | {_cell(field.description)} | {field.read_by} |"
        for field in fields()
    ]
    conditions = [f"- `{name}`: {told['description']}" for name, told in _properties(StopConditions).items()]
    overridable = _named(TIER_OVERRIDABLE_FIELDS)
    return _PAGE.format(
        rows="\n".join(rows), conditions="\n".join(conditions), models=_listed(Model), tuning=_listed(Tuning),
        evaluation=_listed(Evaluation),
        overrides=_named(OVERRIDES), filled=_named(FILLED), overridable=overridable,
    )  # fmt: skip


def _named(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _listed(record: type[msgspec.Struct]) -> str:
    """The fields of a map of its own, one a line."""
    told = _properties(record).items()
    return "\n".join(f"- `{name}` ({_plain_words(name, each)}): {each['description']}" for name, each in told)


def _properties(record: type[msgspec.Struct]) -> _Properties:
    whole = msgspec.json.schema(record)
    # Through JSON: the defaults are tuples there, which is no JSON value for those who compare or validate it.
    data = msgspec.json.encode(whole["$defs"][record.__name__]["properties"])
    return msgspec.json.decode(data, type=_Properties)


def _written(name: str, told: dict[str, object]) -> dict[str, object]:
    """The forms in which a field may be written, which are more than the one in which it is kept."""
    strict = {key: value for key, value in told.items() if key not in ("description", "x-read-by", "default")}
    whole = {key: value for key, value in told.items() if key not in strict}
    forms: list[object] = [strict, _BLANK]
    if strict.get("type") == "array":
        forms += [{"type": ["string", "number"]}, {"type": "array", "items": {"type": ["string", "number"]}}]
    elif strict.get("type") == "string":
        forms.append(_NUMBER)
    elif "enum" in strict:
        forms.append({"type": "string", "pattern": _spellings(name)})
    elif strict.get("type") == "boolean":
        forms.append({"enum": ["true", "false", "yes", "no", "on", "off"]})
    return {**whole, "anyOf": forms}


def _spellings(name: str) -> str:
    other = {
        "metric_direction": "^(max|maximise|higher|min|minimise|lower)$",
        "promotion_strategy": "^git-apply-on-accept$",
        "workspace_mode": "^git",
    }
    return other.get(name, "^$")


def _special(name: str) -> list[object]:
    if name == "stop_conditions":
        one = {"type": "object", "propertyNames": {"enum": list(StopConditions.__struct_fields__)}}
        return [one, {"type": "array", "items": one}]
    if name in RECORDS:
        return [{"type": "object", "propertyNames": {"enum": list(RECORDS[name].__struct_fields__)}}]
    if name == "search_space":
        return [{"type": "object"}, {"type": "string"}]
    return [{"type": "number", "exclusiveMinimum": 0}, {"type": "string", "pattern": "[0-9]"}]


def _cell(text: str) -> str:
    return text.replace("|", "\\|")  # a bare one would begin the next column


def type_words(name: str, told: dict[str, object]) -> str:
    if name == "cadence":
        return "minutes, interval or cron"
    if name == "search_space":
        return "map or path"
    if name in ("stop_conditions", *RECORDS):
        return "map"
    one_of = told.get("anyOf")
    shape: Mapping[str, object] = one_of[0] if isinstance(one_of, list) else told
    words_known = shape.get("enum")
    if isinstance(words_known, list):
        return " \\| ".join(str(word) for word in words_known if word != "")
    kind = {"array": "list", "boolean": "true or false", "integer": "whole number", "string": "text"}
    words = kind.get(str(shape.get("type")), str(shape.get("type")))
    bounds = [f"{prefix} {shape[key]:,}" for key, prefix in _BOUNDS if key in shape]
    return " ".join((words, *bounds))


def _plain_words(name: str, told: dict[str, object]) -> str:
    """The type of a field, and its default where it has one."""
    return "; ".join(filter(None, (type_words(name, told).replace("\\|", "|"), default_words(told.get("default")))))


def default_words(default: object) -> str:
    if default is None or default in ("", [], {}):
        return ""
    if isinstance(default, bool):
        return "true" if default else "false"
    if isinstance(default, list):
        return ", ".join(str(entry) for entry in default)
    return "" if isinstance(default, dict) else str(default)


_PAGE = """\
# SPEC.yaml

Written by `lab.core.spec_page.reference_page()`; a test holds this page to the code. Edit the descriptions there.

A SPEC is YAML: one mapping of at most 256 KiB in UTF-8. Only `id` is required. A blank value (`key:` or `""`) means
the default, and one word where a list is wanted is a list of one. Unknown keys, words and numbers out of range refuse
the whole file, with the line of each.

The last column names the part of the lab that goes by a field. Every field is checked and shown in RUNBOOK.md.

| field | type | default | what it means | read by |
| --- | --- | --- | --- | --- |
{rows}

## Tiers

`<tier>_<field>` overrides a field in one tier of `fidelity_tiers`: with `fidelity_tiers: [proxy, final]`,
`final_time_budget: 1h` gives runs in `final` an hour. A field's own name comes first: with a tier `validation`,
`validation_command` is still the field. These can be overridden: {overridable}.

## Stop conditions

`stop_conditions` is a map, or a list of maps with one key each:

{conditions}

## Models

`llm` is a map of what is known of the model that the strategies `llm` and `hybrid` ask. A key stands in the variable
that `api_key_env` names, and nowhere in a file.

{models}

## Remote training

`tinker` is a map of what `executor: tinker` trains through the Tinker API, and how it is cut into chunks: each run is
one chunk, and goes on from the state that the last one saved. With a `strategy` each run is a whole training. A service
that is not on this machine is paid for: then `stop_conditions` needs `budget_tokens`, or `budget_cost` and all three
prices. The key stands in `TINKER_API_KEY`, named in `secrets`, and nowhere in a file.

{tuning}

## Evaluation

`lm_eval` is a map of what `executor: lm_eval` asks which model, by lm-evaluation-harness and without a network.
{filled} may hold the placeholder of a parameter, as a command does. A parameter that is called
{overrides} takes the place of that field. Relative places are looked for in the workspace, then beside the SPEC.

{evaluation}

## Events for `escalate_when`

`breakthrough_found`, `blocked_on_external_access`, `new_best`, and `metric_regression_N_consecutive` with a number
for N. In a code loop also `metric_drift`: what is to be beaten does not measure any more what it did; `holdout_gap`:
the hidden measurement shows less than half of the gain; and `holdout_failed`: it was due, and came to nothing.

## Cadence

A number is minutes, and 0 is always due. Also `30s`, `5m`, `2h`, `1d`; `hourly`, `daily`, `weekly`; `every-N-seconds`,
`-minutes`, `-hours`, `-days`; and cron with five fields in UTC, such as `0 9 * * mon-fri`, or `@hourly` and the like.
Where cron's day of the month and weekday are both restricted, either is enough.
"""
