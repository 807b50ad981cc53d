"""What a process that was killed left beside a file or folder of somebody's own: the draft that it was writing.

In the lab `recover` finds drafts. Outside of it nobody looks, so whoever writes to the same place again clears it.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from lab.core import layout
from lab.store import machine

if TYPE_CHECKING:
    from collections.abc import Collection

    from lab.store.files import Files


OLD_S = 3600.0  # nobody writes at a draft for as long


def clear(files: Files, path: str) -> None:
    """Remove the drafts of this path whose maker is proven gone, and old ones. A disk that refuses it costs only that.

    Of a process from before its machine started again nothing is proven: it may be on another machine.

    It may be anybody's folder: whatever is not called exactly as a draft of ours is theirs, and stays.
    """
    folder, name = os.path.split(path)
    clear_of(files, folder, {name})


def clear_of(files: Files, folder: str, names: Collection[str]) -> None:
    """The same of many in one folder, which is listed once."""
    with suppress(OSError):
        for each in os.listdir(folder or "."):
            if not layout.is_draft(each) or each.removeprefix(".").rsplit(".", 2)[0] not in names:
                continue
            owner = layout.draft_owner(each, machine.HERE_CHARS)
            left = os.path.join(folder, each)
            if owner is None or not (machine.is_gone(*owner) or touched_ago_s(left, time.time()) > OLD_S):
                continue
            if os.path.isdir(left) and not os.path.islink(left):
                files.discard_folder(left)
            else:
                files.discard(left)


def touched_ago_s(path: str, now_s: float) -> float:
    """How long nothing of a draft was written. A folder that is being filled looks old itself: its files tell."""
    latest_s = os.lstat(path).st_mtime
    if os.path.isdir(path) and not os.path.islink(path):
        for folder, inside, names in os.walk(path):
            for name in (*inside, *names):
                with suppress(FileNotFoundError):  # published while we looked
                    latest_s = max(latest_s, os.lstat(f"{folder}/{name}").st_mtime)
    return now_s - latest_s
