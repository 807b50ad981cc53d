"""The bytes of a file of a release, read once: whoever looks at them, digests them and sends them has the same ones.

A path is walked folder by folder and no link is followed anywhere, so that nothing can be put in the place of a part
of it. What has a second name (a hard link) is refused: somebody else may be writing to it.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from lab.core import canonical
from lab.core.errors import BadInput, Corrupt, NotFound
from lab.research.paper.evidence import InLab
from lab.research.release.manifest import MADE, MOST_BYTES

if TYPE_CHECKING:
    from lab.research.release.manifest import Item, Release
    from lab.store.root import Root

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_PIECE = 1 << 20


def plain(folder: str, name: str, most: int = MOST_BYTES, *, is_sealed: bool = False) -> bytes:
    """A plain file below a folder. `folder` itself is trusted, and what is below it is not.

    A sealed file may have a second name, as some backups make them: its digest says what it is.
    """
    where = f"{folder}/{name}"
    try:
        there = os.open(folder, _FOLDER & ~os.O_NOFOLLOW)
    except OSError as error:
        raise NotFound(f"this folder cannot be read: {error.strerror}", where=folder) from error
    try:
        *above, last = name.split("/")
        for part in above:
            below = _opened(part, there, _FOLDER, where)
            os.close(there)
            there = below
        file = _opened(last, there, _FILE, where)
    finally:
        os.close(there)
    try:
        return _read(file, where, most, is_sealed=is_sealed)
    finally:
        os.close(file)


def _opened(part: str, above: int, how: int, where: str) -> int:
    if part in ("", ".", ".."):
        raise BadInput("this is no name of a file below a folder", where=where, fix="name it relative, without ..")
    try:
        return os.open(part, how, dir_fd=above)
    except FileNotFoundError:
        raise NotFound("this file is not there", where=where, fix="put it back, or take it out of the list") from None
    except OSError as error:  # a link says ELOOP or ENOTDIR
        what = f"this is no plain file of its folder: {error.strerror} at {part!r}"
        raise BadInput(what, where=where, fix="put the file itself there, not a link to it") from error


def _read(file: int, where: str, most: int, *, is_sealed: bool) -> bytes:
    seen = os.fstat(file)
    if not stat.S_ISREG(seen.st_mode):
        raise BadInput("this is no plain file", where=where, fix="list files, one by one")
    if seen.st_nlink > 1 and not is_sealed:
        raise BadInput("this file has a second name elsewhere", where=where, fix="copy it, and list the copy")
    if seen.st_size > most:
        raise BadInput(
            f"this file is larger than {most >> 20} MiB", where=where, fix="publish.most_mb, or leave it out"
        )
    pieces, size = [], 0
    while piece := os.read(file, _PIECE):
        size += len(piece)
        if size > most:
            raise BadInput("this file grows while it is read", where=where, fix="wait until nobody writes to it")
        pieces.append(piece)
    return b"".join(pieces)


def item(root: Root, each: Item, folder: str, made: str) -> bytes:
    """A file as the manifest says where it is. `folder` is the project's, `made` the artifacts/ of the dry run."""
    if each.origin == "run":
        return InLab(root).read(each.run_id, each.name)
    if each.origin == "made":
        return plain(f"{made}/{MADE}".rstrip("/"), each.name, is_sealed=True)
    return plain(folder, each.name)


def every(root: Root, release: Release, folder: str, made: str) -> dict[str, bytes]:
    """All of them, each with the digest and the size that the manifest says; else in words which is another now."""
    found: dict[str, bytes] = {}
    for each in release.files:
        data = item(root, each, folder, made)
        if (len(data), canonical.digest(data)) != (each.size, each.sha256):
            what = f"{each.path} is not the file that was listed"
            fix = f"labctl research status {release.project} says how it is listed anew; then approve that"
            raise Corrupt(what, where=each.name, fix=fix)
        found[each.path] = data
    return found
