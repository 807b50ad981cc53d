"""Programs that do not want to be supervised. After each of them nothing may be left."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from lab.core import layout
from lab.core.launch import Exit, Limits
from lab.core.record import parse
from tests.executors.supervised import alive, bash, program, python, supervised, the_child, until

if TYPE_CHECKING:
    from pathlib import Path

MODES = [pytest.param("namespace", marks=pytest.mark.needs_root), "subreaper"]
both = pytest.mark.parametrize("how", MODES)

STUBBORN = {
    "ignores TERM": 'trap "" TERM; while :; do sleep 60; done',
    "is a daemon": 'setsid bash -c \'trap "" TERM; setsid -f sleep 61 >&- 2>&-; sleep 61\' & trap "" TERM; sleep 61',
    "stops itself": "kill -STOP $$; sleep 61",
    "stops its child": 'sleep 61 & kill -STOP $!; trap "" TERM; wait; sleep 61',
    "stops its warden": "kill -STOP $PPID; sleep 61",
    "forks": 'trap "" TERM; for i in $(seq 50); do setsid sleep 61 & done; wait',
}


@both
@pytest.mark.parametrize("what", STUBBORN)
def test_nothing_survives_the_budget(tmp_path: Path, how: str, what: str) -> None:
    found = supervised(tmp_path, bash(tmp_path, STUBBORN[what]), limits=Limits(budget_s=0.5, grace_s=0.2), how=how)
    assert (found.stopped, found.confined, found.problem) == ("timeout", how, "")
    assert found.signal in (signal.SIGTERM, signal.SIGKILL)
    assert alive(tmp_path) == []
    assert found.wall_s < 5


@both
def test_a_child_that_holds_stdout_does_not_hold_the_run(tmp_path: Path, how: str) -> None:
    found = supervised(tmp_path, bash(tmp_path, "setsid sleep 60 & echo done"), how=how)
    assert (found.code, found.stopped) == (0, "")
    assert (tmp_path / "stdout.log").read_bytes() == b"done\n"
    assert alive(tmp_path) == []


@both
def test_twice_its_budget_is_a_timeout_even_with_exit_code_0(tmp_path: Path, how: str) -> None:
    what = bash(tmp_path, 'trap "" TERM; sleep 0.2; exit 0')
    found = supervised(tmp_path, what, limits=Limits(budget_s=0.1, grace_s=5), how=how)
    assert found.stopped == "timeout"


def test_the_warden_killed_by_its_run_leaves_nothing_and_says_so(tmp_path: Path) -> None:
    found = supervised(tmp_path, bash(tmp_path, "setsid sleep 60 & kill -9 $PPID; sleep 60"), how="subreaper")
    assert found.code is None
    assert "was ended" in found.problem
    assert alive(tmp_path) == []


@pytest.mark.needs_root
def test_in_a_namespace_the_warden_cannot_be_killed_by_its_run(tmp_path: Path) -> None:
    found = supervised(tmp_path, bash(tmp_path, "kill -9 $PPID; exit 4"), how="namespace")
    assert (found.code, found.problem) == (4, "")


@both
def test_binary_output_and_a_closed_stdout_are_kept_as_they_came(tmp_path: Path, how: str) -> None:
    printed = bytes(range(256))
    text = f"import os; os.write(1, {printed!r}); os.close(1); os.write(2, b'on'); os._exit(0)"
    found = supervised(tmp_path, python(tmp_path, text), how=how)
    assert (tmp_path / "stdout.log").read_bytes() == printed
    assert (found.stdout.total, found.stderr.total, found.code) == (256, 2, 0)


@pytest.mark.heavy
def test_400_mb_of_output_leave_the_memory_flat(tmp_path: Path) -> None:
    seen: list[int] = []
    warden: list[int] = []

    def watch() -> None:
        if not warden:
            warden.append(the_child())
        with suppress(OSError), open(f"/proc/{warden[0]}/status") as file:
            fields = dict(line.split(":", 1) for line in file)
            if "VmHWM" in fields:  # what has ended, and waits to be buried, has none
                seen.append(int(fields["VmHWM"].split()[0]))

    what = bash(tmp_path, "sleep 0.2; head -c 400M /dev/zero")
    found = supervised(tmp_path, what, limits=Limits(budget_s=60, output_bytes=1 << 20), watch=watch)
    assert (found.stdout.total, found.stdout.kept, found.code) == (400 << 20, 1 << 20, 0)
    assert max(seen) - min(seen) < 8 << 10  # KiB
    assert (tmp_path / "stdout.log").stat().st_size < (1 << 20) + 100


@both
def test_a_signal_is_told_as_a_signal(tmp_path: Path, how: str) -> None:
    found = supervised(tmp_path, bash(tmp_path, "kill -SEGV $$"), how=how)
    assert (found.code, found.signal, found.stopped) == (None, signal.SIGSEGV, "")


@pytest.mark.parametrize("what", ["missing", "not executable", "no shebang", "folder gone"])
def test_what_cannot_be_started_is_said(tmp_path: Path, what: str) -> None:
    file = tmp_path / "program"
    wanted = program(tmp_path, str(file))
    if what != "missing":
        file.write_bytes(b"\x00\x01" if what == "no shebang" else b"#!/bin/sh\n")
    if file.exists():
        file.chmod(0o755 if what != "not executable" else 0o644)
    if what == "folder gone":
        wanted = program(tmp_path / "gone", str(file))
    found = supervised(tmp_path, wanted)
    assert (found.started, found.code) == (False, None)
    assert "cannot be started" in found.problem


def test_an_environment_that_is_no_text_arrives_as_it_is(tmp_path: Path) -> None:
    odd = b"\xff\xfe".decode(errors="surrogateescape")
    supervised(tmp_path, bash(tmp_path, 'printf %s "$ODD"', ODD=odd))
    assert (tmp_path / "stdout.log").read_bytes() == b"\xff\xfe"


@both
@pytest.mark.parametrize("ended", [False, True])
def test_a_killed_lab_leaves_no_process_and_the_truth(tmp_path: Path, how: str, ended: bool) -> None:
    what = bash(tmp_path, "setsid sleep 60 & touch begun; " + ("exit 7" if ended else "sleep 60"))
    caller = os.fork()
    if caller == 0:
        supervised(tmp_path, what, how=how)
        time.sleep(60)
    until((tmp_path / ("exit.json" if ended else "begun")).exists)
    os.kill(caller, signal.SIGKILL)
    os.waitpid(caller, 0)
    until(lambda: not alive(tmp_path), within_s=2)
    until((tmp_path / "exit.json").exists, within_s=2)
    found = parse(Exit, (tmp_path / layout.EXIT).read_bytes(), "exit.json")
    assert (found.stopped, found.code) == (("", 7) if ended else ("orphaned", None))
