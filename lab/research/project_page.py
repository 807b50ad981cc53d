"""docs/reference/project.md: every key of project.yaml, the modes and the phases, from what judges them.

`scripts/reference` writes it; a test holds it against what is committed.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec

from lab.core import spec_page
from lab.research import declared
from lab.research.project import Project

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.research.declared import Mode, Phase

_REF = "#/$defs/"
_BY_ROUTE = {
    "routing": "the phases in it",
    "agent": "those routed to agent",
    "commands": "those routed to command",
}

_PAGE = """\
# project.yaml

Written by `scripts/reference` from `lab/research/project.py` and `templates/research/`; do not edit.

It lies in the folder that `labctl research new` makes, with the files that it names, and is yours. Only `mode` is
required. A key with a dot is a key of a map: `training.runs` is written `training: {{runs: 12}}`. A key that is not
known refuses the file, with its line. Files are named relative to the folder. Budgets, limits, `env` and `secrets` are
keys of the project's [SPEC](spec.md), and what all this is for is in [Research](../how-to/research.md).

The last column has the phases that are given a key: an edit makes those due again, and what builds on them. Where it is
blank, the key decides which phases there are, or when a person is asked.

| key | type | default | what it means | given to |
| --- | --- | --- | --- | --- |
{keys}

## Modes

| mode | begins with | must be given | what it is |
| --- | --- | --- | --- |
{modes}

## Phases

`?` is before what may be missing. The budget is that of a new project: `PHASE_time_budget` in its SPEC.

| phase | done by | or by | leaves, below artifacts/ | budget |
| --- | --- | --- | --- | --- |
{phases}
"""


def page() -> str:
    """The text of it."""
    phases = declared.phases()
    return _PAGE.format(
        keys="\n".join(_row(*each, phases) for each in every_key()),
        modes="\n".join(map(_mode, declared.modes())),
        phases="\n".join(map(_phase, phases)),
    )


def every_key() -> Iterator[tuple[str, dict[str, object]]]:
    """Every key, with dots, and what its schema says; those of a part come after it."""
    # Through JSON: defaults are tuples and records in a schema, and lists and maps there.
    schemas = json.loads(msgspec.json.encode(msgspec.json.schema(Project)))["$defs"]
    for name, told in schemas[Project.__name__]["properties"].items():
        yield name, told
        part = _part(told)
        for key, within in schemas[part]["properties"].items() if part else ():
            yield f"{name}.{key}", within


def _part(told: dict[str, object]) -> str:
    """The record that a key is a map of; empty for any other."""
    found = json.dumps(told).partition(f'"$ref": "{_REF}')[2]
    return found.partition('"')[0]


def _row(name: str, told: dict[str, object], phases: tuple[Phase, ...]) -> str:
    kind = "map" if _part(told) or told.get("type") == "object" else spec_page.type_words(name, told)
    default = "" if _part(told) else spec_page.default_words(told.get("default"))
    default = default or ("required" if "default" not in told and not _part(told) else "")
    return f"| `{name}` | {kind} | {default} | {told['description']} | {_given_to(name, phases)} |"


def _given_to(name: str, phases: tuple[Phase, ...]) -> str:
    """The phases whose declaration names a key, or what it is a part of, or a part of it."""
    top = name.partition(".")[0]
    if top in _BY_ROUTE:
        return _BY_ROUTE[top]
    named = {each.name: {given.partition(":")[2] for given in each.inputs if ":" in given} for each in phases}
    return ", ".join(phase for phase, given in named.items() if given & {name, top})


def _mode(mode: Mode) -> str:
    needs = ", ".join(f"`{each}`" for each in mode.needs)
    return f"| `{mode.name}` {mode.word} | {mode.start} | {needs} | {mode.about} |"


def _phase(phase: Phase) -> str:
    leaves = ", ".join(f"`{each}`" for each in phase.outputs)
    return f"| {phase.name} | {phase.executor} | {', '.join(phase.may)} | {leaves} | {phase.budget} |"
