"""`labctl research new` and `run` as real processes, killed and interrupted: nothing stays that nobody tells of."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.store import machine
from tests.cli.labs import SHIM

if TYPE_CHECKING:
    from tests.cli.labs import Labctl

NEW = ("research", "new", "mine", "--mode", "A", "--offline")
# `new`, killed in the middle of its copies.
KILLED = """\
import os, signal, sys
from lab.store.files import Files
real = Files.copy
def copy(self, *args, **more):
    real(self, *args, **more)
    os.kill(os.getpid(), signal.SIGKILL)
Files.copy = copy
from lab.cli.main import main
main(sys.argv[1:])
"""


def test_what_a_killed_new_left_goes_with_the_next_and_nothing_else_does(labctl: Labctl, place: Path) -> None:
    labctl.done("init")
    here = place.parent
    ended = subprocess.run(
        [sys.executable, "-c", KILLED, *NEW], cwd=here, env={**os.environ, "LAB_DATA_ROOT": str(place)}, check=False
    )  # fmt: skip
    assert ended.returncode == -signal.SIGKILL
    (left,) = here.glob(".mine.*")
    theirs = [
        f".mine.{machine.here()}-{os.getpid()}-00112233",  # somebody alive is at it
        f".mine.00000000-{left.name.split('-')[1]}-00112233",  # of another machine
        f".mine-2.{left.name.removeprefix('.mine.')}",  # of another project
        ".mine.bak",
    ]
    for name in theirs:
        (here / name).mkdir()
    labctl.done(*NEW)
    assert sorted(each.name for each in here.glob(".mine*")) == sorted(theirs)


def test_a_run_that_is_interrupted_ends_its_phase_is_130_and_is_resumed(labctl: Labctl, place: Path) -> None:
    labctl.done("init")
    labctl.done(*NEW, "--topic", "why")
    file = place.parent / "mine/project.yaml"
    text = file.read_text() + "skip: [implementation, training, evaluation, iteration, writing, publishing]\n"
    slow = "routing: {literature: command}\ncommands: {literature: sleep 600}\n"
    file.write_text(text + slow)
    process = subprocess.Popen(
        [sys.executable, SHIM, "research", "run", "mine"], cwd=place.parent, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
        env={**os.environ, "LAB_DATA_ROOT": str(place)},
    )  # fmt: skip
    try:
        work = sleeping(process.pid)
    finally:
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: whoever is in its group hears it
        _, said = process.communicate(timeout=30)
    assert process.returncode == 130, said
    assert "labctl research resume mine goes on where it stopped" in said
    assert not os.path.exists(f"/proc/{work}")
    stage = labctl.done("research", "status", "mine", "--json").data["stages"][0]
    assert stage["state"] in ("due", "failed")
    (run,) = (place / "experiments/mine/runs").iterdir()
    assert json.loads((run / "manifest.json").read_text())["status"] == "cancelled"
    file.write_text(text)
    assert labctl.done("research", "resume", "mine", "--json").data["ran"] == 2


def sleeping(ancestor: int) -> int:
    """The pid of the `sleep` below this process, once it is there."""
    until_s = time.monotonic() + 30
    while time.monotonic() < until_s:
        for each in descendants(ancestor):
            with suppress(OSError):
                if Path(f"/proc/{each}/cmdline").read_bytes().split(b"\0")[1:2] == [b"600"]:
                    return each
        time.sleep(0.005)
    pytest.fail("the phase never began")


def descendants(pid: int) -> list[int]:
    """All of them, whatever group they are in."""
    with suppress(OSError):
        own = [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        return [*own, *(below for each in own for below in descendants(each))]
    return []
