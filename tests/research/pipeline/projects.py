"""Builders: a project whose every phase is done by the stand-in, and turns of the crank on it."""

from __future__ import annotations

import os
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from lab.cli.surroundings import the_world
from lab.research.work import contract
from lab.scheduler import create, cycle, refresh, sequels
from lab.scheduler.step import RAN, Step
from lab.scheduler.turn import Turn
from lab.scheduler.visit import Request
from lab.store import bundles, ledger
from lab.store.files import Files
from lab.store.root import Root
from tests.research.pipeline import stand_in
from tests.scheduler.labs import me

if TYPE_CHECKING:
    import pytest

    from lab.core.event import Event
    from lab.core.seal import Seal
    from lab.core.view import View
    from lab.scheduler.cycle import Running

NAME = "proj"
PHASES = (
    "literature", "ideation", "implementation", "training", "evaluation", "iteration", "writing", "publishing",
)  # fmt: skip
WANTED = {"iteration": ("training", "evaluation"), "publishing": ("writing",)}
CHECKOUT = Path(__file__).parents[3]
SPEC = """\
id: proj
executor: research
metric: phases_done
metric_direction: maximize
cadence: 0s
durability: fast
max_iterations_total: 200
worker_roles: [researcher]
workspace_root: {folder}
env: [STAND_IN, PYTHONPATH]
kill_grace_s: 5
time_budget: 1m
{more}
fidelity_tiers: [{tiers}]
"""
PROJECT = """\
mode: {mode}
topic: what is better
data: inputs/rows.csv
routing: {{{routing}}}
"""


class Lab:
    """A lab with one project."""

    def __init__(self, root: Root, folder: Path, control: Path) -> None:
        self.root, self.folder, self.control = root, folder, control
        self.ran: list[str] = []  # by whom a lab was made that many look at

    def take(self, times: int = 1, **request: object) -> list[Step]:
        """Turns of the crank: what happened."""
        steps: list[Step] = []
        for _ in range(times):
            asked = msgspec.structs.replace(Request(only=(NAME,), now=True, max_runs=1), **request)
            turn = Turn(self.root, asked, tell=lambda _: None, interrupted=str)
            turn.take()
            steps += turn.steps
        return steps

    def to_end(self, most: int = 40) -> list[str]:
        """Turn until nothing runs. The phases that were run."""
        ran: list[str] = []
        for _ in range(most):
            found = [step for step in self.take() if step.kind == RAN]
            if not found:
                return ran
            ran += [f"{step.tier}" if step.outcome == "success" else f"{step.tier}: {step.outcome}" for step in found]
        raise AssertionError(ran)

    def up_to(self, phase: str) -> None:
        """Turn until this phase comes next."""
        while due(self).tier != phase:
            assert [step.outcome for step in self.take() if step.kind == RAN] == ["success"]

    def view(self) -> View:
        with self.root.section(NAME):
            return refresh.current(self.root, NAME)[0]

    def seals(self) -> list[Seal]:
        paths = [self.root.layout.run(NAME, each) for each in bundles.names(self.root, NAME)]
        return [found[0] for path in paths if (found := bundles.load_seal(path)) is not None]

    def elsewhere(self, ahead_s: float) -> Root:
        """The same lab, on a host whose clock is ahead by so much."""
        world = self.root.world
        moved = msgspec.structs.replace(world, now=lambda: world.now() + timedelta(seconds=ahead_s))
        return Root(self.root.layout.root, moved, files=self.root.files)

    def events(self, kind: str) -> list[Event]:
        return [each.line.event for each in ledger.entries(self.root) if each.line and each.line.event.type == kind]

    def done(self) -> list[str]:
        """What the stand-in was asked to do: phase, round, idea, step."""
        log = self.control / "log"
        return log.read_text().splitlines() if log.exists() else []

    def edit(self, old: str, new: str) -> None:
        place = self.folder / "project.yaml"
        text = place.read_text()
        assert old in text
        place.write_text(text.replace(old, new))


def only(*phases: str) -> str:
    """The lines of project.yaml that leave out all other phases, but for what these cannot be done without."""
    kept = {*phases, *(other for each in phases for other in WANTED.get(each, ()))}
    from_old = "proceed_from: old\n" if "training" in kept or "evaluation" in kept else ""
    return f"skip: [{', '.join(each for each in PHASES if each not in kept)}]\n{from_old}"


def comes(lab: Lab) -> sequels.Following | None:
    """What the scheduler is told that comes next."""
    with lab.root.section(NAME):
        view, loaded = cycle.observe(lab.root, NAME)
    return sequels.following(lab.root, view, cycle.usable(loaded))


def due(lab: Lab) -> cycle.Errand:
    """The run that comes next."""
    errand = comes(lab)
    assert isinstance(errand, cycle.Errand), errand
    return errand


def begun(lab: Lab) -> Running:
    """A run of what is due, as the crank begins it, for this process to carry out."""
    errand = due(lab)
    with lab.root.section(NAME):
        view, loaded = cycle.observe(lab.root, NAME)
        spec = cycle.usable(loaded)
        lease = cycle.claim(lab.root, view, spec, owner=me(), tier=errand.tier, slots=1)
        return cycle.opened(lab.root, lease, view, spec, loaded.sha256, errand)


def make(place: Path, *, mode: str = "A", more: str = "", project: str = "", files: Files | None = None) -> Lab:
    """A project in a lab of its own. The environment must have been prepared by `prepared`."""
    folder, control = place / "project", place / "control"
    (folder / "inputs").mkdir(parents=True)
    control.mkdir()
    (folder / "inputs" / "rows.csv").write_text("x,y\n1,2\n")
    routing = ", ".join(f"{each}: stand-in" for each in PHASES)
    (folder / "project.yaml").write_text(PROJECT.format(mode=mode, routing=routing) + project)
    os.environ["STAND_IN"] = str(control)
    root = Root(str(place / "lab"), the_world(), files=files or Files(durable=False))
    create.make_lab(root)
    spec = place / "SPEC.yaml"
    spec.write_text(SPEC.format(folder=folder, tiers=", ".join(PHASES), more=more))
    create.experiment(root, str(spec), actor="ann")
    return Lab(root, folder, control)


def prepared(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install the stand-in as a package that offers itself, for this process and for those that it starts."""
    about = place / "stand_in-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: stand-in\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[lab.research]\nstand-in = {stand_in.__name__}:StandIn\n")
    monkeypatch.syspath_prepend(str(place))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(place), str(CHECKOUT)]))
    monkeypatch.setenv("STAND_IN", "")
    monkeypatch.setattr(contract, "CHECKS", stand_in.CHECKS)
    assert sys.path
