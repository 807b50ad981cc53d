"""The files that measure: which they are, and that they are still what they were.

By their bytes, before and after each step, whatever the kernel promises. Of a file whose stamp is as it was, the bytes
are believed: no write leaves inode, times and all as they were.
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

from lab.executors import sandbox
from lab.scheduler import change

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.core.spec import Spec
    from lab.scheduler.change import Seen


class Evaluator:
    """The frozen files of one tree, as they were when it was made."""

    def __init__(self, tree: str, spec: Spec) -> None:
        """`tree` is where the workspace lies in it."""
        self._tree = tree
        self._is_frozen = sandbox.matcher(tree, spec.read_only_paths)
        self._seen = self._look()

    @property
    def digest(self) -> str:
        """Of all of them together; empty when nothing measures but a command."""
        if not self._seen:
            return ""
        said = "".join(f"{path}\0{each.kind}\0{each.digest}\n" for path, each in sorted(self._seen.items()))
        return hashlib.sha256(said.encode(errors="surrogateescape")).hexdigest()

    def changed(self) -> tuple[str, ...]:
        """Which of them are not what they were, those that came besides included."""
        now = self._look(self._seen)
        differ = {path for path in {*now, *self._seen} if _bytes(now.get(path)) != _bytes(self._seen.get(path))}
        return tuple(sorted(differ))

    def paths(self) -> tuple[str, ...]:
        """Their places, absolute."""
        return tuple(f"{self._tree}/{path}" for path in self._seen)

    def _look(self, known: Mapping[str, Seen] | None = None) -> dict[str, Seen]:
        found: dict[str, Seen] = {}
        waiting = [""]
        while waiting:
            inside = waiting.pop()
            try:
                entries = list(os.scandir(f"{self._tree}/{inside}"))
            except OSError:
                continue
            for entry in entries:
                path = f"{inside}/{entry.name}" if inside else entry.name
                if entry.is_dir(follow_symlinks=False):
                    if entry.name not in sandbox.LEFT_OUT:
                        waiting.append(path)
                elif self._is_frozen(path):
                    old = known.get(path) if known else None
                    is_still = old is not None and change.is_still(entry.path, old)
                    found[path] = old if old is not None and is_still else change.look_at(entry.path)
        return found


def _bytes(seen: Seen | None) -> tuple[str, str] | None:
    return None if seen is None else (seen.kind, seen.digest)
