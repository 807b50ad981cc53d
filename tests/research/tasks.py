"""Builders: a study that really runs, a research project beside it, and the task of one phase, as the lab makes it."""

from __future__ import annotations

import hashlib
import sys
import time
from typing import TYPE_CHECKING

import msgspec

from lab.core.ended import Ended
from lab.core.record import page
from lab.core.run import CRASH, SUCCESS
from lab.research import built as implementation
from lab.research.built import Built
from lab.research.declared import Phase
from lab.research.order import Order
from lab.research.project import Iteration, Project, Training
from lab.research.work.given import Piece
from lab.research.work.out import Out
from lab.research.worker import Place, Task
from lab.scheduler import create, cycle
from lab.scheduler.cycle import Errand
from tests.scheduler.labs import a_lab, me

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from lab.core.record import Record
    from lab.core.seal import Seal
    from lab.scheduler.cycle import Running
    from lab.store.root import Root

PROJECT, STUDY = "proj", "proj-bowl"
SPREAD = 0.05
# (x - 0.5) squared and some noise; what is reported is measured with other noise than what is chosen by.
PROGRAM = """\
import sys, random
x, tier, seed = float(sys.argv[1]), sys.argv[2], sys.argv[3]
print((x - 0.5) ** 2 + 1 + random.Random(f"{tier}/{seed}/{x}").gauss(0, SPREAD))
"""
SPEC = """\
id: {id}
goal: the least of a bowl
metric: loss
metric_direction: minimize
max_iterations_total: 1000
durability: fast
executor: command
executor_command: {python} -I -S {program} {{params.x}} {{tier}} {{seed}}
strategy: random
seed: 7
fidelity_tiers: [choose, report]
search_space:
  x: {{low: -2.0, high: 2.0, default: -1.5}}
"""
PHASES = "literature, ideation, implementation, training, evaluation, iteration, writing, publishing"
PROJECT_SPEC = f"id: {PROJECT}\nexecutor: stub\ndurability: fast\nfidelity_tiers: [{PHASES}]\n"


class Gave:
    """What a phase is given, without anybody who proves it."""

    def __init__(self, files: Mapping[str, bytes], seals: Mapping[str, Seal] | None = None) -> None:
        self._files = dict(files)
        self._seals = dict(seals or {})

    def names(self, below: str = "") -> tuple[str, ...]:
        return tuple(sorted(name for name in self._files if name.startswith(below)))

    def read(self, name: str) -> bytes:
        return self._files[name]

    def find(self, name: str) -> bytes | None:
        return self._files.get(name)

    def pieces(self) -> tuple[Piece, ...]:
        return tuple(
            Piece(name=name, path=name, sha256=hashlib.sha256(data).hexdigest()) for name, data in self._files.items()
        )

    def seal(self, phase: str) -> Seal | None:
        return self._seals.get(phase)


def a_project(
    place: Path, *, spread: float = SPREAD, more: str = "", program: str = PROGRAM, edit: tuple[str, str] = ("", "")
) -> Root:
    """A lab with a study in it and the experiment of a project. The study's SPEC is edited, and `more` is added."""
    root = a_lab(place / "lab")
    folder = place / "study"
    folder.mkdir(parents=True)
    script = folder / "bowl.py"
    script.write_text(program.replace("SPREAD", repr(spread)))
    an_experiment(root, folder, SPEC.format(id=STUDY, python=sys.executable, program=script).replace(*edit) + more)
    an_experiment(root, place, PROJECT_SPEC)
    return root


def an_experiment(root: Root, folder: Path, spec: str) -> None:
    """One of this SPEC."""
    path = folder / "SPEC.yaml"
    path.write_text(spec)
    create.experiment(root, str(path), actor="ann")


def a_built(experiment: str = STUDY, **more: object) -> Built:
    made = Built(
        idea="bowl", idea_sha256="", experiment=experiment, folder="", metric="loss", direction="minimize",
        tiers=("choose", "report"),
    )  # fmt: skip
    return msgspec.structs.replace(made, **more)


def given(**records: Record) -> dict[str, bytes]:
    """The records of earlier phases by the names of their files; `built` is there unless another one is given."""
    records.setdefault("built", a_built())
    names = {
        "built": f"implementation/{implementation.FILE}", "trained": "training/training.json",
        "evaluated": "evaluation/evaluation.json", "decision": "iteration/decision.json",
    }  # fmt: skip
    return {names[key]: page(record) for key, record in records.items()}


def begun(root: Root, order: Order) -> Running:
    """A run of the project, claimed and open."""
    with root.section(PROJECT):
        view, loaded = cycle.observe(root, PROJECT)
        spec = cycle.usable(loaded)
        lease = cycle.claim(root, view, spec, owner=me(), tier=order.phase, slots=9)
        return cycle.opened(root, lease, view, spec, loaded.sha256, Errand(params=order.params(), tier=order.phase))


def ended(root: Root, running: Running, outcome: str = SUCCESS) -> Seal:
    """The end of one."""
    return cycle.finish(root, running, an_end(1.0 if outcome == SUCCESS else None, outcome))


def an_end(value: float | None, outcome: str = SUCCESS) -> Ended:
    """Of a run that took a second."""
    return Ended(outcome=outcome, value=value, wall_s=1.0)


def killed(root: Root, running: Running) -> Seal:
    """The end of one that was killed, as whoever settles it seals it."""
    return ended(root, running, CRASH)


def a_task(  # everything that a phase may be given
    root: Root,
    running: Running,
    phase: str,
    *,
    files: Mapping[str, bytes] | None = None,
    project: Project | None = None,
    for_s: float = 60.0,
    interrupted: Callable[[], str] = str,
    said: list[str] | None = None,
) -> Task:
    """The task of a run, as the lab would make it."""
    with root.section(PROJECT):
        view, loaded = cycle.observe(root, PROJECT)
    order = msgspec.convert(dict(running.params or {}), Order)
    told: list[str] = said if said is not None else []
    return Task(
        root=root,
        spec=cycle.usable(loaded).for_tier(phase),
        view=view,
        run_id=running.manifest.run_id,
        project=project or a_plan(),
        folder=root.layout.root,
        phase=a_phase(phase),
        order=order,
        given=Gave(given() if files is None else files),
        out=Out(f"{running.path}/artifacts", root.files),
        until_s=time.monotonic() + for_s,
        say=told.append,
        interrupted=interrupted,
    )


def a_phase(name: str) -> Phase:
    return msgspec.convert({"name": name, "about": "", "executor": "", "outputs": []}, Phase)


def a_place(root: Root, phase: str, project: Project, folder: str = "") -> Place:
    """Where a phase would be done."""
    return Place(root=root, project=project, folder=folder or root.layout.root, phase=a_phase(phase))


def a_plan(*, runs: int = 4, rounds: int = 3, patience: int = 2, min_run_s: float = 0.001) -> Project:
    """A project with these limits."""
    return Project(
        mode="B",
        training=Training(runs=runs, min_run_s=min_run_s, strategy="random"),
        iteration=Iteration(max_rounds=rounds, patience=patience),
    )
