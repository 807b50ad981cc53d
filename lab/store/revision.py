"""The commit that a git checkout is at, read from its files: asking git would cost a run more than all else it does.

Not promised: that nothing was changed since the commit.
"""

from __future__ import annotations

import os

from lab.store import reading

_HEAD_BYTES = 4_096
_PACKED_BYTES = 16 << 20
_SHORTEST, _LONGEST = 40, 64
_LEVELS = 64


def of(folder: str) -> str:
    """The commit of the checkout that a folder lies in; empty where it lies in none."""
    place = os.path.realpath(folder)
    for _ in range(_LEVELS):
        found = _repository(f"{place}/.git")
        if found:
            return _commit(found)
        if place == "/":
            break
        place = os.path.dirname(place)
    return ""


def _repository(git: str) -> str:
    """The folder of a repository: `.git` itself, or where a worktree's `.git` file points."""
    if os.path.isdir(git):
        return git
    text = _line(git)
    if not text.startswith("gitdir: "):
        return ""
    return os.path.normpath(os.path.join(os.path.dirname(git), text.removeprefix("gitdir: ")))


def _commit(git: str) -> str:
    head = _line(f"{git}/HEAD")
    if not head.startswith("ref: "):
        return _hash(head)
    name = head.removeprefix("ref: ")
    common = _line(f"{git}/commondir")
    shared = os.path.normpath(os.path.join(git, common)) if common else git
    for place in (git, shared):
        if found := _hash(_line(f"{place}/{name}")):
            return found
    for line in (reading.read_head(f"{shared}/packed-refs", _PACKED_BYTES) or b"").decode(errors="replace").split("\n"):
        if line.endswith(f" {name}"):
            return _hash(line.partition(" ")[0])
    return ""


def _line(path: str) -> str:
    if not reading.is_file(path):
        return ""
    return (reading.read_head(path, _HEAD_BYTES) or b"").decode(errors="replace").strip()


def _hash(text: str) -> str:
    return text if _SHORTEST <= len(text) <= _LONGEST and set(text) <= set("0123456789abcdef") else ""
