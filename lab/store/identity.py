"""Which lab this is, for engines that have jobs of many: a word that was drawn once, and the file that keeps it.

A copy has the word in another file, and so is another lab; one that is reached by another path, or was moved within its
file system, is the same. Not told apart are copies that keep the numbers of files: snapshots, images of a whole disk,
and trees of hard links.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lab.store.root import Root

_WORD_BYTES = 16
_MOST_BYTES = 256


def of(root: Root) -> str:
    """Who it is. The first who asks draws the word; a lab that nothing can be written in is told with an OSError."""
    known = found(root)
    if not known:
        with suppress(FileExistsError):
            root.files.create(root.layout.identity, f"{os.urandom(_WORD_BYTES).hex()}\n".encode())
        known = found(root)
    return known


def found(root: Root) -> str:
    """Who it is; nothing for a lab of which no engine was ever asked anything."""
    try:
        with open(root.layout.identity, "rb") as file:
            word = file.read(_MOST_BYTES).decode(errors="surrogateescape").strip()
            return f"{word}:{os.fstat(file.fileno()).st_ino}"
    except FileNotFoundError:
        return ""
