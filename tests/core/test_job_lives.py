"""Lives of jobs at an engine that forgets, doubles, requeues, restarts and misreports, judged look by look.

A model of the files beside a claim, of an engine without honour, and of bodies that die or are stopped anywhere. What
must hold: two bodies never work at one run, a run is sealed at most once, and once the faults stop, a run is sealed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.core.claim import RENEW_EVERY_S
from lab.core.job import (
    CANCELLED,
    DONE,
    FAILED,
    HELD,
    LOST,
    MEMORY,
    OVER,
    RUNNING,
    TIME,
    TWICE,
    WAITING,
    Job,
    Leave,
    Release,
    Report,
    Seen,
    Start,
    Submit,
    Take,
    judge,
)
from lab.core.spec import Spec

if TYPE_CHECKING:
    from collections.abc import Iterator

FORGETS_S, TICK_S = 60.0, 5.0
SURELY = {DONE, FAILED, MEMORY, TIME, CANCELLED}
LOOKS_S, WORK_S = 20.0, 40.0
FAULTS = (
    "forget", "double", "requeue", "misreport", "cut-off", "silent", "kill-body", "stop-body", "kill-look",
    "lose-number",
)  # fmt: skip


class Body:
    def __init__(self, number: str, generation: int) -> None:
        self.number = number
        self.generation = generation
        self.let_in = False
        self.stopped_until_s = 0.0
        self.worked_s = 0.0
        self.renewed_s = 0.0


class At:
    """One job at the engine."""

    def __init__(self, number: str, generation: int) -> None:
        self.number = number
        self.generation = generation
        self.state = HELD
        self.how = ""
        self.code: int | None = None


class World:
    """One experiment, one slot."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.generation = 0
        self.job: Job | None = None  # of the claim that stands; none: nothing stands
        self.started: Start | None = None
        self.heard_s = self.seen_s = 0.0
        self.sealed: list[int] = []
        self.closed: dict[int, str] = {}  # generations that were taken, and how their runs ended
        self.at: list[At] = []
        self.bodies: list[Body] = []
        self.next_number = 7
        self.silent_until_s = 0.0

    # -- the lab -------------------------------------------------------------------------------------------------

    def claim(self) -> None:
        self.generation += 1
        self.job = Job(
            experiment="a", generation=self.generation, run_id=f"RUN-{self.generation}", engine="e", name="n",
            asked_at="", spec=Spec(id="a"),
        )  # fmt: skip
        self.started = None
        self.heard_s = self.seen_s = self.now_s

    def look(self) -> Iterator[str]:
        """Reconcile, a step at a time: who stops asking has killed it there."""
        if self.job is None:
            self.claim()
            yield "claimed"
        if self.now_s < self.silent_until_s or self.job is None:
            return
        mine = [each for each in self.at if each.generation == self.generation]
        reports = tuple(
            Report(name="n", number=each.number, state=each.state, how=each.how or LOST, code=each.code)
            for each in mine
        )
        heard_s = self.heard_s if self.started else self.seen_s
        seen = Seen(
            job=self.job, started=self.started, silent_s=self.now_s - heard_s, ttl_s=180.0, reports=reports,
            sealed=self.generation in self.sealed,
        )  # fmt: skip
        yield from self._act(judge(seen, forgets_after_s=FORGETS_S), live=any(each.state != OVER for each in mine))

    def _act(self, verdict: object, *, live: bool) -> Iterator[str]:
        assert self.job is not None
        match verdict:
            case Submit():
                number = self.submit()
                yield "submitted"
                self.job = msgspec.structs.replace(self.job, number=number)
                yield "written"
                self.release(number)
            case Release():
                self.job = msgspec.structs.replace(self.job, number=verdict.number)
                yield "written"
                self.release(verdict.number)
                self.cancel(verdict.cancel)
            case Leave():
                if live:
                    self.seen_s = self.now_s
                self.cancel(verdict.cancel)
            case Take():
                self.job = msgspec.structs.replace(self.job, ended=verdict.ended, why=verdict.why)
                yield "noted"
                self.take(verdict)
                yield "taken"
                self.cancel(verdict.cancel)

    def take(self, verdict: Take) -> None:
        """From here on nobody can seal it, and what its engine says of its end is what is told."""
        generation, self.job, self.started = self.generation, None, None
        if generation in self.sealed:
            return
        self.closed[generation] = verdict.ended
        if verdict.ended in SURELY:
            working = [each for each in self.bodies if each.let_in and each.generation == generation]
            assert all(each.stopped_until_s > self.now_s for each in working), "sealed while its body works"

    # -- the engine ----------------------------------------------------------------------------------------------

    def submit(self) -> str:
        self.next_number += 1
        number = str(self.next_number)
        self.at.append(At(number, self.generation))
        return number

    def release(self, number: str) -> None:
        for each in self.at:
            if each.number == number and each.state == HELD:
                each.state = WAITING

    def cancel(self, numbers: tuple[str, ...]) -> None:
        for each in self.at:
            if each.number in numbers and each.state != OVER:
                each.state, each.how = OVER, CANCELLED
                self.bodies = [body for body in self.bodies if body.number != each.number]

    def start(self) -> None:
        for each in self.at:
            if each.state == WAITING:
                each.state = RUNNING
                self.bodies.append(Body(each.number, each.generation))

    # -- the bodies ----------------------------------------------------------------------------------------------

    def work(self) -> None:
        for body in list(self.bodies):
            if body.stopped_until_s > self.now_s:
                continue
            mine = self.job is not None and self.generation == body.generation and not self.job.ended
            if not body.let_in:
                if not mine or self.started is not None:
                    self.end(body, FAILED, TWICE if mine else 75)
                    continue
                body.let_in = True
                self.started = Start(run_id="", host="n1", pid=1, number=body.number)
                self.heard_s = body.renewed_s = self.now_s
            body.worked_s += TICK_S
            if self.now_s - body.renewed_s >= RENEW_EVERY_S or body.worked_s >= WORK_S:
                if not mine:  # its claim is gone
                    self.end(body, FAILED, 75)
                    continue
                self.heard_s = body.renewed_s = self.now_s
            if body.worked_s >= WORK_S:
                assert self.generation not in self.sealed
                self.sealed.append(self.generation)
                self.job = self.started = None
                self.end(body, DONE, 0)

    def end(self, body: Body, how: str, code: int | None) -> None:
        self.bodies.remove(body)
        for each in self.at:
            if each.number == body.number and each.state == RUNNING:
                each.state, each.how, each.code = OVER, how, code

    # -- faults --------------------------------------------------------------------------------------------------

    def fault(self, what: str) -> None:
        last = self.at[-1] if self.at else None
        body = self.bodies[-1] if self.bodies else None
        match what:
            case "forget" if last:
                self.at.remove(last)
            case "double" if last:
                self.at.append(At(str(self.next_number + 100), last.generation))
            case "requeue" if last and last.state in (RUNNING, OVER):
                last.state = WAITING
            case "misreport" if last and last.state == RUNNING:
                last.state, last.how, last.code = OVER, FAILED, None
            case "cut-off" if last and last.state == RUNNING:  # its node cannot be reached, and somebody cancels it
                last.state, last.how, last.code = OVER, CANCELLED, 0
            case "silent":
                self.silent_until_s = self.now_s + 30
            case "kill-body" if body:
                self.end(body, FAILED, 137)
            case "stop-body" if body:
                body.stopped_until_s = self.now_s + 400
            case "lose-number":
                self.next_number = 7  # an engine whose state was lost counts from the beginning


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 12), st.sampled_from(FAULTS)), max_size=12), st.integers(0, 4))
def test_every_life_of_a_job_ends_in_one_seal(faults: list[tuple[int, str]], cut: int) -> None:
    world = World()
    at_tick: dict[int, list[str]] = {}
    tick = 0
    for wait, what in faults:
        tick += wait
        at_tick.setdefault(tick, []).append(what)
    calm, looked_s = tick, -LOOKS_S
    for tick in range(calm + 400):
        world.now_s += TICK_S
        killed = False
        for what in at_tick.get(tick, []):
            killed |= what == "kill-look"
            world.fault(what)
        if killed or world.now_s - looked_s >= LOOKS_S:
            looked_s = world.now_s
            for steps, _ in enumerate(world.look()):
                if killed and steps >= cut:
                    break
        world.start()
        world.work()
        let_in = [body.generation for body in world.bodies if body.let_in]
        assert len(let_in) == len(set(let_in)), "two bodies work at one run"
        assert len(set(world.sealed)) == len(world.sealed)
        assert not set(world.sealed) & set(world.closed)
        if tick > calm and world.sealed and world.job is None:
            return
    message = "nothing was sealed after the faults had stopped"
    raise AssertionError(message)
