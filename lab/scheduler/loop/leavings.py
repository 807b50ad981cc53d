"""What a step leaves in a tree of measurement, and the next step must not find.

A step runs the candidate's code, and what it leaves could be what the next one measures by: a compiled file that claims
to be up to date, a module that Python loads before all others, other data. None of it is in the commit that is judged.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.store.files import Files

Stamp = tuple[int, ...]
_FOLDER: Stamp = ()


def seen(place: str) -> dict[str, Stamp]:
    """Everything in a tree: of files what changes with any write, of folders that they are there.

    The time of the last change cannot be set by a program that may not set the clock.
    """
    found: dict[str, Stamp] = {}
    waiting = [place]
    while waiting:
        folder = waiting.pop()
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    found[entry.path] = _FOLDER
                    waiting.append(entry.path)
                else:
                    stat = entry.stat(follow_symlinks=False)
                    found[entry.path] = (stat.st_ino, stat.st_mode, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
    return found


def swept(files: Files, place: str, before: Mapping[str, Stamp]) -> bool:
    """Remove what came since. False when what was there is not as it was: then the tree is to be made again."""
    try:
        now = seen(place)
    except OSError:  # a folder that was locked, or that is gone
        return False
    if any(now.get(path) != stamp for path, stamp in before.items()):
        return False
    for path in sorted(now.keys() - before.keys()):
        if os.path.dirname(path) in before or os.path.dirname(path) == place:
            files.discard_folder(path)
    return True
