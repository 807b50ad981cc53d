from __future__ import annotations

import fcntl
import os
import resource
import signal
import sys
from typing import TYPE_CHECKING

import msgspec
import pytest

from lab.core.errors import Superseded
from lab.core.launch import Exit, Limits, Stop
from lab.core.record import parse
from lab.executors import leftovers
from lab.executors import limits as limiting
from tests.executors.supervised import RUN, alive, bash, program, python, supervised, the_child

if TYPE_CHECKING:
    from pathlib import Path

MODES = [pytest.param("namespace", marks=pytest.mark.needs_root), "subreaper", "group"]
LIBRARY_OWN = 0b11 << 31  # two real-time signals that the C library keeps to itself, and ignores in what it spawns


@pytest.mark.parametrize("how", MODES)
def test_the_end_of_a_program_is_told_and_lies_in_the_folder(tmp_path: Path, how: str) -> None:
    found = supervised(tmp_path, bash(tmp_path, "echo out; echo err >&2; exit 3"), how=how)
    assert (found.run_id, found.code, found.signal, found.stopped, found.problem) == (RUN, 3, None, "", "")
    assert parse(Exit, (tmp_path / "exit.json").read_bytes(), "") == found
    assert (tmp_path / "stdout.log").read_bytes() == b"out\n"
    assert (tmp_path / "stderr.log").read_bytes() == b"err\n"
    assert found.usage.confined == found.confined == how


@pytest.mark.parametrize("how", MODES)
def test_a_word_to_stop_ends_the_run_and_is_kept(tmp_path: Path, how: str) -> None:
    stop = Stop(how="cancelled", why="enough")
    found = supervised(tmp_path, bash(tmp_path, "exec sleep 60"), how=how, watch=lambda: stop)
    assert (found.stopped, found.why, found.signal) == ("cancelled", "enough", 15)


@pytest.mark.parametrize("raised", [KeyboardInterrupt(), Superseded("another one has it")], ids=["Ctrl-C", "LabError"])
@pytest.mark.parametrize("how", MODES)
def test_what_watching_raises_goes_on_and_the_run_does_not(tmp_path: Path, how: str, raised: BaseException) -> None:
    def watch() -> None:
        raise raised

    with pytest.raises(type(raised)):
        supervised(tmp_path, bash(tmp_path, "sleep 60"), how=how, watch=watch)
    assert alive(tmp_path) == []
    assert parse(Exit, (tmp_path / "exit.json").read_bytes(), "").stopped == "interrupted"


def test_no_descriptor_and_no_child_is_left(tmp_path: Path) -> None:
    before = os.listdir("/proc/self/fd")
    supervised(tmp_path, bash(tmp_path, "true"))
    assert os.listdir("/proc/self/fd") == before


def test_what_the_run_used_is_told(tmp_path: Path) -> None:
    # More than this process holds itself: of less, nobody can tell what was the program's.
    held_mb = 50 + int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1.1 / 1024)
    text = (  # to fill so much takes a while, which is the program's too
        f"import time; x = bytearray({held_mb} << 20); filled_s = time.process_time()\n"
        "while time.process_time() < filled_s + .3: pass\n"
        "print(time.process_time())"
    )
    usage = supervised(tmp_path, python(tmp_path, text)).usage
    said_s = float((tmp_path / "stdout.log").read_text())
    assert usage.cpu_s is not None
    assert said_s <= usage.cpu_s + 0.02  # the kernel counts in ticks
    assert usage.cpu_s < 2 * said_s + 1  # to give it back takes a while, too
    assert usage.peak_memory_mb is not None
    assert held_mb < usage.peak_memory_mb < held_mb + 100


@pytest.mark.parametrize("how", MODES)
def test_the_program_gets_plain_signals_and_no_files_of_the_lab(tmp_path: Path, how: str) -> None:
    low = os.open(tmp_path, os.O_RDONLY)
    high = fcntl.fcntl(low, fcntl.F_DUPFD, 200)
    os.set_inheritable(low, True)
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as under nohup
    try:
        supervised(tmp_path, bash(tmp_path, "ls /proc/self/fd; grep -E 'Sig(Ign|Blk)' /proc/self/status"), how=how)
    finally:
        signal.signal(signal.SIGHUP, before)
        os.close(low)
        os.close(high)
    *descriptors, _, blocked, _, ignored = (tmp_path / "stdout.log").read_text().split()
    assert descriptors == ["0", "1", "2", "3"]  # 3 is the folder that ls reads
    assert int(blocked, 16) == 0
    assert int(ignored, 16) & ~LIBRARY_OWN == 0


@pytest.mark.parametrize("how", MODES)
def test_the_warden_holds_no_files_of_the_lab(tmp_path: Path, how: str) -> None:
    held = [os.open(tmp_path, os.O_RDONLY)]
    held += [fcntl.fcntl(held[0], fcntl.F_DUPFD_CLOEXEC, at) for at in (60, 300)]
    seen: list[set[str]] = []

    def watch() -> Stop | None:
        if not (tmp_path / "begun").exists():
            return None
        folder = f"/proc/{the_child()}/fd"
        seen.append({os.readlink(f"{folder}/{name}").partition(":")[0] for name in os.listdir(folder)})
        assert os.readlink(f"/proc/{the_child()}/cwd") != str(tmp_path)  # or the folder would be busy
        return Stop(how="cancelled")

    try:
        supervised(tmp_path, bash(tmp_path, "touch begun; exec sleep 60"), how=how, watch=watch)
    finally:
        for each in held:
            os.close(each)
    assert [names - {"/proc"} for names in seen] == [{"/dev/null", "pipe", "anon_inode"}]  # it may be reading /proc


def test_a_child_that_the_lab_had_before_is_not_swept_away_with_the_run(tmp_path: Path) -> None:
    own = os.posix_spawn("/bin/sleep", ["sleep", "60"], {})
    try:
        supervised(tmp_path, bash(tmp_path, "setsid sleep 60 & kill -9 $PPID; sleep 60"), how="subreaper")
        assert alive(tmp_path) == []
        assert os.waitpid(own, os.WNOHANG) == (0, 0)
    finally:
        os.kill(own, signal.SIGKILL)
        os.waitpid(own, 0)


def test_leftovers_are_ended_by_their_mark_and_nobody_else_is(tmp_path: Path) -> None:
    what = {**os.environ, "LAB_RUN_DIR": str(tmp_path)}
    pid = os.posix_spawn("/bin/sleep", ["sleep", "60"], what)
    other = os.posix_spawn("/bin/sleep", ["sleep", "60"], {**what, "LAB_RUN_DIR": f"{tmp_path}2"})
    assert leftovers.end(str(tmp_path)) == 1
    assert os.waitpid(pid, 0)[1] == 9
    assert os.waitpid(other, os.WNOHANG) == (0, 0)
    os.kill(other, 9)
    os.waitpid(other, 0)


@pytest.mark.parametrize("how", ["auto", "subreaper"])
def test_too_much_memory_ends_the_run(tmp_path: Path, how: str) -> None:
    what = python(tmp_path, "import time; x = bytearray(200 << 20); time.sleep(60)")
    found = supervised(tmp_path, what, limits=Limits(budget_s=20, memory_mb=100), how=how)
    assert found.stopped == "memory"
    assert "memory" in found.usage.confined


@pytest.mark.parametrize("how", MODES[:2])
def test_too_much_memory_ends_the_run_where_there_are_no_cgroups(
    tmp_path: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limiting, "_make", lambda *_: "")
    what = python(tmp_path, "import time; x = bytearray(200 << 20); time.sleep(60)")
    found = supervised(tmp_path, what, limits=Limits(budget_s=20, memory_mb=100), how=how)
    assert (found.stopped, found.usage.confined) == ("memory", f"{how}, memory watched")
    assert found.wall_s < 10


@pytest.mark.parametrize("how", MODES)
@pytest.mark.parametrize("limits", [None, Limits(budget_s=10, cpu=1.0)], ids=["spawned", "forked"])
def test_a_program_reads_the_file_it_was_given_and_else_nothing(
    tmp_path: Path, how: str, limits: Limits | None
) -> None:
    (tmp_path / "given").write_text("a question\n")
    for stdin, said in ((str(tmp_path / "given"), b"a question\n"), ("/dev/null", b"")):
        supervised(tmp_path, msgspec.structs.replace(bash(tmp_path, "cat"), stdin=stdin), how=how, limits=limits)
        assert (tmp_path / "stdout.log").read_bytes() == said if said else not (tmp_path / "stdout.log").exists()
        (tmp_path / "stdout.log").unlink(missing_ok=True)


LAB = """
import signal, sys, time
from lab.core.launch import Limits, Program, Stop
from lab.executors.supervisor import supervise
from lab.store.files import Files
came = []
signal.signal(signal.SIGTERM, lambda *_: came.append(1))
folder, text = sys.argv[1:]
found = supervise(
    Files(durable=False), Program(argv=("/bin/bash", "-c", text), cwd=folder, environ={}), Limits(budget_s=30),
    path=folder, run_id="RUN-2", watch=lambda: Stop(how="interrupted", why="stopped by SIGTERM") if came else None,
    every_s=60,
)
print(found.stopped, found.why, found.code, found.signal)
"""


@pytest.mark.parametrize("how", MODES[:2])
@pytest.mark.parametrize("text", ["touch begun; exec sleep 60", "trap 'exit 0' TERM; touch begun; sleep 60 & wait"])
def test_a_run_of_a_lab_that_is_itself_a_run_was_interrupted_when_all_were_told_to_end(
    tmp_path: Path, how: str, text: str
) -> None:
    """Its program hears it as soon as its lab does, and so ends before the lab can tell it why."""
    inner = tmp_path / "inner"
    inner.mkdir()
    outer = program(tmp_path, sys.executable, "-c", LAB, str(inner), text)
    stop = Stop(how="timeout")
    found = supervised(
        tmp_path, outer, how=how, limits=Limits(budget_s=30, grace_s=20),
        watch=lambda: stop if (inner / "begun").exists() else None,
    )  # fmt: skip
    assert (found.stopped, found.code) == ("timeout", 0)
    assert (tmp_path / "stdout.log").read_text().startswith("interrupted stopped by SIGTERM ")
