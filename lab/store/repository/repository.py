"""The code of a loop, as commits: trees to work in, what was changed there, and what becomes of it.

Everything is done with the lab's own index, settings and identity. The user's tree, index, HEAD and branches stay as
they are, but for `advance` and `apply`, which do one thing each and say so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.core.errors import BadInput
from lab.store.repository import (
    applying,
    changes,
    committed,
    frozen,
    grafting,
    harvest,
    noted,
    opening,
    refs,
    spare,
    strayed,
    trees,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from lab.store.files import Files
    from lab.store.repository.changed import Applied, Changed, Harvest, Merged
    from lab.store.repository.lying import Clean
    from lab.store.repository.site import Site


def opened(  # what decides how a workspace is read
    files: Files,
    workspace: str,
    *,
    own: str,
    mode: str = "auto",
    clean: Clean | None = None,
    now: Callable[[], datetime],
    apart: Iterable[str] = (),
) -> Repository:
    """The repository of a workspace. `BadInput` for a workspace that cannot be worked on, with what to do about it.

    `own` is a folder of the lab's: its door to the user's repository, or, for a workspace without git and in mode
    `copy`, a repository of its own in which each opening commits the workspace as it is now, less what `.gitignore`
    and `apart` name. `mode` is auto, git-worktree, git-clone or copy; what it came to is `.mode`.
    """
    return Repository(opening.opened(files, workspace, own=own, mode=mode, clean=clean, now=now, apart=tuple(apart)))


def require(files: Files, workspace: str, *, own: str, mode: str, clean: Clean | None, apart: Iterable[str]) -> None:
    """Refuse a workspace that `opened` would refuse, before anything is made of it."""
    opening.require(files, workspace, own=own, mode=mode, clean=clean, apart=tuple(apart))


class Repository:
    """An open repository. It holds no state: two processes may have the same one open."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.workspace, self.git_dir, self.prefix, self.mode = site.workspace, site.git_dir, site.prefix, site.mode
        self.is_own = site.is_own

    def uncommitted(self) -> tuple[str, ...]:
        """Paths of the workspace that differ from its last commit: they have no part in what is measured."""
        return opening.uncommitted(self.site)

    def pointers(self, commit: str) -> tuple[str, ...]:
        """Files of which git has a pointer only (LFS): in the lab's trees they are pointers, not their content."""
        return changes.pointers(self.site, commit)

    # -- commits and refs ----------------------------------------------------------------------------------------

    def head(self) -> str:
        """The commit that the user's tree is at; of a repository of our own, the workspace as it is now."""
        return refs.head(self.site)

    def branch(self) -> str:
        """The branch that the user's tree is on; empty for a detached HEAD and a repository of our own."""
        return refs.branch(self.site)

    def commit_of(self, ref: str) -> str:
        """The commit that a branch, a ref or an id names; empty when there is none."""
        return refs.commit_of(self.site, ref)

    def lies_under(self, ancestor: str, commit: str) -> bool:
        """Whether a commit is another, or was made from it."""
        return refs.lies_under(self.site, ancestor, commit)

    def merge_base(self, one: str, other: str) -> str:
        """The commit that both came from; empty when they have nothing in common."""
        return refs.merge_base(self.site, one, other)

    def tree_of(self, commit: str) -> str:
        """Git's id of what a commit holds: the same for two commits with the same files."""
        return refs.tree_of(self.site, commit)

    def message(self, commit: str) -> str:
        """What a commit says of itself, trailers and all."""
        return refs.message(self.site, commit)

    def put(self, ref: str, commit: str, *, old: str | None = None) -> None:
        """Let a ref name a commit. `old`: what it must name now ("": it must not be there), else `Taken`."""
        refs.put(self.site, ref, commit, old=old)

    def advance(self, branch: str, new: str, old: str) -> None:
        """Move a branch from `old` ("" makes it) to `new`. `Taken` when it is elsewhere.

        `BadInput` when it is checked out anywhere: the files there would not follow.
        """
        refs.advance(self.site, branch, new, old)

    def commit(self, tree: str, parents: str | Sequence[str], message: str, trailers: Mapping[str, str]) -> str:
        """Commit a tree, by `labctl` and at the lab's time. No branch moves: a ref has to be `put`."""
        given = (parents,) if isinstance(parents, str) else tuple(parents)
        return committed.commit(self.site, tree, given, message, trailers)

    # -- trees ---------------------------------------------------------------------------------------------------

    def inside(self, place: str) -> str:
        """Where the workspace lies in a tree: commands run here."""
        return self.site.inside(place)

    def mutation_tree(self, commit: str, place: str, mode: str = "") -> None:
        """A tree to work in, at a place that is not there yet.

        git-worktree: linked to the user's repository, detached and locked. git-clone: a repository of its own that
        borrows the objects. copy: plain files.
        """
        trees.mutation(self.site, commit, place, mode or self.mode)

    def plain_tree(self, commit: str, place: str) -> None:
        """Exactly the files of a commit, made afresh, without `.git`."""
        trees.plain(self.site, commit, place)

    def move_tree(self, place: str, to: str, commit: str) -> None:
        """Let a plain tree lie elsewhere, as one of this commit."""
        trees.move(self.site, place, to, commit)

    def is_tree(self, place: str) -> bool:
        """Whether a tree at this place is, or was to be, one of ours."""
        return noted.is_ours(self.site, place)

    def remove_tree(self, place: str, *, is_spare: bool = True) -> None:
        """Remove a tree and what is known of it. Gone already is as good; one that was never ours is refused.

        Up to two stay beside it as `.spare-N`, to become the next ones: what was not touched since git wrote it stays,
        and nothing else. With `is_spare` false, or in `drop_spares`, they are gone for good.
        """
        trees.remove(self.site, place, is_spare=is_spare)

    def drop_spares(self, folder: str) -> None:
        """Remove the trees that were kept for later in a folder, when there is no later."""
        spare.dropped(self.site, folder)

    def sweep(self, folder: str = "") -> list[str]:
        """Forget the trees whose folder is gone. Returns where they were.

        In `folder`, where trees lie, remove also the spare ones that nobody noted: they came with a lab that was moved.
        """
        if folder:
            spare.unknown_dropped(self.site, folder)
        return trees.sweep(self.site)

    # -- changes -------------------------------------------------------------------------------------------------

    def strayed(self, place: str, commit: str, *, without: Iterable[str] = ()) -> tuple[str, ...]:
        """Which files of a plain tree are not what its commit says any more. `without` may be absent."""
        return strayed.strayed(self.site, place, commit, without)

    def harvest(
        self,
        place: str,
        base: str,
        *,
        without: Iterable[str] = (),
        look: Callable[[Sequence[str]], None] | None = None,
    ) -> Harvest:
        """What was changed in a mutation tree since `base`, new files included, ignored ones not.

        `without` are paths that the lab itself put there or left out: they are in the tree as they were in `base`.
        `look` is given the files that may be new or different, as the workspace calls them, before git takes them in:
        what it raises goes on, and nothing of them is in the repository.

        Nothing in the tree is believed: not its index, its `.git`, its refs. `BadInput` for more than can be kept.
        """
        return harvest.harvested(self.site, place, base, frozenset(without), look)

    def changes(self, base: str, commit: str) -> tuple[Changed, ...]:
        """What differs between two commits, path by path."""
        return changes.between(self.site, base, commit).changes

    def patch(self, base: str, commit: str, *, limit_bytes: int = 0) -> bytes:
        """The change as `git apply` takes it, binary files included. `BadInput` when it is longer than the limit."""
        return changes.patch(self.site, base, commit, limit_bytes=limit_bytes)

    def stat(self, base: str, commit: str) -> str:
        """The change as a table for people."""
        return changes.stat(self.site, base, commit)

    def lines(self, base: str, commit: str) -> Iterator[tuple[str, str, str]]:
        """Every line that came or went: path, `+` or `-`, text. Binary files have none."""
        return changes.lines(self.site, base, commit)

    def normalised(self, base: str, commit: str) -> str:
        """A digest of the change, less what does not matter: the same idea has the same. Empty for no change.

        Left out are where in the file it is, blank lines, whitespace at the ends of lines, the order of files.
        """
        return changes.normalised(self.site, base, commit)

    def apply(self, commit: str, base: str) -> Applied:
        """Bring a change into the user's tree, whole or not at all. Commits nothing, adds nothing to the index."""
        return applying.applied(self.site, commit, base)

    def with_files(self, commit: str, other: str, wanted: Callable[[str], bool]) -> str:
        """The tree of a commit, with the files that are wanted as they are in another one."""
        index = self.site.beside(f"{self.site.own}/{other}", "graft")
        try:
            return grafting.grafted(self.site, commit, commit, other, index, wanted)
        finally:
            self.site.files.discard(index)

    def merge_tree(self, ours: str, theirs: str, base: str) -> Merged:
        """Two commits in one tree. `Unavailable` with a git before 2.38."""
        return applying.merged(self.site, ours, theirs, base)

    # -- what must stay as it is ---------------------------------------------------------------------------------

    def digests(self, commit: str, wanted: Callable[[str], bool]) -> dict[str, str]:
        """Git's ids of a commit's files, by path from the workspace."""
        return frozen.committed(self.site, commit, wanted)

    def read(self, commit: str, path: str) -> bytes:
        """The bytes of a file of a commit, by its path from the workspace."""
        found = changes.content(self.site, commit, path)
        if found is None:
            raise BadInput(f"there is no {path} in {commit[:12]}", fix="look with: git ls-tree -r " + commit[:12])
        return found
