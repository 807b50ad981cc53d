"""Reading what a dead run left takes as long as it is large: who waits for it sees how far it is, and may stop it."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from lab.core.errors import Interrupted
from lab.scheduler.step import SETTLING, Step

if TYPE_CHECKING:
    from collections.abc import Callable

_TELL_EVERY_S = 5.0
_MB = 1_000_000


class Patience:
    """Called with every piece of a file that is read. Raises `Interrupted` once somebody has asked to stop."""

    def __init__(self, experiment: str, *, tell: Callable[[Step], None], interrupted: Callable[[], str]) -> None:
        self._experiment = experiment
        self._tell = tell
        self._interrupted = interrupted
        self._told_at_s = time.monotonic()

    def __call__(self, name: str, done: int, size: int) -> None:
        """So much of this file was read."""
        if came := self._interrupted():
            what = f"its dead run is not settled: {came} came while {_far(name, done, size)}"
            raise Interrupted(what, fix="the next turn begins it again; nothing is lost")
        if time.monotonic() - self._told_at_s >= _TELL_EVERY_S:
            self._told_at_s = time.monotonic()
            self._tell(Step(kind=SETTLING, experiment=self._experiment, what=_far(name, done, size)))


def _far(name: str, done: int, size: int) -> str:
    shown = f"{os.path.basename(name)} of its bundle was read"
    return f"{shown} ({done // _MB:,} of {size // _MB:,} MB)" if size else shown
