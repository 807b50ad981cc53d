"""`labctl run-once` as cron, a pipe or a closed terminal starts it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.scheduler import refresh
from tests.cli.labs import SHIM, a_lab
from tests.scheduler.test_due import edit

if TYPE_CHECKING:
    from lab.store.root import Root


@pytest.fixture
def root(tmp_path: Path) -> Root:
    made = a_lab(tmp_path / "lab", "a", "b")
    for name in ("a", "b"):
        edit(made, name, executor="command", executor_command="/bin/echo 0.5", cadence="0.001s")
    refresh.everything(made)
    return made


def started(root: Root, *words: str, shell: str = "", **more: object) -> subprocess.Popen[str]:
    """`labctl run-once`, with what a shell adds to the line."""
    line = f"exec {sys.executable} {SHIM} run-once --data-root {root.layout.root} {' '.join(words)} {shell}"
    return subprocess.Popen(["/bin/sh", "-c", line], text=True, **more)  # type: ignore[call-overload,no-any-return]


def outcomes(root: Root) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name in ("a", "b"):
        runs = sorted(Path(root.layout.runs(name)).glob("RUN-*/SEAL.json"))
        found[name] = [json.loads(seal.read_text())["run"]["outcome"] for seal in runs]
    return found


@pytest.mark.parametrize("shell", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_it_runs_with_closed_descriptors(root: Root, shell: str) -> None:
    assert started(root, shell=shell, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).wait(15) == 0
    assert outcomes(root) == {"a": ["success"], "b": ["success"]}


def test_a_listener_that_goes_away_ends_no_turn(root: Root) -> None:
    with started(root, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as turn:
        assert turn.stdout is not None
        turn.stdout.close()
        assert turn.wait(15) == 1
    assert outcomes(root) == {"a": ["success"], "b": ["success"]}
    index = json.loads(Path(root.layout.index).read_text())
    assert index["ledger"]["end"] == os.stat(root.layout.events).st_size


@pytest.mark.parametrize("log", ["{folder}", "/proc/nope/x.log", "{folder}/a/SPEC.yaml/x.log"])
def test_a_log_that_cannot_be_written_is_refused_before_anything_runs(root: Root, log: str) -> None:
    path = log.format(folder=root.layout.experiments)
    with started(root, "--log", path, stderr=subprocess.PIPE) as turn:
        assert turn.wait(15) == 2
        assert turn.stderr is not None
        assert "the log cannot be written" in turn.stderr.read()
    assert outcomes(root) == {"a": [], "b": []}


def test_the_most_memory_that_a_run_held_is_in_its_manifest(root: Root) -> None:
    # By a process of its own: of a program that ends before it is looked at, the kernel tells no peak below that of
    # whoever started it, and that would be the whole test run.
    edit(root, "a", executor_command=f'{sys.executable} -I -S -c "held=bytearray(200<<20);print(0.25)"')
    assert started(root, "--experiment", "a", stdout=subprocess.DEVNULL).wait(15) == 0
    (manifest,) = Path(root.layout.runs("a")).glob("RUN-*/manifest.json")
    assert json.loads(manifest.read_text())["usage"]["peak_memory_mb"] > 200


def test_the_log_has_the_lines_and_stdout_has_none(root: Root, tmp_path: Path) -> None:
    log = tmp_path / "logs/once.log"
    with started(root, "--quiet", "--log", str(log), stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as turn:
        assert turn.stdout is not None
        assert turn.stdout.read() == ""
    assert [line.split(" ", 1)[1][:5] for line in log.read_text().splitlines()] == ["ran a", "ran b"]


def test_a_terminal_that_is_closed_ends_the_run_as_cancelled(root: Root, tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    edit(root, "a", executor_command=f'/bin/sh -c "touch {begun}; exec sleep 60"')
    refresh.everything(root)
    with started(root, "--experiment", "a", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as turn:
        until_s = time.monotonic() + 10
        while not begun.exists() and time.monotonic() < until_s:
            time.sleep(0.01)
        turn.send_signal(signal.SIGHUP)
        assert turn.wait(15) == 130
    assert outcomes(root)["a"] == ["cancelled"]


def test_nothing_due_says_nothing(root: Root) -> None:
    for name in ("a", "b"):
        edit(root, name, cadence="1h")
    started(root, stdout=subprocess.DEVNULL).wait(15)
    with started(root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as turn:
        assert turn.stdout is not None
        assert (turn.stdout.read(), turn.wait(15)) == ("", 0)


def test_one_that_is_named_and_not_due_says_when(root: Root) -> None:
    edit(root, "a", cadence="1h")
    started(root, "--experiment", "a", stdout=subprocess.DEVNULL).wait(15)
    with started(root, "--experiment", "a", stdout=subprocess.PIPE, stderr=subprocess.PIPE) as turn:
        out, err = turn.communicate(timeout=15)
    assert (out, turn.returncode) == ("", 0)
    assert err.startswith("waiting a: not due yet (due 20")
    assert "labctl run-once --experiment a --now" in err


@pytest.mark.parametrize("words", [("--max-runs", "0"), ("--max-runs", "x"), ("--jobs", "-1"), ("--now",)])
def test_bad_flags_are_refused_with_words(root: Root, words: tuple[str, ...]) -> None:
    with started(root, *words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as turn:
        out, err = turn.communicate(timeout=15)
    assert (out, turn.returncode) == ("", 2)
    assert "error[bad-input]" in err
    assert "invalid _count" not in err
