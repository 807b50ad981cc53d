"""The round trip with an agent that needs no key of ours: one JSON out with all it has to know, one JSON in.

A change is judged, tried on a copy of the workspace under the run's budget, measured by the rules by which any run is
read, and compared with the best of its tier. Whatever comes of it is a sealed run: a validation that fails is one too.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from lab.core import layout, package
from lab.core.errors import BadInput, LabError
from lab.core.loop import Loop, node_of
from lab.core.package import INPUT, RUN
from lab.core.view import OPEN_PHASES
from lab.executors import sandbox
from lab.scheduler import cycle, due, places
from lab.scheduler.dispatch import offers, shown
from lab.scheduler.loop import scripts
from lab.store import experiments, machine, packages, reading

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from lab.core.spec import Spec
    from lab.core.view import View
    from lab.scheduler.dispatch.offers import Held, Said
    from lab.store.root import Root

WORKER = "dispatch-agent"
BRIEF = "BRIEF.md"
MOST_LOOKED_AT = 5_000


def next_package(
    root: Root,
    worker: str,
    *,
    only: Collection[str] = (),
    classes: Collection[str] = (),
    now: bool = False,
    again: bool = False,
    interrupted: Callable[[], str] = str,
) -> tuple[Held | None, list[Said]]:
    """Queue what is due, if nothing waits, and claim it: of the experiment that was asked for, or nothing.

    With `again`, the package that this worker has already, for an agent that forgot. Of a code loop without a baseline
    the code as it is is measured before.
    """
    if again:
        held = _at_hand(root, worker, only)
        if held is not None:
            return held, []
    for name in only:
        _require(root, name)
        if now or name in _wanted(root, classes):
            _measured_first(root, name, interrupted)
    said: list[Said] = []
    if not only:
        only = _fit(root, classes, said, interrupted)
        if not only:
            return None, said
    found, more = offers.claim(root, worker, only=only, classes=classes)
    said += more
    if not found:
        said += offers.queue(root, actor=worker, max_runs=1, only=only, classes=classes, now=now)
        found, more = offers.claim(root, worker, only=only, classes=classes)
        said += more
    return (found[0] if found else None), said


def _wanted(root: Root, classes: Collection[str]) -> list[str]:
    """What waits or is due."""
    return list(dict.fromkeys([*packages.waiting(root), *due.due(root, classes=classes).names]))


def _fit(root: Root, classes: Collection[str], said: list[Said], interrupted: Callable[[], str]) -> list[str]:
    """What waits or is due and has something that a change could be made to and measured by."""
    fitting = []
    for name in _wanted(root, classes):
        try:
            _require(root, name)
            _measured_first(root, name, interrupted)
            fitting.append(name)
        except LabError as error:
            said.append(offers.Said(kind=offers.PASSED, experiment=name, what=error.told, fix=error.fix))
    return fitting


def _require(root: Root, name: str) -> None:
    """Refuse an experiment that no change could be measured for, before anything is claimed for it."""
    experiments.require(root, name)
    with root.section(name):
        view, loaded = cycle.observe(root, name)
    spec = cycle.usable(loaded).for_tier(view.tier)
    where = places.workspace(root, spec, view)
    measured_by(scripts.commands(spec, where) if where else spec)
    if not where or not os.path.isdir(where):
        what = f"{name} has no workspace_root" if not where else f"the workspace of {name} is not there"
        fix = "an agent changes files: name their folder as workspace_root in SPEC.yaml"
        raise BadInput(what, where=where or f"experiments/{name}/{layout.SPEC}", fix=fix)


def _measured_first(root: Root, name: str, interrupted: Callable[[], str]) -> None:
    """The baseline of a code loop, where it has none yet, or what measures was changed: by it a change is judged."""
    with root.section(name):
        view, loaded = cycle.observe(root, name)
    spec = cycle.usable(loaded).for_tier(view.tier)
    if not scripts.is_loop(spec) or view.phase not in OPEN_PHASES or view.lent:
        return
    from lab.scheduler.loop import trying  # noqa: PLC0415  # git and all: most experiments are no code loops

    slots = spec.max_parallel + packages.waiting(root).get(name, 0)  # an offer that waits holds no run
    trying.begun_at(
        root, name, owner=machine.this_process(WORKER), tell=lambda _: None, interrupted=interrupted, slots=slots
    )


def measured_by(spec: Spec) -> str:
    """The command that measures a change."""
    command = spec.validation_command or spec.executor_command
    if not command:
        raise BadInput(
            f"{spec.id} has no validation_command, so a change could not be measured",
            where=f"experiments/{spec.id}/{layout.SPEC}",
            fix="give it one, such as `validation_command: python3 evaluate.py`",
        )
    return command


def _at_hand(root: Root, worker: str, only: Collection[str]) -> Held | None:
    for each in packages.found(root, package.RUNNING):
        if each.worker == worker and (not only or each.experiment in only):
            try:
                return offers.resumed(root, each)
            except LabError:
                continue  # its lease was lost; the next one is looked at
    return None


def context(root: Root, held: Held) -> dict[str, object]:
    """Everything that an agent has to know. Its size does not grow with the lab: what is left out is named."""
    manifest, view = held.manifest, held.view
    tier = view.tiers.get(manifest.fidelity_tier)
    best = tier.best if tier else None
    spec, brief, files, left_out = _code(root, held)
    where = f"{held.path}/{INPUT}/{BRIEF}"
    root.files.replace(where, brief.encode(errors="replace"))
    inputs = sorted(name for name in os.listdir(f"{held.path}/{INPUT}") if not layout.is_draft(name))
    return {
        "dispatch_id": held.place.dispatch_id,
        "experiment": held.place.experiment,
        "worker": held.place.worker,
        "package_dir": held.path,
        "run_dir": f"{held.path}/{RUN}",
        "workspace_root": held.taken.workspace,
        "base_commit": held.taken.base,
        "parent_run": held.taken.parent,
        "mutable_paths": list(spec.mutable_paths),
        "read_only_paths": list(spec.read_only_paths),
        "validation_command": spec.validation_command or spec.executor_command,
        "mutation_brief_path": where,
        "goal": spec.goal,
        "constraints": list(spec.constraints),
        "acceptance_rule": spec.acceptance_rule,
        "metric": manifest.metric,
        "metric_direction": manifest.metric_direction,
        "best_metric_value": best.value if best else None,
        "best_run": best.run_id if best else "",
        "iteration": manifest.iteration,
        "role": manifest.role,
        "run_id": manifest.run_id,
        "fidelity_tier": manifest.fidelity_tier,
        "time_budget_minutes": manifest.time_budget_s / 60,
        "time_budget_s": manifest.time_budget_s,
        "lease_s": held.taken.ttl_s,
        "input_files": {name: f"{held.path}/{INPUT}/{name}" for name in inputs},
        "current_files": files,
        "current_files_left_out": list(left_out),
    }


def _code(root: Root, held: Held) -> tuple[Spec, str, dict[str, str], tuple[str, ...]]:
    """The SPEC as it is meant there, the brief, and what may be changed: of a code loop as it is at the base commit."""
    where, spec = held.taken.workspace, held.spec
    if not held.taken.base:
        return spec, _brief(held, spec, held.view), *_current_files(where, spec.mutable_paths)
    from lab.scheduler.dispatch import code  # noqa: PLC0415  # git and all: most experiments are no code loops

    tier = held.view.tiers.get(held.manifest.fidelity_tier)
    node = node_of((tier.loop if tier else None) or Loop(), held.taken.parent, held.taken.base)
    found = code.packed(root, spec, held.view, node)
    text = "\n".join([found.brief.rstrip("\n"), "", *_handing_in(held)]) + "\n"
    return found.spec, text, dict(found.files), found.left_out


def _brief(held: Held, spec: Spec, view: View) -> str:
    manifest = held.manifest
    tier = view.tiers.get(manifest.fidelity_tier)
    best = tier.best if tier else None
    rules = [f"- {rule}" for rule in spec.constraints]
    lines = [
        f"# {held.place.experiment}, iteration {manifest.iteration}, as {manifest.role}",
        "",
        spec.goal or "(no goal given)",
        "",
        f"- metric: {manifest.metric or 'value'}, {manifest.metric_direction}; tier {manifest.fidelity_tier}",
        f"- best so far: {best.value!r} ({best.run_id})" if best else "- there is no best yet",
        f"- may change: {', '.join(spec.mutable_paths) or 'anything that is not read-only'}",
        f"- must not change: {', '.join(spec.read_only_paths) or '(nothing named)'}",
        f"- measured by: `{spec.validation_command or spec.executor_command}` within {manifest.time_budget_s:g}s",
        *(["", "Rules:", "", *rules] if rules else []),
        "",
        *_handing_in(held),
    ]
    return "\n".join(lines) + "\n"


def _handing_in(held: Held) -> list[str]:
    notes = ['      "asi": {"hypothesis": "...", "next_action_hint": "..."},'] if held.taken.base else []
    return [
        "Read context.md and NEXT.md beside this file. Hand in a FILE with:",
        f"`labctl dispatch-agent-submit FILE --worker {held.place.worker}`",
        "",
        "    {",
        f'      "dispatch_id": "{held.place.dispatch_id}",',
        '      "changes": {"PATH": "WHOLE NEW TEXT"},',
        *notes,
        '      "reasoning": "WHY"',
        "    }",
    ]


def _current_files(workspace: str, mutable: Collection[str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """The texts that may be changed, as far as they fit, and the names of those that do not."""

    def read(path: str) -> bytes:
        return reading.read_head(f"{workspace}/{path}", shown.FILE_BYTES + 1) or b""

    return shown.fitted(_mutable(workspace, mutable), read)


def _mutable(workspace: str, mutable: Collection[str]) -> Iterator[str]:
    if not mutable or not workspace:
        return
    looked_at = 0
    for place, folders, names in os.walk(workspace):
        folders[:] = sorted(name for name in folders if name not in sandbox.LEFT_OUT and not name.startswith(".venv"))
        for name in sorted(names):
            looked_at += 1
            if looked_at > MOST_LOOKED_AT:
                return
            path = os.path.relpath(f"{place}/{name}", workspace)
            if reading.is_file(f"{place}/{name}") and any(sandbox.matches(workspace, path, each) for each in mutable):
                yield path
