"""What follows from a keep: the line of kept commits, the branch for people, and the user's tree where that is wanted.

The decision is written first. Everything here can be done again, by whoever comes next after a kill, and comes to the
same end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.core.errors import BadInput, LabError
from lab.scheduler import refresh
from lab.scheduler.loop.grounds import APPLIED, BEST

if TYPE_CHECKING:
    from lab.core.loop import Node
    from lab.scheduler.loop.grounds import Grounds
    from lab.scheduler.loop.harvested import Harvested

APPLY = "apply-on-accept"


class Overtaken(Exception):
    """Another candidate was kept while this one was measured."""


def begun(grounds: Grounds, commit: str) -> None:
    """Set the line out at the baseline. Not over what is there: a branch of that name may be somebody's."""
    repo = grounds.repo
    repo.put(grounds.ref(grounds.run_id), commit)
    branch = grounds.branch
    there = repo.commit_of(branch) if branch else ""
    if there and there != commit and there != repo.commit_of(grounds.ref(BEST)):
        name = branch.removeprefix("refs/heads/")
        fix = f"name another loop_tag in SPEC.yaml, or delete the branch: git branch -D {name}"
        raise BadInput(f"there is a branch {name} already, which this loop did not make", fix=fix)


def commit_of(grounds: Grounds, found: Harvested, best: Node, note: str, value: float | None) -> str:
    """The commit that stands for a kept change on the line: the tree that was measured, on top of the last kept."""
    trailers = {
        "Lab-Experiment": grounds.experiment,
        "Lab-Run": grounds.run_id,
        "Lab-Metric": f"{grounds.spec.metric or 'value'}={value!r}",
    }
    message = note or f"a kept candidate of {grounds.experiment}"
    return grounds.repo.commit(found.tree, (best.commit,), message, trailers)


def require_current(grounds: Grounds, best: Node) -> None:
    """`Overtaken` when the line is not where this candidate was compared. Inside the experiment's section."""
    at = grounds.repo.commit_of(grounds.ref(BEST))
    if at and at != best.commit:
        raise Overtaken


def comes_late(grounds: Grounds) -> bool:
    """Whether the loop has another best by now than when this baseline began: the line would go back, and lose it."""
    view, _ = refresh.current(grounds.root, grounds.experiment)
    tier = view.tiers.get(grounds.manifest.fidelity_tier)
    best, before = tier.loop.best if tier and tier.loop else None, grounds.loop.best
    return best is not None and (before is None or best.run_id != before.run_id)


def move(grounds: Grounds, commit: str) -> tuple[str, ...]:
    """Bring refs, branch and, where the SPEC wants it, the workspace to this commit. What could not be, in words."""
    repo = grounds.repo
    remarks = []
    repo.put(grounds.ref(BEST), commit)
    if grounds.branch:
        remarks += _advanced(grounds, commit)
    if grounds.spec.promotion_strategy == APPLY:
        remarks += _applied(grounds, commit)
    return tuple(remarks)


def _advanced(grounds: Grounds, commit: str) -> list[str]:
    """The branch for people goes forward only: what somebody put on it besides is not lost."""
    repo, name = grounds.repo, grounds.branch.removeprefix("refs/heads/")
    old = repo.commit_of(grounds.branch)
    if old == commit:
        return []
    if old and not repo.lies_under(old, commit):
        return [f"the branch {name} has commits that this loop did not make, and was not moved"]
    try:
        repo.advance(grounds.branch, commit, old)
    except LabError as refusal:
        return [f"the branch {name} was not moved: {refusal.what}"]
    return []


def _applied(grounds: Grounds, commit: str) -> list[str]:
    """Apply what was kept since the last time to the person's own tree, whole or not at all. Nothing is committed."""
    repo = grounds.repo
    since = repo.commit_of(grounds.ref(APPLIED)) or (grounds.loop.base.commit if grounds.loop.base else "")
    if not since or since == commit:
        return []
    done = repo.apply(commit, base=since)
    if done.conflicts and not _whole(grounds, commit, since):
        return [f"the change was kept and not applied to the workspace: it is different there in {done.conflicts[0]}"]
    repo.put(grounds.ref(APPLIED), commit)
    return []


def _whole(grounds: Grounds, commit: str, since: str) -> bool:
    """All that was kept, where its owner went back to what the loop began at; else nothing would fit ever again."""
    repo, base = grounds.repo, grounds.loop.base
    ours = base.commit if base else ""
    begun_at = ours if repo.is_own else repo.merge_base(repo.head(), commit)
    return bool(begun_at) and begun_at != since and not repo.apply(commit, base=begun_at).conflicts


def caught_up(grounds: Grounds) -> tuple[str, ...]:
    """Finish what a killed lab had decided and not done. Once a run, before anything else."""
    best = grounds.line
    if best is None or not best.commit:
        return ()
    repo = grounds.repo
    at = repo.commit_of(grounds.ref(BEST))
    if at != best.commit and grounds.is_lost(best):
        return ()  # nothing leads there any more: the baseline is taken again
    if grounds.spec.max_parallel > 1 and at != best.commit and at and repo.lies_under(best.commit, at):
        return ()  # a candidate beside this one was just kept, and is about to be sealed
    on = repo.commit_of(grounds.branch) if grounds.branch else ""
    branch_behind = grounds.branch and on != best.commit and not (on and repo.lies_under(best.commit, on))
    applied_behind = grounds.spec.promotion_strategy == APPLY and repo.commit_of(grounds.ref(APPLIED)) != best.commit
    if at == best.commit and not branch_behind and not applied_behind:
        return ()
    return move(grounds, best.commit)
