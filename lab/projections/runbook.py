"""RUNBOOK.md: what an experiment is and how to work with it. It changes only when its SPEC or its findings do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.core.spec_tuning import TINKER, is_chain
from lab.projections import pursued, template, text
from lab.projections.attention import section

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.core.spec import Spec
    from lab.core.subject import Finding, Subject

GOAL_CHARS = 2_000
_LISTS = (
    ("Rules that every run keeps", "constraints"),
    ("May be changed", "mutable_paths"),
    ("May not be changed", "read_only_paths"),
    ("Read before a run", "ingress_files"),
    ("Left behind by a run", "egress_files"),
    ("Expected under artifacts/", "artifacts_expected"),
    ("Reports it is to yield", "outputs"),
    ("Handed to a person when", "escalate_when"),
)
_COMMANDS = ("executor_command", "setup_command", "baseline_command", "mutation_command", "validation_command")
_TEXTS = (
    ("Kind of work", "mode"),
    ("Worth keeping when", "acceptance_rule"),
    ("Grew from", "parent_experiment"),
    ("Known to work", "known_good_config"),
    ("Workspace", "workspace_root"),
)


def runbook_page(subject: Subject) -> bytes:
    """The bytes of RUNBOOK.md. Of the view it takes only what never changes."""
    return render(subject.view.experiment, subject.view.created_at, subject.spec, subject.findings)


def render(experiment: str, created_at: str, spec: Spec | None, findings: Sequence[Finding]) -> bytes:
    """The same from its parts."""
    values: dict[str, object] = {
        "id": experiment,
        "created_at": created_at,
        "wants": section(findings),
        "spec": spec,
        "is_project": pursued.is_project(spec),
    }
    if spec is not None:
        values |= {
            "goal": text.md(spec.goal, GOAL_CHARS),
            "texts": [*_filled(spec, _TEXTS), *_trained(spec)],
            "lists": _filled(spec, _LISTS),
            "commands": "\n".join(_commands(spec)),
            "stops": _stops(spec),
            "overrides": [(each.tier, each.field, _shown(each.value)) for each in spec.overrides],
        }
    return template.render("runbook.md.j2", values)


def _filled(spec: Spec, fields: Sequence[tuple[str, str]]) -> list[tuple[str, object]]:
    return [(title, getattr(spec, field)) for title, field in fields if getattr(spec, field)]


def _trained(spec: Spec) -> list[tuple[str, object]]:
    """What is trained remotely, and how it is cut."""
    tuning = spec.tinker
    if tuning is None or spec.executor != TINKER:
        return []
    cut = f"in chunks of {tuning.chunk_steps}" if is_chain(spec) else "in each run"
    return [("Trains", f"{tuning.base_model} at {tuning.url}, {text.count(tuning.steps, 'step')} {cut}")]


def _commands(spec: Spec) -> list[str]:
    told = ((name, text.line(getattr(spec, name), text.BLOCK_CHARS)) for name in _COMMANDS)
    return [f"{name}: {command}" for name, command in told if command]


def _stops(spec: Spec) -> list[str]:
    """What ends it: the count of runs, and each stop condition that is set."""
    conditions = msgspec.structs.asdict(spec.stop_conditions)
    told = [f"{name.replace('_', ' ')}: {value}" for name, value in conditions.items() if value is not None]
    return [f"after {text.count(spec.max_iterations_total, 'run')}, failed ones included", *told]


def _shown(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
