"""Builders: a project that has files to publish, and the two runs of its last phase, made as the lab makes them."""

from __future__ import annotations

import subprocess
import time
from typing import TYPE_CHECKING

import msgspec

from lab.core.record import parse
from lab.core.run import CRASH, FAILED, SUCCESS
from lab.research import declared
from lab.research import project as projects
from lab.research.order import SEND, Order
from lab.research.phases.publishing import Release as Worker
from lab.research.projects import opened
from lab.research.release import accepted, approval
from lab.research.release.manifest import RECEIPT, Receipt
from lab.research.walk.pipeline import Due
from lab.research.walk.sequel import Look
from lab.research.work import inputs
from lab.research.work.inputs import Done, Provided
from lab.research.work.out import Out
from lab.research.worker import Task
from lab.scheduler import create, cycle
from lab.store import bundles
from lab.store.root import Root
from tests.research.tasks import PHASES, PROJECT, begun, ended
from tests.scheduler.labs import a_lab

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from lab.research.declared import Phase
    from lab.research.release.approval import Shown
    from lab.scheduler.cycle import Running

# Keys that nobody has: made of the forms of real ones.
KEY = "hf_" + "aBcDeFgHiJkLmNoPqRsTuVwXyZ0123456789"[:34]
TINKER = "tml-" + "q7Rk2Zp9Lw4Xv8Nc1Tb6Ym3Hd5Gs0Jf"
SPEC = """\
id: {name}
executor: research
metric: phases_done
metric_direction: maximize
durability: fast
workspace_root: {folder}
fidelity_tiers: [{tiers}]
"""
ALL_BUT_THE_LAST = "literature, ideation, implementation, training, evaluation, iteration, writing"


class Publishing:
    """A project that goes straight to its last phase."""

    def __init__(self, root: Root, folder: Path) -> None:
        self.root, self.folder = root, folder

    def with_environ(self, **more: str) -> Publishing:
        world = msgspec.structs.replace(self.root.world, environ={**self.root.world.environ, **more})
        return Publishing(Root(self.root.layout.root, world, files=self.root.files), self.folder)

    def lists(self) -> Shown:
        """The dry run, sealed as done."""
        self._ran(self.look().walk().again("publishing").order)
        return approval.show(self.root, PROJECT)

    def sends(self, shown: Shown, *, dies: bool = False) -> Receipt:
        """The run that sends, of what this list says."""
        comes = self.look().next()
        order = comes.order if isinstance(comes, Due) and comes.order.release == shown.sha256 else Order(
            phase="publishing", worker="release", step=SEND, release=shown.sha256, given={"publishing": shown.run_id}
        )  # fmt: skip
        running = self._ran(order, dies=dies)
        path = f"{running.path}/artifacts/{RECEIPT}"
        with open(path, "rb") as file:
            return parse(Receipt, file.read(), path)

    def look(self) -> Look:
        with self.root.section(PROJECT):
            view, _ = cycle.observe(self.root, PROJECT)
        return Look(self.root, view)

    def _ran(self, order: Order, *, dies: bool = False) -> Running:
        running = begun(self.root, order)
        try:
            task = self.task(running, order)
            Worker().work(task)
            if dies:
                raise KeyboardInterrupt  # noqa: TRY301
            wrong = [*accepted.problems(order, task.out, task), *accepted.problems(order, Out(task.out.path), None)]
            assert not wrong, wrong
        except BaseException:
            ended(self.root, running, CRASH if dies else FAILED)
            raise
        ended(self.root, running, SUCCESS)
        return running

    def task(self, running: Running, order: Order) -> Task:
        found = opened.project(self.root, PROJECT)
        phase = self._phase(found.project)
        by_phase = {key: self._done(run_id) for key, run_id in order.given.items()}
        pieces = inputs.of_phase(found.project, found.folder, phase, by_phase, sends=order.step == SEND)
        with self.root.section(PROJECT):
            view, _ = cycle.observe(self.root, PROJECT)
        return Task(
            root=self.root, spec=found.spec.for_tier("publishing"), view=view, run_id=running.manifest.run_id,
            project=found.project, folder=found.folder, phase=phase, order=order, given=Provided(pieces, by_phase),
            out=Out(f"{running.path}/artifacts", self.root.files), until_s=time.monotonic() + 60, say=lambda _: None,
            interrupted=str,
        )  # fmt: skip

    def _phase(self, project: projects.Project) -> Phase:
        return next(each for each in declared.planned(project) if each.name == "publishing")

    def _done(self, run_id: str) -> Done:
        path = self.root.layout.run(PROJECT, run_id)
        sealed = bundles.load_seal(path)
        assert sealed is not None
        return Done(path=path, order=Order(phase="publishing", worker="release"), seal=sealed[0])


def a_project(place: Path, files: Mapping[str, bytes], publish: str, *, title: str = "") -> Publishing:
    """One with these files in its folder, all of them named in publish.files."""
    root, folder = a_lab(place / "lab"), place / "proj"
    folder.mkdir()
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    names = "".join(f"    - {name!r}\n" for name in files)
    text = f"mode: A\ntopic: what is better\nskip: [{ALL_BUT_THE_LAST}]\npaper: {{title: {title!r}}}\n"
    text += f"publish:\n{publish}  files:\n{names}"
    (folder / "project.yaml").write_text(text)
    (folder / "SPEC.yaml").write_text(SPEC.format(name=PROJECT, folder=folder, tiers=PHASES))
    create.experiment(root, str(folder / "SPEC.yaml"), actor="ann")
    return Publishing(root, folder)


def a_remote(place: Path) -> Path:
    """A bare repository with a commit on its default branch."""
    remote = place / "remote.git"
    git(place, "init", "-q", "--bare", "-b", "main", str(remote))
    tree = git(remote, "mktree", given=b"")
    commit = git(remote, "commit-tree", tree, "-m", "the first")
    git(remote, "update-ref", "refs/heads/main", commit)
    return remote


def git(where: Path, *words: str, given: bytes = b"") -> str:
    who = {f"GIT_{role}_{part}": "me@home" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")}
    environ = {**who, "PATH": "/usr/bin:/bin:/usr/local/bin", "GIT_CONFIG_GLOBAL": "/dev/null", "HOME": str(where)}
    done = subprocess.run(["git", *words], cwd=where, env=environ, input=given, capture_output=True, check=True)
    return done.stdout.decode().strip()


def received(remote: Path) -> dict[str, dict[str, bytes]]:
    """Branch -> every file of it."""
    found: dict[str, dict[str, bytes]] = {}
    for branch in git(remote, "for-each-ref", "--format=%(refname)").splitlines():
        names = [name for name in git(remote, "ls-tree", "-r", "-z", "--name-only", branch).split("\0") if name]
        found[branch.removeprefix("refs/heads/")] = {
            name: subprocess.run(
                ["git", "cat-file", "blob", f"{branch}:{name}"], cwd=remote, capture_output=True, check=True
            ).stdout
            for name in names
        }
    return found
