"""Trees of a commit: one to work in, and others that are exactly that commit. Made, removed, and swept up after.

A linked worktree is made by hand: its record is four small files, `git worktree add` would run with the user's
settings, and it takes the record's name from the folder, so that nobody could tell ours from theirs.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import msgspec

from lab.core.errors import BadInput
from lab.store import reading
from lab.store.repository import noted, spare
from lab.store.repository.noted import Seen
from lab.store.repository.site import RECORD

if TYPE_CHECKING:
    from lab.store.repository.site import Site

WORKTREE, CLONE, COPY = "git-worktree", "git-clone", "copy"
REASON = "labctl works in it; it is removed when its run has ended"
_SEEN_BYTES = 4_096


def mutation(site: Site, commit: str, place: str, mode: str) -> None:
    """A tree to work in. `BadInput` when there is something at the place already."""
    if mode not in (WORKTREE, CLONE, COPY):
        raise BadInput(f"there is no workspace_mode {mode}", fix="choose auto, git-worktree, git-clone or copy")
    place, seen = _begun(site, commit, place)
    if mode == COPY:
        index = _scratch_index(site, place)
    else:
        index = _linked(site, commit, place) if mode == WORKTREE and not site.is_own else _cloned(site, commit, place)
        if seen is not None:  # the files are there; git looks at them when it is first asked
            site.git.ask("read-tree", commit, index=index)
    noted.write(site, seen or _filled(site, commit, place, index))
    if mode == COPY:
        site.files.discard(index)


def plain(site: Site, commit: str, place: str) -> None:
    """Exactly the files of a commit. `BadInput` when there is something at the place already."""
    place, seen = _begun(site, commit, place)
    index = _scratch_index(site, place)
    noted.write(site, seen or _filled(site, commit, place, index))
    site.files.discard(index)


def remove(site: Site, place: str, *, is_spare: bool) -> None:
    """Remove a tree, then the record of it. One that can become the next one is only moved out of the way."""
    place = os.path.abspath(place)
    if not noted.is_ours(site, place):
        if not os.path.lexists(place):
            return
        fix = "remove it by hand"
        raise BadInput("this folder is no tree of the lab's, so it is not removed", where=place, fix=fix)
    if not (is_spare and spare.put_aside(site, place)):
        spare.remove(site, place)
    noted.forget(site, place)


def move(site: Site, place: str, to: str, commit: str) -> None:
    """Let a plain tree lie elsewhere: both places are ours until it is there."""
    place, to = os.path.abspath(place), os.path.abspath(to)
    seen = noted.seen_in(site, place)
    same = seen.files if seen.commit == commit else {}
    noted.write(site, msgspec.structs.replace(seen, place=to, commit=commit, files=same))
    site.files.move(place, to)
    noted.forget(site, place)


def sweep(site: Site) -> list[str]:
    """Forget what is known of trees that are gone, whoever removed them."""
    swept = [seen.place for seen in noted.every(site) if not os.path.lexists(seen.place)]
    for place in swept:
        noted.forget(site, place)
    for name in noted.listed(f"{site.common}/worktrees") if not site.is_own else []:
        if not name.startswith((RECORD, f".{RECORD}")):
            continue
        record = f"{site.common}/worktrees/{name}"
        told = os.fsdecode(reading.read_head(f"{record}/gitdir", _SEEN_BYTES) or b"").strip("\n")
        if told and not os.path.lexists(os.path.dirname(told)):
            site.files.discard_folder(record)
            swept.append(os.path.dirname(told))
    return sorted(set(swept))


def _begun(site: Site, commit: str, place: str) -> tuple[str, Seen | None]:
    """The folder of a tree, and how a spare one looks that was made into it."""
    place = os.path.abspath(place)
    if os.path.lexists(place):
        fix = "a tree is made at a new place; remove this one first, if it is an old one of the lab's"
        raise BadInput("there is something at the place of a new tree already", where=place, fix=fix)
    seen = spare.taken(site, commit, place)
    if seen is None:
        noted.note(site, place, commit)
        site.files.folder(place)
    return place, seen


def _scratch_index(site: Site, place: str) -> str:
    index = site.beside(place, "index")
    site.files.discard(index)
    site.files.discard(f"{index}.lock")  # of a git that was killed here: no two processes make the same tree
    return index


def _filled(site: Site, commit: str, place: str, index: str) -> Seen:
    """The files, in one process. Sparse settings are the user's, and not read; the times are those of now."""
    site.git.ask("read-tree", "-m", "-u", "--no-sparse-checkout", commit, tree=place, index=index)
    names = site.git.names("ls-tree", "-r", "-z", "--name-only", commit)
    stamps = {noted.text_of(name): stamp for name in names if (stamp := noted.stamp_of(f"{place}/{name}")) is not None}
    mode = stat.S_IMODE(os.lstat(place).st_mode)
    return Seen(place=place, commit=commit, files=stamps, folder=mode, rules=spare.rules(site))


def _linked(site: Site, commit: str, place: str) -> str:
    record = site.record(place)
    if reading.is_folder(record):
        site.files.discard_folder(record)  # of a tree at this place that is gone
    texts = {
        "gitdir": f"{place}/.git\n",  # the first: with it alone, `sweep` knows whether it is spent
        "locked": f"{REASON}\n",
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
