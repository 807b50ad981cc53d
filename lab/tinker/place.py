"""Where a chunk runs and until when, as its environment tells it; and how it hears that it is to end."""

from __future__ import annotations

import math
import os
import signal
import sys
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from lab.core.chunk import Order
from lab.core.errors import BadInput, NotFound
from lab.core.record import parse

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import FrameType

PATH, GRACE = "LAB_CHUNK_PATH", "LAB_KILL_GRACE_SECONDS"


class Place(msgspec.Struct, frozen=True, kw_only=True):
    order: Order
    folder: str  # of the run
    folders: tuple[str, ...]  # where files of the recipe are looked for
    report: str = ""
    metric: str = ""  # of the SPEC; empty where nobody told
    ends_at: float | None = None  # seconds since 1970: when the run's time is up, and it is told to end
    grace_s: float = 0.0  # from then until it is killed


def find(environ: Mapping[str, str], program: str) -> Place:
    """What this process was told; `program` is the recipe's file."""
    path = environ.get(PATH, "")
    if not path:
        what = f"{PATH} is not set: a recipe is started by the lab, which tells it what to do"
        raise BadInput(what, fix="labctl run-once --experiment ID, with executor: tinker in its SPEC")
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise NotFound(f"the order of this chunk cannot be read: {error.strerror}", where=path) from None
    order = parse(Order, data, path)
    folder = environ.get("LAB_RUN_DIR") or os.path.dirname(os.path.abspath(path))
    beside = os.path.dirname(os.path.abspath(program)) if program else os.getcwd()
    roots = (beside, environ.get("LAB_WORKSPACE_ROOT", ""), environ.get("LAB_REPO_ROOT", ""))
    return Place(
        order=order,
        folder=folder,
        folders=tuple(dict.fromkeys(root for root in roots if root)),
        report=environ.get("LAB_REPORT", ""),
        metric=environ.get("LAB_PRIMARY_METRIC", ""),
        ends_at=_ends_at(environ),
        grace_s=_seconds(environ, GRACE),
    )


def here() -> Place:
    """The same, of this process."""
    return find(os.environ, sys.argv[0])


def _ends_at(environ: Mapping[str, str]) -> float | None:
    """The budget counts from the run's beginning; where that is not known, from now."""
    try:
        return datetime.fromisoformat(environ.get("LAB_DEADLINE", "")).astimezone(UTC).timestamp()
    except ValueError:
        pass
    budget_s = _seconds(environ, "LAB_TIME_BUDGET_SECONDS")
    return time.time() + budget_s if budget_s else None


def _seconds(environ: Mapping[str, str], name: str) -> float:
    """What a variable says; 0 where it says nothing that can be used."""
    try:
        told_s = float(environ.get(name, ""))
    except ValueError:
        return 0.0
    return told_s if 0 < told_s < math.inf else 0.0


class Stop:
    """Hears TERM and INT while it is in force, as a wish to end after what is in hand."""

    def __init__(self) -> None:
        self.is_asked = False
        self._before: dict[int, object] = {}

    def listen(self) -> None:
        """Take the signals. In a thread that is not the first no signal can be taken, and none is."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number in (signal.SIGTERM, signal.SIGINT):
            self._before[number] = signal.signal(number, self._hear)

    def leave(self) -> None:
        """Give them back."""
        for number, before in self._before.items():
            signal.signal(number, before)  # type: ignore[arg-type]  # what `signal` returned it takes
        self._before.clear()

    def _hear(self, _number: int, _frame: FrameType | None) -> None:
        self.is_asked = True
