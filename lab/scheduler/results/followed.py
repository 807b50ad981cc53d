"""A log while it is written, line by line, until its run has ended. Writes nothing, and asks no engine."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from lab.core import layout
from lab.core.errors import Corrupt
from lab.projections import text
from lab.scheduler.placing import placed
from lab.scheduler.results import tailed
from lab.store import bundles, experiments, jobs, leases

if TYPE_CHECKING:
    from lab.scheduler.placing.placed import State
    from lab.store.root import Root

_PIECE_BYTES = 1 << 20


class Followed:
    """One log of one run. What was shown is not shown again; a line is whole before it is shown."""

    def __init__(self, root: Root, name: str, stream: str) -> None:
        self._root = root
        self.run_id = name if name.startswith("RUN-") else tailed.latest(root, experiments.require(root, name))
        self._found = tailed.bundle(root, self.run_id)
        self._stream = stream
        self._path = ""
        self._offset = 0
        self._rest = b""

    def end_of_it(self, count: int) -> list[str]:
        """Its last whole lines, where the following begins."""
        self._path = self._log(self.at())
        size, data = tailed.end(self._path)
        lines = data.split(b"\n")
        self._rest, self._offset = lines.pop(), size
        return [_told(line) for line in lines[-count:]]

    def more(self) -> list[str]:
        """The lines that came since. Of a log that was begun anew, as a run does that is sealed, nothing."""
        descriptor = self._opened()
        if descriptor is None:
            return []
        try:
            size = os.fstat(descriptor).st_size
            if size < self._offset:
                self._offset, self._rest = size, b""
            pieces = [self._rest]
            while self._offset < size:
                piece = os.pread(descriptor, min(_PIECE_BYTES, size - self._offset), self._offset)
                if not piece:
                    break
                self._offset += len(piece)
                pieces.append(piece)
        finally:
            os.close(descriptor)
        *lines, rest = b"".join(pieces).split(b"\n")
        self._rest = rest[rest.rstrip(b"\r").rfind(b"\r") + 1 :]  # a bar of a day is not kept from its beginning
        return [_told(line) for line in lines]

    def unfinished(self) -> str:
        """The line that is being written, as it is now."""
        return _told(self._rest)

    def last(self) -> list[str]:
        """What came to the end without a newline."""
        rest, self._rest = self._rest, b""
        return [_told(rest)] if rest else []

    def at(self) -> State | None:
        """Where the run is, as long as an engine has it. From then on, its log is followed where it is written now."""
        state = placed.of(self._root, self._found.experiment, self.run_id)
        path = self._log(state)
        if self._path and path != self._path:
            self._path, self._offset, self._rest = path, 0, b""
        return state

    def ended(self) -> str:
        """How the run ended; empty while somebody has it."""
        try:
            sealed = bundles.load_seal(self._found.path)
        except Corrupt:
            return "its seal is damaged"
        if sealed is not None:
            return sealed[0].run.outcome
        if os.path.lexists(f"{self._found.path}/{layout.SUPERSEDED}"):
            return "superseded, never counted"
        held = leases.survey(self._root, self._found.experiment).held
        return "" if any(each.seen.claim.run_id == self.run_id for each in held) else "its holder is gone"

    def _log(self, state: State | None) -> str:
        if state is not None and placed.waits(self._root, state) and self._stream == tailed.FIRST:
            return jobs.output(self._root, self._found.experiment, state.generation)
        return f"{self._found.path}/{tailed.STREAMS[self._stream]}"

    def _opened(self) -> int | None:
        try:
            return os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:  # not there yet, or not any more
            return None


def _told(line: bytes) -> str:
    return text.rewritten(line).decode(errors="replace")
