"""What a change is made of: one record a path, and what the parts of this folder answer with."""

from __future__ import annotations

import msgspec

ADDED, MODIFIED, DELETED, RETYPED, RENAMED = "A", "M", "D", "T", "R"
LINK, SUBMODULE, NOTHING = "120000", "160000", "000000"


class Changed(msgspec.Struct, frozen=True, kw_only=True):
    """One path that differs. A rename is two of them: the old path is deleted, the new one names it as `source`.

    `path` is relative to the workspace; what lies outside of it begins with `../`, so that no rule allows it.
    """

    path: str
    status: str
    old_mode: str = NOTHING
    new_mode: str = NOTHING
    blob: str = ""  # git's id of the new content
    size: int = 0  # of the new content
    source: str = ""
    is_binary: bool = False

    @property
    def is_link(self) -> bool:
        """Whether it is a symbolic link now, or was one."""
        return LINK in (self.old_mode, self.new_mode)

    @property
    def is_submodule(self) -> bool:
        """Whether it is a repository of its own. The content of one is in no commit of ours."""
        return SUBMODULE in (self.old_mode, self.new_mode)


class Harvest(msgspec.Struct, frozen=True, kw_only=True):
    """What differs between a commit and a tree in which somebody worked."""

    tree: str  # git's id of it; to be committed
    changes: tuple[Changed, ...] = ()
    added: int = 0  # lines; those of binary files are not counted
    removed: int = 0
    files: int = 0
    unkept: tuple[str, ...] = ()  # sockets, pipes, nested repositories: what no commit of ours can hold


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a change in the user's tree: all of it is there, or (with `conflicts`) nothing was touched."""

    paths: tuple[str, ...] = ()  # that were written now
    already: bool = False  # there was nothing left to do
    conflicts: tuple[str, ...] = ()  # paths, relative to the workspace


class Merged(msgspec.Struct, frozen=True, kw_only=True):
    """Two changes in one tree, or the paths on which they cannot agree."""

    tree: str = ""
    conflicts: tuple[str, ...] = ()
