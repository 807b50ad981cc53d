"""Opening the repository of a workspace: everything that would go wrong later is refused here, before anything runs."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from lab.core.errors import BadInput
from lab.store import reading
from lab.store.repository import lying, snapshot, workspace
from lab.store.repository.changed import SUBMODULE
from lab.store.repository.git import Git
from lab.store.repository.site import Site

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from lab.store.files import Files
    from lab.store.repository.lying import Clean
    from lab.store.repository.workspace import Found

WORKTREE, CLONE, COPY, AUTO = "git-worktree", "git-clone", "copy", "auto"
_SHOWN = 10
# What decides which bytes a checked-out file has; the rest of the user's settings are not ours.
_TAKEN_OVER = (
    "core.autocrlf", "core.eol", "core.filemode", "core.symlinks", "core.ignorecase", "core.precomposeunicode",
    "core.checkroundtripencoding", "core.bigfilethreshold",
)  # fmt: skip


def opened(  # what decides how a workspace is read
    files: Files,
    place: str,
    *,
    own: str,
    mode: str,
    clean: Clean | None,
    now: Callable[[], datetime],
    apart: tuple[str, ...],
) -> Site:
    """Everything that the rest of this folder needs. See `repository.opened`."""
    path, own = workspace.real(place), os.path.abspath(own)
    found = _looked(files, path, own=own, mode=mode, clean=clean, apart=apart)
    if found is None:
        return _without_git(files, path, own=own, mode=mode, now=now, apart=apart)
    around, git, settings, prefix = found
    shallow = reading.read(f"{around.common}/shallow")
    hidden = [reading.read(f"{around.common}/info/exclude") or b""]
    attributes = reading.read(f"{around.common}/info/attributes") or b""
    make_own(files, own, settings, exclude=_excluded(hidden, path, apart, prefix), attributes=attributes)
    objects = f"{around.common}/objects"
    site = Site(
        files=files, now=now, workspace=path, top=around.top, prefix=prefix, git_dir=around.git_dir,
        common=around.common, own=own, mode=WORKTREE if mode == AUTO else mode, is_own=False,
        git=Git(own, objects=objects, durable=files.durable), theirs=git, apart=apart,
    )  # fmt: skip
    if shallow is None:
        files.discard(f"{own}/shallow")
    else:
        files.replace(f"{own}/shallow", shallow)
    return site


def require(  # the same as of `opened`
    files: Files, place: str, *, own: str, mode: str, clean: Clean | None, apart: tuple[str, ...]
) -> None:
    """Refuse what `opened` would refuse, and write nothing."""
    path = workspace.real(place)
    if _looked(files, path, own=own, mode=mode, clean=clean, apart=apart) is None:
        _refuse_without_git(path, mode)


def _looked(  # the same as of `opened`
    files: Files, path: str, *, own: str, mode: str, clean: Clean | None, apart: tuple[str, ...]
) -> tuple[Found, Git, dict[str, str], str] | None:
    """The user's repository, those of its settings that we follow, and where in it the workspace lies.

    None for a workspace that is to be taken as files. `BadInput` for one that no loop can stand on.
    """
    if any(path == os.path.realpath(folder) for folder in apart):
        fix = "set workspace_root to the folder of the code; a lab is no workspace"
        raise BadInput("the workspace is the data root itself", where=path, fix=fix)
    around = workspace.repository_of(path) if mode != COPY or clean is not None else None
    if around is None:
        return None
    git, settings = _theirs(files, around, path)
    if mode == COPY:  # asked to be clean, so there is something to look at first
        if clean is not None:
            ours = Git(own) if workspace.is_git_dir(own) else None
            _refuse_dirty(git, around, path, apart, _Brought(git=ours, top=path, refs=clean.brought))
        return None
    prefix = around.prefix(path)
    if not _has_commits(git, around):
        raise BadInput(
            "the workspace's repository has no commits, so there is nothing to begin from",
            where=path,
            fix="commit what should be the baseline (git add FILES; git commit), or set workspace_mode: copy",
        )
    entries = git.names("ls-tree", "-r", "-z", "HEAD", "--", prefix) if prefix else git.names("ls-tree", "-rz", "HEAD")
    if not entries and prefix:
        if mode == AUTO:  # a folder that the repository around it does not know: nobody thinks of it as its part
            return None
        raise BadInput(
            "nothing of the workspace is committed", where=path, fix="commit it, or set workspace_mode: copy"
        )
    _refuse_submodules(entries, path)
    if clean is not None:
        _refuse_dirty(git, around, path, apart, _Brought(git=git, top=around.top, refs=clean.brought))
    return around, git, settings, prefix


def uncommitted(site: Site) -> tuple[str, ...]:
    """Paths of the workspace that differ from the last commit, named from the workspace."""
    if site.is_own:
        return ()
    return _dirty(site.theirs, site.top, site.workspace, site.apart)


def make_own(files: Files, own: str, settings: Mapping[str, str], *, exclude: bytes, attributes: bytes = b"") -> None:
    """Make the lab's folder for a repository, or bring it up to date. Two processes may do it at once."""
    for name in ("objects/info", "refs/heads", "trees"):
        if not reading.is_folder(f"{own}/{name}"):
            files.folder(f"{own}/{name}")
    files.replace(f"{own}/config", _config(settings))
    files.replace(f"{own}/info/exclude", exclude)
    files.replace(f"{own}/info/attributes", attributes)
    with suppress(FileExistsError):  # the last: with it, the folder is a repository
        if not reading.is_file(f"{own}/HEAD"):
            files.create(f"{own}/HEAD", b"ref: refs/heads/none\n", durable=False)


def _config(settings: Mapping[str, str]) -> bytes:
    is_sha256 = settings.get("extensions.objectformat") == "sha256"
    lines = ["[core]", f"\trepositoryformatversion = {1 if is_sha256 else 0}", "\tbare = true"]
    for name, value in sorted(settings.items()):
        section, _, short = name.partition(".")
        if section == "core":
            escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
            lines.append(f'\t{short} = "{escaped}"')
    if is_sha256:
        lines += ["[extensions]", "\tobjectFormat = sha256"]
    return ("\n".join(lines) + "\n").encode(errors="surrogateescape")


def _theirs(files: Files, around: Found, path: str) -> tuple[Git, dict[str, str]]:
    """The user's repository, with each filter that it names taken out; and those of its settings that we follow."""
    listed = Git(around.git_dir).names("config", "--list", "-z", "--includes")
    pairs = {name: value for name, _, value in (entry.partition("\n") for entry in listed)}
    if pairs.get("core.bare") == "true" and around.git_dir == around.common:
        raise BadInput(
            "the workspace's repository is bare: it has no files to work on",
            where=path,
            fix="set workspace_root to a checkout of it: git worktree add ../checkout",
        )
    if (refs := pairs.get("extensions.refstorage", "files")) != "files":
        raise BadInput(
            f"the workspace's repository keeps its refs as {refs}, where the lab can make no worktree by hand",
            where=path,
            fix="set workspace_mode: copy",
        )
    drivers = {name.rpartition(".")[0] for name in pairs if name.startswith("filter.") and name.count(".") > 1}
    if odd := next((name for name in sorted(drivers) if "=" in name), None):
        raise BadInput(f"the repository's settings name a filter {odd!r}", where=path, fix="remove it: git config -e")
    off = [f"{name}.{part}=" for name in sorted(drivers) for part in ("clean", "smudge", "process")]
    off += [f"{name}.required=false" for name in sorted(drivers)]
    followed = {name: pairs[name] for name in (*_TAKEN_OVER, "extensions.objectformat") if name in pairs}
    return Git(around.git_dir, durable=files.durable, settings=off), followed


def _has_commits(git: Git, around: Found) -> bool:
    return git.ask("rev-parse", "--verify", "--quiet", "HEAD^{commit}", tree=around.top, codes=(0, 1, 128)).code == 0


def _refuse_submodules(entries: list[str], path: str) -> None:
    inside = [entry.partition("\t")[2] for entry in entries if entry.startswith(SUBMODULE)]
    if inside:
        raise BadInput(
            f"there are submodules in the workspace: {', '.join(map(repr, inside[:_SHOWN]))}; a commit holds none of "
            "their files, so a candidate would be measured without them",
            where=path,
            fix="set workspace_mode: copy, which takes their files in, or set workspace_root to the submodule",
        )


class _Brought(msgspec.Struct, frozen=True, kw_only=True):
    """Where it is written what the lab brought into the workspace: refs of a repository, whose paths begin at `top`."""

    git: Git | None
    top: str
    refs: tuple[str, ...]

    def less(self, dirty: Iterable[str], path: str) -> tuple[str, ...]:
        """Of paths named from the workspace, those that are not just as the lab left them."""
        names = {os.path.relpath(os.path.normpath(f"{path}/{name}"), self.top): name for name in dirty}
        ours = lying.as_brought(self.git, self.top, names, self.refs) if self.git else frozenset()
        return tuple(name for inside, name in names.items() if inside not in ours)


def _refuse_dirty(git: Git, around: Found, path: str, apart: Iterable[str], brought: _Brought) -> None:
    dirty = _dirty(git, around.top, path, apart)
    if dirty and brought.refs:  # a folder that is new may hold what the lab brought, and more
        dirty = brought.less(_dirty(git, around.top, path, apart, untracked="all"), path)
    if dirty:
        more = f" and {len(dirty) - _SHOWN} more" if len(dirty) > _SHOWN else ""
        raise BadInput(
            f"the workspace has changes that are not committed: {', '.join(map(repr, dirty[:_SHOWN]))}{more}",
            where=path,
            fix="commit or stash them, or set require_clean_workspace: false (they have no part in a candidate)",
        )


def _dirty(git: Git, top: str, path: str, apart: Iterable[str], *, untracked: str = "normal") -> tuple[str, ...]:
    words = ("status", "--porcelain", "-z", f"--untracked-files={untracked}", "--no-renames", "--ignore-submodules=all")
    names = [entry[3:] for entry in git.names(*words, "--", path, tree=top)]
    skipped = [os.path.realpath(folder) for folder in apart]
    whole = [f"{top}/{name}".rstrip("/") for name in names]
    kept = [name for name in whole if not any(name == folder or name.startswith(f"{folder}/") for folder in skipped)]
    # A data root in an untracked folder with nothing else in it is shown as that folder.
    kept = [name for name in kept if not any(folder.startswith(f"{name}/") for folder in skipped)]
    return tuple(os.path.relpath(name, path) for name in kept)


def _excluded(hidden: Iterable[bytes], path: str, apart: Iterable[str], prefix: str = "") -> bytes:
    """What is never a part of a change or of a copy: the data root, and what Python compiled."""
    lines = [*hidden, b"__pycache__/"]
    for folder in apart:
        inside = os.path.relpath(os.path.realpath(folder), path)
        if not inside.startswith(".."):
            anchored = f"/{prefix}/{inside}" if prefix else f"/{inside}"
            lines.append(os.fsencode("".join(f"\\{sign}" if sign in "*?[\\ !#" else sign for sign in anchored)))
    return b"\n".join(line.rstrip(b"\n") for line in lines) + b"\n"


def _refuse_without_git(path: str, mode: str) -> None:
    if mode not in (AUTO, COPY):
        raise BadInput(
            f"workspace_mode {mode} needs a git repository, and the workspace is in none",
            where=path,
            fix="make one there (git init; git add FILES; git commit), or set workspace_mode: copy",
        )


def _without_git(  # the same as of `opened`
    files: Files, path: str, *, own: str, mode: str, now: Callable[[], datetime], apart: tuple[str, ...]
) -> Site:
    """A repository of the lab's own, whose commits hold the workspace as it was at each opening."""
    _refuse_without_git(path, mode)
    make_own(files, own, {}, exclude=_excluded([], path, apart))
    git = Git(own, durable=files.durable)
    site = Site(
        files=files, now=now, workspace=path, top=path, prefix="", git_dir=own, common=own, own=own, mode=COPY,
        is_own=True, git=git, theirs=git, apart=apart,
    )  # fmt: skip
    snapshot.taken(site)
    return site
