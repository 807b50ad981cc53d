"""A run's bundle, held open while it is read: what is missing, locked or not as it was sealed becomes a sentence."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Self

import msgspec

from lab.core import canonical, layout
from lab.projections import data
from lab.store import inside

if TYPE_CHECKING:
    from types import TracebackType

    from lab.core.seal import Seal, SealedFile
    from lab.scheduler.results.located import Located
    from lab.store.root import Root

MOST_BYTES = 1 << 20  # of what is read whole; the seal of a run with many files may be longer
_SEAL_BYTES = 64 << 20
_OURS = frozenset({layout.SEAL, layout.SUPERSEDED})  # written by the lab itself, and in no seal


class Bundle:
    """The files of one run. `at` is the descriptor of its folder, or -1: of an archived run, and of one that is gone.

    What could not be read is added to `problems`. `made` is its seal, unless the bundle is a link: then what lies
    there is none of ours.
    """

    def __init__(self, root: Root, found: Located, problems: list[str]) -> None:
        self.found, self.problems = found, problems
        self.made: Seal | None = found.made
        self.at = -1
        if found.kept is not None:
            return
        try:
            self.at = inside.folder(root.layout.runs(found.experiment), found.run_id)
        except OSError as error:
            problems.append(f"its bundle cannot be read: {error.strerror}")
            if os.path.islink(found.path):
                self.made = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.at >= 0:
            os.close(self.at)
            self.at = -1

    def has(self, name: str) -> bool:
        """Whether a plain file of that name is there."""
        try:
            return self.at >= 0 and inside.size_of(self.at, name) >= 0
        except OSError:
            return False

    def whole(self, name: str) -> bytes | None:
        """All of a small file; None for what is not there, too long, or not as it was sealed."""
        most = _SEAL_BYTES if name in _OURS else MOST_BYTES
        found = self._head(name, most)
        if found is None:
            return None
        written, size = found
        if size > most:
            self.problems.append(f"{name} has {size:,} bytes, and is not shown")
            return None
        return written

    def mapping(self, name: str) -> dict[str, object] | None:
        """A JSON object; None for whatever else a run may have written there."""
        written = self._kept(name) if self.found.kept is not None else self.whole(name)
        if written is None:
            return None
        try:
            found = msgspec.json.decode(written, type=dict[str, object])
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            self.problems.append(f"{name} is no JSON object")
            return None
        return {key: data.clean(value) for key, value in found.items()}  # an integer of 400 digits stays writable

    def _kept(self, name: str) -> bytes | None:
        """What of an archived run lies beside the archive."""
        written = self.found.quoted(name)
        if written is None and self.made is not None and name in self.made.files:
            self.problems.append(f"{name} is in the archive alone, and is not read")
        return written

    def text(self, name: str, most: int, *, says_cut: bool = True) -> tuple[str, bool]:
        """The beginning of a text, and whether it goes on."""
        if self.found.kept is not None:
            return (self.found.kept.result[:most].decode(errors="replace") if name == layout.RESULT else "", False)
        found = self._head(name, most)
        if found is None:
            return "", False
        written, size = found
        if size > most and says_cut:
            self.problems.append(f"{name} has {size:,} bytes, of which the first {most:,} are shown")
        return written.decode(errors="replace"), size > most

    def _head(self, name: str, most: int) -> tuple[bytes, int] | None:
        sealed = self.made.files.get(name) if self.made is not None and name not in _OURS else None
        if self.at < 0 or (self.made is not None and sealed is None and name not in _OURS):
            return None
        try:
            written, size = inside.head(self.at, name, most)
        except FileNotFoundError:
            if sealed is not None:
                self.problems.append(f"{name} was sealed, and is gone")
            return None
        except inside.NotPlain:
            self.problems.append(f"{name} is no plain file, and is not read")
            return None
        except OSError as error:
            self.problems.append(f"{name} cannot be read: {error.strerror}")
            return None
        if sealed is not None and not _is_as_sealed(written, size, sealed):
            self.problems.append(f"{name} is not what was sealed, and is not shown")
            return None
        return written, size


def _is_as_sealed(written: bytes, size: int, sealed: SealedFile) -> bool:
    """Of a file that was read to its end, for certain; of a longer one, as far as its size tells."""
    if sealed.link or size != sealed.size:
        return False
    return len(written) < size or canonical.digest(written) == sealed.sha256
