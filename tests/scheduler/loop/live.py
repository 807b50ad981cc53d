"""A code loop that runs: a workspace under git, a lab beside it, and a proposer whose changes are given in sh.

The code is one number in a file, and what measures it prints that number: less is better, and nothing is noisy.
With its seed, the first eight candidates begin at the best.
"""

from __future__ import annotations

import os
import subprocess
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, NamedTuple

from lab.core import layout
from lab.core.decided import Decided
from lab.core.record import parse
from lab.core.world import World
from lab.executors import reference
from lab.scheduler import create, refresh
from lab.scheduler.turn import Turn
from lab.scheduler.visit import Request
from lab.store import verify
from lab.store.files import Files
from lab.store.root import Root
from lab.testing.files import BEGINNING, SteadyClock, _no_process
from tests.scheduler.labs import tree

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lab.core.loop import Loop as State
    from lab.core.seal import Seal
    from lab.core.view import View

NAME = "loop"
SPEC = """\
id: loop
executor: reference
metric: cost
metric_direction: minimize
workspace_root: {workspace}
mutation_command: sh {proposer}
validation_command: sh measure.sh
read_only_paths: [measure.sh, checks.sh]
baseline_repeats: 2
max_iterations_total: 1000
kill_grace_s: 0.2
durability: fast
seed: 289
"""
WORKSPACE = {"value": "50\n", "measure.sh": 'echo "METRIC cost=$(cat value)"\n'}
PROPOSER = 'n={place}/$LAB_RUN_ITERATION.sh; [ -e "$n" ] || n={place}/else.sh; . "$n"\n'
_GIT_ENVIRON = {
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    **{f"GIT_{role}_NAME": "ann" for role in ("AUTHOR", "COMMITTER")},
    **{f"GIT_{role}_EMAIL": "ann@example.org" for role in ("AUTHOR", "COMMITTER")},
}
BRANCH = "refs/heads/lab/loop"
BEST = "refs/lab/loop/best"


class Live(NamedTuple):
    """A lab with one code loop in it."""

    root: Root
    workspace: Path
    proposals: Path
    repository: Path  # the top of the user's, or the lab's own where there is none

    def git(self, *words: str) -> str:
        return git(self.repository, *words)

    def propose(self, *changes: str) -> None:
        """What the proposer does in the runs that come next, one text of sh each; the last one goes on."""
        for number, text in enumerate(changes, self.view().generation + 1):
            (self.proposals / f"{number}.sh").write_text(text)
        (self.proposals / "else.sh").write_text(changes[-1])

    def turn(self, *, root: Root | None = None, interrupted: Callable[[], str] = lambda: "") -> Turn:
        return Turn(
            root or self.root, Request(only=(NAME,), now=True), tell=lambda _: None, interrupted=interrupted
        )  # fmt: skip

    def run(self, *, root: Root | None = None, interrupted: Callable[[], str] = lambda: "") -> Seal:
        """One run, sealed. An experiment that does not run fails the test."""
        turn = self.turn(root=root, interrupted=interrupted)
        visit = turn.visit(NAME)
        turn.publish()
        assert visit.made is not None, visit.move
        return visit.made

    def change(self, *changes: str) -> Decided:
        """Propose these and run them all; what was decided of the last one."""
        self.propose(*changes)
        made = [self.run() for _ in changes]
        return self.decided(made[-1].run.run_id)

    def path(self, run_id: str) -> Path:
        return Path(self.root.layout.run(NAME, run_id))

    def decided(self, run_id: str) -> Decided:
        place = self.path(run_id) / reference.DECISION
        assert place.exists(), self.page(run_id)
        return parse(Decided, place.read_bytes(), str(place))

    def steps(self, run_id: str) -> list[str]:
        """The steps of a run in their order, by name."""
        found = (self.path(run_id) / "artifacts/steps").glob("*")
        return [each.name.partition("-")[2] for each in sorted(found)]

    def runs(self) -> list[str]:
        folder = Path(self.root.layout.experiment(NAME), "runs")
        return sorted(each.name for each in folder.iterdir()) if folder.is_dir() else []

    def view(self) -> View:
        with self.root.section(NAME):
            return refresh.current(self.root, NAME)[0]

    def state(self) -> State:
        view = self.view()
        found = view.tiers[view.tier].loop
        assert found is not None
        return found

    def left(self) -> list[str]:
        """What lies where trees are made, besides the one that is to be beaten."""
        folder = Path(self.root.layout.place(f"scratch/loops/{NAME}"))
        return (
            [each.name for each in folder.iterdir() if not each.name.startswith(("best-", ".spare-"))]
            if folder.is_dir()
            else []
        )

    def page(self, run_id: str) -> str:
        return (self.path(run_id) / layout.RESULT).read_text()

    def edit(self, field: str, value: str) -> None:
        """Change one field of the SPEC; an empty value takes it out."""
        place = Path(self.root.layout.spec(NAME))
        kept = [line for line in place.read_text().splitlines() if not line.startswith(f"{field}:")]
        place.write_text("\n".join([*kept, *([f"{field}: {value}"] if value else []), ""]))

    def reopened(self, files: Files | None = None) -> Root:
        """The same lab as another process sees it."""
        return a_lab_at(Path(self.root.layout.root), files)


def a_loop(
    path: Path,
    *,
    spec: str = "",
    files: Mapping[str, str] | None = None,
    inside: str = "",
    under_git: bool = True,
    lab: str = "lab",
) -> Live:
    """A loop whose workspace holds these files besides `value` and `measure.sh`; `inside` a folder of a repository."""
    top = path / "ws"
    workspace = top / inside if inside else top
    for name, text in {**WORKSPACE, **(files or {})}.items():
        (workspace / name).parent.mkdir(parents=True, exist_ok=True)
        (workspace / name).write_text(text)
    if under_git:
        git(top, "init", "-q", "-b", "main")
        save(top)
    return over(path, workspace, spec=spec, repository=top if under_git else None, lab=lab)


def over(path: Path, workspace: Path, *, spec: str = "", repository: Path | None = None, lab: str = "lab") -> Live:
    """A lab with a loop over a workspace that is there."""
    proposals = path / "proposals"
    proposals.mkdir(exist_ok=True)
    (proposals / "propose").write_text(PROPOSER.format(place=proposals))
    root = a_lab_at(path / lab)
    create.make_lab(root)
    given = {line.partition(":")[0] for line in spec.splitlines()}
    fields = SPEC.format(workspace=workspace, proposer=proposals / "propose").splitlines()
    place = path / "loop.yaml"
    place.write_text("\n".join([*(line for line in fields if line.partition(":")[0] not in given), spec]))
    create.experiment(root, str(place), actor="ann")
    own = Path(root.layout.experiment(NAME)) / "code.git"
    return Live(root, workspace, proposals, repository or own)


def a_lab_at(path: Path, files: Files | None = None) -> Root:
    """A data root whose runs find the programs of this machine, and nothing else of its surroundings."""
    start = BEGINNING + timedelta(hours=len(list(path.glob("experiments/*/runs/*"))))
    world = World(now=SteadyClock(start), rng=Random(0), run=_no_process, environ={"PATH": os.environ["PATH"]})
    return Root(str(path), world, files=files or Files(durable=False))


def git(folder: Path, *words: str) -> str:
    """Git as a person would use it, with no settings but the repository's."""
    environ = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **_GIT_ENVIRON}
    done = subprocess.run(["git", *words], cwd=folder, env=environ, capture_output=True, check=False)
    assert done.returncode == 0, (words, done.stderr.decode())
    return done.stdout.decode().rstrip("\n")


def save(folder: Path, words: str = "as it is") -> str:
    """Commit all that lies in a repository."""
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", words)
    return git(folder, "rev-parse", "HEAD")


def trace(workspace: Path) -> dict[str, bytes]:
    """What a user would miss: the files, HEAD, index, settings and hooks; not objects, and not refs of the lab's."""
    skipped = (".git/objects/", ".git/refs/lab/", ".git/refs/heads/lab/", ".git/logs/refs/heads/lab/")
    return {name: data for name, data in tree(str(workspace)).items() if not name.startswith(skipped)}


def sound(loop: Live) -> None:
    """All that has to be true of a loop at rest, whatever happened to it."""
    assert verify.verify(loop.root).damage == ()
    best = loop.state().best
    assert best is not None
    assert loop.git("rev-parse", BEST) == best.commit
    assert loop.left() == []
    listed = loop.git("worktree", "list", "--porcelain") if (loop.repository / ".git").exists() else ""
    assert "/scratch/" not in listed
    before = _kept(loop)
    refresh.everything(loop.root)
    after = _kept(loop)
    assert {name for name in {*before, *after} if before.get(name) != after.get(name)} == set()


def _kept(loop: Live) -> dict[str, bytes]:
    found = tree(loop.root.layout.root)
    return {name: data for name, data in found.items() if not name.startswith("scratch/")}
