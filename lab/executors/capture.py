"""What a program prints, on its way into the log: secrets blotted out, and of too much the middle left out.

Bytes, never text: a program may print what it likes. The memory it takes is the tail that is kept, however much comes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lab.core import secret
from lab.core.launch import Output

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.store.log import RunLog

BLOT = secret.BLOT.encode()


class Blotter:
    """Takes secrets out of a stream by their value, also where a value comes in two pieces."""

    def __init__(self, secrets: Sequence[str]) -> None:
        forms = {form for each in secrets for form in secret.forms(each)}
        self._forms = sorted(forms, key=lambda form: (-len(form), form))
        self._pattern = re.compile(b"|".join(map(re.escape, self._forms))) if self._forms else None
        self._rest = b""

    def pass_on(self, data: bytes) -> bytes:
        """What may be shown now; the beginning of what may become a secret is held back."""
        if self._pattern is None:
            return data
        data = self._rest + data
        return self._blotted(data, self._held_from(data))

    def finish(self) -> bytes:
        """The rest, when nothing comes any more."""
        return self._blotted(self._rest, len(self._rest)) if self._rest else b""

    def _held_from(self, data: bytes) -> int:
        for start in range(max(0, len(data) - len(self._forms[0]) + 1), len(data)):
            end = data[start:]
            if any(form.startswith(end) and form != end for form in self._forms):
                return start
        return len(data)

    def _blotted(self, data: bytes, until: int) -> bytes:
        if self._pattern is None or not any(form in data for form in self._forms):
            self._rest = data[until:]
            return data[:until]
        pieces, at = [], 0
        for match in self._pattern.finditer(data):
            if match.start() >= until:
                break
            pieces += [data[at : match.start()], BLOT]
            at = match.end()
        pieces.append(data[at:until])
        self._rest = data[max(at, until) :]
        return b"".join(pieces)


class Capture:
    """One stream. The first half of `limit` is written as it comes, the last half when the run has ended."""

    def __init__(self, log: RunLog, limit: int, secrets: Sequence[str] = ()) -> None:
        self._log = log
        self._blotter = Blotter(secrets)
        self._head_left = limit - limit // 2
        self._tail_limit = limit // 2
        self._tail = bytearray()
        self._tail_at = 0  # where the oldest byte lies once the tail goes round
        self._passed = self._head_taken = self._kept = self._total = 0

    def take(self, data: bytes) -> None:
        """What came just now."""
        self._total += len(data)
        self._keep(self._blotter.pass_on(data))

    def finish(self) -> Output:
        """Write what is left to write, and say how much there was."""
        self._keep(self._blotter.finish())
        left_out = self._passed - self._head_taken - len(self._tail)
        if left_out > 0:
            self._log.write(f"\n[labctl: {left_out} bytes are left out here]\n".encode())
        with memoryview(self._tail) as tail:  # a copy or two of it would be what the memory of a run is
            for piece in (tail[self._tail_at :], tail[: self._tail_at]):
                with piece:
                    self._kept += self._log.write(piece) if piece else 0
        self._log.close()
        return Output(total=self._total, kept=self._kept)

    def _keep(self, data: bytes) -> None:
        self._passed += len(data)
        if self._head_left and data:
            head = data[: self._head_left]
            data = data[len(head) :]
            self._head_left -= len(head)
            self._head_taken += len(head)
            self._kept += self._log.write(head)
        if data and self._tail_limit:
            self._go_round(data)

    def _go_round(self, data: bytes) -> None:
        data = data[-self._tail_limit :]
        room = self._tail_limit - len(self._tail)
        if room:
            self._tail += data[:room]
            data = data[room:]
        while data:
            piece = data[: self._tail_limit - self._tail_at]
            self._tail[self._tail_at : self._tail_at + len(piece)] = piece
            self._tail_at = (self._tail_at + len(piece)) % self._tail_limit
            data = data[len(piece) :]
