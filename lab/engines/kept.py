"""What the local engine keeps of its jobs: a few small files each, made once and never changed.

| file | made by | says |
| --- | --- | --- |
| `<number>.json` | `submit` | what is to be started; locked by its minder for as long as that lives |
| `<number>.run` | its minder, or `cancel` before there is one; once | that it has begun, and in whose hands |
| `<number>.cancel` | `cancel` | that it is to end: its minder may be where no signal reaches it |
| `<number>.over` | its minder, or whoever finds that it is gone | how it ended |

None of them outlives the machine: a job of an earlier boot is over, whatever its files say. So none is synced.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from lab.core import layout
from lab.core.claim import Owner  # msgspec resolves annotations
from lab.core.errors import Corrupt
from lab.core.record import Record, encode, parse
from lab.store import reading

if TYPE_CHECKING:
    from lab.store.files import Files

ASKED, BEGUN, CANCEL, OVER = ".json", ".run", ".cancel", ".over"
_SECRET = 0o600  # the variables of a job may be its owner's alone


class Asked(Record, frozen=True, kw_only=True):
    """A job as it is to be started."""

    name: str
    number: str
    by: Owner
    argv: tuple[str, ...]
    cwd: str
    root: str
    output: str
    environ: dict[str, str]
    setup: tuple[str, ...] = ()
    limit_s: float = 0.0  # none


class Begun(Record, frozen=True, kw_only=True):
    """The one start of a job. Without a minder it was cancelled before there was one."""

    minder: Owner | None = None


class Ended(Record, frozen=True, kw_only=True):
    """How a job ended. Says all that is to be told of it: the other files need not be read any more."""

    name: str
    number: str
    how: str
    at_s: float
    code: int | None = None
    where: str = ""
    why: str = ""


K = TypeVar("K", bound=Record)


class Folder:
    """The files of all jobs."""

    def __init__(self, path: str, files: Files) -> None:
        self.path = path
        self.files = files

    def place(self, number: str, suffix: str) -> str:
        """Where a file of a job lies."""
        return f"{self.path}/{number}{suffix}"

    def has(self, number: str, suffix: str) -> bool:
        return os.path.exists(self.place(number, suffix))

    def load(self, kind: type[K], number: str, suffix: str) -> K | None:
        """A file of a job; None also for one that a power cut left empty."""
        path = self.place(number, suffix)
        data = reading.read(path)
        try:
            return None if data is None else parse(kind, data, path)
        except Corrupt:
            return None

    def make(self, record: Record, number: str, suffix: str) -> bool:
        """Be the one who makes a file; False where it was made already."""
        mode = _SECRET if suffix == ASKED else 0o644
        try:
            self.files.create(self.place(number, suffix), encode(record), durable=False, mode=mode)
        except FileExistsError:
            return False
        return True

    def mark_cancelled(self, number: str) -> None:
        with suppress(FileExistsError):
            self.files.create(self.place(number, CANCEL), b"", durable=False)

    def found(self) -> dict[str, set[str]]:
        """The suffixes of each job's files, by one listing."""
        jobs: dict[str, set[str]] = {}
        try:
            names = os.listdir(self.path)
        except FileNotFoundError:
            return jobs
        for name in names:
            number, suffix = os.path.splitext(name)
            if not name.startswith(".") and suffix in (ASKED, BEGUN, CANCEL, OVER):
                jobs.setdefault(number, set()).add(suffix)
        return jobs

    def forget(self, number: str) -> None:
        """Remove what is known of a job. What says that it is over goes last: a crash here must not raise it again."""
        for suffix in (ASKED, BEGUN, CANCEL, OVER):
            self.files.discard(self.place(number, suffix))

    def drop_drafts(self, now_s: float, keep_s: float) -> None:
        """Remove what was being written by who died in it, a while ago."""
        with suppress(OSError):
            for name in os.listdir(self.path):
                if layout.is_draft(name) and now_s - os.stat(f"{self.path}/{name}").st_mtime > keep_s:
                    self.files.discard(f"{self.path}/{name}")
