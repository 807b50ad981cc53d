"""Runs in an engine's hands: handed over once, looked after, taken back, and sealed once whatever the engine does."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec
import pytest

from lab.cli.surroundings import the_world
from lab.core import event, layout
from lab.core.errors import BadInput
from lab.core.job import CANCELLED, FAILED, HELD, LOST, MEMORY, OVER, RUNNING, TIME, WAITING, Start, Wants
from lab.core.view import PAUSED
from lab.scheduler import decisions, reclaim, watchdog, work
from lab.scheduler.control import cancel
from lab.scheduler.placing import handing, placed, reconciling, taking
from lab.scheduler.results import tailed
from lab.scheduler.step import HELD as BUSY
from lab.scheduler.step import NOTED, PROBLEM, QUEUED, SETTLED
from lab.store import bundles, jobs, leases, reading, verify
from lab.store.files import Files
from lab.store.root import Root
from lab.testing.files import BEGINNING, SteadyClock
from tests.scheduler.labs import a_lab, silent
from tests.scheduler.placing import engine_double as double
from tests.scheduler.test_due import edit
from tests.scheduler.test_turn import add, kinds, take, told, view

if TYPE_CHECKING:
    from pathlib import Path

    from lab.core.seal import Seal
    from tests.scheduler.placing.engine_double import Double

TABLE = "default:\n  engine: double\ngpu:\n  engine: double\n  partition: big\n  max_in_flight: 2\n"


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Double:
    return double.installed(monkeypatch)


@pytest.fixture
def root(tmp_path: Path, engine: Double) -> Root:
    """A lab whose class `default` runs at the double, with one experiment that has one slot."""
    del engine
    made = a_lab(tmp_path / "lab")
    world = msgspec.structs.replace(the_world(), now=SteadyClock(BEGINNING + timedelta(minutes=5)))
    root = Root(made.layout.root, world, files=Files(durable=False))
    with open(root.layout.engines, "w", encoding="utf-8") as file:
        file.write(TABLE)
    add(root, "a")
    return root


def seals(root: Root, name: str = "a") -> list[Seal]:
    found = (bundles.load_seal(root.layout.run(name, run_id)) for run_id in bundles.names(root, name))
    return [each[0] for each in found if each is not None]


def superseded(root: Root, name: str = "a") -> list[str]:
    return [
        run_id
        for run_id in bundles.names(root, name)
        if reading.is_file(f"{root.layout.run(name, run_id)}/{layout.SUPERSEDED}")
    ]


def begin(root: Root, number: str = "1", generation: int = 1) -> None:
    """A body is let in, and no more is heard of it."""
    claim = leases.load(root, "a", generation, layout.CLAIM_SUFFIX)
    assert claim is not None
    assert jobs.begin(root, "a", generation, Start(run_id=claim.run_id, host="n1", pid=1, number=number, at="then"))


def unheard(root: Root, for_s: float = 100_000.0, generation: int = 1) -> None:
    """Nobody was heard of for so long."""
    for suffix in (layout.CLAIM_SUFFIX, layout.JOB_SUFFIX, layout.STARTED_SUFFIX, layout.SEEN_SUFFIX):
        path = root.layout.claim("a", generation, suffix)
        if os.path.exists(path):
            silent(path, for_s)


# -- handing over --------------------------------------------------------------------------------------------------


def test_a_run_is_handed_over_and_its_body_seals_it(root: Root, engine: Double) -> None:
    (step,) = take(root)
    assert (step.kind, step.engine, step.number) == (QUEUED, "double", "1")
    (job,) = double.jobs(root)
    assert (job.state, job.argv[-4:-2]) == (WAITING, ("a", step.run_id))
    assert engine.calls == ["submit", "release"]
    assert double.run_what_waits(root) == [(step.run_id, 0)]
    (made,) = seals(root)
    assert (made.run.run_id, made.run.outcome, made.sealed_by) == (step.run_id, "success", "engine:double")
    assert os.listdir(root.layout.claims("a")).count("00000001.released") == 1
    assert not [
        name for name in os.listdir(root.layout.claims("a")) if name.startswith("00000001") and "rel" not in name
    ]
    assert view(root, "a").runs == 1


def test_a_run_that_waits_takes_its_slot_and_is_seen_without_asking_its_engine(root: Root, engine: Double) -> None:
    take(root)
    engine.calls.clear()
    (state,) = placed.states(root, "a")
    assert (state.engine, state.number, state.state) == ("double", "1", "queued")
    assert engine.calls == []
    assert kinds(take(root)) == [(BUSY, "a")]
    assert len(double.jobs(root)) == 1
    double.alter(root, double.every(WAITING, why="Resources"))
    reconciling.look(root, "a")
    assert placed.states(root, "a")[0].why == "Resources"
    double.alter(root, double.every(RUNNING))
    begin(root)
    reconciling.look(root, "a")
    (state,) = placed.states(root, "a")
    assert (state.state, state.where, state.since) == ("running", "n1", "then")


def test_several_slots_are_several_jobs_of_one_turn(root: Root) -> None:
    add(root, "b", max_parallel=4)
    steps = take(root, only=("b",), max_runs=3)
    assert kinds(steps) == [(QUEUED, "b")] * 3
    assert kinds(take(root, only=("b",))) == [(QUEUED, "b")]
    assert len({job.name for job in double.jobs(root)}) == 4


def test_a_class_has_no_more_jobs_than_its_row_allows(root: Root) -> None:
    add(root, "g", max_parallel=4, executor_class="gpu")
    assert kinds(take(root, only=("g",), max_runs=9)) == [(QUEUED, "g"), (QUEUED, "g"), (BUSY, "g")]


def test_a_person_says_where_and_it_is_there(root: Root, engine: Double) -> None:
    assert kinds(take(root, engine="here")) == [("ran", "a")]
    assert engine.calls == []
    os.unlink(root.layout.engines)
    assert kinds(take(root)) == [("ran", "a")]
    assert kinds(take(root, engine="double")) == [(QUEUED, "a")]


def test_the_spec_of_a_job_is_the_one_that_it_was_claimed_under(root: Root) -> None:
    take(root)
    edit(root, "a", executor="command", executor_command="exit 1")
    assert double.run_what_waits(root)[0][1] == 0
    assert seals(root)[0].run.outcome == "success"


def test_secrets_are_not_handed_on(root: Root) -> None:
    environ = {**root.world.environ, "TOKEN": "s3cret", "DATA": "/data", "OTHER": "x"}
    root = Root(root.layout.root, msgspec.structs.replace(root.world, environ=environ), files=root.files)
    add(root, "s", env=["DATA", "TOKEN"], secrets=["TOKEN"])
    take(root, only=("s",))
    (job,) = double.jobs(root)
    assert job.environ.get("DATA") == "/data"
    assert not {"TOKEN", "OTHER"} & set(job.environ)


def test_what_a_spec_names_may_be_set_where_its_run_is_placed_and_only_there(root: Root) -> None:
    add(root, "s", secrets=["MY_TOKEN"])
    assert kinds(take(root, only=("s",))) == [(QUEUED, "s")]
    assert double.run_what_waits(root)[0][1] == 0  # its body finds that it is not
    (made,) = seals(root, "s")
    assert made.run.outcome == "failed"
    assert "the SPEC names MY_TOKEN, which is not set" in made.run.reason
    assert "in `setup`" in made.run.reason
    assert kinds(take(root, only=("s",), engine="local")) == [(PROBLEM, "s")]  # its bodies see what is set here


def test_an_engine_that_is_not_here_at_all_claims_nothing(root: Root) -> None:
    (step,) = take(Root(root.layout.root, msgspec.structs.replace(root.world, environ={"PATH": "/"})), engine="slurm")
    assert step.kind == PROBLEM
    assert "there is no sbatch on PATH" in step.what
    assert leases.survey(root, "a").highest == 0


def test_an_unknown_engine_claims_nothing(root: Root) -> None:
    with pytest.raises(BadInput, match="nowhere"):
        handing.require(root, Wants(engine="nowhere"), "default")
    (step,) = take(root, engine="nowhere")
    assert step.kind == PROBLEM
    assert leases.survey(root, "a").highest == 0


# -- an engine that does not answer, or will not -------------------------------------------------------------------


def test_an_engine_that_does_not_answer_leaves_the_run_for_the_next_look(root: Root, engine: Double) -> None:
    add(root, "b")
    engine.silent = True
    first, second = take(root)
    assert (first.kind, first.engine) == (PROBLEM, "double")
    assert (second.kind, second.experiment) == (BUSY, "b")  # nothing more is claimed for it in this turn
    for _ in range(2):  # it was said, and is waited for
        assert kinds(take(root)) == [(BUSY, ""), (BUSY, "a"), (BUSY, "b")]
    assert "does not answer" in placed.states(root, "a")[0].why
    engine.silent = False
    assert kinds(take(root, only=("a",)))[:2] == [(NOTED, "a"), (QUEUED, "a")]  # it answers again
    assert double.run_what_waits(root)[0][1] == 0
    assert len(seals(root)) == 1


def test_a_job_that_could_not_be_let_go_is_let_go_later(root: Root, engine: Double) -> None:
    engine.silent_verbs = frozenset({"release"})
    assert take(root)[0].kind == PROBLEM
    assert double.jobs(root)[0].state == HELD
    engine.silent_verbs = frozenset()
    assert kinds(reconciling.look(root, "a")) == [(QUEUED, "a")]
    assert [job.state for job in double.jobs(root)] == [WAITING]


def test_what_an_engine_will_not_have_now_is_that_class_of_jobs_and_nobody_elses(root: Root, engine: Double) -> None:
    add(root, "g", executor_class="gpu")
    add(root, "z")
    engine.not_now, engine.partition = "partition not available", "big"
    found = {step.experiment: step for step in take(root, max_runs=9)}
    assert {name: step.kind for name, step in found.items()} == {"a": QUEUED, "g": PROBLEM, "z": QUEUED}
    assert "double does not take it now: partition not available" in found["g"].what
    assert "does not answer" not in found["g"].what
    add(root, "h", executor_class="gpu")
    assert kinds(take(root, only=("h",), max_runs=9))[-1] == (PROBLEM, "h")
    double.run_what_waits(root)
    later = take(root, max_runs=9)
    assert {(step.kind, step.experiment) for step in later} == {(QUEUED, "a"), (QUEUED, "z"), (BUSY, "g"), (BUSY, "h")}


def test_who_asks_for_one_experiment_hears_of_no_other(root: Root, engine: Double) -> None:
    engine.silent = True
    take(root)
    add(root, "b")
    engine.calls.clear()
    assert kinds(take(root, only=("b",), engine="here")) == [("ran", "b")]
    assert engine.calls == []
    engine.silent = False
    take(root, only=("b",))
    engine.calls.clear()
    assert {step.experiment for step in take(root, only=("b",))} == {"b"}
    assert "submit" not in engine.calls  # what the other one waits for


def test_what_passes_is_said_once_shown_and_tried_again_after_a_growing_pause(root: Root, engine: Double) -> None:
    engine.not_now = "job limit used up"
    assert kinds(take(root)) == [(PROBLEM, "a")]
    for _ in range(3):
        assert {step.kind for step in take(root)} == {BUSY}
    assert engine.calls.count("submit") == 1
    assert placed.states(root, "a")[0].why == "double does not take it now: job limit used up"
    seen = root.layout.claim("a", 1, layout.SEEN_SUFFIX)
    for tries, (too_soon_s, late_s) in enumerate(((29, 31), (59, 61), (119, 121)), start=1):
        silent(seen, too_soon_s)
        assert {step.kind for step in take(root)} == {BUSY}
        assert engine.calls.count("submit") == tries
        silent(seen, late_s)
        assert {step.kind for step in take(root)} == {BUSY}
        assert engine.calls.count("submit") == tries + 1
    engine.not_now = "partition not available"  # something else
    silent(seen, 601)
    assert kinds(take(root))[0] == (PROBLEM, "a")
    engine.not_now = ""
    silent(seen, 601)
    assert kinds(take(root))[0] == (QUEUED, "a")
    assert placed.states(root, "a")[0].why == ""
    assert double.run_what_waits(root)[0][1] == 0
    assert len(seals(root)) == 1


@pytest.mark.parametrize("verb", ["submit", "release"])
def test_a_run_that_was_not_let_go_waits_while_its_experiment_is_paused(root: Root, engine: Double, verb: str) -> None:
    engine.silent_verbs = frozenset({verb})
    take(root)
    engine.silent_verbs = frozenset()
    decisions.pause(root, "a", reason="wrong data", actor="ann")
    for _ in range(2):
        (step,) = reconciling.reconcile(root)[-1:]
        assert (step.kind, step.what.partition(";")[0]) == (BUSY, "a is paused")
    assert [job.state for job in double.jobs(root)] == ([HELD] if verb == "release" else [])
    assert placed.states(root, "a")[0].why == "a is paused"
    decisions.resume(root, "a", reason="", actor="ann")
    assert kinds(reconciling.reconcile(root))[-1:] == [(QUEUED, "a")]
    assert [job.state for job in double.jobs(root)] == [WAITING]


def test_a_refusal_pauses_the_experiment_and_is_told_once(root: Root, engine: Double) -> None:
    engine.refuses = "invalid partition\nspecified"
    (step,) = take(root)
    assert step.kind == PROBLEM
    assert "invalid partition specified" in step.what
    assert "labctl resume a" in step.fix
    found = view(root, "a")
    assert (found.phase, found.runs) == (PAUSED, 0)
    assert "invalid partition" in found.phase_reason
    assert len(superseded(root)) == 1
    assert leases.survey(root, "a") == leases.Survey(highest=1)
    assert take(root) == []
    assert engine.calls.count("submit") == 1
    assert verify.verify(root).damage == ()


def test_a_refusal_at_a_later_look_is_the_same(root: Root, engine: Double) -> None:
    engine.silent = True
    take(root)
    engine.silent, engine.refuses = False, "no such account"
    assert PROBLEM in {step.kind for step in reconciling.reconcile(root)}
    assert view(root, "a").phase == PAUSED
    assert leases.survey(root, "a").held == ()


# -- what becomes of it --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "outcome"),
    [(MEMORY, "failed"), (TIME, "timeout"), (FAILED, "crash"), ("done", "crash"), (CANCELLED, "cancelled")],
)
def test_where_its_processes_are_gone_the_engines_word_is_the_outcome(root: Root, how: str, outcome: str) -> None:
    take(root)
    begin(root)
    with open(jobs.output(root, "a", 1), "w", encoding="utf-8") as file:
        file.write("Traceback: no room\n")
    double.alter(root, double.every(OVER, how, why="as it says"))
    assert reconciling.look(root, "a") == []  # its seal may be on its way
    unheard(root)
    (step,) = reconciling.look(root, "a")
    assert step.kind == SETTLED
    (made,) = seals(root)
    assert (made.run.outcome, made.run.value) == (outcome, None)
    assert "as it says" in made.run.reason
    printed = jobs.printed(root, "a", 1)
    assert ("registry/locks/a/00000001.printed" in made.run.reason) is (outcome != "cancelled")
    assert os.path.exists(printed) is (outcome != "cancelled")
    for folder, _, names in os.walk(root.layout.root):  # what `setup` printed may be a secret
        kept = [path for name in names if (path := os.path.join(folder, name)) != printed]
        assert not [path for path in kept if b"no room" in (reading.read(path) or b"")]
    if outcome != "cancelled":
        assert os.stat(printed).st_mode & 0o777 == 0o600
        assert tailed.tail(root, made.run.run_id, "stdout", 9).lines == ("Traceback: no room",)
    assert leases.survey(root, "a") == leases.Survey(highest=1)


@pytest.mark.parametrize("how", [LOST, "unknown"])
def test_where_its_processes_may_live_on_the_run_is_not_counted_and_made_again(root: Root, how: str) -> None:
    take(root)
    begin(root)
    double.alter(root, double.every(OVER, how))
    unheard(root)
    assert kinds(take(root)) == [(SETTLED, "a"), (QUEUED, "a")]
    assert len(superseded(root)) == 1
    assert view(root, "a").runs == 0
    assert double.run_what_waits(root)[0][1] == 0
    assert [made.generation for made in seals(root)] == [2]


def test_of_a_job_of_which_nothing_ran_nothing_can_live_on(root: Root) -> None:
    take(root)
    double.alter(root, double.every(OVER, FAILED, code=74))
    (step,) = reconciling.look(root, "a")
    (marked,) = superseded(root)
    note = reading.read(f"{root.layout.run('a', marked)}/{layout.SUPERSEDED}") or b""
    assert b"not to be seen" in note
    assert b"live on" not in note
    assert "live on" not in step.what


def test_a_job_that_its_engine_forgot_is_made_again(root: Root) -> None:
    take(root)
    double.alter(root, lambda all_: all_.clear())
    assert kinds(take(root)) == [(BUSY, "a")]
    unheard(root, 61.0)
    assert kinds(take(root)) == [(SETTLED, "a"), (QUEUED, "a")]


def test_a_body_whose_run_was_taken_does_nothing(root: Root) -> None:
    take(root)
    (job,) = double.jobs(root)
    reclaim.broken(root, "a", 1, actor="ann")
    assert double.run(root, job.argv) == 75
    assert seals(root) == []


def test_of_two_bodies_one_is_let_in(root: Root) -> None:
    take(root)
    (job,) = double.jobs(root)
    begin(root)
    assert double.run(root, job.argv) == 76
    assert reading.is_file(root.layout.claim("a", 1, layout.STARTED_SUFFIX))


def test_a_job_of_a_claim_that_was_broken_is_cancelled_by_the_next_look(root: Root) -> None:
    add(root, "b")
    take(root)
    reclaim.broken(root, "a", 1, actor="ann")
    assert len(superseded(root)) == 1
    reconciling.reconcile(root)
    assert [(job.state, job.how) for job in double.jobs(root)] == [(OVER, CANCELLED), (WAITING, "unknown")]


def test_a_run_that_waits_is_cancelled_with_its_job(root: Root) -> None:
    take(root)
    cancel.cancel(root, "a", reason="wrong data", actor="ann")
    (step,) = reconciling.look(root, "a")
    assert "sealed as cancelled" in step.what
    (made,) = seals(root)
    assert (made.run.outcome, made.run.reason) == ("cancelled", "ann: wrong data")
    assert double.jobs(root)[0].how == CANCELLED


def test_a_job_of_an_unknown_number_is_found_by_its_name(root: Root, engine: Double) -> None:
    engine.silent_verbs = frozenset({"release"})
    take(root)
    job = jobs.load(root, "a", 1)
    assert job is not None
    jobs.write(root, msgspec.structs.replace(job, number=""))
    engine.silent_verbs = frozenset()
    reconciling.look(root, "a")
    assert [each.state for each in double.jobs(root)] == [WAITING]
    again = jobs.load(root, "a", 1)
    assert again is not None
    assert again.number == "1"


def test_a_lab_that_is_reached_by_another_path_knows_its_jobs(root: Root, tmp_path: Path) -> None:
    take(root)
    (tmp_path / "other").symlink_to(root.layout.root)
    there = Root(str(tmp_path / "other"), root.world, files=root.files)
    unheard(there)
    assert reconciling.look(there, "a") == []
    assert len(double.jobs(root)) == 1


def test_what_happened_is_in_the_ledger(root: Root) -> None:
    take(root)
    begin(root)
    double.alter(root, double.every(OVER, MEMORY))
    unheard(root)
    reconciling.look(root, "a")
    (taken,) = told(root, event.LEASE_TAKEN_OVER)
    assert (taken.actor, taken.generation) == ("double", 1)
    assert "memory" in taken.reason


def test_a_look_at_many_jobs_is_one_question(root: Root, engine: Double) -> None:
    add(root, "b", max_parallel=20)
    take(root, only=("b",), max_runs=20)
    take(root, only=("a",))
    engine.calls.clear()
    assert reconciling.reconcile(root) == []
    assert engine.calls == ["listed"]


# -- at the last moment --------------------------------------------------------------------------------------------


def test_a_body_that_begins_at_the_last_moment_keeps_its_run(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    take(root)
    cancel.cancel(root, "a", reason="no", actor="ann")
    taken = taking.take

    def late(*given: object, **named: object) -> object:
        begin(root)
        return taken(*given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(taking, "take", late)
    reconciling.look(root, "a")
    assert len(leases.survey(root, "a").held) == 1
    assert seals(root) == []
    assert double.jobs(root)[0].state == WAITING


def test_a_body_that_was_stopped_and_goes_on_leaves_the_seal_as_it_is(
    root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its engine said that all of it was killed, and was wrong."""
    take(root)
    (job,) = double.jobs(root)
    carry_out = work.carry_out

    def stopped(*given: object, **named: object) -> object:
        double.alter(root, double.every(OVER, TIME))
        unheard(root)
        reconciling.look(root, "a")
        return carry_out(*given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(work, "carry_out", stopped)
    assert double.run(root, job.argv) == 75
    (made,) = seals(root)
    assert made.run.outcome == "timeout"
    assert verify.verify(root).damage == ()


def test_runs_for_an_engine_need_no_process_of_their_own(root: Root) -> None:
    add(root, "b", max_parallel=2)
    os.unlink(root.layout.engines)
    with open(root.layout.engines, "w", encoding="utf-8") as file:
        file.write("gpu:\n  engine: double\n")
    edit(root, "b", executor_class="gpu")
    steps = take(root, jobs=4, max_runs=9)
    assert sorted(kinds(steps)) == [(QUEUED, "b"), (QUEUED, "b"), ("ran", "a")]


def test_a_table_that_cannot_be_read_starts_nothing_here(root: Root) -> None:
    with open(root.layout.engines, "w", encoding="utf-8") as file:
        file.write("default: {engine: slrum}\n")
    for jobs_ in (1, 3):
        (step,) = take(root, jobs=jobs_)
        assert (step.kind, "slrum" in step.what) == (PROBLEM, True)
    assert bundles.names(root, "a") == []


def test_a_lab_in_which_no_engine_has_anything_asks_none(root: Root, engine: Double) -> None:
    take(root)
    double.run_what_waits(root)
    engine.calls.clear()
    os.unlink(root.layout.engines)
    take(root)
    assert engine.calls == []


def test_what_a_late_body_left_beside_a_claim_goes_with_the_next_one(root: Root) -> None:
    take(root)
    double.run_what_waits(root)
    with open(root.layout.claim("a", 1, layout.OUTPUT_SUFFIX), "w", encoding="utf-8") as file:
        file.write("too late\n")
    take(root)
    double.run_what_waits(root)
    assert [name for name in os.listdir(root.layout.claims("a")) if name.startswith("0")] == ["00000002.released"]


# -- what a power cut or a person leaves ---------------------------------------------------------------------------


def test_recovery_leaves_a_run_alone_that_an_engine_has(root: Root) -> None:
    take(root)
    assert watchdog.repair(root) == []
    done = watchdog.recover(root)
    assert done.done == ()
    assert len(leases.survey(root, "a").held) == 1
    assert double.run_what_waits(root)[0][1] == 0
    assert len(seals(root)) == 1


@pytest.mark.parametrize("left", [b"", b"\0" * 100, b"{"], ids=["empty", "blank", "torn"])
def test_a_job_that_a_power_cut_spoilt_is_cancelled_and_its_run_is_made_again(root: Root, left: bytes) -> None:
    take(root)
    with open(root.layout.claim("a", 1, layout.JOB_SUFFIX), "wb") as file:
        file.write(left)
    assert kinds(take(root)) == [(SETTLED, "a"), (QUEUED, "a")]
    first, second = double.jobs(root)
    assert (first.state, first.how, second.state) == (OVER, CANCELLED, WAITING)
    assert double.run_what_waits(root)[0][1] == 0
    assert [made.generation for made in seals(root)] == [2]


def test_a_body_whose_files_a_power_cut_spoilt_may_still_seal(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    take(root)
    (job,) = double.jobs(root)
    carry_out = work.carry_out

    def cut(*given: object, **named: object) -> object:
        for suffix in (layout.JOB_SUFFIX, layout.STARTED_SUFFIX, layout.SEEN_SUFFIX):
            with open(root.layout.claim("a", 1, suffix), "wb"):
                pass
        double.alter(root, double.every(RUNNING))
        assert reconciling.look(root, "a") == []
        assert [each.state for each in placed.states(root, "a")] == ["running"]
        return carry_out(*given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(work, "carry_out", cut)
    assert double.run(root, job.argv) == 0
    assert len(seals(root)) == 1


def test_a_job_that_was_submitted_twice_runs_once(root: Root) -> None:
    """Its submitter died while its last question was under way, and the engine took both."""
    take(root)
    (job,) = double.jobs(root)
    twin = msgspec.structs.replace(job, number="2", state=HELD)
    double.alter(root, lambda all_: [*all_, twin])
    double.run_what_waits(root)
    add(root, "b")
    take(root, only=("b",))
    reconciling.reconcile(root)
    assert {each.number: each.how for each in double.jobs(root)}["2"] == CANCELLED
    assert len(seals(root)) == 1
