"""What a phase writes: files below the artifacts/ of its run, by the names that its declaration asks for."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from lab.core.errors import BadInput
from lab.store import reading

if TYPE_CHECKING:
    from lab.store.files import Files

MOST_FILES = 20_000
MOST_BYTES = 64 << 20


class Out:
    """`files` may be None where it is only looked at."""

    def __init__(self, path: str, files: Files | None = None) -> None:
        self.path = path
        self._files = files

    def write(self, name: str, data: bytes) -> None:
        """Put a file there, in the place of one that an earlier attempt left."""
        place = f"{self.path}/{safe(name)}"
        if self._files is None:
            raise BadInput("these outputs are only looked at", where=place)
        self._files.folder(os.path.dirname(place))
        self._files.replace(place, data)

    def read(self, name: str) -> bytes | None:
        """A plain file of at most 64 MiB; None where there is none. Never what a link leads to."""
        place = f"{self.path}/{safe(name)}"
        return reading.read_head(place, MOST_BYTES) if reading.is_file(place) and self._is_inside(place) else None

    def names(self, below: str = "") -> tuple[str, ...]:
        """The plain files below a folder, sorted, as `read` takes them. Links are not followed."""
        found: list[str] = []
        for parent, folders, files in os.walk(f"{self.path}/{below}".rstrip("/")):
            folders.sort()
            inside = os.path.relpath(parent, self.path)
            found += [os.path.normpath(f"{inside}/{name}") for name in files if reading.is_file(f"{parent}/{name}")]
            if len(found) > MOST_FILES:
                raise BadInput(f"more than {MOST_FILES:,} files are in the outputs of a phase", where=self.path)
        return tuple(sorted(found))

    def _is_inside(self, place: str) -> bool:
        return os.path.realpath(place).startswith(os.path.realpath(self.path) + "/")


def safe(name: str) -> str:
    """A name that stays below its folder, or `BadInput`."""
    parts = name.split("/")
    if (
        not name
        or name.startswith("/")
        or "\\" in name
        or "\0" in name
        or any(each in ("", ".", "..") for each in parts)
    ):
        raise BadInput(f"{name[:80]!r} is no name of a file below a folder", fix="name it relative, without ..")
    return name
