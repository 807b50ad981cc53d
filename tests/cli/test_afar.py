"""run-once, burst, swarm and guided through an engine: real processes that outlive the terminal, at `local`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.cli.labs import SHIM, TRACE, process, runs_of
from tests.cli.test_burst import a_sweep, held, lines, place_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from lab.store.root import Root

pytestmark = pytest.mark.timeout(90)
# A run that lasts until the test lets it end.
GATED = "shell: true\nexecutor_command: while test ! -e {gate}; do sleep 0.05; done; echo METRIC loss=1\n"


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Path]:
    """A file that lets the runs end. It is there in the end, whatever the test did: nothing is left running."""
    yield tmp_path / "gate"
    (tmp_path / "gate").touch()


def a_gated_sweep(place: Path, gate: Path) -> Root:
    return a_sweep(place, program=GATED.format(gate=gate))


def start(root: Root, *words: str) -> subprocess.Popen[str]:
    environ = {**os.environ, "LAB_DATA_ROOT": root.layout.root}
    command = [sys.executable, SHIM, *words]
    return subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def comes_true(what: Callable[[], bool], for_s: float = 30.0) -> None:
    until_s = time.monotonic() + for_s
    while not what():
        assert time.monotonic() < until_s
        time.sleep(0.05)


def bodies(root: Root) -> list[str]:
    """The runs whose body was let in, and has not ended."""
    return [name for name in os.listdir(root.layout.claims("sweep")) if name.endswith(".started")]


def steps(data: dict[str, object], kind: str) -> list[dict[str, object]]:
    found = data["steps"]
    assert isinstance(found, list)
    return [step for step in found if step["kind"] == kind]


@pytest.mark.parametrize("verb", ["burst", "swarm"])
def test_runs_at_an_engine_are_told_and_counted_like_any(tmp_path: Path, verb: str) -> None:
    root = a_sweep(tmp_path / "lab")
    words = (verb, "sweep", "-n", "9", "--engine", "local", "--jobs", "3", "--json")
    data = process(*words, root=root.layout.root, limit_s=60).data
    assert (data["ran"], data["succeeded"], data["failed"], data["stopped"]) == (9, 9, 0, "")
    assert sorted(map(place_of, lines(root))) == list(range(9))
    assert len({json.dumps(line["params"]) for line in lines(root)}) == 9
    assert sorted(str(step["run_id"]) for step in steps(data, "queued")) == runs_of(root, "sweep")
    assert all(step["engine"] == "local" and step["number"] for step in steps(data, "queued"))
    best = data["best"]
    assert isinstance(best, dict)
    assert best["value"] == min(float(str(line["value"])) for line in lines(root))
    assert held(root) == []


def test_in_text_a_line_says_where_each_run_went_and_a_line_how_it_ended(tmp_path: Path) -> None:
    root = a_sweep(tmp_path / "lab")
    said = process("burst", "sweep", "-n", "2", "--engine", "local", root=root.layout.root, limit_s=60)
    assert [line.partition(" at local (job ")[0] for line in said.err.splitlines()[:2]] == [
        f"queued {name}" for name in runs_of(root, "sweep")
    ]
    assert [line.partition("]")[0] for line in said.out.splitlines()[:2]] == ["[1/2", "[2/2"]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL], ids=["Ctrl-C", "kill -9"])
def test_runs_at_an_engine_outlive_the_burst_and_are_taken_up_again(
    tmp_path: Path, gate: Path, how: signal.Signals
) -> None:
    root = a_gated_sweep(tmp_path / "lab", gate)
    with start(root, "burst", "sweep", "-n", "5", "--engine", "local", "-j", "2") as burst:
        comes_true(lambda: len(bodies(root)) == 2)
        burst.send_signal(how)
        out, err = burst.communicate(timeout=30)
    assert TRACE not in out + err
    if how == signal.SIGINT:
        assert burst.returncode == 130
        assert "2 runs go on at local" in err
        assert "labctl burst sweep --resume" in err
    assert len(held(root)) == 2
    with start(root, "burst", "sweep", "-n", "5", "--engine", "local", "-j", "2", "--resume") as burst:
        assert burst.stderr is not None
        assert "2 under way already, and counted when over" in burst.stderr.readline()
        gate.touch()
        out, err = burst.communicate(timeout=60)
    assert "5 runs in" in out, err
    assert (len(lines(root)), held(root)) == (5, [])
    assert sorted(map(place_of, lines(root))) == list(range(5))


def test_a_cancelled_run_is_counted_as_one(tmp_path: Path, gate: Path) -> None:
    root = a_gated_sweep(tmp_path / "lab", gate)
    with start(root, "burst", "sweep", "-n", "1", "--engine", "local", "--json") as burst:
        comes_true(lambda: len(bodies(root)) == 1)
        assert process("cancel", "sweep", "--reason", "enough", root=root.layout.root).code == 0
        out, err = burst.communicate(timeout=60)
    (ran,) = steps(json.loads(out)["data"], "ran")
    assert ran["outcome"] == "cancelled", err
    assert "enough" in str(ran["what"])


def test_a_turn_hands_over_says_so_once_and_is_quiet_while_nothing_changes(tmp_path: Path, gate: Path) -> None:
    root = a_gated_sweep(tmp_path / "lab", gate)
    turn = ("run-once", "--engine", "local")
    said = process(*turn, root=root.layout.root)
    (run_id,) = runs_of(root, "sweep")
    assert said.out.startswith(f"queued sweep: {run_id} at local (job ")
    assert len(said.out.splitlines()) == 1
    comes_true(lambda: len(bodies(root)) == 1)
    for _ in range(2):
        said = process(*turn, root=root.layout.root)
        assert (said.code, said.out, said.err) == (0, "", "")
    gate.touch()
    comes_true(lambda: held(root) == [])
    assert [line["outcome"] for line in lines(root)] == ["success"]


def test_a_class_that_engines_yaml_gives_to_an_engine_needs_no_flag_and_here_goes_before_it(tmp_path: Path) -> None:
    root = a_sweep(tmp_path / "lab")
    with open(root.layout.engines, "w", encoding="utf-8") as file:
        file.write("default: {engine: local}\n")
    data = process("burst", "sweep", "-n", "1", "--json", root=root.layout.root, limit_s=60).data
    assert (data["ran"], len(steps(data, "queued"))) == (1, 1)
    data = process("burst", "sweep", "-n", "1", "--engine", "here", "--json", root=root.layout.root).data
    assert (data["ran"], len(steps(data, "queued"))) == (1, 0)


@pytest.mark.parametrize("words", [("run-once",), ("burst", "sweep"), ("swarm", "sweep"), ("guided", "sweep")])
def test_an_engine_that_is_none_is_refused_with_what_is_one(tmp_path: Path, words: tuple[str, ...]) -> None:
    root = a_sweep(tmp_path / "lab")
    said = process(*words, "--engine", "slrum", root=root.layout.root)
    assert said.code == 2
    assert "did you mean slurm?" in said.err
    said = process(*words, "--engine", "cloud9", root=root.layout.root)
    assert "here, local, ray, slurm" in said.err
    assert runs_of(root, "sweep") == []


def test_an_approved_run_of_a_guided_search_goes_to_the_engine_and_is_waited_for(tmp_path: Path) -> None:
    root = a_sweep(tmp_path / "lab")
    with start(root, "guided", "sweep", "-n", "1", "--engine", "local", "--json") as guided:
        comes_true(lambda: process("approve", "sweep-1", root=root.layout.root).code == 0)
        out, err = guided.communicate(timeout=60)
    data = json.loads(out)["data"]
    assert (data["ran"], len(steps(data, "queued"))) == (1, 1), err
    assert held(root) == []
