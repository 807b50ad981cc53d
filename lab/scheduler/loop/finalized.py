"""To finish a code loop: what was kept becomes branches that a person can review and merge one by one.

The plan is a value, made before anything is written. All the branches together are exactly what the loop came to, or
none is made. The user's tree, index, HEAD and branches stay as they are, and nothing is pushed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from lab.core.errors import BadInput, LabError
from lab.projections import autoresearch_summary
from lab.scheduler import places, refresh
from lab.scheduler.loop import grounds
from lab.store import experiments
from lab.store.repository import committed, grafting

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lab.core.subject import Subject
    from lab.projections.autoresearch_summary import Summary
    from lab.store.repository.repository import Repository
    from lab.store.root import Root

INDEPENDENT, STACKED = "independent", "stacked"
_SLUG_CHARS, _TITLE_CHARS = 40, 100
_NOT_IN_SLUG = re.compile(r"[^a-z0-9]+")
_NOT_IN_PREFIX = re.compile(r"[^A-Za-z0-9._/-]|\.\.|//|^[/.-]|[/.]$|\.lock$|\.lock/|/\.")


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A commit of the line: what the loop kept, or what somebody committed to its branch meanwhile."""

    commit: str
    parent: str
    paths: tuple[str, ...]
    title: str = ""
    message: str = ""
    run_id: str = ""  # empty for a commit that is none of the loop's


class Branch(msgspec.Struct, frozen=True, kw_only=True):
    """A branch to be made: one kept commit, on the merge base or on the branch below it."""

    name: str
    kept: Kept
    on: str = ""  # the name of the branch that it stands on; empty is the merge base


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What would be made, and of what."""

    experiment: str
    base: str  # where the user's branch and the loop part
    final: str  # what the loop came to
    branches: tuple[Branch, ...]
    user_branch: str = ""


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """What was made, and what to make of it."""

    plan: Plan
    commits: dict[str, str]  # by branch
    recommendation: str
    reasons: tuple[str, ...]
    conflicts: dict[str, tuple[str, ...]] = {}  # branches that do not merge into the user's branch as it is now


def plan(experiment: str, base: str, final: str, kept: Sequence[Kept], *, prefix: str, way: str) -> Plan:
    """The branches. Pure. Commits that share a path stand on one another; `stacked` puts all on one another."""
    group: list[int] = list(range(len(kept)))
    for place, one in enumerate(kept):
        for earlier in range(place):
            if way == STACKED or _share(kept[earlier].paths, one.paths):
                old, new = group[place], group[earlier]
                group = [new if each == old else each for each in group]
    tops: dict[int, str] = {}
    branches: list[Branch] = []
    width = max(2, len(str(len(kept))))
    for place, one in enumerate(kept):
        slug = _NOT_IN_SLUG.sub("-", one.title.lower())[:_SLUG_CHARS].strip("-") or one.commit[:7]
        name = f"{prefix}/{place + 1:0{width}d}-{slug}"
        branches.append(Branch(name=name, kept=one, on=tops.get(group[place], "")))
        tops[group[place]] = name
    return Plan(experiment=experiment, base=base, final=final, branches=tuple(branches))


def _share(one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether two changes touch the same path, or one a file where the other has a folder."""
    known = set(one)
    if not known.isdisjoint(other):
        return True
    return any(_above(path) & set(other) for path in one) or any(_above(path) & known for path in other)


def _above(path: str) -> set[str]:
    parts = path.split("/")
    return {"/".join(parts[:count]) for count in range(1, len(parts))}


class Finalizing:
    """One loop, looked at. `plan` is what would be made; `make` makes it."""

    def __init__(self, root: Root, experiment: str, *, prefix: str, way: str) -> None:
        self._root = root
        experiments.require(root, experiment)
        with root.section(experiment):
            subject = refresh.catch_up(root, experiment)
        self.summary: Summary = autoresearch_summary.told(subject)
        self._last = grounds.line(subject.view)
        self._repo = _opened(root, experiment, subject)
        self.plan = self._planned(experiment, prefix or f"{self.summary.branch.rpartition('/')[2]}-final", way)

    def _planned(self, experiment: str, prefix: str, way: str) -> Plan:
        if prefix.startswith("refs/"):  # git would take it, and make refs/heads/refs/heads/...
            short = prefix.removeprefix("refs/").removeprefix("heads/").strip("/") or "my-loop"
            raise BadInput(f"{prefix[:60]!r} is a ref, and branches are wanted", fix=f"--prefix {short[:60]}")
        if _NOT_IN_PREFIX.search(prefix) or not prefix:
            raise BadInput(f"{prefix[:60]!r} cannot begin the name of a branch", fix="--prefix my-loop")
        repo = self._repo
        final = self._last.commit if self._last else ""
        if final and not repo.commit_of(final):
            raise BadInput(f"the commit {final[:12]}, which {experiment} kept last, is gone from the repository",
                           where=repo.workspace, fix="what was kept lies as artifacts/diff.patch in the runs, for git "
                           f"apply; labctl burst {experiment} begins at the workspace's commit again")  # fmt: skip
        if not final:
            fix = f"labctl burst {experiment} -n 5 goes on with it"
            raise BadInput(f"{experiment} has kept nothing yet", fix=fix)
        head = repo.head()
        base = repo.merge_base(head, final)
        if not base:
            raise BadInput(f"{experiment} and the branch that is checked out have no commit in common",
                           where=repo.workspace, fix="check out the branch that the loop began at")  # fmt: skip
        found = plan(experiment, base, final, _line(repo, base, final), prefix=prefix, way=way)
        if not found.branches:
            raise BadInput(f"all that {experiment} kept is in the branch that is checked out, or nothing was kept",
                           where=repo.workspace, fix=f"labctl autoresearch report {experiment}")  # fmt: skip
        there = [each.name for each in found.branches if repo.commit_of(f"refs/heads/{each.name}")]
        if there:
            fix = "--prefix gives the new ones another name; a branch that is there is never moved"
            raise BadInput(f"there is a branch {there[0]} already", where=repo.workspace, fix=fix)
        return msgspec.structs.replace(found, user_branch=repo.branch())

    def make(self) -> Made:
        """Commit the branches, prove that together they are what the loop came to, and only then name them."""
        repo, found = self._repo, self.plan
        index = f"{repo.site.own}/finalize-{self._root.world.rng.getrandbits(32):08x}.index"
        try:
            commits = self._commits(index)
            self._prove(commits, index)
        finally:
            self._root.files.discard(index)
        grafting.branched(repo.site, commits, committed.identity(repo.site))
        return Made(
            plan=found,
            commits=commits,
            recommendation=self.summary.recommendation,
            reasons=self.summary.reasons,
            conflicts=_conflicts(repo, found, commits),
        )

    def _commits(self, index: str) -> dict[str, str]:
        repo, site = self._repo, self._repo.site
        made: dict[str, str] = {}
        for each in self.plan.branches:
            below = made.get(each.on, self.plan.base)
            tree = grafting.grafted(site, below, each.kept.parent, each.kept.commit, index)
            if set(grafting.touched(site, below, tree)) - set(each.kept.paths):
                raise LabError(f"{each.name} would change more than its commit did; nothing was made")
            made[each.name] = repo.commit(tree, below, each.kept.message, self._credit(each.kept))
        return made

    def _credit(self, kept: Kept) -> dict[str, str]:
        """Who made it, where it was not the loop: the new commit is the lab's, and would not say so."""
        if kept.run_id:
            return {}
        author = self._repo.site.git.out("log", "-1", "--no-show-signature", "--format=%an <%ae>", kept.commit)
        return {"Co-authored-by": author.encode(errors="replace").decode(), "Lab-From": kept.commit}

    def _prove(self, commits: Mapping[str, str], index: str) -> None:
        """Put all branches on the merge base, and hold the result against what the loop came to."""
        site, base = self._repo.site, self.plan.base
        tree = self._repo.tree_of(base)
        below = {each.on for each in self.plan.branches}
        for name, commit in commits.items():
            if name not in below:
                tree = grafting.grafted(site, tree, base, commit, index)
        if tree != self._repo.tree_of(self.plan.final):
            fix = "--branches stacked keeps them in the order in which they were kept"
            raise LabError("the branches together are not what the loop came to; nothing was made", fix=fix)


def _opened(root: Root, experiment: str, subject: Subject) -> Repository:
    spec = subject.spec
    if spec is None:
        raise experiments.load(root, experiment).problem or BadInput(
            f"the SPEC of {experiment} cannot be used", fix=f"labctl validate {experiment}"
        )
    spec = spec.for_tier(subject.view.tier)
    repo = grounds.opened(root, spec, places.workspace(root, spec, subject.view))
    if repo.is_own:
        folder = f"experiments/{experiment}/{grounds.OWN_REPOSITORY}"
        fix = f"what was kept lies as a patch in the bundles, and as commits in {folder}"
        raise BadInput("the workspace is under no git, so there is no branch to make", where=repo.workspace, fix=fix)
    return repo


def _line(repo: Repository, base: str, final: str) -> list[Kept]:
    """The kept commits, oldest first. A commit of two parents counts as the change to its first."""
    found: list[Kept] = []
    parent = base
    words = ("rev-list", "--first-parent", "--reverse", final, f"^{base}")
    for commit in repo.site.git.out(*words).split():
        message = repo.message(commit)
        run = re.search(r"^Lab-Run: (\S+)$", message, re.MULTILINE)
        title = (message.splitlines() or [""])[0][:_TITLE_CHARS]
        paths = grafting.touched(repo.site, parent, commit)
        if paths:
            run_id = run[1] if run else ""
            found.append(Kept(commit=commit, parent=parent, paths=paths, title=title, message=message, run_id=run_id))
        parent = commit
    return found


def _conflicts(repo: Repository, found: Plan, commits: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Which branches would not merge into what is checked out now. A git that cannot tell says nothing."""
    head = repo.head()
    if head == found.base:
        return {}
    conflicts: dict[str, tuple[str, ...]] = {}
    for name, commit in commits.items():
        try:
            merged = repo.merge_tree(head, commit, found.base)
        except LabError:
            return {}
        if merged.conflicts:
            conflicts[name] = merged.conflicts
    return conflicts
