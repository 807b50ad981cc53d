"""Builders: a code loop with candidates in its history, as they would be sealed; nothing is run."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from lab.core import asi, canonical
from lab.core.candidate import BASELINE, IMPROVE, Candidate
from lab.core.ended import Ended
from lab.core.run import FAILED, SUCCESS
from lab.scheduler import cycle
from lab.store import experiments, reading
from tests.scheduler.labs import a_lab, me

if TYPE_CHECKING:
    from pathlib import Path

    from lab.core.asi import Asi
    from lab.core.spec import Spec
    from lab.store.root import Root

MORE = """\
executor: reference
workspace_root: {workspace}
mutation_command: ./mutate
validation_command: ./measure
mutable_paths: [train.py, "src/**"]
read_only_paths: [measure.py]
constraints: [keep it under 200 lines]
"""


def a_loop(path: Path, name: str = "speed-up", more: str = "") -> Root:
    """A lab with a code loop, and a workspace beside it."""
    os.makedirs(path / "code", exist_ok=True)
    return a_lab(path / "lab", name, more=MORE.format(workspace=path / "code") + more)


def spec_of(root: Root, name: str = "speed-up") -> Spec:
    spec = experiments.load(root, name).spec
    assert spec is not None
    return spec


def a_candidate(  # what may be said of one
    root: Root,
    verdict: str = "discard",
    *,
    name: str = "speed-up",
    value: float | None = 1.0,
    notes: Asi | None = None,
    logs: dict[str, str] | None = None,
    ended: Ended | None = None,
    **told: object,
) -> str:
    """One sealed candidate; its run id."""
    running = cycle.begin(root, name, owner=me())
    made = msgspec.structs.replace(Candidate(kind=IMPROVE, base="b" * 40, commit="c" * 40), **told)
    how = ended or Ended(
        outcome=FAILED if verdict in ("crash", "checks_failed") else SUCCESS,
        value=None if verdict in ("crash", "checks_failed") else value,
        verdict=verdict,
        reason=made.why,
    )
    if notes is not None:
        root.files.folder(f"{running.path}/artifacts")
        root.files.create(f"{running.path}/artifacts/{asi.FILE}", canonical.page(asi.told(notes)))
    for file, text in (logs or {}).items():
        root.files.folder(os.path.dirname(f"{running.path}/{file}"))
        root.files.create(f"{running.path}/{file}", text.encode())
    cycle.finish(root, running, msgspec.structs.replace(how, candidate=made))
    return running.manifest.run_id


def a_baseline(root: Root, name: str = "speed-up") -> str:
    return a_candidate(
        root, "keep", name=name, value=1.0, kind=BASELINE, values=(1.0, 1.01, 0.99), evaluator="e1", why="baseline"
    )


def page(root: Root, name: str, experiment: str = "speed-up") -> str:
    return (reading.read(root.layout.page(experiment, name)) or b"").decode()
