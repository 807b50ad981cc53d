"""Where the code of a loop lies, and what every part of this folder is given."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable  # msgspec resolves the annotations below
from datetime import datetime

import msgspec

from lab.store.files import Files
from lab.store.repository.git import Git

RECORD = "lab-"  # the names of our linked worktrees in a user's repository begin so


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """A workspace, its repository, and the lab's own door to it.

    `git` sees only the settings that the lab wrote into `own`, with the objects of the repository: what a mutator
    plants in the user's settings has no part in what is harvested or measured. `theirs` sees the user's repository,
    for what only that can say or do: its HEAD, its refs.
    """

    files: Files
    now: Callable[[], datetime]
    workspace: str
    top: str  # the folder whose content the commits hold: the workspace itself, or one above it
    prefix: str  # of the workspace in `top`: "" or "some/folder"
    git_dir: str
    common: str  # where refs and objects are: another folder than git_dir for a linked worktree
    own: str  # the lab's folder
    mode: str
    is_own: bool  # there is no repository of the user's; `own` is one
    git: Git
    theirs: Git
    apart: tuple[str, ...] = ()  # folders in the workspace that are no part of it, such as the data root

    def beside(self, place: str, name: str) -> str:
        """A file of the lab's that belongs to a tree, out of reach of what runs in the tree."""
        return f"{self.own}/trees/{key(place)}.{name}"

    def record(self, place: str) -> str:
        """Where the user's repository knows of a linked worktree."""
        return f"{self.common}/worktrees/{RECORD}{key(place)}"

    def inside(self, place: str) -> str:
        """Where the workspace lies in a tree."""
        return f"{place}/{self.prefix}" if self.prefix else place

    def named(self, path: str) -> str:
        """A path of the repository as it is called from the workspace; `../x` for what lies outside of it."""
        if not self.prefix:
            return path
        if path.startswith(f"{self.prefix}/"):
            return path[len(self.prefix) + 1 :]
        return os.path.relpath(path, self.prefix)


def key(place: str) -> str:
    """A name that belongs to one place alone, and is the same each time."""
    whole = os.path.realpath(os.path.dirname(os.path.abspath(place))) + "/" + os.path.basename(place)
    name = "".join(sign if sign.isalnum() and sign.isascii() else "-" for sign in os.path.basename(place))[:24]
    return f"{hashlib.sha256(os.fsencode(whole)).hexdigest()[:12]}-{name}"
