"""Bringing a change to where it was not made: into the user's tree, or together with another one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from lab.core.errors import Unavailable
from lab.store.repository import changes, committed
from lab.store.repository.changed import Applied, Merged
from lab.store.repository.git import MERGES_TREES

if TYPE_CHECKING:
    from lab.store.repository.site import Site

_APPLY = ("apply", "--whitespace=nowarn", "-p1")


def applied(site: Site, commit: str, base: str) -> Applied:
    """Write a change into the user's tree; all of it, or nothing with the paths that stand in the way.

    What a kill left half done is done to its end: a file that has the change already is passed over.
    """
    paths = tuple(site.git.names("diff-tree", "-r", "-z", "--name-only", "--no-renames", base, commit))
    if not paths:
        return Applied(already=True)
    blocked = _blocked(site, paths)
    if blocked:
        return Applied(conflicts=_named(site, blocked))
    whole = changes.patch(site, base, commit)
    if _fits(site, whole):
        _write(site, base, commit, paths)
        return Applied(paths=_named(site, paths))
    if _fits(site, whole, "-R"):
        return Applied(already=True)
    missing: list[str] = []
    conflicts: list[str] = []
    for path in paths:
        part = changes.patch(site, base, commit, paths=(path,))
        if _fits(site, part, "-R"):
            continue
        (missing if _fits(site, part) else conflicts).append(path)
    if conflicts or not missing:
        return Applied(conflicts=_named(site, conflicts or paths))
    if not _fits(site, changes.patch(site, base, commit, paths=tuple(missing))):
        return Applied(conflicts=_named(site, missing))
    _write(site, base, commit, tuple(missing))
    return Applied(paths=_named(site, missing))


def merged(site: Site, ours: str, theirs: str, base: str) -> Merged:
    """The tree that holds both changes since `base`."""
    if site.git.version < MERGES_TREES:
        raise Unavailable(
            f"git {'.'.join(map(str, site.git.version))} cannot bring two changes together without a work tree",
            where=site.git.program,
            fix="install git 2.38 or later; everything else goes on without",
        )
    # Commits that hang on the base, whatever their own history is: its trees are what is compared.
    root = committed.commit(site, f"{base}^{{tree}}", (), "base", {})
    one, other = (committed.commit(site, f"{side}^{{tree}}", (root,), "side", {}) for side in (ours, theirs))
    words = ("merge-tree", "--write-tree", "-z", "--name-only", "--no-messages", one, other)
    answer = site.git.ask(*words, codes=(0, 1))
    tree, *conflicts = os.fsdecode(answer.out).split("\0")[:-1]
    if answer.code == 0:
        return Merged(tree=tree)
    return Merged(conflicts=_named(site, [path for path in conflicts if path]))


def _fits(site: Site, patch: bytes, *how: str) -> bool:
    return site.git.ask(*_APPLY, "--check", *how, given=patch, tree=site.top, codes=(0, 1, 128)).code == 0


def _blocked(site: Site, paths: tuple[str, ...]) -> list[str]:
    """Paths on whose way lies something of the user's that is no folder: git finds out when half is written."""
    found = []
    for path in paths:
        folder = os.path.dirname(path)
        while folder and folder not in paths and not os.path.isdir(f"{site.top}/{folder}"):
            if os.path.lexists(f"{site.top}/{folder}"):
                found.append(path)
                break
            folder = os.path.dirname(folder)
    return found


def _write(site: Site, base: str, commit: str, paths: tuple[str, ...]) -> None:
    """Write what was found to fit. When the disk refuses it half way, what was written is taken back."""
    try:
        site.git.ask(*_APPLY, given=changes.patch(site, base, commit, paths=paths), tree=site.top)
    except Unavailable:
        for path in paths:
            part = changes.patch(site, base, commit, paths=(path,))
            if _fits(site, part, "-R"):
                site.git.ask(*_APPLY, "-R", given=part, tree=site.top)
        raise


def _named(site: Site, paths: tuple[str, ...] | list[str]) -> tuple[str, ...]:
    return tuple(site.named(path) for path in paths)
