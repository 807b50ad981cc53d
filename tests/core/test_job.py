"""What follows from what was seen of a run in an engine's hands, and that it ends well whatever the engine does."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.core import job as words
from lab.core.job import (
    CANCELLED,
    DONE,
    FAILED,
    FENCED,
    HELD,
    LOST,
    MEMORY,
    OVER,
    PATIENCE_S,
    REFUSED,
    RUNNING,
    SILENT_S,
    SUSPENDED,
    TIME,
    TOLD,
    TWICE,
    UNKNOWN,
    WAITING,
    WITNESS_S,
    Job,
    Leave,
    Release,
    Report,
    Seen,
    Sight,
    Start,
    Submit,
    Take,
    Verdict,
    Wants,
    judge,
)
from lab.core.record import encode, parse
from lab.core.spec import Spec

FORGETS_S = 60.0
ENDS = (DONE, FAILED, MEMORY, TIME, CANCELLED, LOST, UNKNOWN)
JOB = Job(
    experiment="a", generation=1, run_id="RUN-1", engine="e", name="n-a-1", asked_at="", spec=Spec(id="a"),
    wants=Wants(engine="e", setup=("module load x",)),
)  # fmt: skip
NUMBERED = Job(**{**{name: getattr(JOB, name) for name in JOB.__struct_fields__}, "number": "7"})
BODY = Start(run_id="RUN-1", host="n1", pid=9, number="7")


def report(state: str = RUNNING, number: str = "7", **more: object) -> Report:
    return Report(name="n-a-1", number=number, state=state, **more)  # type: ignore[arg-type]


def judged(job: Job | None = NUMBERED, *reports: Report, **more: object) -> Verdict:
    return judge(Seen(job=job, reports=reports, **more), forgets_after_s=FORGETS_S)  # type: ignore[arg-type]


def test_what_is_kept_of_a_job_comes_back_as_it_was() -> None:
    for record in (JOB, NUMBERED, BODY, Sight(state=WAITING, why="Priority", at="now")):
        assert parse(type(record), encode(record), "x") == record


def test_a_job_that_was_never_handed_over_is_submitted() -> None:
    assert judged(JOB) == Submit()
    assert judged(JOB, silent_s=1e9) == Submit()


@pytest.mark.parametrize("job", [JOB, NUMBERED], ids=["unnumbered", "numbered"])
def test_a_job_that_is_held_is_let_go(job: Job) -> None:
    assert judged(job, report(HELD)) == Release(number="7")


def test_of_two_jobs_of_one_run_one_is_cancelled() -> None:
    first, second = report(HELD, "7"), report(WAITING, "8")
    assert judged(NUMBERED, first, second) == Leave(state=WAITING, number="8", cancel=("7",))
    assert judged(NUMBERED, report(RUNNING, "8"), report(WAITING, "7")) == Leave(
        state=WAITING, number="7", cancel=("8",)
    )
    both = report(RUNNING, "8"), report(RUNNING, "7", where="n1")
    assert judged(NUMBERED, *both, started=BODY) == Leave(state=RUNNING, number="7", where="n1", cancel=("8",))


def test_a_job_that_waits_or_runs_is_left() -> None:
    waiting = judged(NUMBERED, report(WAITING, why="Resources"), silent_s=1e6)
    assert waiting == Leave(state=WAITING, number="7", why="Resources")
    running = judged(NUMBERED, report(RUNNING, where="n1"), started=BODY)
    assert running == Leave(state=RUNNING, number="7", where="n1")


def test_a_run_that_waits_and_was_cancelled_is_taken_with_its_job() -> None:
    verdict = judged(NUMBERED, report(WAITING), cancel_asked="ann: no")
    assert verdict == Take(ended=CANCELLED, why="ann: no", cancel=("7",))
    assert judged(JOB, cancel_asked="ann: no") == Take(ended=CANCELLED, why="ann: no")
    # What sets its place up may hang, and no body hears of it.
    hanging = judged(NUMBERED, report(RUNNING, where="n1"), cancel_asked="ann: no")
    assert hanging == Take(ended=CANCELLED, why="ann: no", cancel=("7",))


def test_a_run_whose_body_has_begun_hears_of_a_cancel_itself() -> None:
    assert isinstance(judged(NUMBERED, report(), started=BODY, cancel_asked="ann: no"), Leave)


@pytest.mark.parametrize("how", ENDS)
def test_an_engine_that_says_that_a_job_has_ended_is_believed_after_a_while(how: str) -> None:
    over = report(OVER, how=how, where="n1", why="said so")
    soon = judged(NUMBERED, over, started=BODY, silent_s=PATIENCE_S - 1)
    assert isinstance(soon, Leave)
    late = judged(NUMBERED, over, started=BODY, silent_s=WITNESS_S + 1)
    assert isinstance(late, Take)
    assert late.ended == how
    assert late.why.endswith("on n1 (said so)")


@pytest.mark.parametrize("how", ENDS)
def test_a_body_that_is_still_heard_of_outlives_an_engine_that_only_says_that_it_ended(how: str) -> None:
    verdict = judged(NUMBERED, report(OVER, how=how), started=BODY, silent_s=21.0)
    assert isinstance(verdict, Leave)
    assert verdict.state == RUNNING


def test_an_exit_code_of_the_body_is_believed_sooner_than_its_absence() -> None:
    verdict = judged(NUMBERED, report(OVER, how=FAILED, code=1), started=BODY, silent_s=PATIENCE_S + 1)
    assert isinstance(verdict, Take)
    assert "exit code 1" in verdict.why


@pytest.mark.parametrize("how", [MEMORY, TIME, CANCELLED, LOST, UNKNOWN])
def test_an_exit_code_beside_another_end_is_no_bodys(how: str) -> None:
    """Slurm says 0 of a job that was cancelled on a node that it cannot reach, and whose body works on."""
    verdict = judged(NUMBERED, report(OVER, how=how, code=0), started=BODY, silent_s=21.0)
    assert isinstance(verdict, Leave)


def test_a_body_that_was_told_to_end_by_its_place_is_lost_and_not_ended() -> None:
    verdict = judged(NUMBERED, report(OVER, how=FAILED, code=TOLD, where="n1"), started=BODY, silent_s=PATIENCE_S + 1)
    assert isinstance(verdict, Take)
    assert (verdict.ended, verdict.why.endswith("on n1")) == (LOST, True)


@pytest.mark.parametrize("silent_s", [1.0, 1e6])
def test_a_job_that_its_engine_has_suspended_is_left(silent_s: float) -> None:
    seen = report(RUNNING, where="n1", why=SUSPENDED)
    assert judged(NUMBERED, seen, started=BODY, silent_s=silent_s) == Leave(
        state=RUNNING, number="7", where="n1", why=SUSPENDED
    )


def test_the_end_of_a_second_body_is_not_the_end_of_the_first() -> None:
    twice = report(OVER, "8", how=FAILED, code=TWICE)
    assert isinstance(judged(NUMBERED, twice, started=BODY, silent_s=SILENT_S - 1), Leave)
    assert isinstance(judged(NUMBERED, twice, started=BODY, silent_s=SILENT_S + 1), Take)
    own = report(OVER, "7", how=MEMORY)
    verdict = judged(NUMBERED, own, twice, started=BODY, silent_s=WITNESS_S + 1)
    assert isinstance(verdict, Take)
    assert verdict.ended == MEMORY


@pytest.mark.parametrize("code", [FENCED, TWICE, words.NOT_HERE])
def test_a_second_start_that_was_turned_away_says_nothing_of_the_body_that_lives(code: int) -> None:
    """It has the number of the first: its engine queued the job again, and placed it where the lab is not seen, say."""
    again = report(OVER, "7", how=FAILED, code=code, where="n2")
    assert isinstance(judged(NUMBERED, again, started=BODY, silent_s=21.0), Leave)
    assert isinstance(judged(NUMBERED, again, started=BODY, silent_s=SILENT_S + 1), Take)


def test_a_body_whose_last_sight_was_suspended_is_left_once_more() -> None:
    seen = Seen(job=NUMBERED, started=BODY, silent_s=1e6, was_suspended=True, reports=(report(RUNNING),))
    assert isinstance(judge(seen, forgets_after_s=FORGETS_S), Leave)
    gone = msgspec.structs.replace(seen, reports=(report(WAITING),))
    assert isinstance(judge(gone, forgets_after_s=FORGETS_S), Take)


def test_a_job_that_ended_before_its_body_began_is_over_at_once() -> None:
    assert judged(NUMBERED, report(OVER, how=CANCELLED)) == Take(ended=CANCELLED, why="its job was cancelled")
    placed = judged(NUMBERED, report(OVER, how=CANCELLED, where="n1"))  # by a node that could not start it
    assert isinstance(placed, Take)
    assert placed.ended == LOST
    asked = judged(NUMBERED, report(OVER, how=CANCELLED, where="n1"), cancel_asked="ann: no")
    assert asked == Take(ended=CANCELLED, why="ann: no")
    blind = judged(NUMBERED, report(OVER, how=FAILED, code=words.NOT_HERE))
    assert isinstance(blind, Take)
    assert "not to be seen" in blind.why


def test_a_job_that_the_engine_forgot_is_lost_once_it_cannot_come_back() -> None:
    assert isinstance(judged(NUMBERED, silent_s=FORGETS_S - 1), Leave)
    assert isinstance(judged(NUMBERED, silent_s=FORGETS_S + 1), Take)
    assert isinstance(judged(NUMBERED, silent_s=SILENT_S - 1, started=BODY), Leave)
    assert isinstance(judged(NUMBERED, silent_s=SILENT_S + 1, started=BODY), Take)


def test_a_job_that_ran_and_is_queued_again_does_not_run_again() -> None:
    again = report(WAITING, why="launch failed requeued held")
    assert isinstance(judged(NUMBERED, again, started=BODY, silent_s=1.0), Leave)
    verdict = judged(NUMBERED, again, started=BODY, silent_s=SILENT_S + 1)
    assert isinstance(verdict, Take)
    assert (verdict.ended, verdict.cancel) == (LOST, ("7",))


def test_a_body_that_is_silent_beyond_its_time_loses_even_where_its_engine_speaks_for_it() -> None:
    assert isinstance(judged(NUMBERED, report(), started=BODY, ttl_s=1000.0, silent_s=999.0), Leave)
    verdict = judged(NUMBERED, report(), started=BODY, ttl_s=1000.0, silent_s=1001.0)
    assert isinstance(verdict, Take)
    assert verdict.cancel == ("7",)


def test_a_sealed_run_is_let_be_while_its_body_may_still_be_giving_it_back() -> None:
    assert isinstance(judged(NUMBERED, report(), started=BODY, sealed=True, silent_s=1.0), Leave)
    assert judged(NUMBERED, started=BODY, sealed=True) == Take(ended=DONE, why="it is sealed")


def test_a_body_that_was_let_in_has_read_its_job() -> None:
    """A power cut may take the `.job` of a run that goes on elsewhere."""
    assert isinstance(judged(None, started=BODY, silent_s=1.0), Leave)
    assert isinstance(judged(None, report(), started=BODY, silent_s=SILENT_S + 1), Take)
    verdict = judged(None, report(WAITING))
    assert isinstance(verdict, Take)
    assert verdict.cancel == ("7",)


def test_what_was_taken_stays_taken() -> None:
    job = Job(**{**{name: getattr(NUMBERED, name) for name in JOB.__struct_fields__}, "ended": REFUSED, "why": "no"})
    assert judged(job, report(RUNNING), started=BODY) == Take(ended=REFUSED, why="no", cancel=("7",))


def test_two_labs_do_not_see_each_others_jobs() -> None:
    assert words.prefix("/lab") != words.prefix("/lab2")
    assert words.name("/lab", "a", 12).startswith(words.prefix("/lab"))
    assert words.name("/lab", "a", 1) != words.name("/lab", "a", 11)


reports = st.lists(
    st.builds(
        Report,
        name=st.just("n-a-1"),
        number=st.sampled_from(["7", "8", "9"]),
        state=st.sampled_from([HELD, WAITING, RUNNING, OVER, "what"]),
        how=st.sampled_from([*ENDS, "what"]),
        code=st.sampled_from([None, 0, 1, FENCED, TWICE, words.NOT_HERE]),
    ),
    max_size=4,
).map(tuple)
sights = st.builds(
    Seen,
    job=st.sampled_from([None, JOB, NUMBERED]),
    has_bundle=st.booleans(),
    sealed=st.booleans(),
    started=st.sampled_from([None, BODY, Start(run_id="RUN-1", host="n2", pid=1)]),
    cancel_asked=st.sampled_from([None, "", "ann: no"]),
    silent_s=st.sampled_from([0.0, 1.0, 6.0, 30.0, 100.0, 181.0, 1e6]),
    ttl_s=st.sampled_from([10.0, 720.0]),
    reports=reports,
)


@given(sights)
def test_nothing_is_submitted_that_was_submitted_or_begun(seen: Seen) -> None:
    verdict = judge(seen, forgets_after_s=FORGETS_S)
    if isinstance(verdict, Submit):
        assert seen.started is None
        assert not seen.reports
        assert seen.job == JOB
    if isinstance(verdict, Release):
        assert seen.started is None


@given(sights)
def test_only_a_live_job_is_cancelled_and_never_the_one_that_is_left(seen: Seen) -> None:
    verdict = judge(seen, forgets_after_s=FORGETS_S)
    live = {each.number for each in seen.reports if each.state != OVER}
    if not isinstance(verdict, Submit):
        lost = {each.number for each in seen.reports if each.how == LOST}  # what is left of it is ended
        assert set(verdict.cancel) <= live | lost
    if isinstance(verdict, Leave | Release) and verdict.number in live and len(live) == len(seen.reports):
        assert verdict.number not in verdict.cancel


@given(sights)
def test_a_verdict_that_takes_is_taken_again_by_who_comes_after_a_crash(seen: Seen) -> None:
    verdict = judge(seen, forgets_after_s=FORGETS_S)
    if isinstance(verdict, Take) and seen.job is not None:
        noted = {name: getattr(seen.job, name) for name in JOB.__struct_fields__}
        later = Seen(job=Job(**{**noted, "ended": verdict.ended, "why": verdict.why}), reports=seen.reports)
        again = judge(later, forgets_after_s=FORGETS_S)
        assert isinstance(again, Take)
        assert (again.ended, again.why) == (verdict.ended, verdict.why)


@given(sights)
def test_nobody_who_was_just_heard_of_is_taken_for_silence(seen: Seen) -> None:
    """Only a person, the disk, or the kernel's own word for why it killed all of it goes before a fresh heartbeat."""
    verdict = judge(seen, forgets_after_s=FORGETS_S)
    if isinstance(verdict, Take) and seen.started is not None and seen.silent_s <= PATIENCE_S:
        assert seen.sealed or not seen.has_bundle


@given(sights)
def test_a_run_that_nobody_hears_of_is_not_left_for_ever(seen: Seen) -> None:
    verdict = judge(seen, forgets_after_s=FORGETS_S)
    if isinstance(verdict, Leave) and seen.silent_s >= 1e6:
        assert any(each.state != OVER for each in seen.reports)
        assert seen.started is None


def test_where_it_is_said_to_run_is_its_engines_word_while_there_is_one() -> None:
    found = judged(NUMBERED, report(OVER, how=FAILED, where="node7"), started=BODY)
    assert isinstance(found, Leave)
    assert found.where == "node7"
