"""What the lab wrote down of each of its trees: that it is ours, and how its files looked when it was made."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from lab.core.errors import BadInput
from lab.store import reading
from lab.store.repository.site import key

if TYPE_CHECKING:
    from lab.store.repository.site import Site

Stamp = tuple[int, int, int, int, int]
_TICK_NS = 10_000_000  # a kernel's clock may stand still for as long as this


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """A tree as it was when it was made: each file's inode, mode, size and times, in nanoseconds.

    Git compares whole seconds and reads every file again that was written in the same one, which is all of them.
    """

    place: str
    commit: str
    files: dict[str, Stamp] = {}  # by name, as bytes in latin-1: JSON holds only text
    folder: int = 0  # the mode of a folder that was made then
    rules: str = ""  # digest of what decides the bytes of a file that is checked out

    @property
    def doubtful_ns(self) -> int:
        """Changed in the same tick of the clock as the tree was made, a file may look as it did: from this time on."""
        return max((stamp[4] for stamp in self.files.values()), default=0) - _TICK_NS


def stamp_of(path: str) -> Stamp | None:
    """What changes when a file does, and cannot be set back; None for what is not there."""
    try:
        seen = os.lstat(path)
    except OSError:
        return None
    return seen.st_ino, seen.st_mode, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns


def note(site: Site, place: str, commit: str) -> None:
    """Write down that a tree is ours, before there is anything of it: what is not noted is never removed."""
    write(site, Seen(place=place, commit=commit))


def write(site: Site, seen: Seen) -> None:
    """Write down how a tree looks."""
    told = msgspec.structs.replace(seen, place=text_of(seen.place))
    site.files.replace(site.beside(seen.place, "seen"), msgspec.json.encode(told))


def is_ours(site: Site, place: str) -> bool:
    """Whether there is, or was to be, a tree of ours."""
    return reading.is_file(site.beside(place, "seen"))


def seen_in(site: Site, place: str) -> Seen:
    """A tree as it was when it was made."""
    seen = read(site.beside(place, "seen"))
    if seen is None:
        raise BadInput("this folder is no tree of the lab's", where=place, fix="begin again: labctl try ID --begin")
    return seen


def read(path: str) -> Seen | None:
    """What one of these files says; None for what is none."""
    data = reading.read(path)
    if data is None:
        return None
    with suppress(msgspec.MsgspecError, UnicodeError, RecursionError):
        seen = msgspec.json.decode(data, type=Seen)
        return msgspec.structs.replace(seen, place=name_of(seen.place))
    return None


def every(site: Site) -> list[Seen]:
    """Every tree that was written down."""
    paths = [f"{site.own}/trees/{name}" for name in listed(f"{site.own}/trees") if name.endswith(".seen")]
    return [seen for path in paths if not os.path.basename(path).startswith(".") and (seen := read(path)) is not None]


def forget(site: Site, place: str) -> None:
    """Remove what is known of a tree that is gone, also from the user's repository."""
    record = site.record(place)
    if not site.is_own and reading.is_folder(record):
        site.files.discard_folder(record)
    for name in listed(f"{site.own}/trees"):
        if name.startswith(f"{key(place)}.") and not name.endswith(".seen"):
            site.files.discard(f"{site.own}/trees/{name}")
    site.files.discard(site.beside(place, "seen"))  # the last: until it is gone, this can be done again


def text_of(name: str) -> str:
    """A file's name as JSON can hold it."""
    return os.fsencode(name).decode("latin-1")


def name_of(text: str) -> str:
    """A file's name again."""
    return os.fsdecode(text.encode("latin-1"))


def listed(folder: str) -> list[str]:
    """The names in a folder that may not be there."""
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []
