"""How a run ended, as an executor read it from what the run left behind."""

from __future__ import annotations

import msgspec

from lab.core.candidate import Candidate
from lab.core.chunk import Chunk
from lab.core.curve import Curve
from lab.core.manifest import Usage


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """A value counts only with the outcome `success`; a run without one is not a success."""

    outcome: str
    value: float | None = None
    verdict: str = ""
    reason: str = ""
    note: str = ""
    wall_s: float = 0.0
    cost: float = 0.0
    signals: tuple[str, ...] = ()
    result: str = ""  # the text of RESULT.md, unless the run wrote one itself
    metrics: dict[str, object] = {}
    usage: Usage = Usage()
    candidate: Candidate | None = None  # of a code loop
    chunk: Chunk | None = None  # of a remote training, whatever the outcome: what it saved is saved, and paid
    curve: Curve = Curve()  # what it reported on the way
