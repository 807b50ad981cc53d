"""A loop that is told to stop: in each step, between candidates, and when there is no time left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.core.run import CANCELLED
from lab.scheduler import decisions
from lab.scheduler.control import cancel
from tests.scheduler.loop.live import NAME, Live, a_loop, sound, trace

if TYPE_CHECKING:
    from collections.abc import Callable

LESS = "echo $((40 - LAB_RUN_ITERATION)) > value"
STEPS = ["setup", "mutation", "checks", "validation", "holdout"]
SPEC = "holdout_every: 1\npromotion_strategy: branch\n"
WAITS = "sh -c 'echo $$ > {mark}; sleep 60'"


def waiting(loop: Live, step: str, mark: Path) -> None:
    """Let this step of the next candidate wait for ever, after it has said that it is there."""
    loop.propose(LESS)
    loop.edit(f"{step}_command", WAITS.format(mark=mark))


def gone(mark: Path) -> bool:
    """Whether nothing of the step that wrote the mark is left."""
    pids = [each for each in Path("/proc").iterdir() if each.name.isdecimal()]
    return not any(str(mark).encode() in _command(each) for each in pids)


def _command(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:
        return b""


def went_on(loop: Live, step: str) -> None:
    """The next candidate is as good as if nothing had been."""
    if step in ("mutation", "validation"):
        texts = {"mutation": f"sh {loop.proposals / 'propose'}", "validation": "sh measure.sh"}
        loop.edit(f"{step}_command", texts[step])
    else:
        loop.edit(f"{step}_command", "")
    made = loop.change(LESS)
    assert made.verdict == "keep"
    sound(loop)


@pytest.mark.parametrize("step", STEPS)
def test_an_interrupted_step_ends_the_run_and_nothing_is_judged(tmp_path: Path, step: str) -> None:
    loop, mark = a_loop(tmp_path, spec=SPEC), tmp_path / "mark" / step
    mark.parent.mkdir()
    loop.edit("writable_paths", f"[{mark.parent}]")
    loop.change(LESS)
    before = trace(loop.workspace)
    waiting(loop, step, mark)
    made = loop.run(interrupted=lambda: "SIGINT" if mark.exists() else "").run
    assert (made.outcome, made.verdict, made.value) == (CANCELLED, "", None)
    assert trace(loop.workspace) == before
    assert gone(mark)
    assert loop.state().candidates == 0
    went_on(loop, step)


@pytest.mark.parametrize("step", STEPS)
def test_a_cancelled_run_says_who_wished_it_and_nothing_is_judged(tmp_path: Path, step: str) -> None:
    loop, mark = a_loop(tmp_path, spec=SPEC), tmp_path / "mark" / step
    mark.parent.mkdir()
    loop.edit("writable_paths", f"[{mark.parent}]")
    loop.change(LESS)
    waiting(loop, step, mark)
    word = threading.Thread(target=_once, args=(mark, lambda: cancel.cancel(loop.root, NAME, reason="no", actor="ann")))
    word.start()
    made = loop.run(root=loop.reopened()).run
    word.join()
    assert (made.outcome, made.verdict, made.value) == (CANCELLED, "", None)
    assert "ann: no" in made.reason
    assert gone(mark)
    went_on(loop, step)


def _once(mark: Path, act: Callable[[], object]) -> None:
    while not mark.exists():
        time.sleep(0.01)
    act()


def test_a_paused_loop_begins_no_candidate_until_it_is_resumed(tmp_path: Path) -> None:
    loop = a_loop(tmp_path)
    loop.change(LESS)
    decisions.pause(loop.root, NAME, reason="look", actor="ann")
    visit = loop.turn().visit(NAME)
    assert visit.made is None
    assert len(loop.runs()) == 1
    decisions.resume(loop.root, NAME, reason="", actor="ann")
    assert loop.change(LESS).verdict == "keep"


def test_a_real_ctrl_c_ends_a_burst_and_leaves_nothing_behind(tmp_path: Path) -> None:
    loop, mark = a_loop(tmp_path, spec=SPEC), tmp_path / "mark" / "here"
    mark.parent.mkdir()
    loop.edit("writable_paths", f"[{mark.parent}]")
    loop.change(LESS)
    before = trace(loop.workspace)
    waiting(loop, "checks", mark)
    text = "import sys; from lab.cli.main import main; sys.exit(main(sys.argv[1:]))"
    words = [sys.executable, "-c", text, "--data-root", loop.root.layout.root, "burst", NAME, "-n", "5"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True) as process:
        _once(mark, lambda: os.killpg(process.pid, signal.SIGINT))
        said = process.communicate()[0].decode()
    assert "Traceback" not in said
    assert gone(mark)
    assert trace(loop.workspace) == before
    went_on(loop, "checks")
