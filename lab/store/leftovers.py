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
    from lab.store.files import Files


OLD_S = 3600.0  # nobody writes at a draft for as long


def clear(files: Files, path: str) -> None:
    """Remove the drafts of this path whose maker is proven gone, and old ones. A disk that refuses it costs only that.

    Of a process from before its machine started again nothing is proven: it may be on another machine.

    It may be anybody's folder: whatever is not called exactly as a draft of ours is theirs, and stays.
    """
    folder, name = os.path.split(path)
    with suppress(OSError):
        for each in os.listdir(folder or "."):
            if not (each.startswith(f".{name}.") and layout.is_draft(each)):
                continue
            owner = layout.draft_owner(each, machine.HERE_CHARS)
            is_ours = owner is not None and each.removeprefix(f".{name}.").count(".") == 1
            left = os.path.join(folder, each)
            if owner is None or not is_ours or not (machine.is_gone(*owner) or _is_old(left)):
                continue
            if os.path.isdir(left) and not os.path.islink(left):
                files.discard_folder(left)
            else:
                files.discard(left)


def _is_old(path: str) -> bool:
    return time.time() - os.lstat(path).st_mtime > OLD_S
