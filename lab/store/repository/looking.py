"""What differs between two commits of a loop, seen through the door that the lab has already. Writes nothing.

To open a repository is to bring the lab's door to it up to date; who only looks may be on a read-only copy.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from lab.core.errors import BadInput
from lab.store.repository import workspace
from lab.store.repository.git import Git

if TYPE_CHECKING:
    from collections.abc import Iterator

_DIFF = ("diff-tree", "-r", "-p", "-M", "-l200", "--no-ext-diff", "--no-textconv", "--no-color")
_HEX = frozenset("0123456789abcdef")
_LENGTHS = (40, 64)


class Patch(msgspec.Struct, frozen=True, kw_only=True):
    """A difference for people to read: renames are shown as such, and of a binary file only that it differs."""

    data: bytes
    cut: bool


def patch(own: str, place: str, base: str, commit: str, *, limit_bytes: int) -> Patch | None:
    """From one commit to another. `own` is the lab's door, `place` the workspace, if there is one still.

    None where they are not both there. `Unavailable` when there is no git.
    """
    if not (_is_id(base) and _is_id(commit)) or not workspace.is_git_dir(own):
        return None
    for git in _doors(own, place):
        given = f"{base}^{{commit}}\n{commit}^{{commit}}\n".encode()
        if b"missing" in git.ask("cat-file", "--batch-check", given=given, codes=(0, 128)).out:
            continue
        answer = git.ask(*_DIFF, base, commit, most=limit_bytes, codes=(0, 128))
        if answer.code == 0:
            return Patch(data=answer.out, cut=answer.cut)
    return None


def _doors(own: str, place: str) -> Iterator[Git]:
    """The lab's settings, with the objects of the workspace's repository; or its own, for one that is under no git."""
    try:
        around = workspace.repository_of(os.path.realpath(place)) if place and os.path.isdir(place) else None
    except BadInput:  # a bare one by now
        around = None
    if around is not None:
        yield Git(own, objects=f"{around.common}/objects")
    yield Git(own)


def _is_id(commit: str) -> bool:
    """Whether it is a whole id, and no option, range or path: it comes from a file that somebody may have edited."""
    return len(commit) in _LENGTHS and _HEX.issuperset(commit)
