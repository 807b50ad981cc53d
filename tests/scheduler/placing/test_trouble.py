"""What goes wrong in the middle of a look: one trouble is said once, and takes nothing from anybody else."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec
import pytest

from lab.core import layout
from lab.core.errors import Busy
from lab.core.job import CANCELLED, OVER, RUNNING, SUSPENDED
from lab.scheduler import decisions
from lab.scheduler.control import cancel
from lab.scheduler.placing import handing, placed, reconciling, taking
from lab.scheduler.step import HELD as BUSY
from lab.scheduler.step import NOTED, PROBLEM, QUEUED
from lab.store import jobs, leases, silences, strays
from tests.scheduler.labs import silent
from tests.scheduler.placing import engine_double as double
from tests.scheduler.placing.test_reconciling import begin, engine, root, seals, unheard
from tests.scheduler.test_turn import add, kinds, take

if TYPE_CHECKING:
    from lab.core.job import Report
    from lab.engines.door import Ground
    from lab.scheduler.step import Step
    from lab.store.root import Root
    from tests.scheduler.placing.engine_double import Double

__all__ = ["engine", "root"]  # fixtures


def test_the_trouble_of_one_run_does_not_keep_what_was_taken_before_it(
    root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(root, "b", max_parallel=3)
    take(root, only=("b",), max_runs=3)
    cancel.cancel(root, "b", reason="no", actor="ann")
    taken = taking.take

    def troubled(root: Root, claim: object, *given: object, **named: object) -> object:
        if claim.generation == 2:  # type: ignore[attr-defined]
            raise Busy("somebody is at it", fix="wait")
        return taken(root, claim, *given, **named)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(taking, "take", troubled)
        steps = reconciling.look(root, "b")
    assert BUSY in {step.kind for step in steps}
    assert [made.run.outcome for made in seals(root, "b")] == [CANCELLED]
    assert next((job.state, job.how) for job in double.jobs(root)) == (OVER, CANCELLED)
    reconciling.look(root, "b")
    assert len(seals(root, "b")) == 3


def test_an_engine_that_falls_silent_in_the_middle_is_asked_once_and_told_of_once(
    root: Root, engine: Double, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"e{number}" for number in range(4)]
    for name in names:
        add(root, name)
    engine.not_now = "full"
    for name in names:
        take(root, only=(name,))
        silent(root.layout.claim(name, 1, layout.SEEN_SUFFIX))
    assert len(leases.placed(root)) == 4
    engine.calls.clear()
    listed = engine.listed

    def once(prefix: str, ground: Ground) -> tuple[Report, ...]:
        told = listed(prefix, ground)
        engine.silent = True
        return told

    monkeypatch.setattr(engine, "listed", once)
    steps = reconciling.reconcile(root)
    assert [(step.kind, step.what.partition(":")[0]) for step in steps] == [(PROBLEM, "double does not answer")]
    assert engine.calls == ["listed", "listed"]


def test_a_look_that_learns_a_number_does_not_take_back_how_the_job_ended(
    root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever takes it is between the two files that it writes."""
    take(root)
    job = jobs.load(root, "a", 1)
    assert job is not None
    jobs.write(root, msgspec.structs.replace(job, number=""))
    looked = placed.look

    def ended(*given: object, **named: object) -> object:
        found = looked(*given, **named)  # type: ignore[arg-type]
        jobs.write(root, msgspec.structs.replace(job, number="", ended=CANCELLED, why="ann: no"))
        return found

    monkeypatch.setattr(placed, "look", ended)
    reconciling.look(root, "a")
    after = jobs.load(root, "a", 1)
    assert after is not None
    assert after.ended == CANCELLED


@pytest.mark.parametrize("since_s", [60.0, 300.0])
def test_a_body_that_goes_on_after_it_was_suspended_has_time_to_be_heard_of(root: Root, since_s: float) -> None:
    take(root)
    begin(root)
    double.alter(root, double.every(RUNNING, why=SUSPENDED))
    unheard(root)
    reconciling.look(root, "a")
    unheard(root, since_s + 10)
    silent(root.layout.claim("a", 1, layout.SEEN_SUFFIX), since_s)  # a cron looks seldom
    double.alter(root, double.every(RUNNING))
    for _ in range(3):
        assert reconciling.look(root, "a") == []
    assert len(leases.survey(root, "a").held) == 1
    unheard(root, 100_000.0)
    assert reconciling.look(root, "a") != []  # it never was


def test_what_an_engine_said_of_a_job_outlives_a_look_that_may_not_see_it(
    root: Root, engine: Double, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two users' crons look in turns."""
    engine.not_now = "job limit used up"
    take(root)
    engine.not_now = ""
    before = jobs.sight(root, "a", 1)
    with monkeypatch.context() as patched:
        uid = os.geteuid()
        patched.setattr(os, "geteuid", lambda: uid + 1_000_000)
        reconciling.look(root, "a")
    assert jobs.sight(root, "a", 1) == before


def test_a_run_that_somebody_else_is_at_is_handed_over_by_a_later_turn(
    root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(*_: object, **__: object) -> None:
        raise Busy("somebody looks after its jobs", fix="wait")

    with monkeypatch.context() as patched:
        patched.setattr(handing, "hold", busy)
        (step,) = take(root)
    assert (step.kind, step.engine, bool(step.run_id)) == (BUSY, "double", True)
    assert "submitted by a later turn" in step.what
    assert kinds(reconciling.look(root, "a")) == [(QUEUED, "a")]


def test_a_run_whose_experiment_is_paused_before_it_is_handed_over_waits(
    root: Root, engine: Double, monkeypatch: pytest.MonkeyPatch
) -> None:
    hand_over = handing.hand_over

    def paused(root: Root, job: object) -> Step:
        decisions.pause(root, "a", reason="wrong data", actor="ann")
        return hand_over(root, job)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(handing, "hand_over", paused)
        step = take(root)[0]
    assert (step.kind, step.what) == (BUSY, "a is paused; the run waits until it goes on")
    assert engine.calls == []
    decisions.resume(root, "a", reason="", actor="ann")
    assert kinds(reconciling.look(root, "a")) == [(QUEUED, "a")]


def test_an_engine_that_lists_and_takes_nothing_is_not_said_to_answer_again(root: Root, engine: Double) -> None:
    engine.silent_verbs = frozenset({"submit"})
    assert kinds(take(root)) == [(PROBLEM, "a")]
    assert NOTED not in {step.kind for step in take(root)}
    engine.silent_verbs = frozenset()
    silent(root.layout.claim("a", 1, layout.SEEN_SUFFIX), 601)
    assert kinds(take(root))[0] == (QUEUED, "a")
    engine.silent = True
    assert kinds(reconciling.reconcile(root)) == [(PROBLEM, "")]  # a new one, and it is told
    engine.silent = False
    assert kinds(reconciling.reconcile(root)) == [(NOTED, "")]


def test_a_silence_of_an_engine_in_which_nothing_is_left_is_forgotten_with_the_doubt(root: Root) -> None:
    strays.suspect(root, "double")
    assert silences.begin(root, "double", "", "double does not answer")
    silent(root.layout.doubt("double"), strays.KEEP_S + 60)
    assert strays.suspected(root) == []
    assert silences.begin(root, "double", "", "double does not answer")
