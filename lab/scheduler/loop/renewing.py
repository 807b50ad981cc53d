"""When the code as it is has to be measured again: what was measured otherwise cannot be compared any more.

So after a file that measures was changed in the workspace, or the command in the SPEC, after somebody committed to the
branch of the loop, and after another tier kept something. What was kept stays: the new baseline lies on top of it. Only
where its commit is gone from the repository does the loop begin at the workspace again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.core.candidate import BASELINE, IMPROVE
from lab.core.frontier import Start
from lab.executors import sandbox

if TYPE_CHECKING:
    from lab.core.loop import Node
    from lab.scheduler.loop.grounds import Ground, Grounds


def is_due(grounds: Ground) -> bool:
    """Whether what is known was measured otherwise than a candidate would be now."""
    if grounds.loop.base is None:
        return False
    if grounds.is_lost(grounds.loop.best):
        return True
    return bool(_elsewhere(grounds) or _commands(grounds) or _files(grounds) or _theirs(grounds))


def or_baseline(grounds: Grounds, chosen: Start) -> Start:
    """What was chosen, or the baseline once more; the best, where the commit of what was chosen is gone."""
    if chosen.kind == BASELINE:
        return chosen
    if is_due(grounds):
        return Start(kind=BASELINE, words="measure the code as it is")
    if chosen.parent != grounds.loop.best and grounds.is_lost(chosen.parent):
        return Start(kind=IMPROVE, parent=grounds.loop.best, words="improve the best")
    return chosen


def as_it_is(grounds: Grounds) -> tuple[str, str]:
    """The commit that a baseline is measured at, and why there is one."""
    lost = grounds.loop.best
    if lost is not None and grounds.is_lost(lost):
        return grounds.repo.head(), (
            f"baseline, taken again at the workspace's commit: {lost.commit[:12]}, which was kept last, is gone from "
            f"the repository; what was kept lies as artifacts/diff.patch in the runs, for git apply"
        )
    if line := _elsewhere(grounds):
        return line.commit, f"baseline in this tier, at what was kept last: {line.run_id}"
    if theirs := _theirs(grounds):
        return theirs, "baseline, taken again: somebody committed to the branch of the loop"
    changed, best = _files(grounds), grounds.loop.best
    if best is not None and not changed and _commands(grounds):
        return best.commit, "baseline, taken again: the SPEC measures by another command"
    if not changed or best is None:
        return grounds.repo.head(), "baseline"
    note = f"baseline, taken again: {', '.join(changed[:3])} measures, and was changed in the workspace"
    repo, trailers = grounds.repo, {"Lab-Experiment": grounds.experiment, "Lab-Run": grounds.run_id}
    tree = repo.with_files(best.commit, repo.head(), frozenset(changed).__contains__)
    return repo.commit(tree, best.commit, note, trailers), note


def measured_alike(grounds: Grounds, commit: str) -> str:
    """The tree of a commit with the files that measure as the best one has them; empty where it has them already.

    A change that was handed in may have begun before those were changed, and its number would tell of other files.
    """
    repo, best = grounds.repo, grounds.loop.best
    if best is None or best.commit == commit or not grounds.spec.read_only_paths:
        return ""
    wanted = sandbox.matcher(grounds.workspace, grounds.spec.read_only_paths)
    theirs, ours = repo.digests(best.commit, wanted), repo.digests(commit, wanted)
    differ = frozenset(path for path in {*theirs, *ours} if theirs.get(path) != ours.get(path))
    return repo.with_files(commit, best.commit, differ.__contains__) if differ else ""


def _elsewhere(grounds: Ground) -> Node | None:
    """What another tier came to since: its promise is to be confirmed here, and not forgotten."""
    line, best = grounds.line, grounds.loop.best
    if line is None or (best is not None and line.commit == best.commit) or grounds.is_lost(line):
        return None
    return line


def _commands(grounds: Ground) -> bool:
    """Whether the SPEC measures in another way than when the baseline was taken."""
    return bool(grounds.loop.commands) and grounds.loop.commands != grounds.commands


def _theirs(grounds: Ground) -> str:
    """What somebody put on top of the branch; a branch that went elsewhere is not the loop's any more."""
    repo, best = grounds.repo, grounds.loop.best
    if not grounds.branch or best is None or grounds.spec.max_parallel > 1:
        return ""  # with several, another candidate may just have been kept
    at = repo.commit_of(grounds.branch)
    return at if at and at != best.commit and repo.lies_under(best.commit, at) else ""


def _files(grounds: Ground) -> list[str]:
    """Files that measure and are not in the workspace's commit what they are in the best one's."""
    repo, base, best = grounds.repo, grounds.loop.base, grounds.loop.best
    if base is None or best is None or not grounds.spec.read_only_paths:
        return []
    head = repo.head()
    if head == base.commit:
        return []
    wanted = sandbox.matcher(grounds.workspace, grounds.spec.read_only_paths)
    now, then = repo.digests(head, wanted), repo.digests(best.commit, wanted)
    return sorted(path for path in {*now, *then} if now.get(path) != then.get(path))
