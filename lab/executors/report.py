"""The report of a run: lines `step value` in the file that LAB_REPORT names, read while it grows and at the end.

A run may write anything there, at any speed, for ever: what is read at a time and what is kept are bounded. A line
counts once its newline is there; half a number would be another number.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from lab.core import layout
from lab.core.curve import Curve, Thinned
from lab.executors.log import open_plain
from lab.executors.told import decimal_of

if TYPE_CHECKING:
    from lab.core.curve import Point

LONGEST_LINE_BYTES = 256
_PIECE_BYTES = 1 << 16
_HEAD_BYTES = _TAIL_BYTES = 1 << 20  # of a longer report the middle is not read


class Report:
    """A report, read in pieces of any size. What comes out does not depend on where it was cut."""

    __slots__ = ("_rest", "_thinned", "_too_long", "passed_over")

    def __init__(self) -> None:
        self._thinned = Thinned()
        self._rest = b""
        self._too_long = False
        self.passed_over = 0  # lines that were blank, no `step value`, not finite, or not beyond the step before

    def feed(self, piece: bytes) -> list[Point]:
        """The next bytes of it: the points that they brought."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        if lines and self._too_long:
            self._too_long, lines[0] = False, b""
        if len(self._rest) > LONGEST_LINE_BYTES:
            self._rest, self._too_long = b"", True
        return [point for line in lines if (point := self._point(line)) is not None]

    def skip(self, *, within_line: bool) -> None:
        """What comes next does not join on to what was read; it begins with a line, or within one, which is lost."""
        self._rest, self._too_long = b"", within_line

    @property
    def curve(self) -> Curve:
        """What is kept of it."""
        return Curve(points=self._thinned.points, passed_over=self.passed_over)

    def _point(self, line: bytes) -> Point | None:
        words = line.split() if len(line) <= LONGEST_LINE_BYTES else ()
        if len(words) == 2:  # noqa: PLR2004  # step, value
            step, value = decimal_of(words[0].decode(errors="replace")), decimal_of(words[1].decode(errors="replace"))
            if step is not None and value is not None and self._thinned.add(step, value):
                return step, value
        self.passed_over += 1
        return None


class Following:
    """A report that is still being written, read a bounded piece at a time; one that grows faster is read late."""

    __slots__ = ("_offset", "_path", "_report")

    def __init__(self, path: str) -> None:
        self._path = f"{path}/{layout.REPORT}"
        self._report = Report()
        self._offset = 0

    def more(self) -> list[Point]:
        """The points of the next piece. A file that became shorter is read from its beginning."""
        descriptor = open_plain(self._path)
        if descriptor is None:
            return []
        try:
            if os.fstat(descriptor).st_size < self._offset:
                self._report.skip(within_line=False)
                self._offset = 0
            data = os.pread(descriptor, _PIECE_BYTES, self._offset)
        finally:
            os.close(descriptor)
        self._offset += len(data)
        return self._report.feed(data)


def read(path: str) -> Curve:
    """The curve of the run in this folder; one without points where it reported nothing that counts."""
    report = Report()
    descriptor = open_plain(f"{path}/{layout.REPORT}")
    if descriptor is None:
        return report.curve
    try:
        size = os.fstat(descriptor).st_size
        at = 0
        while at < size:
            if _HEAD_BYTES <= at < size - _TAIL_BYTES:
                at = size - _TAIL_BYTES
                report.skip(within_line=True)
            data = os.pread(descriptor, min(_PIECE_BYTES, size - at), at)
            if not data:
                break
            at += len(data)
            report.feed(data)
    finally:
        os.close(descriptor)
    return report.curve
