"""Alive, dead, or not to be known: never a guess."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import msgspec
import pytest

from lab.core.claim import Owner
from lab.store import machine
from tests.scheduler.labs import dead, foreign, me

if TYPE_CHECKING:
    from collections.abc import Iterator

UNSHARED = ["unshare", *([] if os.geteuid() == 0 else ["--user", "--map-root-user"]), "--pid", "--fork", "--kill-child"]


def child_of_mine(pid: int) -> Owner:
    _, start = machine._state_and_start(pid)
    return msgspec.structs.replace(me(), pid=pid, start_ticks=start)


def test_this_process_is_alive() -> None:
    assert machine.alive(me()) is True
    assert me().pid == os.getpid()


def test_a_child_is_alive_then_a_zombie_then_gone_and_dead_in_both() -> None:
    with subprocess.Popen([sys.executable, "-I", "-S", "-c", "input()"], stdin=subprocess.PIPE) as child:
        owner = child_of_mine(child.pid)
        assert machine.alive(owner) is True
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and nobody has reaped it
        os.kill(child.pid, 0)  # to kill -0 it still is there
        assert machine.alive(owner) is False
    assert machine.alive(owner) is False
    assert machine.alive(dead()) is False


def test_a_reused_pid_is_another_process() -> None:
    assert machine.alive(msgspec.structs.replace(me(), start_ticks=me().start_ticks - 1)) is False


def test_this_host_after_another_boot_runs_nothing_of_before() -> None:
    assert machine.alive(msgspec.structs.replace(me(), boot_id="00000000-0000-0000-0000-000000000000")) is False


@pytest.mark.parametrize(
    "other",
    [{"host": "another-host"}, {"boot_id": ""}, {"pid": 0}],
    ids=lambda other: next(iter(other)),
)
def test_nothing_is_claimed_of_what_cannot_be_seen(other: dict[str, object]) -> None:
    assert machine.alive(msgspec.structs.replace(me(), **other)) is None


def test_a_foreign_process_with_our_pid_is_unknown_not_alive() -> None:
    assert machine.alive(foreign()) is None


def test_a_name_with_brackets_and_blanks_does_not_confuse_the_start_time() -> None:
    program = "import ctypes; ctypes.CDLL(None).prctl(15, b'a) Z 1 (b'); print(flush=True); input()"
    command = [sys.executable, "-I", "-S", "-c", program]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        assert machine.alive(child_of_mine(child.pid)) is True
        child.kill()


@pytest.fixture
def fenced() -> Iterator[tuple[subprocess.Popen[str], Owner]]:
    """A process in a pid namespace of its own, with what it says of itself."""
    told = (
        "import msgspec, sys; from lab.store.machine import this_process;"
        "print(msgspec.json.encode(this_process('far')).decode(), flush=True); sys.stdin.read()"
    )
    command = [*UNSHARED, sys.executable, "-c", told]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            pytest.skip("this machine lets nobody make a pid namespace")
        yield process, msgspec.json.decode(line, type=Owner)
        process.kill()


def test_a_process_of_another_pid_namespace_is_known_dead_only_from_the_first_one(
    fenced: tuple[subprocess.Popen[str], Owner], monkeypatch: pytest.MonkeyPatch
) -> None:
    process, owner = fenced
    assert owner.pid_namespace != machine._pid_namespace()
    monkeypatch.setattr(machine, "_FIRST_NAMESPACE", machine._pid_namespace())
    assert machine.alive(owner) is None, "it lives, and its lease says for how long it may be silent"
    assert process.stdin is not None
    process.stdin.close()
    process.wait()
    assert machine.alive(owner) is False
    monkeypatch.setattr(machine, "_FIRST_NAMESPACE", 0)  # as in a container: what is beside it is not seen
    assert machine.alive(owner) is None
