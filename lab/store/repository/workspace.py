"""Which repository a workspace belongs to, found by looking at files.

Git refuses repositories of other owners, and the setting that allows one is the user's, which is not read here.
"""

from __future__ import annotations

import os

import msgspec

from lab.core.errors import BadInput, NotFound
from lab.store import reading

_GITFILE_BYTES = 4_096


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """The nearest repository around a workspace."""

    top: str
    git_dir: str
    common: str

    def prefix(self, workspace: str) -> str:
        """Where a workspace lies in it."""
        inside = os.path.relpath(workspace, self.top)
        return "" if inside == "." else inside


def real(workspace: str) -> str:
    """The workspace's own path, links followed. `NotFound` when there is none."""
    if not os.path.isdir(workspace):
        raise NotFound("there is no workspace", where=workspace, fix="correct workspace_root in SPEC.yaml")
    return os.path.realpath(workspace)


def repository_of(workspace: str) -> Found | None:
    """The repository around a workspace, or None."""
    if is_git_dir(workspace):
        raise BadInput(
            "the workspace is a bare repository: it has no files to work on",
            where=workspace,
            fix="set workspace_root to a checkout of it: git worktree add ../checkout",
        )
    folder = workspace
    while True:
        git_dir = _git_dir(folder)
        if git_dir:
            return Found(top=folder, git_dir=git_dir, common=_common(git_dir))
        above = os.path.dirname(folder)
        if above == folder:
            return None
        folder = above


def is_git_dir(folder: str) -> bool:
    """Whether a folder is what `.git` is."""
    parts_there = os.path.isdir(f"{folder}/refs") and os.path.lexists(f"{folder}/HEAD")
    return parts_there and (os.path.isdir(f"{folder}/objects") or reading.is_file(f"{folder}/commondir"))


def _git_dir(folder: str) -> str:
    place = f"{folder}/.git"
    if os.path.isdir(place):
        return place if is_git_dir(place) else ""
    told = reading.read_head(place, _GITFILE_BYTES) or b""
    if not told.startswith(b"gitdir: "):
        return ""
    target = os.fsdecode(told.removeprefix(b"gitdir: ").strip(b"\r\n"))
    target = os.path.realpath(os.path.join(folder, target))
    return target if reading.is_file(f"{target}/HEAD") else ""


def _common(git_dir: str) -> str:
    told = reading.read_head(f"{git_dir}/commondir", _GITFILE_BYTES)
    return os.path.realpath(os.path.join(git_dir, os.fsdecode(told.strip(b"\r\n")))) if told else git_dir
