"""The log of a run while it is written: a page of it, and what came since. Writes nothing, and asks no engine.

An offset is in bytes. A line is whole before it is told as one; the line at the end that is not finished, as that of a
progress bar, is told beside them as it is now, and again. One that is longer than a message is told in parts. Of a
flood the middle is left out, and said: a page holds the last lines, not 400 MB.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import msgspec

from lab.core.errors import BadInput, NotFound
from lab.projections import text
from lab.scheduler.placing import placed
from lab.scheduler.results import followed, tailed
from lab.store import jobs
from lab.store.root import still_there

if TYPE_CHECKING:
    from lab.store.root import Root

SHOWN_LINES = 400  # when the page is opened; its script keeps more of what comes
PIECE_BYTES = 64 << 10  # in one message
LINE_CHARS = 2_000


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """Lines of a log, and where the next ones begin. `ended` says how the run ended, once nothing more will come."""

    offset: int
    size: int
    lines: tuple[str, ...] = ()
    unfinished: str = ""  # the line after them, as it is now; it is told again
    skipped_bytes: int = 0  # left out before these lines
    ended: str = ""


class Logged:
    """One log of one run, wherever it is written."""

    def __init__(self, root: Root, run_id: str, stream: str) -> None:
        if stream not in tailed.STREAMS:
            raise BadInput(f"a run has no log {text.line(stream, 40)!r}", fix=f"one of: {', '.join(tailed.STREAMS)}")
        self._root = root
        self.run_id = run_id
        self.stream = stream
        self._found = tailed.bundle(root, run_id)
        self._path = ""
        self._live = None if self._found.made is not None else followed.Followed(root, run_id, stream)

    def end_of_it(self, count: int = SHOWN_LINES) -> Piece:
        """Its last lines."""
        size, data = tailed.end(self._log())
        whole = data.rfind(b"\n") + 1
        lines = data[:whole].split(b"\n")[:-1]
        rest = data[whole:]
        ended = self.ended()
        last = [*lines, *([rest] if rest and ended else [])][-count:]
        before = size - len(data) + sum(len(line) + 1 for line in lines[: max(0, len(lines) - count)])
        if ended:
            return Piece(offset=size, size=size, lines=shown(last), skipped_bytes=before, ended=ended)
        offset = size - len(rest) + _overwritten(rest)
        return Piece(offset=offset, size=size, lines=shown(last), unfinished=_shown(rest), skipped_bytes=before)

    def since(self, offset: int, *, look_for_end: bool = True) -> Piece:
        """What came after an offset, at most a message. `NotFound` once the log is gone, or begun anew."""
        path = self._log()
        ended = self.ended() if look_for_end else ""  # first: what was written before the end is read after it
        try:
            size, data, start = _read(path, offset)
        except FileNotFoundError:
            if not os.path.isdir(self._found.path):
                still_there(self._root)
                raise NotFound(f"the bundle of {self.run_id} is gone", where=self._found.path) from None
            return Piece(offset=offset, size=0, ended=ended)
        if size < offset:
            ended = ended or self.ended()
            if ended:  # what is sealed may be shorter than what was written
                return Piece(offset=size, size=size, ended=ended)
            raise NotFound("this log was begun anew, or cut", where=path, fix="load the page again")
        skipped = start - offset
        whole = data.rfind(b"\n") + 1
        if not whole and not ended and _overwritten(data):  # a progress bar: what it wrote before is not seen any more
            start, data = start + _overwritten(data), data[_overwritten(data) :]
        elif not whole and (ended or len(data) >= PIECE_BYTES):
            whole = len(data)  # what ends without a newline; or a line that is longer than a message
        elif ended and start + len(data) == size:
            whole = len(data)
        lines = data[:whole].split(b"\n")
        if lines[-1] == b"":
            lines.pop()
        reached = start + whole
        over = ended if reached >= size else ""
        told, rest = shown(lines), _shown(data[whole:])
        return Piece(offset=reached, size=size, lines=told, unfinished=rest, skipped_bytes=skipped, ended=over)

    def ended(self) -> str:
        """How the run ended; empty while somebody has it."""
        if self._live is not None:
            return self._live.ended()
        return self._found.made.run.outcome if self._found.made is not None else ""

    def _log(self) -> str:
        """Where it is written now: what a job printed, before its body began; else the bundle's own."""
        at = None if self._found.made is not None else placed.of(self._root, self._found.experiment, self.run_id)
        path = f"{self._found.path}/{tailed.STREAMS[self.stream]}"
        if at is not None and self.stream == tailed.FIRST and placed.waits(self._root, at):
            path = jobs.output(self._root, self._found.experiment, at.generation)
        if self._path and path != self._path:
            raise NotFound("the run has begun, and has a log of its own now", fix="load the page again")
        self._path = path
        return path


def shown(lines: list[bytes]) -> tuple[str, ...]:
    """Lines as they may be shown: without what speaks to a terminal or hides, and none of them endless."""
    return tuple(_shown(line) for line in lines)


def _shown(line: bytes) -> str:
    words = text.rewritten(line)[: 8 * LINE_CHARS].decode(errors="replace").expandtabs(4)
    clean = text.visible(words)
    return clean if len(clean) <= LINE_CHARS else clean[: LINE_CHARS - 1] + text.CUT


def _overwritten(line: bytes) -> int:
    """How many bytes at the beginning of an unfinished line were written over."""
    return line.rstrip(b"\r").rfind(b"\r") + 1


def _read(path: str, offset: int) -> tuple[int, bytes, int]:
    """Its size, the next bytes, and where they begin: nearer the end where far more came than a message holds."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        seen = os.fstat(descriptor)
        if not stat.S_ISREG(seen.st_mode):
            raise NotFound("this is no plain file, and so no log of ours", where=path, fix="look at the bundle")
        start = offset
        if seen.st_size - offset > tailed.MOST_BYTES:
            start = seen.st_size - PIECE_BYTES
            skipped = os.pread(descriptor, PIECE_BYTES, start)
            start += skipped.find(b"\n") + 1  # not from the middle of a line, where there is an end of one
        return seen.st_size, os.pread(descriptor, PIECE_BYTES, start), start
    finally:
        os.close(descriptor)
