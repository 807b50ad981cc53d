"""`labctl tail`: the end of a log, whoever wrote it and whatever it says."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.scheduler import cycle
from lab.scheduler.results import tailed
from tests.cli.labs import SHIM, a_lab, me, one_run
from tests.cli.terminals import Terminal
from tests.scheduler.labs import an_experiment, ended

if TYPE_CHECKING:
    from lab.store.root import Root
    from tests.cli.labs import Labctl


@pytest.fixture
def root(place: Path) -> Root:
    return a_lab(place, "alpha")


def begun(root: Root, log: bytes) -> str:
    """A run that is under way, and wrote this."""
    running = cycle.begin(root, "alpha", owner=me())
    run = running.manifest.run_id
    Path(root.layout.run("alpha", run), "stdout.log").write_bytes(log)
    return run


def test_it_shows_the_last_lines_of_a_run_and_of_an_experiment_the_run_under_way(labctl: Labctl, root: Root) -> None:
    sealed = one_run(root, "alpha", 0.5).run.run_id
    run = begun(root, b"one\r\n  two\n\nfour\nhalf")
    assert labctl.done("tail", "alpha").out == "one\n  two\n\nfour\nhalf\n"
    assert labctl.done("tail", "alpha", "-n", "2").out == "four\nhalf\n"
    told = labctl.done("tail", run, "--lines", "1", "--json").data
    assert told == {
        "run_id": run, "experiment": "alpha", "stream": "stdout", "bytes": 21, "lines": ["half"], "is_cut": False,
    }  # fmt: skip
    silent = labctl.done("tail", run, "--stream", "stderr")
    assert silent.out == f"{run} wrote nothing to its stderr\n"
    assert f"labctl tail {run} --stream stdout" in silent.err
    empty = labctl.done("tail", sealed)
    assert (empty.out, empty.err) == (f"{sealed} wrote nothing to its stdout\n", "")


def test_where_nothing_is_under_way_it_is_the_run_that_the_pages_call_the_last(labctl: Labctl, root: Root) -> None:
    an_experiment(root, "wide", "max_parallel: 2\n")
    first, second = (cycle.begin(root, "wide", owner=me(), params={"lr": number}) for number in (1, 2))
    for running in (second, first):  # of two at once the one that began first ended last
        cycle.finish(root, running, ended(0.5))
    last = first.manifest.run_id
    assert last < second.manifest.run_id
    assert labctl.done("tail", "wide", "--json").data["run_id"] == last
    assert labctl.done("show", "wide", "--json").data["last_run"] == last
    Path(root.layout.status("wide")).unlink()  # no page says: the newest that is here
    assert labctl.done("tail", "wide", "--json").data["run_id"] == second.manifest.run_id


def test_of_a_progress_bar_the_last_state_is_shown(labctl: Labctl, root: Root) -> None:
    begun(root, b"begin\r\n" + b"".join(b"\r%3d%%|##  |" % number for number in range(98)))
    assert labctl.done("tail", "alpha").out == "begin\n 97%|##  |\n"
    assert labctl.done("tail", "alpha", "--json", "-n", "1").data["lines"] == [" 97%|##  |"]


def test_following_a_progress_bar_renews_it_in_its_place(root: Root, place: Path) -> None:
    running = cycle.begin(root, "alpha", owner=me())
    words = (SHIM, "tail", "alpha", "-f", "--data-root", str(place))
    with (
        open(f"{running.path}/stdout.log", "wb", buffering=0) as log,
        Terminal(*words, program=sys.executable, columns=60) as screen,
    ):
        log.write(b"begin\n 10%|#   |")
        assert screen.until(" 10%|#   |").split("\n")[:2] == ["begin", " 10%|#   |"]
        log.write(b"\r 20%|##  |\r")
        assert screen.until(" 20%|##  |").split("\n")[:3] == ["begin", " 20%|##  |", ""]
        log.write(b"\r" + "\u6f22".encode() * 40)
        screen.until("\u6f22")
        log.write(b"\rdone\nmore")
        assert screen.until("more").split("\n")[:4] == ["begin", "done", "more", ""]
        cycle.finish(root, running, ended(0.5))
        assert screen.ended() == 0
        assert screen.lines[:3] == ["begin", "done", "more"]
        assert screen.lines[3].endswith("has ended: success")


def test_a_progress_bar_in_a_pipe_is_printed_when_it_is_done(root: Root, place: Path) -> None:
    running = cycle.begin(root, "alpha", owner=me())
    command = [sys.executable, SHIM, "tail", "alpha", "-f", "--data-root", str(place)]
    with (
        open(f"{running.path}/stdout.log", "wb", buffering=0) as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as child,
    ):
        try:
            assert child.stdout is not None
            log.write(b"begin\n 10%\r")
            assert child.stdout.readline() == b"begin\n"
            log.write(b" 20%\r")
            log.write(b"100%\nnext\n  5%\r 10%")
            assert child.stdout.readline() == b"100%\n"
            cycle.finish(root, running, ended(0.5))
            assert child.stdout.read() == b"next\n 10%\n"
        finally:
            child.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_progress_bar_in_a_pipe_is_printed_when_who_follows_it_stops(
    number: signal.Signals, root: Root, place: Path
) -> None:
    running = cycle.begin(root, "alpha", owner=me())
    command = [sys.executable, SHIM, "tail", "alpha", "-f", "--stream", "stderr", "--data-root", str(place)]
    pipe = subprocess.PIPE
    with (
        open(f"{running.path}/stderr.log", "wb", buffering=0) as log,
        subprocess.Popen(command, stdout=pipe, stderr=pipe) as child,
    ):
        try:
            assert child.stdout is not None
            log.write(b"begin\n 10%\r 20%\r")
            assert child.stdout.readline() == b"begin\n"
            child.send_signal(number)
            out, err = child.communicate(timeout=10)
        finally:
            child.kill()
    assert (out, child.returncode) == (b" 20%\n", 130)
    assert err.decode() == f"error[interrupted]: stopped by {number.name}; the run itself was not touched\n"


def test_what_a_run_wrote_cannot_speak_to_the_terminal(labctl: Labctl, root: Root) -> None:
    begun(root, "\x1b[2Jred \x1b[31mand\x07 \u202eback\udc80\n".encode(errors="surrogateescape") + b"x" * 5000 + b"\n")
    first, second = labctl.done("tail", "alpha").out.splitlines()
    assert first == "red and back\ufffd"
    assert len(second) < 2100
    lines = labctl.done("tail", "alpha", "--json").data["lines"]
    assert isinstance(lines, list)
    assert lines[0].startswith("\x1b[2J")


def test_of_a_log_of_any_size_only_the_end_is_read(labctl: Labctl, root: Root) -> None:
    run = begun(root, b"".join(b"line %07d\n" % number for number in range(100_000)))
    said = labctl.done("tail", "alpha", "-n", "3")
    assert said.out == "line 0099997\nline 0099998\nline 0099999\n"
    assert said.err == ""
    said = labctl.done("tail", "alpha", "-n", "10000", "--json")
    assert len(said.data["lines"]) == 10_000
    Path(root.layout.run("alpha", run), "stdout.log").write_bytes(b"x" * (2 * tailed.MOST_BYTES))
    said = labctl.done("tail", "alpha")
    assert "only the last are looked at" in said.err


def test_a_line_of_any_length_can_be_cut_and_that_is_said(labctl: Labctl, root: Root) -> None:
    begun(root, b"short\n" + b"x" * 11 + b"\r\n" + b"y" * 10 + b"\r\n")
    said = labctl.done("tail", "alpha", "--width", "10", "--json")
    assert (said.data["lines"], said.data["is_cut"]) == (["short", "x" * 10, "y" * 10], True)
    assert said.envelope["warnings"] == ["lines are cut after 10 characters"]
    said = labctl.done("tail", "alpha", "--width", "10", "--lines", "1", "--json")
    assert (said.data["is_cut"], said.envelope["warnings"]) == (False, [])
    assert labctl.done("tail", "alpha", "--json").data["is_cut"] is False
    assert "--width -1 is below 0" in labctl("tail", "alpha", "--width", "-1").err


def test_what_is_not_there_is_said(labctl: Labctl, root: Root) -> None:
    assert "alpha has no runs" in labctl("tail", "alpha").err
    assert "did you mean alpha?" in labctl("tail", "alhpa").err
    assert labctl("tail", "RUN-20260102-030405-000000-scout").code == 2
    assert "--lines 0 is not between" in labctl("tail", "alpha", "-n", "0").err


def test_the_logs_of_an_archived_run_are_told_where_they_are(labctl: Labctl, root: Root) -> None:
    runs = [one_run(root, "alpha", 1.0 / number).run.run_id for number in range(1, 14)]
    labctl.done("prune", "--keep", "10", "--yes")
    said = [labctl("tail", run) for run in runs]
    assert any(each.code == 5 and "fix: labctl prune --restore" in each.err for each in said)
