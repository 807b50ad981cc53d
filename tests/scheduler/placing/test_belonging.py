"""Whose a job is: of which lab, at which cluster, of which user. What is somebody else's is left alone."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import msgspec
import pytest

from lab.core import job as words
from lab.core import layout
from lab.core.job import CANCELLED, HELD, NOT_HERE, OVER, SILENT_S, WAITING
from lab.scheduler import engines_found, reclaim, watchdog
from lab.scheduler.control import cancel
from lab.scheduler.placing import placed, reconciling
from lab.scheduler.step import HELD as BUSY
from lab.scheduler.step import PROBLEM, QUEUED, SETTLED
from lab.store import identity, jobs, strays
from lab.store.files import Files
from lab.store.root import Root
from tests.scheduler.labs import silent
from tests.scheduler.placing import engine_double as double
from tests.scheduler.placing.test_reconciling import begin, engine, root, seals, superseded, unheard
from tests.scheduler.test_turn import add, kinds, take

if TYPE_CHECKING:
    from pathlib import Path

    from tests.scheduler.placing.engine_double import Double

__all__ = ["engine", "root"]  # fixtures
FAR = 1_000_000


def copied(root: Root, to: Path, *, shared: bool = True) -> Root:
    """`cp -a`, of a lab whose engine both can speak to."""
    shutil.copytree(root.layout.root, to)
    if shared:
        shutil.rmtree(to / "registry/engines/double", ignore_errors=True)
        (to / "registry/engines").mkdir(exist_ok=True)
        (to / "registry/engines/double").symlink_to(root.layout.engine("double"))
    return Root(str(to), root.world, files=root.files)


def forgotten(root: Root) -> None:
    """Nobody was heard of, of any file that says so."""
    unheard(root)
    if os.path.exists(path := root.layout.claim("a", 1, layout.JOB_SUFFIX)):
        silent(path)


# -- labs ----------------------------------------------------------------------------------------------------------


def test_a_lab_is_the_same_by_another_path_and_after_a_move_and_a_copy_is_another(root: Root, tmp_path: Path) -> None:
    assert identity.found(root) == ""
    first = identity.of(root)
    assert identity.of(root) == identity.found(root) == first
    copy = copied(root, tmp_path / "copy")
    assert identity.of(copy) not in ("", first)
    os.rename(root.layout.root, tmp_path / "moved")
    assert identity.of(Root(str(tmp_path / "moved"), root.world)) == first


class Beaten(Files):
    """Somebody else draws a word just before."""

    def step(self, name: str, path: str) -> None:
        if name == "link":
            Files(durable=False).create(path, b"theirs\n")


def test_of_two_that_draw_a_word_at_once_both_go_by_one(root: Root) -> None:
    beaten = identity.of(Root(root.layout.root, root.world, files=Beaten(durable=False)))
    assert beaten.startswith("theirs:")
    assert identity.of(root) == beaten


def test_two_labs_under_one_path_do_not_share_their_jobs(root: Root, engine: Double, tmp_path: Path) -> None:
    take(root)
    reclaim.broken(root, "a", 1, actor="ann")  # its generations go on at 2
    add(root, "a2")
    take(root, only=("a",))
    waiting = [job for job in double.jobs(root) if job.state == WAITING]
    away = tmp_path / "away"
    os.rename(root.layout.root, away)
    shutil.copytree(away, root.layout.root)  # the same path, in another container
    shutil.rmtree(root.layout.engine("double"))
    os.symlink(away / "registry/engines/double", root.layout.engine("double"))
    shutil.rmtree(root.layout.claims("a"))
    os.unlink(root.layout.identity)
    take(root, only=("a2",))
    engine.calls.clear()
    reconciling.reconcile(root)
    assert [job for job in double.jobs(root) if job.name == waiting[-1].name] == [waiting[-1]]


@pytest.mark.parametrize("asked", [False, True], ids=["", "cancelled"])
def test_a_copy_does_nothing_to_the_jobs_of_the_original(
    root: Root, engine: Double, tmp_path: Path, *, asked: bool
) -> None:
    take(root)
    copy = copied(root, tmp_path / "copy")
    before = double.jobs(root)
    engine.calls.clear()
    if asked:
        cancel.cancel(copy, "a", reason="not here", actor="ann")
    done = reconciling.reconcile(copy)
    assert kinds(done) == ([(SETTLED, "a")] if asked else [])
    assert [made.run.outcome for made in seals(copy)] == ([CANCELLED] if asked else [])
    forgotten(copy)
    assert kinds(reconciling.reconcile(copy)) == ([] if asked else [(SETTLED, "a")])
    assert len(superseded(copy)) == (not asked)
    assert engine.calls == []
    assert double.jobs(root) == before
    assert kinds(take(copy)) == [(QUEUED, "a")]  # under a name of its own
    assert double.run(root, before[0].argv) == 0
    assert [made.generation for made in seals(root)] == [1]


def test_a_run_in_a_copy_is_left_while_its_body_lives_there(root: Root, tmp_path: Path) -> None:
    """The lab was put in the place of the one that it is a copy of, while a body was at work."""
    take(root)
    begin(root)
    copy = copied(root, tmp_path / "copy")
    unheard(copy, SILENT_S - 30)
    assert reconciling.reconcile(copy) == []
    (state,) = placed.states(copy, "a")
    assert state.state == "running"
    unheard(copy)
    (step,) = reconciling.reconcile(copy)
    assert "copied, or moved to another file system" in step.what
    assert superseded(copy)


def test_a_lab_whose_word_is_gone_makes_again_what_was_out(root: Root, engine: Double) -> None:
    take(root)
    (job,) = double.jobs(root)
    os.unlink(root.layout.identity)
    watchdog.recover(root)
    engine.calls.clear()
    assert reconciling.reconcile(root) == []
    forgotten(root)
    assert kinds(take(root)) == [(SETTLED, "a"), (QUEUED, "a")]
    assert double.run(root, job.argv) == words.FENCED
    assert engine.calls == ["submit", "release"]


def test_a_check_up_writes_no_word(root: Root) -> None:
    assert [each.state for each in engines_found.checks(root) if each.name == "engine double"] == ["ok"]
    assert identity.found(root) == ""


@pytest.mark.parametrize("begun", [False, True], ids=["waits", "begun"])
def test_a_lab_that_is_not_to_be_seen_where_its_job_was_placed_loses_it(root: Root, *, begun: bool) -> None:
    take(root)
    if begun:
        begin(root)
    double.alter(root, double.every(OVER, "failed", code=NOT_HERE))
    unheard(root)
    (step,) = reconciling.reconcile(root)
    assert "not to be seen" in step.what
    assert (len(superseded(root)), seals(root)) == (1, [])


@pytest.mark.parametrize("code", [words.FENCED, words.TWICE])
def test_a_job_that_was_placed_where_another_lab_lies_under_the_path_is_lost(root: Root, code: int) -> None:
    take(root)
    double.alter(root, double.every(OVER, "failed", code=code))
    (step,) = reconciling.reconcile(root)
    assert "its body found no claim of its own where its job was placed" in step.what
    assert (len(superseded(root)), seals(root)) == (1, [])


# -- clusters ------------------------------------------------------------------------------------------------------


def test_what_is_at_another_cluster_is_left_to_who_looks_from_there(root: Root, engine: Double) -> None:
    add(root, "b", max_parallel=2)
    take(root, only=("a",))
    take(root, only=("b",), max_runs=2)
    double.alter(root, lambda all_: all_.clear())
    before = {name: os.listdir(root.layout.claims(name)) for name in ("a", "b")}
    forgotten(root)
    engine.at = "west"
    engine.calls.clear()
    cancel.cancel(root, "a", reason="no", actor="ann")
    first, second = reconciling.reconcile(root)
    assert [(each.kind, each.experiment) for each in (first, second)] == [(BUSY, "a"), (BUSY, "b")]
    assert "double east" in first.what
    assert "lease break a" in first.fix
    assert engine.calls == []
    assert set(before["b"]) == set(os.listdir(root.layout.claims("b")))
    engine.at = "east"
    assert SETTLED in {step.kind for step in reconciling.reconcile(root)}


def test_which_cluster_is_asked_is_written_before_it_is(
    root: Root, engine: Double, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or another one would be asked for it too, when who submitted it dies before the answer."""

    def die(*_: object) -> str:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(engine, "submit", die)
        with pytest.raises(KeyboardInterrupt):
            take(root)
    engine.at = "west"
    assert kinds(reconciling.reconcile(root)) == [(BUSY, "a")]
    assert double.jobs(root) == []
    engine.at = "east"
    assert kinds(reconciling.reconcile(root)) == [(QUEUED, "a")]
    assert [each.engine for each in strays.suspected(root)] == ["double"]  # it may have been handed over all the same


def test_a_run_that_no_cluster_was_asked_for_goes_to_the_one_that_answers(root: Root, engine: Double) -> None:
    engine.silent = True
    assert kinds(take(root)) == [(PROBLEM, "a")]
    engine.silent, engine.at = False, "west"
    assert (QUEUED, "a") in kinds(reconciling.reconcile(root))
    made = jobs.load(root, "a", 1)
    assert made is not None
    assert (made.where, made.uid) == ("west", os.geteuid())


# -- users ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("numbered", [True, False])
def test_a_job_that_its_engine_may_hide_is_not_taken_for_one_that_it_forgot(
    root: Root, engine: Double, monkeypatch: pytest.MonkeyPatch, *, numbered: bool
) -> None:
    take(root)
    made = jobs.load(root, "a", 1)
    assert made is not None
    jobs.write(root, msgspec.structs.replace(made, uid=FAR, number=made.number if numbered else ""))
    double.alter(root, lambda all_: all_.clear())
    forgotten(root)
    monkeypatch.setattr(os, "geteuid", lambda: FAR + 1)
    engine.calls.clear()
    assert reconciling.reconcile(root) == []
    assert engine.calls == ["listed"]
    assert "to its owner alone" in placed.states(root, "a")[0].why
    for uid in (FAR, 0):
        monkeypatch.setattr(os, "geteuid", lambda uid=uid: uid)
        (claim,) = placed.held(root)
        found = placed.look(root, claim, "")
        assert found is not None
        assert not found.seen((), 0.0).hidden


# -- jobs that nobody waits for ------------------------------------------------------------------------------------


def test_a_job_that_came_after_all_is_cancelled_though_nothing_is_out(root: Root, engine: Double) -> None:
    engine.silent_verbs = frozenset({"submit"})
    take(root)  # what was said is on its way
    engine.silent_verbs = frozenset()
    silent(root.layout.claim("a", 1, layout.SEEN_SUFFIX))
    take(root)
    assert double.run_what_waits(root)[0][1] == 0
    (job,) = double.jobs(root)
    double.alter(root, lambda all_: [*all_, msgspec.structs.replace(job, number="2", state=HELD)])
    os.unlink(root.layout.engines)
    take(root)
    assert {each.number: each.how for each in double.jobs(root)}["2"] == CANCELLED
    engine.calls.clear()
    take(root)
    assert engine.calls == ["listed"]
    (mark,) = (name for name in os.listdir(os.path.dirname(root.layout.doubt("x"))) if name.endswith(".doubt"))
    silent(root.layout.doubt(mark.removesuffix(".doubt")), strays.KEEP_S + 60)
    take(root)
    assert engine.calls == ["listed"]
    assert strays.suspected(root) == []


def test_a_job_that_came_after_its_run_was_cancelled_is_cancelled_too(root: Root, engine: Double) -> None:
    engine.silent_verbs = frozenset({"submit"})
    take(root)  # what was said is on its way
    engine.silent_verbs = frozenset()
    made = jobs.load(root, "a", 1)
    assert made is not None
    cancel.cancel(root, "a", reason="no", actor="ann")
    reconciling.reconcile(root)
    double.alter(root, lambda all_: [*all_, double.At(name=made.name, number="1")])
    reconciling.reconcile(root)
    assert [job.how for job in double.jobs(root)] == [CANCELLED]


def test_what_may_be_left_of_a_job_that_its_engine_lost_is_ended_when_its_run_is_taken(
    root: Root, engine: Double
) -> None:
    take(root)
    begin(root)
    double.alter(root, double.every(OVER, "lost"))
    engine.calls.clear()
    assert reconciling.reconcile(root) == []
    assert "cancel" not in engine.calls
    unheard(root)
    reconciling.reconcile(root)
    assert "cancel" in engine.calls


def test_a_job_whose_run_was_taken_by_a_person_is_cancelled_though_nothing_else_is_out(root: Root) -> None:
    take(root)
    reclaim.broken(root, "a", 1, actor="ann")
    reconciling.reconcile(root)
    assert [job.how for job in double.jobs(root)] == [CANCELLED]


def test_a_job_that_could_not_be_cancelled_is_cancelled_later(root: Root, engine: Double) -> None:
    take(root)
    cancel.cancel(root, "a", reason="no", actor="ann")
    engine.silent_verbs = frozenset({"cancel"})
    assert PROBLEM in {step.kind for step in reconciling.reconcile(root)}
    assert double.jobs(root)[0].state == WAITING
    engine.silent_verbs = frozenset()
    reconciling.reconcile(root)
    assert double.jobs(root)[0].how == CANCELLED


def test_an_engine_in_doubt_that_does_not_answer_is_nobodys_trouble(root: Root, engine: Double) -> None:
    strays.suspect(root, "double")
    strays.suspect(root, "nowhere", "http://x")
    engine.silent = True
    assert reconciling.reconcile(root) == []
