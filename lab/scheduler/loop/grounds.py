"""What one candidate stands on: its repository, the SPEC as it is meant there, and what the loop knows so far."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Protocol

from lab.core import verdict
from lab.core.loop import Loop
from lab.scheduler import places
from lab.scheduler.loop import scripts
from lab.store.repository import repository
from lab.store.repository.lying import Clean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.core.loop import Node
    from lab.core.manifest import Manifest
    from lab.core.spec import Spec
    from lab.core.verdict import Terms
    from lab.core.view import View
    from lab.store.repository.repository import Repository
    from lab.store.root import Root

BEST, APPLIED = "best", "applied"
_SHOWN = 10
OWN_REPOSITORY = "code.git"  # in the experiment's folder, for workspaces that are under no git


class Begun(Protocol):
    """A run that has begun, as far as it matters here: `cycle.Running`, which in turn needs what stands on this."""

    @property
    def manifest(self) -> Manifest: ...

    @property
    def spec(self) -> Spec: ...


class Ground:
    """What a loop stands on, whoever asks: found once, before anything is changed.

    `BadInput` when the workspace cannot carry a loop.
    """

    def __init__(self, root: Root, spec: Spec, view: View, tier: str) -> None:
        self.root, self.view = root, view
        self.experiment = spec.id
        known = view.tiers.get(tier)
        self.loop: Loop = (known.loop if known else None) or Loop()
        self.workspace = places.workspace(root, spec, view)
        self.repo = opened(root, spec, self.workspace)
        self.spec: Spec = scripts.commands(spec, self.workspace)
        scripts.require_measured(self.spec)
        self.hidden = scripts.hidden(self.spec, self.workspace)

    @property
    def commands(self) -> str:
        """A digest of what measures, besides files: numbers of another command are not to be compared."""
        spec = self.spec
        said = f"{spec.metric}\0{spec.metric_direction}\0{spec.baseline_command}\0{spec.validation_command}"
        return hashlib.sha256(said.encode(errors="surrogateescape")).hexdigest()[:16]

    def ref(self, name: str) -> str:
        """A ref of this experiment's own: one for each run, and what the loop is at."""
        return ref(self.experiment, name)

    @property
    def branch(self) -> str:
        """The branch for people; empty where the SPEC wants none."""
        return branch(self.spec) if self.spec.promotion_strategy == "branch" else ""

    @property
    def best(self) -> Node:
        """What is to be beaten. Asked only after the baseline: before it nothing is judged."""
        if self.loop.best is None:
            message = "a candidate before its baseline"
            raise AssertionError(message)
        return self.loop.best

    @property
    def line(self) -> Node | None:
        """Where the line of kept commits has got to, in whichever tier. The refs are of all tiers together."""
        return line(self.view)

    def is_lost(self, node: Node | None) -> bool:
        """Whether the commit of a node is gone from the repository."""
        return node is not None and bool(node.commit) and not self.repo.commit_of(node.commit)


class Grounds(Ground):
    """What one candidate stands on."""

    def __init__(self, root: Root, running: Begun, view: View, *, path: str) -> None:
        """`path` is where the run writes."""
        super().__init__(root, running.spec, view, running.manifest.fidelity_tier)
        self.path = path
        self.manifest = running.manifest
        self.run_id = self.manifest.run_id
        self.terms: Terms = verdict.terms(self.spec)

    def remarks(self, commit: str) -> list[str]:
        """What a person may not expect of the workspace. Said once, at the baseline: to look is to read all of it."""
        found = []
        uncommitted = self.repo.uncommitted()
        if uncommitted:
            found.append(f"not committed, and so no part of the loop: {', '.join(uncommitted[:_SHOWN])}")
        pointers = self.repo.pointers(commit)
        if pointers:
            found.append(f"kept as LFS pointers, without their contents: {', '.join(pointers[:_SHOWN])}")
        return found

    @property
    def secluded(self) -> tuple[str, ...]:
        """Where the hidden measurement could be read, or what came of it: for no step but its own. Absolute.

        The files that it names, the commits that hold them, and what the lab writes of this experiment.
        """
        if not self.spec.holdout_command:
            return ()
        site, layout = self.repo.site, self.root.layout
        inside = (f"{self.workspace}/{name}" for name in self.hidden)
        git = site.common
        if os.path.realpath(self.workspace).startswith(f"{os.path.realpath(git)}/"):
            git = f"{git}/objects"  # a checkout that lies in its own repository: data that a step reads may lie there
        ours = (layout.experiment(self.experiment), trees(self.root, self.experiment), layout.place("backups"))
        return (*inside, *scripts.hidden_outside(self.spec, self.workspace), git, *ours)

    def place(self, name: str) -> str:
        """A folder for trees of this run."""
        return f"{trees(self.root, self.experiment)}/{self.run_id}-{name}"

    def standing(self, commit: str) -> str:
        """The folder of the tree of what is to be beaten, kept from one candidate to the next."""
        return f"{trees(self.root, self.experiment)}/best-{commit[:16]}"


def line(view: View) -> Node | None:
    """What was kept last, in whichever tier: the next one goes on from there."""
    bests = (tier.loop.best for tier in view.tiers.values() if tier.loop is not None)
    return max((best for best in bests if best is not None), key=lambda best: best.run_id, default=None)


def ref(experiment: str, name: str) -> str:
    return f"refs/lab/{experiment}/{name}"


def branch(spec: Spec) -> str:
    return f"refs/heads/lab/{spec.loop_tag or spec.id}"


def trees(root: Root, experiment: str) -> str:
    """Where the trees of an experiment's candidates lie. Nothing there is kept but what is to be beaten."""
    return root.layout.place(f"scratch/loops/{experiment}")


def opened(root: Root, spec: Spec, workspace: str) -> Repository:
    """The repository of a workspace: its own, or one that the lab keeps for it."""
    places.require_code(spec, workspace)
    return repository.opened(
        root.files,
        workspace,
        own=own_repository(root, spec.id),
        mode=spec.workspace_mode,
        clean=clean(spec),
        now=root.world.now,
        apart=apart(root),
    )


def own_repository(root: Root, experiment: str) -> str:
    """The folder of the lab's own repository, which may not be there yet."""
    return f"{root.layout.experiment(experiment)}/{OWN_REPOSITORY}"


def clean(spec: Spec) -> Clean | None:
    """What a clean workspace may hold besides: what the lab applied last, and what a kill left half done of it."""
    if not spec.require_clean_workspace:
        return None
    return Clean(brought=(ref(spec.id, BEST), ref(spec.id, APPLIED)))


def apart(root: Root) -> Sequence[str]:
    """What is no part of a workspace that the lab lies in."""
    return (root.layout.root, root.layout.place("scratch"))
