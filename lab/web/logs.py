"""The log of a run while it is written, as events for a page. An event's id is where the next lines begin."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.core.errors import LabError
from lab.projections import text
from lab.scheduler.results.logged import Piece

if TYPE_CHECKING:
    from collections.abc import Iterator
    from threading import Event

    from lab.scheduler.results.logged import Logged

LOOK_S = 0.5
HEARTBEAT_S = 15.0
_LOOKS_TO_CLAIMS = 4  # looks between two questions whether the run has ended: that reads the claims


def follow(log: Logged, offset: int, stopping: Event) -> Iterator[bytes]:
    """Server-sent events: each has the lines that came and, as its id, where the next begin. Ends with a word.

    The line that is not finished is told again when it is another one.
    """
    yield b"retry: 2000\n\n"
    looks, unfinished = 0, ""
    quiet_s = 0.0
    while True:
        try:
            piece = log.since(offset, look_for_end=looks % _LOOKS_TO_CLAIMS == 0)
        except (LabError, OSError) as error:
            why = error.what if isinstance(error, LabError) else "it cannot be read"
            yield _event("gone", Piece(offset=offset, size=0, ended=text.line(why)))
            return
        looks += 1
        has_moved, offset = piece.offset > offset, piece.offset
        if piece.lines or piece.ended or piece.unfinished != unfinished:
            unfinished, quiet_s = piece.unfinished, 0.0
            yield _event("over" if piece.ended else "lines", piece)
            if piece.ended:
                return
        else:
            quiet_s += LOOK_S
            yield b": still here\n\n" if quiet_s % HEARTBEAT_S < LOOK_S else b""
        if has_moved and piece.offset < piece.size:
            continue
        if stopping.wait(LOOK_S):
            return


def _event(kind: str, piece: Piece) -> bytes:
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (piece.offset, kind.encode(), msgspec.json.encode(piece))
