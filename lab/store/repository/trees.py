"""Trees of a commit: one to work in, and others that are exactly that commit. Made, removed, and swept up after.

A linked worktree is made by hand: its record is four small files, `git worktree add` would run with the user's
settings, and it takes the record's name from the folder, so that nobody could tell ours from theirs.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from lab.core.errors import BadInput
from lab.store import reading
from lab.store.repository.site import RECORD, key

if TYPE_CHECKING:
    from lab.store.repository.site import Site

WORKTREE, CLONE, COPY = "git-worktree", "git-clone", "copy"
REASON = "labctl works in it; it is removed when its run has ended"
_SEEN_BYTES = 4_096


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """A tree as it was when it was made: each file's inode, mode, size and times, in nanoseconds.

    Git compares whole seconds and reads every file again that was written in the same one, which is all of them.
    """

    place: str
    commit: str
    files: dict[str, tuple[int, int, int, int, int]] = {}  # by name, as bytes in latin-1: JSON holds only text


def mutation(site: Site, commit: str, place: str, mode: str) -> None:
    """A tree to work in. `BadInput` when there is something at the place already."""
    place = _made(site, place)
    note(site, place, commit)
    if mode == WORKTREE and not site.is_own:
        index = _linked(site, commit, place)
    elif mode in (WORKTREE, CLONE):
        index = _cloned(site, commit, place)
    elif mode == COPY:
        index = _scratch_index(site, place)
    else:
        raise BadInput(f"there is no workspace_mode {mode}", fix="choose auto, git-worktree, git-clone or copy")
    _fill(site, commit, place, index)
    if mode == COPY:
        site.files.discard(index)
    names = site.git.names("ls-tree", "-r", "-z", "--name-only", commit)
    look = {_text(name): stamp for name in names if (stamp := stamp_of(f"{place}/{name}")) is not None}
    _write(site, Seen(place=place, commit=commit, files=look))


def plain(site: Site, commit: str, place: str) -> None:
    """Exactly the files of a commit. `BadInput` when there is something at the place already."""
    place = _made(site, place)
    note(site, place, commit)
    index = _scratch_index(site, place)
    _fill(site, commit, place, index)
    site.files.discard(index)


def note(site: Site, place: str, commit: str) -> None:
    """Write down that a tree is ours, before there is anything of it: what is not noted is never removed."""
    _write(site, Seen(place=place, commit=commit))


def remove(site: Site, place: str) -> None:
    """Remove a tree, then the record of it. A link in its place is removed, and not what it leads to."""
    place = os.path.abspath(place)
    if not reading.is_file(site.beside(place, "seen")):
        if not os.path.lexists(place):
            return
        raise BadInput(
            "this folder is no tree of the lab's, so it is not removed", where=place, fix="remove it by hand"
        )
    if reading.is_folder(place):
        site.files.discard_folder(place)
    else:
        site.files.discard(place)
    _forget(site, place)


def move(site: Site, place: str, to: str, commit: str) -> None:
    """Let a plain tree lie elsewhere: both places are ours until it is there."""
    place, to = os.path.abspath(place), os.path.abspath(to)
    note(site, to, commit)
    site.files.move(place, to)
    _forget(site, place)


def sweep(site: Site) -> list[str]:
    """Forget what is known of trees that are gone, whoever removed them."""
    swept = []
    for name in _listed(f"{site.own}/trees"):
        if name.endswith(".seen") and name[:1] != ".":
            seen = _read(f"{site.own}/trees/{name}")
            if seen is not None and not os.path.lexists(seen.place):
                _forget(site, seen.place)
                swept.append(seen.place)
    for name in _listed(f"{site.common}/worktrees") if not site.is_own else []:
        if not name.startswith((RECORD, f".{RECORD}")):
            continue
        record = f"{site.common}/worktrees/{name}"
        told = os.fsdecode(reading.read_head(f"{record}/gitdir", _SEEN_BYTES) or b"").strip("\n")
        if told and not os.path.lexists(os.path.dirname(told)):
            site.files.discard_folder(record)
            swept.append(os.path.dirname(told))
    return sorted(set(swept))


def seen_in(site: Site, place: str) -> Seen:
    """A mutation tree as it was when it was made."""
    seen = _read(site.beside(os.path.abspath(place), "seen"))
    if seen is None:
        raise BadInput("this folder is no tree of the lab's", where=place, fix="begin again: labctl try --begin")
    return seen


def stamp_of(path: str) -> tuple[int, int, int, int, int] | None:
    """What changes when a file does; None for what is not there."""
    try:
        seen = os.lstat(path)
    except OSError:
        return None
    return seen.st_ino, seen.st_mode, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns


def _made(site: Site, place: str) -> str:
    place = os.path.abspath(place)
    if os.path.lexists(place):
        fix = "a tree is made at a new place; remove this one first, if it is an old one of the lab's"
        raise BadInput("there is something at the place of a new tree already", where=place, fix=fix)
    site.files.folder(place)
    return place


def _scratch_index(site: Site, place: str) -> str:
    index = site.beside(place, "index")
    site.files.discard(index)
    site.files.discard(f"{index}.lock")  # of a git that was killed here: no two processes make the same tree
    return index


def _fill(site: Site, commit: str, place: str, index: str) -> None:
    """The files, in one process. Sparse settings are the user's, and not read; the times are those of now."""
    site.git.ask("read-tree", "-m", "-u", "--no-sparse-checkout", commit, tree=place, index=index)


def _linked(site: Site, commit: str, place: str) -> str:
    record = site.record(place)
    if reading.is_folder(record):
        site.files.discard_folder(record)  # of a tree at this place that is gone
    texts = {
        "locked": f"{REASON}\n",  # the first: `git worktree prune` must not take what is only half there
        "gitdir": f"{place}/.git\n",
        "commondir": "../..\n",
        "HEAD": f"{commit}\n",
    }
    site.files.create_folder(record, {name: os.fsencode(text) for name, text in texts.items()})
    site.files.create(f"{place}/.git", os.fsencode(f"gitdir: {record}\n"), durable=False)
    return f"{record}/index"


def _cloned(site: Site, commit: str, place: str) -> str:
    """A repository that reads the user's objects and writes none of them."""
    git_dir = f"{place}/.git"
    for name in ("objects/info", "refs/heads", "info"):
        site.files.folder(f"{git_dir}/{name}")
    config = (reading.read(f"{site.own}/config") or b"").replace(b"\tbare = true\n", b"\tbare = false\n")
    site.files.create(f"{git_dir}/config", config, durable=False)
    site.files.create(f"{git_dir}/objects/info/alternates", os.fsencode(f"{site.common}/objects\n"), durable=False)
    shallow = reading.read(f"{site.own}/shallow")
    if shallow is not None:
        site.files.create(f"{git_dir}/shallow", shallow, durable=False)
    site.files.create(f"{git_dir}/HEAD", f"{commit}\n".encode(), durable=False)
    return f"{git_dir}/index"


def _forget(site: Site, place: str) -> None:
    record = site.record(place)
    if not site.is_own and reading.is_folder(record):
        site.files.discard_folder(record)
    for name in _listed(f"{site.own}/trees"):
        if name.startswith(f"{key(place)}.") and not name.endswith(".seen"):
            site.files.discard(f"{site.own}/trees/{name}")
    site.files.discard(site.beside(place, "seen"))  # the last: until it is gone, this can be done again


def _write(site: Site, seen: Seen) -> None:
    site.files.replace(site.beside(seen.place, "seen"), msgspec.json.encode(_plain(seen)))


def _read(path: str) -> Seen | None:
    data = reading.read(path)
    if data is None:
        return None
    with suppress(msgspec.MsgspecError, UnicodeDecodeError):
        seen = msgspec.json.decode(data, type=Seen)
        return Seen(place=name_of(seen.place), commit=seen.commit, files=seen.files)
    return None


def _plain(seen: Seen) -> Seen:
    return Seen(place=_text(seen.place), commit=seen.commit, files=seen.files)


def _text(name: str) -> str:
    return os.fsencode(name).decode("latin-1")


def name_of(text: str) -> str:
    """A file's name again."""
    return os.fsdecode(text.encode("latin-1"))


def _listed(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []
