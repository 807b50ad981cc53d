"""Taking a run from its engine: nobody's is taken that lives, and nothing is written into what is sealed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from lab.core import layout
from lab.core.job import CANCELLED, FAILED, LOST, OVER, RUNNING, SUSPENDED, TIME, TOLD, WAITING, Report
from lab.core.launch import LIMIT_SIGNAL, SUPERSEDED
from lab.executors import leftovers
from lab.scheduler import launching, reclaim, work
from lab.scheduler.control import cancel
from lab.scheduler.placing import body, handing, placed, reconciling, taking
from lab.scheduler.step import PROBLEM, QUEUED
from lab.store import contents, leases, machine, reading, renewal, verify
from tests.scheduler.labs import silent
from tests.scheduler.placing import engine_double as double
from tests.scheduler.placing.test_reconciling import begin, engine, root, seals, superseded, unheard
from tests.scheduler.test_due import edit
from tests.scheduler.test_turn import add, kinds, take

if TYPE_CHECKING:
    from lab.core.claim import Claim
    from lab.engines.door import Ground
    from lab.store.root import Root
    from tests.scheduler.placing.engine_double import Double

__all__ = ["engine", "root"]  # fixtures


# -- what is not known is asked for again --------------------------------------------------------------------------


def test_a_job_that_was_submitted_after_all_were_asked_for_is_not_forgotten(
    root: Root, engine: Double, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.silent = True
    take(root)  # it was claimed long ago, and its engine was down
    unheard(root, 600.0)
    engine.silent = False
    listed = engine.listed

    def old(prefix: str, ground: Ground) -> tuple[Report, ...]:
        told = listed(prefix, ground)
        monkeypatch.setattr(engine, "listed", listed)
        assert (QUEUED, "a") in kinds(reconciling.reconcile(root))  # cron, beside this one
        return told

    monkeypatch.setattr(engine, "listed", old)
    reconciling.reconcile(root)
    assert [job.state for job in double.jobs(root)] == [WAITING]
    assert superseded(root) == []


def test_a_job_whose_submission_took_long_is_not_forgotten(
    root: Root, engine: Double, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever looks beside it has waited for it, and asked before it."""
    engine.silent_verbs = frozenset({"submit"})
    take(root)
    engine.silent_verbs = frozenset()
    hold = reconciling.hold  # type: ignore[attr-defined]
    waited: list[str] = []

    def held(path: str, **more: float) -> object:
        if not waited:
            waited.append(path)
            (claim,) = placed.held(root)
            job = placed.job(root, claim)
            assert job is not None
            handing.hand_over(root, job)
            unheard(root, 65.0)
        return hold(path, **more)

    monkeypatch.setattr(reconciling, "hold", held)
    reconciling.reconcile(root)
    assert [job.state for job in double.jobs(root)] == [WAITING]
    assert superseded(root) == []


def test_how_long_a_job_is_not_known_counts_from_when_it_was_accepted(root: Root) -> None:
    take(root)
    double.alter(root, lambda all_: all_.clear())
    for suffix in (layout.CLAIM_SUFFIX, layout.SEEN_SUFFIX):
        if os.path.exists(path := root.layout.claim("a", 1, suffix)):
            silent(path)
    reconciling.reconcile(root)
    assert superseded(root) == []


# -- a body that begins while its run is taken ---------------------------------------------------------------------


class Killed(BaseException):
    """Whoever looks is killed here."""


def test_a_body_does_not_begin_a_run_that_somebody_died_taking(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    take(root)
    cancel.cancel(root, "a", reason="no", actor="ann")

    def killed(*_: object) -> bool:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(taking.leases, "supersede", killed)  # type: ignore[attr-defined]
        with pytest.raises(Killed):
            reconciling.reconcile(root)
    assert double.run(root, double.jobs(root)[0].argv) == 75
    reconciling.reconcile(root)
    assert [made.run.outcome for made in seals(root)] == ["cancelled"]


def test_a_cancel_reaches_a_job_that_runs_and_whose_body_has_not_begun(root: Root) -> None:
    """What sets its place up hangs."""
    take(root)
    double.alter(root, double.every(RUNNING))
    cancel.cancel(root, "a", reason="it hangs", actor="ann")
    reconciling.look(root, "a")
    assert [made.run.reason for made in seals(root)] == ["ann: it hangs"]
    assert [(job.state, job.how) for job in double.jobs(root)] == [(OVER, CANCELLED)]


# -- a body that is silent -----------------------------------------------------------------------------------------


def test_a_body_that_its_engine_has_suspended_keeps_its_run_and_a_moment_more(root: Root) -> None:
    take(root)
    begin(root)
    double.alter(root, double.every(RUNNING, why=SUSPENDED))
    unheard(root)
    assert reconciling.look(root, "a") == []
    double.alter(root, double.every(RUNNING))  # it goes on, and has had no time to renew
    assert reconciling.look(root, "a") == []
    assert len(leases.survey(root, "a").held) == 1
    unheard(root)
    assert reconciling.look(root, "a") != []  # it did not


def test_the_last_look_before_a_takeover_asks_the_file_server(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    """NFS tells the age of a file from memory, until somebody opens it."""
    take(root)
    begin(root)
    double.alter(root, double.every(OVER, CANCELLED))
    unheard(root)
    (claim,) = placed.held(root)
    opened, stat = os.open, os.stat
    fresh: set[str] = set()
    stale: list[str] = []

    def opens(path: str, *more: int, **named: int) -> int:
        fresh.add(str(path))
        return opened(path, *more, **named)

    def stats(path: str, **named: int) -> os.stat_result:
        if str(path).endswith((layout.CLAIM_SUFFIX, layout.STARTED_SUFFIX)):
            stale.extend({str(path), root.layout.claims("a")} - fresh)
        return stat(path, **named)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", opens)
        patched.setattr(os, "stat", stats)
        assert taking.take(root, claim, _over(claim), forgets_after_s=60.0) is not None
    assert stale == []


def _over(claim: Claim) -> tuple[Report, ...]:
    return (Report(name=f"lab-a-{claim.generation}", number="1", state=OVER, how=CANCELLED),)


# -- a body that is told to end -------------------------------------------------------------------------------------


def told_to_end(root: Root, number: str) -> int:
    """A run whose program goes on for long; its body gets a signal. What the body ends with."""
    edit(root, "a", executor="command", executor_command="/bin/sh -c 'echo begun; exec sleep 60'")
    take(root)
    (job,) = double.jobs(root)
    log = f"{root.layout.run('a', job.argv[-3])}/{layout.STDOUT}"

    def came() -> str:
        return number if reading.size_of(log) > 0 else ""

    try:
        body.perform(root, "a", job.argv[-3], tell=lambda _: None, interrupted=came)
    except body.Turned as turned:
        return turned.code
    return 0


def test_the_time_limit_of_an_engine_is_a_timeout_and_nobodys_wish(root: Root, engine: Double) -> None:
    engine.tells_why = True  # type: ignore[attr-defined]
    assert told_to_end(root, LIMIT_SIGNAL) == 0
    (made,) = seals(root)
    assert (made.run.outcome, "time limit" in made.run.reason) == ("timeout", True)


@pytest.mark.parametrize(
    ("how", "code", "outcome"),
    [(TIME, None, "timeout"), (CANCELLED, None, "cancelled"), (LOST, None, ""), (FAILED, TOLD, "")],
    ids=["limit", "scancel", "preempted", "preempted-and-gone-before"],
)
def test_why_a_body_was_told_to_end_is_for_its_engine_to_say(
    root: Root, engine: Double, how: str, code: int | None, outcome: str
) -> None:
    engine.tells_why = True  # type: ignore[attr-defined]
    assert told_to_end(root, "SIGTERM") == TOLD
    assert seals(root) == []
    double.alter(root, double.every(OVER, how, code=code, why="as it says"))
    unheard(root)
    reconciling.look(root, "a")
    assert [made.run.outcome for made in seals(root)] == ([outcome] if outcome else [])
    assert len(superseded(root)) == (0 if outcome else 1)
    assert ["as it says" in made.run.reason for made in seals(root)] == ([True] if outcome else [])
    assert verify.verify(root).damage == ()


def test_where_an_engine_tells_no_reasons_a_signal_is_somebodys_wish(root: Root) -> None:
    assert told_to_end(root, "SIGTERM") == 0
    assert [made.run.outcome for made in seals(root)] == ["cancelled"]


def test_a_person_who_cancelled_it_is_named_whatever_its_engine_does_meanwhile(
    root: Root, engine: Double, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.tells_why = True  # type: ignore[attr-defined]
    carry_out = work.carry_out

    def wanted(*given: object, **named: object) -> object:
        cancel.cancel(root, "a", reason="no", actor="ann")
        return carry_out(*given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(work, "carry_out", wanted)
    assert told_to_end(root, "SIGTERM") == 0
    assert [made.run.outcome for made in seals(root)] == ["cancelled"]


# -- what is wrong with one experiment -----------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [layout.SEEN_SUFFIX, layout.CANCEL_SUFFIX])
def test_what_cannot_be_written_for_one_experiment_keeps_no_other_waiting(root: Root, suffix: str) -> None:
    add(root, "b")
    take(root, max_runs=2)
    if os.path.exists(path := root.layout.claim("a", 1, suffix)):
        os.unlink(path)
    os.mkdir(path)
    double.alter(root, double.every(WAITING, why="Priority"))
    steps = reconciling.reconcile(root)
    assert {step.experiment for step in steps if step.kind == PROBLEM} <= {"a"}
    assert [state.why for state in placed.states(root, "b")] == ["Priority"]
    double.alter(root, double.every(OVER, CANCELLED))
    reconciling.reconcile(root)
    assert [made.run.outcome for made in seals(root, "b")] == ["cancelled"]


def test_what_cannot_be_read_of_one_experiment_keeps_no_other_waiting(
    root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(root, "b")
    take(root, max_runs=2)
    survey = leases.survey

    def refused(root: Root, name: str) -> leases.Survey:
        if name == "a":
            raise PermissionError(13, "Permission denied", root.layout.claims(name))
        return survey(root, name)

    monkeypatch.setattr(leases, "survey", refused)
    double.alter(root, double.every(OVER, CANCELLED))
    steps = reconciling.reconcile(root)
    assert [step.experiment for step in steps if step.kind == PROBLEM] == ["a"]
    assert [made.run.outcome for made in seals(root, "b")] == ["cancelled"]


def test_a_disk_that_refuses_everybody_is_no_trouble_of_one(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    take(root)

    def full(*_: object) -> object:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(placed, "look", full)
    with pytest.raises(OSError, match="No space"):
        reconciling.reconcile(root)


# -- a body that comes back ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["it goes on", "it has ended by itself"])
def test_a_body_that_comes_back_writes_nothing_into_what_was_sealed_meanwhile(
    root: Root, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    """Its node was out of reach: it renewed nothing, and its engine called it cancelled."""
    waits = "exec sleep 60" if ending == "it goes on" else "sleep 0.3"
    program = f"exec 5>>mine; while ! test -e {root.layout.root}/go; do echo a; echo b >&5; sleep 0.02; done; {waits}"
    edit(root, "a", executor="command", executor_command=f"/bin/sh -c 'cd $LAB_RUN_DIR; {program}'")
    take(root)
    (job,) = double.jobs(root)
    path = root.layout.run("a", job.argv[-3])
    renewed: list[str] = []
    monkeypatch.setattr(launching, "RENEW_EVERY_S", 0.0)
    renew = leases.Lease.renew

    def cut_off(lease: leases.Lease, root: Root) -> None:
        if reading.size_of(f"{path}/mine") <= 0:  # it has not begun to write
            return renew(lease, root)
        if not renewed:
            renewed.append("not")
            double.alter(root, double.every(OVER, CANCELLED, why="as it says"))
            unheard(root)
            # It lives on another machine: nobody here can end it.
            with monkeypatch.context() as far:
                far.setattr(machine, "writers", lambda _: [])
                far.setattr(leftovers, "end", lambda _: None)
                reconciling.look(root, "a")
            assert [made.run.outcome for made in seals(root)] == ["cancelled"]
            with open(f"{root.layout.root}/go", "wb"):
                pass
            if ending != "it goes on":
                raise OSError(5, "the file server is not quite back")
        return renew(lease, root)

    monkeypatch.setattr(leases.Lease, "renew", cut_off)
    assert double.run(root, job.argv) == 75
    assert verify.verify(root).damage == ()
    assert superseded(root) == []


def test_a_body_whose_disk_comes_back_hears_soon_that_its_run_was_taken(
    root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    take(root)
    clock = [0.0]
    monkeypatch.setattr(launching.time, "monotonic", lambda: clock[0])  # type: ignore[attr-defined]
    lease = leases.held(root, "a", 1)
    watch = launching.Watch(root, lease, lambda: "")

    def away(*_: object) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(leases.Lease, "renew", away)
        clock[0] = 21.0
        assert watch() is None
    reclaim.broken(root, "a", 1, actor="ann")
    clock[0] = 23.5
    word = watch()
    assert word is not None
    assert (word.how, word.at_once) == (SUPERSEDED, False)  # nothing was sealed: its program may tidy up


def test_a_run_is_not_lost_while_its_body_digests_a_large_checkpoint(
    root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    take(root)
    (job,) = double.jobs(root)
    double.alter(root, double.every(RUNNING))
    take_stock = contents.take_stock
    monkeypatch.setattr(renewal, "RENEW_EVERY_S", 0.0)

    def slow(*given: object, **named: object) -> object:
        unheard(root)
        found = take_stock(*given, **named)  # type: ignore[arg-type]
        assert reconciling.reconcile(root) == []
        return found

    monkeypatch.setattr(contents, "take_stock", slow)
    assert double.run(root, job.argv) == 0
    assert superseded(root) == []


def test_one_large_file_is_no_silence(root: Root) -> None:
    take(root)
    (job,) = double.jobs(root)
    with open(f"{root.layout.run('a', job.argv[-3])}/checkpoint", "wb") as file:
        file.truncate(50 << 20)
    beats: list[int] = []
    contents.take_stock(root, "a", job.argv[-3], durability="fast", beat=lambda *_: beats.append(1))
    assert len(beats) > 50
