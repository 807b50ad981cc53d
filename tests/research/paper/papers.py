"""Builders: a project whose phases are sealed, with two rounds, a run that failed and words that want to be markup."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from lab.core.ended import Ended
from lab.core.record import encode, page
from lab.core.run import FAILED, SUCCESS
from lab.research.decision import Decision
from lab.research.evaluated import Side
from lab.research.order import Order
from lab.research.phases import evaluation, writing
from lab.research.project import Paper, Project
from lab.research.rounds.weighed import judged
from lab.research.source import Quote, Source
from lab.research.studies import sealed
from lab.research.trained import Made, Trained
from lab.research.work.given import Piece
from lab.scheduler import cycle
from lab.scheduler.cycle import Errand
from tests.research import tasks
from tests.scheduler.labs import me

if TYPE_CHECKING:
    from lab.core.seal import Seal
    from lab.research.worker import Task
    from lab.scheduler.cycle import Running

TOPIC = r"<script>alert(1)</script> # heading {{ 7*7 }} [@nobody] \input{/etc/passwd} | cell `x` 0.99"
IDEA = """\
name: bowl
hypothesis: "the least lies near {{ 3 }} <b>halves</b> | of 0.5"
metric: loss
direction: minimize
predicted_gain: 0.25
kill: {gain_below: 0.0, after_runs: 8}
by: user
"""
SOURCES = (
    Source(key="doe2017", title="Bowls & <i>their</i> bottoms", authors=("Doe, J.",), year=2017, origin="arxiv",
           arxiv="1701.00001", status="verified"),
    Source(key="roe-note", title="A note", origin="user", status="unverified", why="nobody was asked",
           quotes=(Quote(text="A", start=0, end=1),)),
    Source(key="mis1999", title="Another", year=1999, origin="openalex", status="mismatch", why="another year"),
)  # fmt: skip

WORKERS = {
    "literature": "literature", "ideation": "ideas", "implementation": "study", "training": "runs",
    "evaluation": "repeats", "iteration": "rules",
}  # fmt: skip


class Given(tasks.Gave):
    """Files of sealed runs, each with the run that it comes from."""

    def __init__(self, files: dict[str, tuple[bytes, str]]) -> None:
        super().__init__({name: data for name, (data, _) in files.items()})
        self._runs = {name: run for name, (_, run) in files.items()}

    def pieces(self) -> tuple[Piece, ...]:
        return tuple(
            Piece(name=name, path=name, sha256=hashlib.sha256(self.read(name)).hexdigest(), run_id=run)
            for name, run in self._runs.items()
        )


class Told:
    """A lab in which everything before the writing is sealed."""

    def __init__(self, place: Path) -> None:
        self.root = tasks.a_project(place)
        self.files: dict[str, tuple[bytes, str]] = {}
        self.paper = ""  # the run that wrote one, of this task
        self.task_: Task
        ideas = {"ideas/01-bowl.yaml": IDEA.encode()}
        lit = {"lit/sources.jsonl": b"".join(map(encode, SOURCES)), "lit/review.md": b"x\n"}
        self.phase("literature", lit)
        self.phase("ideation", ideas)
        self.phase("implementation", {"built.json": page(tasks.a_built())})
        first = [self.run(-1.5, 5.0), self.run(0.1, 1.25), self.run(0.2, None), self.run(-1.9, 6.5)]
        self.trained = self.training(first)
        self.phase("training", {"training.json": page(self.trained)}, "round-1/")
        self.phase("iteration", {"decision.json": page(self.decided("refine", 1))}, "round-1/")
        self.phase("training", {"training.json": page(self.trained)})
        told = self.trained
        sides = [
            Side(
                of=of, params={"x": x}, made=tuple(self.made(self.run(x, v, "report", n)) for n, v in enumerate(values))
            )
            for of, x, values in ((told.baseline, -1.5, (5.0, 5.1, 4.9)), (told.best, 0.1, (1.2, 1.3, 1.25)))
        ]
        counted = [evaluation._counted(side) for side in sides]
        self.evaluated = judged(told, "report", counted[0], counted[1], 0.95)
        self.phase("evaluation", {"evaluation.json": page(self.evaluated)})
        self.phase("iteration", {"decision.json": page(self.decided("keep", 2))})

    def run(self, x: float, value: float | None, tier: str = "", seed: int | None = None) -> Seal:
        root = self.root
        with root.section(tasks.STUDY):
            view, loaded = cycle.observe(root, tasks.STUDY)
            lease = cycle.claim(root, view, cycle.usable(loaded), owner=me(), tier=tier, slots=9)
            errand = Errand(params={"x": x}, tier=tier, seed=seed)
            running = cycle.opened(root, lease, view, cycle.usable(loaded), loaded.sha256, errand)
        outcome = FAILED if value is None else SUCCESS
        reason = "" if value is not None else "it printed <nan> | 12 times"
        return cycle.finish(root, running, Ended(outcome=outcome, value=value, wall_s=1.5, reason=reason,
                                                 metrics={"loss": value, "odd.name": 3} if value else {}))  # fmt: skip

    def made(self, seal: Seal, *, is_baseline: bool = False) -> Made:
        row = sealed.row(self.root, tasks.STUDY, seal.run.run_id)
        assert row is not None
        return sealed.made(row, 0.0, is_baseline=is_baseline)

    def training(self, runs: list[Seal]) -> Trained:
        made = tuple(self.made(seal, is_baseline=not n) for n, seal in enumerate(runs))
        return Trained(experiment=tasks.STUDY, metric="loss", direction="minimize", tier="choose", made=made,
                       baseline=made[0].run_id, best=made[1].run_id, gain=3.75, idea="bowl")  # fmt: skip

    def decided(self, word: str, number: int) -> Decision:
        return msgspec.convert(
            {
                "decision": word,
                "reason": "goal_met",
                "why": "the gain was 3.75 | or <so>",
                "round": number,
                "idea": "bowl",
            },
            Decision,
        )

    def phase(self, name: str, files: dict[str, bytes], before: str = "") -> None:
        """A sealed run of the project that left these files."""
        running = tasks.begun(self.root, Order(phase=name, worker=WORKERS[name], idea="bowl"))  # type: ignore[arg-type]
        for file, data in files.items():
            place = Path(running.path) / "artifacts" / file
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)
            self.files[f"{before}{name}/{file}"] = (data, running.manifest.run_id)
        tasks.ended(self.root, running)

    def task(self, paper: Paper | None = None) -> tuple[Task, Running]:
        """The writing, begun."""
        given = {name.rpartition("/")[0]: run for name, (_, run) in self.files.items()}
        runs = {key.removesuffix("/lit").removesuffix("/ideas"): run for key, run in given.items()}
        running = tasks.begun(self.root, Order(phase="writing", worker="paper", round=2, idea="bowl", given=runs))
        project = Project(mode="A", topic=TOPIC, paper=paper or Paper(title="Bowls", authors=("Ann <ann>", "Bob")))
        task = tasks.a_task(self.root, running, "writing", project=project)
        return msgspec.structs.replace(task, given=Given(self.files)), running

    def artifact(self, phase: str, file: str) -> Path:
        """A file of the last run of a phase, where it lies."""
        _, run = self.files[f"{phase}/{file}"]
        return Path(self.root.layout.run(tasks.PROJECT, run)) / "artifacts" / file

    def ended(self, running: Running) -> None:
        tasks.ended(self.root, running)

    def other_run(self, experiment: str) -> str:
        """A sealed run of another experiment."""
        running = cycle.begin(self.root, experiment, owner=me())
        return cycle.finish(self.root, running, Ended(outcome=SUCCESS, value=0.5, wall_s=1.0)).run.run_id

    def written(self, source: bytes | None = None) -> str:
        """The run that wrote the paper, sealed."""
        task, running = self.task()
        writing.make(task, source)
        tasks.ended(self.root, running)
        self.task_ = task
        return task.run_id
