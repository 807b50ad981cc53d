"""When the schedule last ran, for `labctl status` and for whoever asks why nothing happens.

It tells of machines, not of runs: it is no part of history, no page quotes it, and losing it loses nothing.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from lab.core.errors import Corrupt
from lab.core.record import Record, encode, parse
from lab.store import machine, reading

if TYPE_CHECKING:
    from lab.store.root import Root


class Beat(Record, frozen=True, kw_only=True):
    """What `heartbeat.json` says. `lab/cli/status.py` reads it again with the standard library alone."""

    at: str
    at_s: float
    by: str
    pid: int
    host: str
    ran: int = 0
    exit: int = 0
    every_s: float = 0.0


class Scheduled(Record, frozen=True, kw_only=True):
    """What `schedule.json` says: what was installed, where, and how often it should run."""

    name: str
    backend: str
    every_s: float
    installed_at: str
    installed_s: float
    host: str
    units: tuple[str, ...] = ()
    command: tuple[str, ...] = ()


def beat(root: Root, *, by: str, ran: int = 0, failed: int = 0, every_s: float = 0.0) -> None:
    """Write down that the schedule has run. `by` is what LABCTL_SCHEDULER says: cron, systemd or launchd.

    Nothing without it: a turn that a person took says nothing about cron. A turn of many long runs beats when it
    begins as well, or it would look as if it had not come.
    """
    if not by:
        return
    scheduled = load(root)
    moment = root.world.now()
    made = Beat(
        at=root.now(),
        at_s=round(moment.timestamp(), 3),
        by=by,
        pid=os.getpid(),
        host=machine.host(),
        ran=ran,
        exit=1 if failed else 0,
        every_s=every_s or (scheduled.every_s if scheduled else 0.0),
    )
    root.files.replace(root.layout.heartbeat, encode(made))


def load(root: Root) -> Scheduled | None:
    """How the lab was last scheduled, or None. A damaged record is none: `schedule install` writes a new one."""
    data = reading.read(root.layout.schedule)
    if data is None:
        return None
    try:
        return parse(Scheduled, data, root.layout.schedule)
    except Corrupt:
        return None


def remember(root: Root, scheduled: Scheduled) -> None:
    """Write down what was installed."""
    root.files.replace(root.layout.schedule, msgspec.json.format(encode(scheduled), indent=1) + b"\n")


def forget(root: Root) -> None:
    """Nothing is installed any more, and silence is as it should be."""
    for path in (root.layout.schedule, root.layout.heartbeat):
        root.files.discard(path)
