"""Short sections: one at a time over all processes, and free again the moment their holder is gone."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.core.errors import Busy
from lab.store import sections
from lab.store.sections import hold, pause_s

if TYPE_CHECKING:
    from collections.abc import Iterator

CHECKOUT = Path(__file__).resolve().parents[2]
HOLDER = """
import sys
from lab.store.sections import hold
with hold(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""
COUNTER = """
import sys
from lab.store.sections import hold
for _ in range(50):
    with hold(sys.argv[1]):
        with open(sys.argv[2]) as file:
            number = int(file.read())
        with open(sys.argv[2], "w") as file:
            file.write(str(number + 1))
"""


@contextmanager
def a_holder(path: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"held\n"
        try:
            yield child
        finally:
            child.kill()


def test_what_processes_do_in_a_section_never_overlaps(tmp_path: Path) -> None:
    (tmp_path / "count").write_text("0")
    command = [sys.executable, "-c", COUNTER, str(tmp_path / "s"), str(tmp_path / "count")]
    children = [subprocess.Popen(command, cwd=CHECKOUT) for _ in range(4)]
    assert [child.wait() for child in children] == [0] * 4
    assert (tmp_path / "count").read_text() == "200"


def test_whoever_waits_too_long_is_told_who_to_look_for(tmp_path: Path) -> None:
    with (
        a_holder(tmp_path / "s"),
        pytest.raises(Busy, match="another process") as refused,
        hold(str(tmp_path / "s"), wait_s=0.05),
    ):
        pytest.fail("two are in the section")
    assert refused.value.where == str(tmp_path / "s")


def test_whoever_waits_long_asks_seldom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = 0
    really = fcntl.flock

    def flock(descriptor: int, how: int) -> None:
        nonlocal asked
        asked += 1
        really(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", flock)
    with hold(str(tmp_path / "section")), pytest.raises(Busy), hold(str(tmp_path / "section"), wait_s=2.0):
        pass
    assert 10 < asked < 120, "on a shared disk each ask is a message: 400 of them in 2 s, times a thousand nodes"


def test_who_came_together_does_not_ask_together() -> None:
    assert pause_s(0.0, 0.0) < pause_s(0.0, 1.0)
    assert pause_s(1.0, 0.5) > pause_s(0.1, 0.5)
    assert pause_s(3_600.0, 1.0) < 1.0, "a section that is free is taken soon, however long somebody waited"


def test_a_killed_holder_frees_its_section_at_once(tmp_path: Path) -> None:
    with a_holder(tmp_path / "s") as child:
        child.send_signal(signal.SIGKILL)
        child.wait()
        with hold(str(tmp_path / "s"), wait_s=0.0):
            pass


def test_a_stopped_holder_keeps_its_section(tmp_path: Path) -> None:
    with a_holder(tmp_path / "s") as child:
        child.send_signal(signal.SIGSTOP)
        with pytest.raises(Busy), hold(str(tmp_path / "s"), wait_s=0.05):
            pytest.fail("two are in the section")


def test_a_section_is_free_again_after_an_error_inside(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), hold(str(tmp_path / "s")):
        raise ZeroDivisionError
    with hold(str(tmp_path / "s"), wait_s=0.0):
        pass


def test_one_that_had_to_wait_leaves_the_same_file_behind(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "s"
    order: list[str] = []

    def second() -> None:
        with hold(str(path)):
            order.append("second")

    with hold(str(path)):
        inode = os.stat(path).st_ino
        waiting = threading.Thread(target=second)
        waiting.start()
        waiting.join(0.05)
        order.append("first")
    waiting.join()
    assert order == ["first", "second"]
    assert os.stat(path).st_ino == inode  # a lock file that is removed lets two in


def test_a_file_has_one_owner_and_only_while_that_lives_and_the_file_is_the_same(tmp_path: Path) -> None:
    place = tmp_path / "token"
    assert sections.own(str(place)) == -1
    place.write_text("1")
    first = sections.own(str(place))
    with pytest.raises(Busy):
        sections.own(str(place))
    os.close(first)
    second = sections.own(str(place))
    (tmp_path / "new").write_text("2")
    os.replace(tmp_path / "new", place)
    third = sections.own(str(place))  # another file, which nobody has yet
    os.close(second)
    os.close(third)


def test_who_opened_a_file_that_was_replaced_meanwhile_does_not_own_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "token"
    place.write_text("1")
    lock = fcntl.flock

    def late(descriptor: int, how: int) -> None:
        (tmp_path / "new").write_text("2")
        os.replace(tmp_path / "new", place)
        lock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", late)
    with pytest.raises(Busy):
        sections.own(str(place))
