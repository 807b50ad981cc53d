"""Trees that are done with, and become the next ones: to make 2,000 files anew costs more than all the rest.

Some file systems (ext4) take seconds to make files where others were just removed. A file that is as it was made (its
inode, mode, size, and the times that nobody can set back) holds what git wrote there. All else is removed, and written
anew: nothing that ran in a tree leaves anything in the next one.
"""

from __future__ import annotations

import hashlib
import os
import stat
from typing import TYPE_CHECKING

import msgspec

from lab.core.errors import Unavailable
from lab.store import reading
from lab.store.repository import noted
from lab.store.sections import hold

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from lab.store.repository.noted import Seen
    from lab.store.repository.site import Site

NAME = ".spare-"
KEPT = 2  # one to work in, one to measure
LEAST_FILES, MOST_BYTES = 50, 256 << 20


def rules(site: Site) -> str:
    """A digest of the settings by which a file is checked out."""
    parts = [reading.read(f"{site.own}/{name}") or b"" for name in ("config", "info/attributes")]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def put_aside(site: Site, place: str) -> bool:
    """Keep a tree for later, less what does not belong to it. False when it is not worth it: it is to be removed."""
    seen = noted.read(site.beside(place, "seen"))
    if seen is None:  # a power cut emptied it
        return False
    size = sum(stamp[2] for stamp in seen.files.values())
    if len(seen.files) < LEAST_FILES or size > MOST_BYTES or not reading.is_folder(place):
        return False
    if stat.S_IMODE(os.lstat(place).st_mode) != seen.folder:
        return False
    known = {noted.name_of(text) for text in seen.files}
    try:
        _cleared(site, place, seen.folder, known, lambda name, _: name in known)
    except OSError:  # what cannot be cleared away now may not become a part of the next tree
        return False
    with hold(f"{site.own}/spare.lock"):
        slot = next((slot for slot in _slots(place) if not os.path.lexists(slot)), "")
        if slot:
            noted.write(site, msgspec.structs.replace(seen, place=slot))
            site.files.move(place, slot)
    return bool(slot)


def dropped(site: Site, folder: str) -> None:
    """Remove the spare trees of a folder. Of a lab that was copied, those of the first one are noted here too."""
    with hold(f"{site.own}/spare.lock"):
        for slot in _slots(f"{folder}/any"):
            if os.path.lexists(slot):
                remove(site, slot)
                noted.forget(site, slot)


def unknown_dropped(site: Site, folder: str) -> None:
    """Remove the spare trees of a folder that nothing is known of: they would stand where others could."""
    if not any(os.path.lexists(slot) and not noted.is_ours(site, slot) for slot in _slots(f"{folder}/any")):
        return
    with hold(f"{site.own}/spare.lock"):
        for slot in _slots(f"{folder}/any"):
            if os.path.lexists(slot) and not noted.is_ours(site, slot):
                remove(site, slot)


def taken(site: Site, commit: str, place: str) -> Seen | None:
    """Make a spare tree the tree of a commit. None when there is none, and then there is nothing at the place."""
    with hold(f"{site.own}/spare.lock"):
        found = ((slot, noted.read(site.beside(slot, "seen"))) for slot in _slots(place) if os.path.lexists(slot))
        slot, seen = next(((slot, seen) for slot, seen in found if seen is not None), ("", None))
        if seen is None:
            return None
        noted.note(site, place, commit)
        site.files.move(slot, place)
        noted.forget(site, slot)
    made = _renewed(site, seen, commit, place) if reading.is_folder(place) else None
    if made is None:
        remove(site, place)
    return made


def remove(site: Site, place: str) -> None:
    """Remove a folder; a link in its place is removed, and not what it leads to."""
    if reading.is_folder(place):
        site.files.discard_folder(place)
    else:
        site.files.discard(place)


def _slots(place: str) -> list[str]:
    """Where spare trees lie: beside the others, for a rename reaches no other disk."""
    return [f"{os.path.dirname(place)}/{NAME}{number}" for number in range(KEPT)]


def _renewed(site: Site, seen: Seen, commit: str, place: str) -> Seen | None:
    """The tree as the commit has it; None when that is not certain."""
    if (
        seen.rules != rules(site)
        or not reading.is_folder(place)
        or stat.S_IMODE(os.lstat(place).st_mode) != seen.folder
    ):
        return None
    try:
        words = ("diff-tree", "-r", "-z", "--name-only", "--no-renames", "--no-ext-diff")
        different = set(site.git.names(*words, seen.commit, commit))
    except Unavailable:  # the commit that it was made from is gone
        return None
    if any(os.path.basename(name) == ".gitattributes" for name in different):
        return None  # files that are the same in both may have other bytes
    wanted = site.git.names("ls-tree", "-r", "-z", "--name-only", commit)
    doubtful, allowed = seen.doubtful_ns, set(wanted) - different

    def stays(name: str, stamp: noted.Stamp) -> bool:
        return name in allowed and seen.files.get(noted.text_of(name)) == stamp and stamp[4] < doubtful

    kept = _cleared(site, place, seen.folder, allowed, stays)
    missing = [name for name in wanted if name not in kept]
    index = site.beside(place, "index")
    site.files.discard(index)
    site.files.discard(f"{index}.lock")
    site.git.ask("read-tree", commit, index=index)
    given = os.fsencode("".join(f"{name}\0" for name in missing))
    site.git.ask("checkout-index", "-z", "--stdin", "-q", given=given, tree=place, index=index)
    site.files.discard(index)
    files = {noted.text_of(name): stamp for name, stamp in kept.items()}
    for name in missing:
        stamp = noted.stamp_of(f"{place}/{name}")
        if stamp is None:
            return None
        files[noted.text_of(name)] = stamp
    return msgspec.structs.replace(seen, place=place, commit=commit, files=files)


def _cleared(
    site: Site, place: str, mode: int, allowed: Collection[str], stays: Callable[[str, noted.Stamp], bool]
) -> dict[str, noted.Stamp]:
    """Remove all that does not stay. A folder stays where something may stay in it, and its mode is as it was."""
    folders = {""}
    for name in allowed:
        above = os.path.dirname(name)
        while above not in folders:
            folders.add(above)
            above = os.path.dirname(above)
    kept: dict[str, noted.Stamp] = {}
    waiting = [""]
    while waiting:
        inside = waiting.pop()
        with os.scandir(f"{place}/{inside}") as entries:
            found = [(f"{inside}/{entry.name}".lstrip("/"), entry.is_dir(follow_symlinks=False)) for entry in entries]
        for name, is_folder in found:
            whole = f"{place}/{name}"
            if is_folder:
                if name in folders and stat.S_IMODE(os.lstat(whole).st_mode) == mode:
                    waiting.append(name)
                else:
                    site.files.discard_folder(whole)
                continue
            stamp = noted.stamp_of(whole)
            if stamp is not None and stays(name, stamp):
                kept[name] = stamp
            else:
                site.files.discard(whole)
    return kept
