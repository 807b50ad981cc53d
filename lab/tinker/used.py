"""What a chunk was trained with: the recipe, its own modules, and the files that it asked for, by their digests.

To change them between two chunks is allowed, and makes the training another one than the same in one go; so it is told.
A chunk that was killed leaves none, and is passed over.
"""

from __future__ import annotations

import hashlib
import os
import sys
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

FILE = "files.json"  # beside chunk.json
MOST_BYTES = 1 << 20
_decoder = msgspec.json.Decoder(dict[str, str])


def digest(path: str) -> str:
    """Of a file as it is now; empty for what is none."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def program(path: str) -> dict[str, str]:
    """The recipe at a path, and the modules of this process that lie beside it."""
    recipe = os.path.abspath(path)
    folder = os.path.dirname(recipe)
    modules = [getattr(each, "__file__", None) for each in [*sys.modules.values()]]
    beside = [each for each in modules if each and os.path.dirname(os.path.abspath(each)) == folder]
    return {os.path.basename(each): digest(each) for each in (recipe, *beside) if digest(each)}


def page(files: Mapping[str, str]) -> bytes:
    """The record of them."""
    return msgspec.json.format(msgspec.json.encode(dict(sorted(files.items())))) + b"\n"


def changed(before: bytes, after: bytes) -> tuple[str, ...]:
    """The names in two records that were used both times and are not the same; what is no record tells of none."""
    try:
        one, other = _decoder.decode(before), _decoder.decode(after)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return ()
    return tuple(name for name in one if name in other and one[name] != other[name])
