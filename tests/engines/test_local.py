"""Detached bodies on this machine, held to what every engine promises; and what only they can get wrong."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from lab.core import job as words
from lab.core.errors import Unavailable
from lab.core.job import HELD, OVER, RUNNING
from lab.core.record import encode
from lab.engines import kept, local, minder
from lab.engines.door import Refused
from lab.engines.kept import Asked, Begun, Folder
from lab.engines.local import Local
from lab.store.files import Files
from lab.store.sections import hold, is_held
from lab.testing.engines import EngineContract
from tests.executors.supervised import a_caller, until

if TYPE_CHECKING:
    from lab.core.claim import Owner
    from lab.engines.door import Ground

# A test process of xdist has threads, which Python warns of at a fork; they are idle in the child.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

WAITS = "echo ran >> ran; while ! test -e go; do sleep 0.02; done"


class Deadly(Files):
    """Kills the process that takes its nth step, unless that is the one that made it."""

    def __init__(self, nth: int) -> None:
        super().__init__(durable=False)
        self._left = nth
        self._maker = os.getpid()

    def step(self, name: str, path: str) -> None:
        if os.getpid() != self._maker:
            self._left -= 1
            if self._left < 0:
                os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture(autouse=True)
def short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minder, "GRACE_S", 0.3)
    monkeypatch.setattr(minder, "_LINGER_S", 0.2)


class TestLocal(EngineContract):
    engine = Local()

    def test_the_secrets_of_the_terminal_stay_there(
        self, lab: str, ground: Ground, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """They reach the body, as they do where there is no engine: it gives a run what its SPEC names. No file."""
        rich = msgspec.structs.replace(ground, environ={**ground.environ, "SOME_TOKEN": "of the surroundings"})
        assert self.done(lab, rich, self.job(lab, "echo $SOME_TOKEN")).how == words.DONE
        assert read(lab, "1.out") == "of the surroundings\n"
        kept = [path.read_bytes() for path in Path(ground.folder).iterdir()]
        assert kept
        assert not any(b"surroundings" in data for data in kept)

    # -- one start ------------------------------------------------------------------------------------------------

    def test_of_several_that_release_a_job_one_starts_it(self, lab: str, ground: Ground) -> None:
        number = self.engine.submit(self.job(lab, WAITS), ground)
        callers = [a_caller(lambda: Local().release(number, ground)) for _ in range(6)]
        assert [os.waitstatus_to_exitcode(os.waitpid(caller, 0)[1]) for caller in callers] == [0] * 6
        write(lab, "go")
        assert self.ended(lab, ground, number).how == words.DONE
        assert read(lab, "ran") == "ran\n"

    def test_a_job_is_started_or_cancelled_and_never_both(self, lab: str, ground: Ground) -> None:
        for generation in range(1, 9):
            number = self.engine.submit(self.job(lab, WAITS.replace("ran", f"ran{generation}")), ground)
            release = a_caller(lambda number=number: Local().release(number, ground))  # type: ignore[misc]
            self.engine.cancel((number,), ground)
            os.waitpid(release, 0)
            report = self.ended(lab, ground, number)
            assert (report.how, report.code) == (words.CANCELLED, None)
            until(lambda number=number: not is_held(f"{ground.folder}/{number}{kept.ASKED}"))  # type: ignore[misc]
            if report.why == "cancelled before it began":
                assert not read(lab, f"ran{generation}")

    def test_a_minder_killed_at_any_write_leaves_a_job_that_is_over_or_was_never_begun(
        self, lab: str, ground: Ground
    ) -> None:
        ends = []
        for nth in range(9):  # it takes eight steps
            job = self.job(lab, f"echo ran >> ran{nth}", generation=nth + 1)
            deadly = msgspec.structs.replace(ground, files=Deadly(nth))
            number = self.engine.submit(job, deadly)
            try:
                self.engine.release(number, deadly)
            except Unavailable:
                assert self.seen(lab, ground, number).state == HELD
                self.engine.release(number, ground)
            report = self.ended(lab, ground, number)
            assert read(lab, f"ran{nth}") in (("ran\n",) if report.how == words.DONE else ("", "ran\n"))
            ends.append(report.how)
        assert set(ends) == {words.DONE, words.LOST}
        assert ends[-1] == words.DONE

    # -- what a job stands apart from -----------------------------------------------------------------------------

    def test_a_job_outlives_whoever_released_it_and_their_terminal(self, lab: str, ground: Ground) -> None:
        number = self.engine.submit(self.job(lab, WAITS), ground)

        def release() -> None:
            os.setsid()
            Local().release(number, ground)
            os.killpg(0, signal.SIGHUP)

        caller = a_caller(release)
        assert os.waitstatus_to_exitcode(os.waitpid(caller, 0)[1]) == -signal.SIGHUP
        until(lambda: read(lab, "ran"))
        assert self.seen(lab, ground, number).state == RUNNING
        write(lab, "go")
        assert self.ended(lab, ground, number).how == words.DONE

    def test_a_job_keeps_nothing_of_its_caller(self, lab: str, ground: Ground) -> None:
        number = self.engine.submit(self.job(lab, WAITS), ground)
        with open(f"{lab}/lock", "w") as lock:
            os.set_inheritable(lock.fileno(), True)
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.engine.release(number, ground)
        with open(f"{lab}/lock") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        owner = self.owner(ground, number)
        with pytest.raises(ChildProcessError):
            os.waitpid(owner.pid, os.WNOHANG)
        assert Path(f"/proc/{owner.pid}/cmdline").read_bytes().startswith(b"labctl: job lab-")
        assert os.readlink(f"/proc/{owner.pid}/cwd") == "/"
        write(lab, "go")
        self.ended(lab, ground, number)

    def test_signals_that_the_caller_ignores_reach_the_body(self, lab: str, ground: Ground) -> None:
        before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
        try:
            report = self.done(lab, ground, self.job(lab, "kill -TERM $$; echo deaf"))
        finally:
            signal.signal(signal.SIGTERM, before)
        assert (report.how, report.why) == (words.FAILED, "ended by SIGTERM")

    # -- its end --------------------------------------------------------------------------------------------------

    def test_where_the_minder_is_killed_nothing_of_the_job_stays(self, lab: str, ground: Ground) -> None:
        program = 'setsid sh -c "echo \\$\\$ > far; exec sleep 600" & echo $$ > near; wait'
        number = self.engine.submit(self.job(lab, program), ground)
        self.engine.release(number, ground)
        until(lambda: read(lab, "far") and read(lab, "near"))
        os.kill(self.owner(ground, number).pid, signal.SIGKILL)
        until(lambda: not os.path.exists(f"/proc/{int(read(lab, 'near'))}/exe"))  # before anybody looks
        self.engine.describe(ground)
        report = self.ended(lab, ground, number)
        assert (report.how, report.why) == (words.LOST, "its minder is gone")
        far = int(read(lab, "far"))
        assert os.path.exists(f"/proc/{far}/exe")  # who only looks ends nothing
        self.engine.cancel((number,), ground)
        until(lambda: not any(os.path.exists(f"/proc/{int(read(lab, name))}/exe") for name in ("near", "far")))

    def test_what_a_body_leaves_behind_ends_with_it(self, lab: str, ground: Ground) -> None:
        program = 'setsid sh -c "echo \\$\\$ > far; exec sleep 600" & while ! test -s far; do sleep 0.02; done'
        assert self.done(lab, ground, self.job(lab, program)).how == words.DONE
        assert not os.path.exists(f"/proc/{int(read(lab, 'far'))}/exe")

    def test_a_body_that_outstays_its_time_is_ended(self, lab: str, ground: Ground) -> None:
        job = self.job(lab, "sleep 600", wants=words.Wants(time="0:01"))
        report = self.done(lab, ground, job)
        assert (report.how, report.why) == (words.TIME, "it took longer than 1s")

    def test_a_program_that_is_not_there_is_named(self, lab: str, ground: Ground) -> None:
        report = self.done(lab, ground, self.job(lab, "", argv=("/nowhere/python",)))
        assert (report.how, report.code) == (words.FAILED, 127)
        assert report.why == "it cannot be started: /nowhere/python: No such file or directory"

    def test_a_set_up_comes_first_and_the_body_takes_its_place(self, lab: str, ground: Ground) -> None:
        wants = words.Wants(setup=("export A=1", "B='two words'; export B"))
        assert self.done(lab, ground, self.job(lab, 'echo "$A $B $1"', "it's", wants=wants)).code == 0
        assert read(lab, "1.out") == "1 two words it's\n"

    def test_a_lab_that_was_removed_does_not_come_again(self, lab: str, ground: Ground) -> None:
        number = self.engine.submit(self.job(lab, WAITS), ground)
        self.engine.release(number, ground)
        owner = self.owner(ground, number)
        shutil.rmtree(ground.folder)
        write(lab, "go")
        until(lambda: not os.path.exists(f"/proc/{owner.pid}/exe"))
        assert not os.path.exists(ground.folder)

    def test_an_ended_job_is_known_for_a_while(self, lab: str, ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
        number = self.engine.submit(self.job(lab, "true"), ground)
        other = self.engine.submit(self.job(lab, "true"), ground)
        self.engine.release(number, ground)
        self.ended(lab, ground, number)
        monkeypatch.setattr(local, "KEEP_S", -1.0)
        assert [each.number for each in self.engine.listed("", ground)] == [other]
        assert {name[: len(other)] for name in os.listdir(ground.folder)} == {other}

    # -- machines that are not this one ---------------------------------------------------------------------------

    def test_a_job_of_another_machine_is_seen_and_can_be_ended_from_here(self, lab: str, ground: Ground) -> None:
        number = self.engine.submit(self.job(lab, WAITS), ground)
        self.engine.release(number, ground)
        self.begun_by(ground, number, host="elsewhere/1", boot_id="another")
        report = self.seen(lab, ground, number)
        assert (report.state, report.where) == (RUNNING, "elsewhere")
        assert "cannot be seen" in report.why
        self.engine.cancel((number,), ground)
        assert self.ended(lab, ground, number).how == words.CANCELLED

    def test_a_machine_that_started_again_has_lost_its_jobs(self, lab: str, ground: Ground) -> None:
        begun, other = (self.engine.submit(self.job(lab, WAITS, generation=each), ground) for each in (1, 2))
        self.engine.release(begun, ground)
        os.kill(self.owner(ground, begun).pid, signal.SIGKILL)
        self.begun_by(ground, begun, boot_id="an earlier one")
        folder = Folder(ground.folder, ground.files)
        asked = folder.load(Asked, other, kept.ASKED)
        assert asked is not None
        by = msgspec.structs.replace(asked.by, boot_id="an earlier one")
        ground.files.replace(folder.place(other, kept.ASKED), encode(msgspec.structs.replace(asked, by=by)))
        self.engine.release(other, ground)
        with hold(folder.place(begun, kept.ASKED)):  # by who has nothing to do with it
            reports = self.engine.listed(words.prefix(lab), ground)
        assert [(each.state, each.how) for each in reports] == [(OVER, words.LOST)] * 2
        assert not folder.has(other, kept.BEGUN)

    def test_a_container_that_cannot_see_its_pid_knows_that_a_job_lives(self, lab: str, ground: Ground) -> None:
        number = self.engine.submit(self.job(lab, WAITS), ground)
        self.engine.release(number, ground)
        self.begun_by(ground, number, host="container", pid_namespace=1, pid=1)
        assert (self.seen(lab, ground, number).state, self.seen(lab, ground, number).why) == (RUNNING, "")
        self.engine.cancel((number,), ground)
        assert self.ended(lab, ground, number).how == words.CANCELLED

    # -- labs that are not this one -----------------------------------------------------------------------------

    def test_a_copy_of_a_lab_lists_describes_and_ends_nothing_of_the_original(
        self, lab: str, ground: Ground, tmp_path: Path
    ) -> None:
        number = self.engine.submit(self.job(lab, WAITS), ground)
        self.engine.release(number, ground)
        until(lambda: read(lab, "ran"))
        shutil.copytree(ground.folder, tmp_path / "copy")
        there = msgspec.structs.replace(ground, folder=str(tmp_path / "copy"), lab=words.prefix("the copy"))
        before = sorted(os.listdir(there.folder))
        assert self.engine.listed(there.lab, there) == ()
        assert "0 running, 0 held" in self.engine.describe(there)
        assert sorted(os.listdir(there.folder)) == before
        assert self.seen(lab, ground, number).state == RUNNING
        write(lab, "go")
        assert self.ended(lab, ground, number).how == words.DONE

    # -- bad input ------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("foreign", ["partition", "account", "qos", "options"])
    def test_what_only_another_engine_has_is_refused(self, lab: str, ground: Ground, foreign: str) -> None:
        wants = msgspec.convert({foreign: ["--x"] if foreign == "options" else "x"}, words.Wants)
        with pytest.raises(Refused, match=foreign):
            self.engine.submit(self.job(lab, "true", wants=wants), ground)

    @pytest.mark.parametrize(
        ("time", "limit_s"),
        [("", 120.0), ("90", 5400.0), ("1:30", 90.0), ("1:00:05", 3605.0), ("1-12", 129600.0), ("2-0:30", 174600.0),
         ("UNLIMITED", 0.0), ("0", 0.0)],
    )  # fmt: skip
    def test_a_time_is_read_as_it_is_written(self, lab: str, time: str, limit_s: float) -> None:
        assert local._limit_s(self.job(lab, "true", wants=words.Wants(time=time))) == limit_s

    @pytest.mark.parametrize("suffix", [kept.ASKED, kept.BEGUN, kept.OVER])
    @pytest.mark.parametrize("data", [b"", b"{", b'{"format":1}'], ids=["empty", "torn", "bare"])
    def test_a_damaged_file_hides_no_other_job(self, lab: str, ground: Ground, suffix: str, data: bytes) -> None:
        number = self.engine.submit(self.job(lab, "true"), ground)
        other = self.engine.submit(self.job(lab, "true", generation=2), ground)
        ground.files.replace(f"{ground.folder}/{number}{suffix}", data)
        states = {each.number: each.state for each in Local().listed(words.prefix(lab), ground)}
        assert states.pop(other) == HELD
        assert states in ({}, {number: OVER})

    # -- help -----------------------------------------------------------------------------------------------------

    def owner(self, ground: Ground, number: str) -> Owner:
        begun = Folder(ground.folder, ground.files).load(Begun, number, kept.BEGUN)
        assert begun is not None
        assert begun.minder is not None
        return begun.minder

    def begun_by(self, ground: Ground, number: str, **changes: object) -> None:
        """Let its minder be another one, as far as the files tell."""
        owner = msgspec.structs.replace(self.owner(ground, number), **changes)
        ground.files.replace(f"{ground.folder}/{number}{kept.BEGUN}", encode(Begun(minder=owner)))


def read(folder: str, name: str) -> str:
    path = Path(f"{folder}/{name}")
    return path.read_text(encoding="utf-8") if path.exists() else ""


def write(folder: str, name: str) -> None:
    Path(f"{folder}/{name}").touch()
