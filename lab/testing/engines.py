"""What every engine promises, as tests. Needs pytest, which whoever writes a plug-in has.

A plug-in's own tests are three lines:

    class TestMine(EngineContract):
        engine = Mine()

One that needs more than a folder and the variables of the test overrides `ground`; one that can be out of reach,
`unreachable`. Its places must see the files of the machine that runs the tests.
"""

from __future__ import annotations

import os
import signal
import stat
import sys
import time
from typing import TYPE_CHECKING, ClassVar

import msgspec
import pytest

from lab.core import job as words
from lab.core.errors import Unavailable
from lab.core.job import HELD, OVER, RUNNING
from lab.engines.door import Ground, Placement
from lab.store.files import Files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from lab.core.job import Report
    from lab.engines.door import Engine

HOSTILE = "two words; 'quoted' \"twice\" $HOME `x` \\n * ? ~ äöü"
# A tree that is deaf to TERM: a child, and a grandchild in a session of its own. Each writes who it is.
DEAF = (
    "import os, signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "for depth in range(3):\n"
    "    open(f'{sys.argv[1]}/pid{depth}', 'w').write(str(os.getpid()))\n"
    "    if depth == 2 or os.fork(): break\n"
    "    if depth == 1: os.setsid()\n"
    "time.sleep(600)\n"
)


class EngineContract:
    """Set `engine`. Every test has a folder, and with it a prefix of names, of its own."""

    engine: ClassVar[Engine]
    limit_s: ClassVar[float] = 30.0  # within which a job that may start has started and ended

    @pytest.fixture
    def ground(self, tmp_path: Path) -> Ground:
        return Ground(environ=dict(os.environ), folder=str(tmp_path / "engine"), files=Files(durable=False))

    def unreachable(self, ground: Ground) -> Ground | None:  # noqa: ARG002  # for those that override it
        """The same where the engine cannot be asked; None for one that is always there."""
        return None

    @pytest.fixture
    def lab(self, tmp_path: Path, ground: Ground) -> Iterator[str]:
        """A data root. Whatever was submitted for it is ended with the test."""
        folder = tmp_path / "the lab's root"
        folder.mkdir()
        yield str(folder)
        left = self.engine.listed(words.prefix(str(folder)), ground)
        self.engine.cancel(tuple(each.number for each in left if each.state != OVER), ground)

    def job(self, lab: str, program: str, *more: str, generation: int = 1, **changes: object) -> Placement:
        """A job that runs a line of shell."""
        job = Placement(
            name=words.name(lab, "sweep", generation),
            argv=("/bin/sh", "-c", program, "sh", *more),
            cwd=lab,
            root=lab,
            output=f"{lab}/{generation}.out",
            budget_s=60.0,
        )
        return msgspec.structs.replace(job, **changes)

    def seen(self, lab: str, ground: Ground, number: str) -> Report:
        """What it says of a job now."""
        found = [each for each in self.engine.listed(words.prefix(lab), ground) if each.number == number]
        assert len(found) == 1, found
        return found[0]

    def ended(self, lab: str, ground: Ground, number: str) -> Report:
        self.wait(lambda: self.seen(lab, ground, number).state == OVER)
        return self.seen(lab, ground, number)

    def done(self, lab: str, ground: Ground, job: Placement) -> Report:
        number = self.engine.submit(job, ground)
        self.engine.release(number, ground)
        return self.ended(lab, ground, number)

    def wait(self, true: Callable[[], object]) -> None:
        until_s = time.monotonic() + self.limit_s
        while not true():
            assert time.monotonic() < until_s, f"not within {self.limit_s:.0f} s"
            time.sleep(0.05)

    # -- held, and let go -----------------------------------------------------------------------------------------

    def test_a_job_is_held_until_it_is_released_and_then_it_runs_once(self, lab: str, ground: Ground) -> None:
        first = self.engine.submit(self.job(lab, "echo ran >> ran"), ground)
        other = self.engine.submit(self.job(lab, "true", generation=2), ground)
        assert self.seen(lab, ground, first).state == HELD
        self.engine.release(other, ground)  # what was released later has come to its end
        assert self.ended(lab, ground, other).how == words.DONE
        assert self.seen(lab, ground, first).state == HELD
        assert not os.path.exists(f"{lab}/ran")
        self.engine.release(first, ground)
        report = self.ended(lab, ground, first)
        assert (report.how, report.code) == (words.DONE, 0)
        self.engine.release(first, ground)
        assert _read(lab, "ran") == "ran\n"

    def test_a_release_may_be_repeated_and_may_come_too_late(self, lab: str, ground: Ground) -> None:
        number = self.engine.submit(self.job(lab, "echo ran >> ran; while ! test -e go; do sleep 0.1; done"), ground)
        for _ in range(3):
            self.engine.release(number, ground)
        self.wait(lambda: os.path.exists(f"{lab}/ran"))
        self.engine.release(number, ground)
        _leave(lab, "go")
        assert self.ended(lab, ground, number).how == words.DONE
        assert _read(lab, "ran") == "ran\n"

    # -- what a body gets -----------------------------------------------------------------------------------------

    def test_a_body_gets_its_words_its_folder_its_variables_and_its_output(self, lab: str, ground: Ground) -> None:
        Files(durable=False).folder(f"{lab}/{HOSTILE[:20]}")
        program = 'pwd; printf "%s\\n" "$1"; printf "%s\\n" "$GIVEN"; echo wrong >&2'
        job = self.job(lab, program, HOSTILE, cwd=f"{lab}/{HOSTILE[:20]}", environ={"GIVEN": HOSTILE + "\nmore"})
        assert self.done(lab, ground, job).how == words.DONE
        assert _read(lab, "1.out").splitlines() == [job.cwd, HOSTILE, HOSTILE, "more", "wrong"]
        assert stat.S_IMODE(os.stat(f"{lab}/1.out").st_mode) == 0o600  # noqa: PLR2004  # a line of `setup` may print a secret

    def test_the_secrets_of_the_terminal_stay_there(
        self, lab: str, ground: Ground, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SOME_TOKEN", "of the process")
        rich = msgspec.structs.replace(ground, environ={**ground.environ, "SOME_TOKEN": "of the surroundings"})
        assert self.done(lab, rich, self.job(lab, "echo ${SOME_TOKEN-none}")).how == words.DONE
        assert _read(lab, "1.out") == "none\n"

    def test_the_output_of_an_earlier_start_is_kept(self, lab: str, ground: Ground) -> None:
        _leave(lab, "1.out", "earlier\n")
        self.done(lab, ground, self.job(lab, "echo later"))
        assert _read(lab, "1.out") == "earlier\nlater\n"

    # -- how it ended ---------------------------------------------------------------------------------------------

    def test_the_exit_code_of_a_body_is_told(self, lab: str, ground: Ground) -> None:
        report = self.done(lab, ground, self.job(lab, "exit 76"))
        assert (report.how, report.code) == (words.FAILED, 76)

    def test_a_body_that_a_signal_ended_has_failed(self, lab: str, ground: Ground) -> None:
        report = self.done(lab, ground, self.job(lab, "kill -9 $$"))
        assert report.how in (words.FAILED, words.UNKNOWN)
        assert report.code in (None, 128 + signal.SIGKILL, -signal.SIGKILL)

    def test_a_body_that_cannot_see_its_lab_does_not_run_and_says_so(self, lab: str, ground: Ground) -> None:
        gone = f"{lab}/gone"
        job = self.job(lab, f"echo ran > '{lab}/ran'", root=gone, cwd=gone, output=f"{gone}/out")
        report = self.done(lab, ground, job)
        assert report.code == words.NOT_HERE
        assert not os.path.exists(f"{lab}/ran")

    # -- listed ---------------------------------------------------------------------------------------------------

    def test_jobs_are_found_by_the_beginning_of_their_name_and_those_of_others_are_not(
        self, lab: str, ground: Ground
    ) -> None:
        numbers = [self.engine.submit(self.job(lab, "true", generation=each), ground) for each in (1, 2, 12)]
        found = self.engine.listed(words.prefix(lab), ground)
        assert {each.name: each.number for each in found} == {
            words.name(lab, "sweep", generation): number for generation, number in zip((1, 2, 12), numbers, strict=True)
        }
        assert self.engine.listed(words.prefix(f"{lab}x"), ground) == ()
        one = self.engine.listed(words.name(lab, "sweep", 2), ground)
        assert [each.number for each in one] == [numbers[1]]

    def test_two_jobs_of_one_name_are_two(self, lab: str, ground: Ground) -> None:
        numbers = {self.engine.submit(self.job(lab, "true"), ground) for _ in range(2)}
        assert {each.number for each in self.engine.listed(words.prefix(lab), ground)} == numbers
        assert len(numbers) == 2  # noqa: PLR2004  # as many as were submitted

    def test_a_job_that_runs_is_told_to_run(self, lab: str, ground: Ground) -> None:
        number = self.engine.submit(self.job(lab, "touch begun; while ! test -e go; do sleep 0.1; done"), ground)
        self.engine.release(number, ground)
        self.wait(lambda: os.path.exists(f"{lab}/begun"))
        report = self.seen(lab, ground, number)
        assert (report.state, bool(report.where)) == (RUNNING, True)
        _leave(lab, "go")
        self.ended(lab, ground, number)

    def test_many_jobs_are_found_at_once(self, lab: str, ground: Ground) -> None:
        many = range(1, 31)
        numbers = [self.engine.submit(self.job(lab, f"echo x >> ran{each}", generation=each), ground) for each in many]
        for number in numbers:
            self.engine.release(number, ground)
        ended = {words.DONE}
        self.wait(lambda: {each.how for each in self.engine.listed(words.prefix(lab), ground)} == ended)
        assert [_read(lab, f"ran{each}") for each in many] == ["x\n"] * len(many)

    # -- cancelled ------------------------------------------------------------------------------------------------

    def test_a_cancelled_job_ends_with_all_its_processes(self, lab: str, ground: Ground) -> None:
        number = self.engine.submit(self.job(lab, "", argv=(sys.executable, "-c", DEAF, lab)), ground)
        self.engine.release(number, ground)
        self.wait(lambda: all(_read(lab, f"pid{depth}") for depth in range(3)))
        self.engine.cancel((number,), ground)
        assert self.ended(lab, ground, number).how == words.CANCELLED
        self.wait(lambda: not any(_is_there(int(_read(lab, f"pid{depth}"))) for depth in range(3)))

    def test_a_body_is_told_before_it_is_ended(self, lab: str, ground: Ground) -> None:
        program = "trap 'echo told > told; exit 0' TERM; touch begun; while :; do sleep 0.1; done"
        number = self.engine.submit(self.job(lab, program), ground)
        self.engine.release(number, ground)
        self.wait(lambda: os.path.exists(f"{lab}/begun"))
        self.engine.cancel((number,), ground)
        self.ended(lab, ground, number)
        assert _read(lab, "told") == "told\n"

    def test_a_job_that_is_cancelled_while_it_is_held_never_starts(self, lab: str, ground: Ground) -> None:
        number = self.engine.submit(self.job(lab, "touch ran"), ground)
        self.engine.cancel((number,), ground)
        self.engine.release(number, ground)
        other = self.job(lab, "true", generation=2)
        assert self.done(lab, ground, other).how == words.DONE
        left = [each for each in self.engine.listed(words.prefix(lab), ground) if each.number == number]
        assert [each.how for each in left] in ([], [words.CANCELLED])  # it may forget what never began
        assert not os.path.exists(f"{lab}/ran")

    def test_what_is_not_there_is_cancelled_and_released_without_a_word(self, lab: str, ground: Ground) -> None:
        number = self.engine.submit(self.job(lab, "true"), ground)
        self.engine.release(number, ground)
        self.ended(lab, ground, number)
        self.engine.cancel((number, "9999999"), ground)
        self.engine.cancel(("9999999",), ground)
        self.engine.release("9999999", ground)
        self.engine.cancel((), ground)
        assert self.seen(lab, ground, number).how == words.DONE

    # -- which one it is ------------------------------------------------------------------------------------------

    def test_it_is_one_wherever_it_is_asked_and_whatever_else_is_different(self, ground: Ground) -> None:
        other = msgspec.structs.replace(ground, folder=f"{ground.folder}2", environ={**ground.environ, "LAB_X": "1"})
        assert self.engine.where(ground) == self.engine.where(ground) == self.engine.where(other)
        assert "\n" not in self.engine.where(ground)

    # -- whether it can be asked ----------------------------------------------------------------------------------

    def test_it_says_what_it_is_in_a_line(self, ground: Ground) -> None:
        said = self.engine.describe(ground)
        assert said
        assert "\n" not in said

    def test_one_that_cannot_be_asked_says_so_at_every_verb(self, lab: str, ground: Ground) -> None:
        away = self.unreachable(ground)
        if away is None:
            pytest.skip("this engine is always there")
        with pytest.raises(Unavailable):
            self.engine.submit(self.job(lab, "true"), away)
        with pytest.raises(Unavailable):
            self.engine.release("1", away)
        with pytest.raises(Unavailable):
            self.engine.listed(words.prefix(lab), away)
        with pytest.raises(Unavailable):
            self.engine.cancel(("1",), away)
        with pytest.raises(Unavailable):
            self.engine.describe(away)
        assert self.engine.listed(words.prefix(lab), ground) == ()


def _leave(folder: str, name: str, text: str = "") -> None:
    Files(durable=False).create(f"{folder}/{name}", text.encode())


def _read(folder: str, name: str) -> str:
    try:
        with open(f"{folder}/{name}", encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def _is_there(pid: int) -> bool:
    """Whether it runs; one that has ended and was not waited for does not."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return False
