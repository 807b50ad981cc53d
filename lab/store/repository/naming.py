"""What a user's repository calls its refs, looked at before any of ours is made there. Reads; writes nothing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from lab.core.errors import BadInput, Unavailable
from lab.store.repository import git, workspace
from lab.store.repository.git import Git

if TYPE_CHECKING:
    from collections.abc import Sequence

_FORMAT = "--format=%(objectname) %(refname) %(worktreepath)"


class Ref(msgspec.Struct, frozen=True, kw_only=True):
    """One ref: the commit it names, and where it is checked out, if it is."""

    commit: str
    place: str = ""


class Refs:
    """The refs of the repository around a folder that begin with some words. None where there is no repository."""

    def __init__(self, folder: str, under: Sequence[str]) -> None:
        self._git = _around(folder)
        lines = self._git.out("for-each-ref", _FORMAT, *under).splitlines() if self._git else []
        told = (line.split(" ", 2) for line in lines)
        self.found = {name: Ref(commit=commit, place=place) for commit, name, place in told}

    def lies_under(self, ancestor: str, commit: str) -> bool:
        """Whether a commit is another, or was made from it."""
        if self._git is None:
            return False
        return self._git.ask("merge-base", "--is-ancestor", ancestor, commit, codes=(0, 1, 128)).code == 0


def is_name(ref: str) -> bool:
    """Whether git would take this for a ref. Without git there is nothing to refuse yet: that is told elsewhere."""
    try:
        return git.takes(ref)
    except Unavailable:
        return True


def _around(folder: str) -> Git | None:
    try:
        there = workspace.repository_of(os.path.realpath(folder)) if os.path.isdir(folder) else None
        return Git(there.git_dir) if there is not None else None
    except (BadInput, Unavailable):  # a bare one, or no git: who opens it says so
        return None
