"""An engine that a test can look into, and whose every fault a test can ask for. Its jobs are a file.

Its verbs are steps of the lab's writer too, so that a sweep that stops the machine stops it before and after each.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from lab.core.errors import Unavailable
from lab.core.job import CANCELLED, HELD, OVER, RUNNING, WAITING, Report
from lab.engines import door
from lab.engines.door import NotNow, Refused
from lab.scheduler.placing import body

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from lab.engines.door import Ground, Placement
    from lab.store.root import Root

NAME = "double"


class At(msgspec.Struct, kw_only=True):
    """One job as it has it."""

    name: str
    number: str
    argv: tuple[str, ...] = ()
    budget_s: float = 0.0
    environ: dict[str, str] = {}
    state: str = HELD
    how: str = "unknown"
    code: int | None = None
    why: str = ""


class Double:
    """Where it is, is the file's place: one for each data root."""

    forgets_after_s = 60.0
    silent = False
    refuses = ""
    not_now = ""
    partition = ""  # which is closed while `not_now`; empty for all
    silent_verbs: frozenset[str] = frozenset()
    at = "east"  # which of two clusters

    def __init__(self) -> None:
        self.calls: list[str] = []

    def submit(self, job: Placement, ground: Ground) -> str:
        self._asked("submit", ground)
        if self.refuses:
            raise Refused(self.refuses, fix="name another partition")
        if self.not_now and (self.partition in ("", job.wants.partition)):
            raise NotNow(self.not_now, fix="wait")
        all_ = load(ground.folder)
        number = str(len(all_) + 1)
        made = At(name=job.name, number=number, argv=job.argv, budget_s=job.budget_s, environ=dict(job.environ))
        store(ground.folder, [*all_, made])
        ground.files.step("engine", "submitted")
        return number

    def release(self, number: str, ground: Ground) -> None:
        self._asked("release", ground)
        all_ = load(ground.folder)
        for each in all_:
            if each.number == number and each.state == HELD:
                each.state = WAITING
        store(ground.folder, all_)
        ground.files.step("engine", "released")

    def listed(self, prefix: str, ground: Ground) -> tuple[Report, ...]:
        self._asked("listed", ground)
        return tuple(
            Report(name=each.name, number=each.number, state=each.state, how=each.how, code=each.code, why=each.why)
            for each in load(ground.folder)
            if each.name.startswith(prefix)
        )

    def cancel(self, numbers: tuple[str, ...], ground: Ground) -> None:
        self._asked("cancel", ground)
        all_ = load(ground.folder)
        for each in all_:
            if each.number in numbers and each.state != OVER:
                each.state, each.how = OVER, CANCELLED
        store(ground.folder, all_)
        ground.files.step("engine", "cancelled")

    def where(self, ground: Ground) -> str:
        del ground
        if self.silent or "where" in self.silent_verbs:
            raise Unavailable("the controller is down", fix="start it")
        return self.at

    def describe(self, ground: Ground) -> str:
        self._asked("describe", ground)
        return "a double"

    def _asked(self, verb: str, ground: Ground) -> None:
        self.calls.append(verb)
        ground.files.step("engine", verb)
        if self.silent or verb in self.silent_verbs:
            raise Unavailable("the controller is down", fix="start it")


def installed(monkeypatch: pytest.MonkeyPatch) -> Double:
    """One of them, by the name `double`, for as long as a test takes."""
    made = Double()
    monkeypatch.setitem(door.BUILT_IN, NAME, "tests.scheduler.placing.engine_double:Double")
    monkeypatch.setitem(door._DOOR._made, NAME, made)
    return made


def load(folder: str) -> list[At]:
    with suppress(FileNotFoundError), open(f"{folder}/jobs.json", "rb") as file:
        return msgspec.json.decode(file.read(), type=list[At])
    return []


def store(folder: str, jobs: list[At]) -> None:
    os.makedirs(folder, exist_ok=True)
    with open(f"{folder}/jobs.json.new", "wb") as file:
        file.write(msgspec.json.encode(jobs))
    os.replace(f"{folder}/jobs.json.new", f"{folder}/jobs.json")


def jobs(root: Root) -> list[At]:
    return load(root.layout.engine(NAME))


def alter(root: Root, change: Callable[[list[At]], list[At] | None]) -> None:
    """Something happens to its jobs that nobody asked for."""
    folder = root.layout.engine(NAME)
    all_ = load(folder)
    store(folder, change(all_) or all_)


def every(state: str, how: str = "unknown", *, code: int | None = None, why: str = "") -> Callable[[list[At]], None]:
    """All jobs are this."""

    def change(all_: list[At]) -> None:
        for each in all_:
            each.state, each.how, each.code, each.why = state, how, code, why

    return change


def run_what_waits(root: Root) -> list[tuple[str, int]]:
    """Start the body of each job that may start, here, and let it come to its end. Its run id, and its exit code."""
    done = []
    for job in jobs(root):
        if job.state != WAITING:
            continue
        alter(root, lambda all_, number=job.number: _set(all_, number, RUNNING))  # type: ignore[misc]
        done.append((job.argv[-3], run(root, job.argv)))
        how = "done" if done[-1][1] == 0 else "failed"
        alter(root, lambda all_, at=(job.number, how, done[-1][1]): _set(all_, at[0], OVER, at[1], at[2]))  # type: ignore[misc]
    return done


def run(root: Root, argv: tuple[str, ...]) -> int:
    """The body of one job."""
    experiment, run_id = argv[argv.index("exec") + 1 : argv.index("exec") + 3]
    try:
        body.perform(root, experiment, run_id, tell=lambda _: None, interrupted=lambda: "")
    except body.Turned as turned:
        return turned.code
    return 0


def _set(all_: list[At], number: str, state: str, how: str = "unknown", code: int | None = None) -> None:
    for each in all_:
        if each.number == number:
            each.state, each.how, each.code = state, how, code
