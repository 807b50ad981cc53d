"""A commit of the workspace in a folder of its own: the user's checkout and repository stay as they are."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from lab.core.errors import BadInput, LabError, Unavailable
from lab.store import machine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.store.root import Root

_PREFIX = "replay@"
_LIMIT_S = 300.0
# A hook of git that called us names another repository in these; and no hook of the user's runs in the copy.
_GIT = ("env", "-u", "GIT_DIR", "-u", "GIT_WORK_TREE", "-u", "GIT_INDEX_FILE", "git", "-c", "core.hooksPath=/dev/null")


def changed(root: Root, workspace: str) -> bool:
    """Whether files that git follows differ from the commit. False where git cannot say."""
    return bool(_git(root, workspace, "status", "--porcelain", "--untracked-files=no", "--", ".").strip())


def followed(root: Root, workspace: str, path: str) -> bool:
    """Whether git follows anything at a path, as seen from the workspace."""
    return bool(_git(root, os.path.realpath(workspace), "ls-files", "--", f":(literal){path}").strip())


def require(root: Root, workspace: str, commit: str) -> str:
    """The top of the repository that has this commit, or `BadInput`."""
    top = _git(root, workspace, "rev-parse", "--show-toplevel").strip()
    if not top:
        what = f"it ran at commit {commit}, and its workspace is no git checkout that can be read now"
        raise BadInput(what, where=workspace, fix="--as-is runs it on the workspace as it is now")
    if not _git(root, workspace, "rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}").strip():
        fix = "fetch it (git fetch --all), or --as-is runs it on the workspace as it is now"
        raise BadInput(f"it ran at commit {commit}, which this repository does not have", where=top, fix=fix)
    return top


def name(what: str) -> str:
    """What a folder of ours is called: whose process has died is known by it, and goes with the next replay."""
    return f"{_PREFIX}{machine.here()}-{os.getpid()}-{what}"


@contextmanager
def opened(root: Root, workspace: str, top: str, commit: str) -> Iterator[str]:
    """The workspace as it was at a commit. It goes at the end; that of a process that died goes with the next one."""
    _sweep(root)
    box = root.layout.sandbox(name(commit[:12]))
    root.files.discard_folder(box)
    root.files.folder(os.path.dirname(box))
    try:
        _must(root, "clone", "--quiet", "--shared", "--no-checkout", "--template=", "--", top, box)
        _must(root, "-C", box, "checkout", "--quiet", "--detach", commit)
        inside = os.path.relpath(os.path.realpath(workspace), os.path.realpath(top))
        there = os.path.normpath(f"{box}/{inside}")
        if not os.path.isdir(there):
            raise BadInput(f"the workspace was not there at commit {commit}", where=inside, fix="--as-is runs it now")
        yield there
    finally:
        with suppress(OSError):  # the run is over and worth more; the next replay tries again
            root.files.discard_folder(box)


def _sweep(root: Root) -> None:
    folder = os.path.dirname(root.layout.sandbox("x"))
    names = os.listdir(folder) if os.path.isdir(folder) else []
    for each in names:
        where, _, rest = each.removeprefix(_PREFIX).partition("-")
        pid = rest.partition("-")[0]
        if each.startswith(_PREFIX) and pid.isdecimal() and machine.is_gone(where, int(pid)):
            with suppress(OSError):
                root.files.discard_folder(f"{folder}/{each}")


def _git(root: Root, folder: str, *words: str) -> str:
    """What git says there; nothing where it is not installed, or refuses."""
    done = root.world.run([*_GIT, "-C", folder, *words], limit_s=_LIMIT_S)
    return done.out if done.code == 0 else ""


def _must(root: Root, *words: str) -> None:
    done = root.world.run([*_GIT, *words], limit_s=_LIMIT_S)
    if done.code is None:
        raise Unavailable(f"git could not be used: {done.problem}", fix="install git, or --as-is")
    if done.code:
        raise LabError(f"git {words[0]} failed: {done.problem}", fix="--as-is runs it on the workspace as it is now")
