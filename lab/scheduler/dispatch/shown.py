"""The texts that an agent is shown, as far as they fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

FILE_BYTES, ALL_BYTES, MOST_FILES = 64 << 10, 512 << 10, 50


def fitted(paths: Iterable[str], read: Callable[[str], bytes]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Texts by path, and the names of those that are too large, no text, or too many. `read` may stop early."""
    files: dict[str, str] = {}
    left_out: list[str] = []
    room = ALL_BYTES
    for path in paths:
        data = read(path) if len(files) < MOST_FILES else b""
        try:
            text = data.decode()
        except UnicodeDecodeError:
            text = ""
        if len(data) > min(FILE_BYTES, room) or len(files) >= MOST_FILES or (data and not text):
            left_out.append(path)
            if len(left_out) >= MOST_FILES:
                break
            continue
        files[path] = text
        room -= len(data)
    return files, tuple(left_out)
