"""The names that a loop takes in the user's repository: tried before they are needed, and looked after later.

A branch that cannot be made, or that belongs to somebody, is told before a run is spent on it. Two labs with one
experiment's id over one repository would call each other's keeps overtaken.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from lab.core.errors import BadInput
from lab.scheduler import places, refresh
from lab.scheduler.loop import scripts
from lab.scheduler.loop.grounds import APPLIED, BEST, branch, ref
from lab.scheduler.loop.keeping import APPLY
from lab.store import reading
from lab.store.repository import naming

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lab.core.spec import Spec
    from lab.core.view import View
    from lab.store.repository.naming import Ref
    from lab.store.root import Root

_HEADS, _OURS = "refs/heads/", "refs/heads/lab"
_BRANCH = "branch"
_COPY = "copy"
_NOT_APPLIED = (
    "what was kept is not applied to the workspace, which is different there; the best is {commit}: "
    "git diff HEAD {commit} | git apply; or go back to what is committed, and the next run applies all of it"
)


def require(spec: Spec, workspace: str, *, own: str, is_begun: bool) -> None:
    """`BadInput` for names that this loop cannot have. `own` is the experiment's folder. Writes nothing.

    `is_begun`: the loop has its baseline, and what goes by these names is its own.
    """
    if not scripts.is_loop(spec):
        return
    for wanted in _wanted(spec):
        name = wanted.removeprefix(_HEADS)
        if not naming.is_name(wanted):
            raise BadInput(f"git knows no branch by the name {name}", fix="choose another loop_tag in SPEC.yaml")
    if not workspace or spec.workspace_mode == _COPY:
        return  # in a repository of the lab's own, where nobody else makes any
    found = naming.Refs(workspace, (_OURS, ref(spec.id, ""))).found
    for wanted in _wanted(spec):
        why = _crossed(wanted, found)
        if why:
            fix = "choose another loop_tag in SPEC.yaml, rename that branch, or set promotion_strategy: patch-only"
            raise BadInput(f"the branch {wanted.removeprefix(_HEADS)} cannot be made: {why}", where=workspace, fix=fix)
    if not is_begun:
        _refuse_foreign(spec, workspace, found, own)


def of_lab(root: Root, spec: Spec, view: View, workspace: str) -> None:
    """The same for an experiment that is about to run."""
    if not _is_begun(view):
        require(spec, workspace, own=root.layout.experiment(spec.id), is_begun=False)


def behind(root: Root, spec: Spec | None, view: View) -> tuple[str, ...]:
    """In words, that the branch for people, or the workspace, is not at the best. Nothing where it is as promised."""
    best = view.loop.best if view.loop else None
    if spec is None or best is None or not best.commit:
        return ()
    spec = scripts.renamed(spec.for_tier(view.tier))
    workspace = places.workspace(root, spec, view)
    if spec.promotion_strategy not in (_BRANCH, APPLY) or not os.path.isdir(workspace):
        return ()
    wanted = branch(spec)
    refs = naming.Refs(workspace, (_OURS, ref(spec.id, BEST), ref(spec.id, APPLIED)))
    if ref(spec.id, BEST) not in refs.found:
        return ()  # a workspace without git, whose commits lie in the lab
    if spec.promotion_strategy == APPLY:
        applied = refs.found.get(ref(spec.id, APPLIED))
        is_behind = bool(view.loop and view.loop.kept) if applied is None else applied.commit != best.commit
        return (_NOT_APPLIED.format(commit=best.commit[:12]),) if is_behind else ()
    there, name, commit = refs.found.get(wanted), wanted.removeprefix(_HEADS), best.commit[:12]
    if there is not None and refs.lies_under(best.commit, there.commit):
        return ()
    why = _crossed(wanted, refs.found) if there is None else ""
    if there is None:
        what = f"there is no branch {name}{f': {why}' if why else ''}"
    elif there.place:
        what = f"the branch {name} is checked out in {there.place}, so that it was not moved to the best"
    else:
        what = f"the branch {name} has commits that this loop did not make, and is not at the best"
    return (f"{what}; the best is {commit}: git branch NAME {commit}",)


def of_experiment(root: Root, name: str) -> tuple[str, ...]:
    """As `behind`, of an experiment as it is now."""
    with root.section(name):
        view, loaded = refresh.current(root, name)
    return behind(root, loaded.spec, view)


def _wanted(spec: Spec) -> tuple[str, ...]:
    """The branches that its tiers would make."""
    tiers = (spec.for_tier(tier) for tier in spec.fidelity_tiers)
    return tuple(dict.fromkeys(branch(here) for here in tiers if here.promotion_strategy == _BRANCH))


def _crossed(wanted: str, found: Mapping[str, Ref]) -> str:
    """One ref cannot lie below another."""
    for other in found:
        if wanted.startswith(f"{other}/"):
            return f"there is a branch {other.removeprefix(_HEADS)}, and none can lie below another"
        if other.startswith(f"{wanted}/"):
            return f"there is a branch {other.removeprefix(_HEADS)}, which lies below it"
    return ""


def _refuse_foreign(spec: Spec, workspace: str, found: Mapping[str, Ref], own: str) -> None:
    """Before the baseline nothing goes by these names but what is somebody else's, or was left by a killed run."""
    at = found.get(ref(spec.id, BEST))
    if at is not None and not any(reading.is_folder(f"{own}/runs/{run}") for run in _runs_at(spec, at, found)):
        name = ref(spec.id, BEST)
        fix = f"choose another id; or, if no lab goes on with it: git update-ref -d {name}"
        raise BadInput(
            f"another lab has a loop {spec.id} in this repository: there is {name}", where=workspace, fix=fix
        )
    for wanted in _wanted(spec):
        there, name = found.get(wanted), wanted.removeprefix(_HEADS)
        if there is not None and (at is None or there.commit != at.commit):
            fix = f"name another loop_tag in SPEC.yaml, or delete the branch: git branch -D {name}"
            raise BadInput(
                f"there is a branch {name} already, which this loop did not make", where=workspace, fix=fix
            )  # fmt: skip


def _runs_at(spec: Spec, at: Ref, found: Mapping[str, Ref]) -> Iterator[str]:
    start = ref(spec.id, "")
    for name, there in found.items():
        if name.startswith(start) and there.commit == at.commit:
            yield name.removeprefix(start)


def _is_begun(view: View) -> bool:
    return any(tier.loop is not None and tier.loop.base is not None for tier in view.tiers.values())
