"""An axis of time in UTC, from which long gaps are cut out, and its ticks on round moments."""

from __future__ import annotations

import bisect
import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

DAY_S = 86_400.0
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_STEPS_S = (
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200,
    *(DAY_S * days for days in (1, 2, 7, 14, 30, 90, 365, 1_000, 3_650, 10_000)),
)  # fmt: skip
FIRST_S, LAST_S = -62_135_596_800.0, 253_402_300_799.0  # the years 1 to 9999: a calendar has no others
_APART = 58.0  # units between two ticks at least
_BREAK, _BREAKS_SHARE = 14.0, 0.3  # how wide a cut is, and how much of the axis all of them take at most
_MOST_TICKS = 60


class Tick(NamedTuple):
    """A moment on the axis: the time, and below it the day where it is another than that of the tick before."""

    x: float
    upper: str
    lower: str


class Piece(NamedTuple):
    """A stretch of time without a cut, and where it stands."""

    start_s: float
    end_s: float
    left: float
    right: float


class Axis(msgspec.Struct, frozen=True, kw_only=True):
    """From seconds after `zero_s`, which is in seconds of the epoch, to places."""

    zero_s: float
    pieces: tuple[Piece, ...]

    def at(self, seconds: float) -> float:
        """Where a moment stands; one within a cut at its left."""
        place = max(bisect.bisect_right(self.pieces, seconds, key=_start) - 1, 0)
        piece = self.pieces[place]
        length = piece.end_s - piece.start_s
        share = (seconds - piece.start_s) / length if length > 0 else 0.0
        return piece.left + min(max(share, 0.0), 1.0) * (piece.right - piece.left)

    def ticks(self) -> list[Tick]:
        """On round moments, from left to right, none too near to another; a piece without any has one at its start."""
        step = self._step()
        found: list[Tick] = []
        day = ""
        for piece in self.pieces:
            moments = _multiples(self.zero_s + piece.start_s, self.zero_s + piece.end_s, step)
            for moment in moments or [self.zero_s + piece.start_s]:
                x = self.at(moment - self.zero_s)
                if (found and x - found[-1].x < _APART) or not FIRST_S <= moment <= LAST_S:
                    continue
                upper, lower = _told(moment, step)
                found.append(Tick(x, upper, "" if lower == day else lower))
                day = lower
        return found

    def _step(self) -> float:
        visible = sum(piece.end_s - piece.start_s for piece in self.pieces)
        room = sum(piece.right - piece.left for piece in self.pieces)
        least = max(visible * _APART / max(room, 1.0), visible / _MOST_TICKS)
        return next((step for step in _STEPS_S if step >= least), _STEPS_S[-1])


def axis(zero_s: float, length_s: float, cuts: Sequence[tuple[float, float]], left: float, right: float) -> Axis:
    """An axis over `length_s` seconds, without the cuts: where each begins, and how long it is."""
    bounds = [0.0]
    for start, length in cuts:
        bounds += [start, start + length]
    bounds.append(length_s)
    spans = [(start, max(end, start)) for start, end in zip(bounds[::2], bounds[1::2], strict=True)]
    visible = sum(end - start for start, end in spans)
    wide = min(_BREAK, (right - left) * _BREAKS_SHARE / max(len(cuts), 1))
    room = right - left - wide * len(cuts)
    pieces, x = [], left
    for start, end in spans:
        share = (end - start) / visible if visible > 0 else 1 / len(spans)
        pieces.append(Piece(start, end, x, x + share * room))
        x += share * room + wide
    return Axis(zero_s=zero_s, pieces=tuple(pieces))


def seconds(stamp: str) -> float:
    """A stamp of ours in seconds of the epoch."""
    try:
        return datetime.fromisoformat(stamp).timestamp()
    except (ValueError, OverflowError):
        return 0.0


def moment(seconds_: float) -> str:
    """`2 Jan 2026 03:04`; empty for what no calendar has."""
    if not FIRST_S <= seconds_ <= LAST_S:
        return ""
    at = datetime.fromtimestamp(seconds_, UTC)
    return f"{_day(at)} {at.year} {at.hour:02d}:{at.minute:02d}"


def _start(piece: Piece) -> float:
    return piece.start_s


def _multiples(start: float, end: float, step: float) -> list[float]:
    first = math.ceil(start / step)
    last = min(math.floor(end / step), first + 2 * _MOST_TICKS)
    return [place * step for place in range(first, last + 1)]


def _told(moment_s: float, step: float) -> tuple[str, str]:
    at = datetime.fromtimestamp(moment_s, UTC)
    if step >= DAY_S:
        return _day(at), str(at.year)
    return at.strftime("%H:%M:%S" if step < 60 else "%H:%M"), _day(at)  # noqa: PLR2004  # a minute


def _day(at: datetime) -> str:
    """In English wherever it is made, or the same picture would have other bytes."""
    return f"{at.day} {_MONTHS[at.month - 1]}"
