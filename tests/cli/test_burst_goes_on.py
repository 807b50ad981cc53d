"""How to go on with a burst: after Ctrl-C, where somebody else is at work, where all was made already."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from lab.cli.typed_again import typed_again
from lab.scheduler import cycle
from lab.scheduler.cycle import Errand
from tests.cli.labs import SHIM, process, runs_of
from tests.cli.test_burst import SPACE, _await, a_sweep, held, lines
from tests.scheduler.labs import me

if TYPE_CHECKING:
    from pathlib import Path

    from lab.store.root import Root


def held_by_me(root: Root) -> None:
    with root.section("sweep"):
        view, loaded = cycle.observe(root, "sweep")
        spec = cycle.usable(loaded)
        lease = cycle.claim(root, view, spec, owner=me(), slots=2)
        cycle.opened(root, lease, view, spec, loaded.sha256, Errand(params={"x": 0.5}))


@pytest.mark.parametrize("wait", ["0", "0.5"])
def test_a_burst_that_may_not_wait_ends_with_three_and_says_who_is_at_work(tmp_path: Path, wait: str) -> None:
    root = a_sweep(tmp_path / "lab")
    held_by_me(root)
    said = process("burst", "sweep", "-n", "1", "--wait", wait, "--json", root=root.layout.root, limit_s=60)
    assert said.code == 3
    assert said.error["kind"] == "busy"
    assert "sweep is held by test" in str(said.error["message"])
    assert lines(root) == []


def test_a_burst_that_waits_says_for_what_and_the_way_out_which_works_at_once(tmp_path: Path) -> None:
    root = a_sweep(tmp_path / "lab", "strategy: random\n")
    held_by_me(root)
    environ = {**os.environ, "LAB_DATA_ROOT": root.layout.root}
    command = [sys.executable, SHIM, "burst", "sweep", "-n", "1"]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as burst:
        assert burst.stderr is not None
        said = burst.stderr.readline()
        assert "sweep is held by test" in said
        assert "until all the runs that whoever holds it was asked for are made" in said
        assert "`max_parallel: 2` in experiments/sweep/SPEC.yaml lets both run" in said
        with open(root.layout.spec("sweep"), "a", encoding="utf-8") as spec:
            spec.write("max_parallel: 2\n")
        out, _ = burst.communicate(timeout=30)
    assert (burst.returncode, len(lines(root))) == (0, 1), out


def test_workers_that_may_not_wait_end_with_three_too(tmp_path: Path) -> None:
    root = a_sweep(tmp_path / "lab")
    for _ in range(2):
        held_by_me(root)
    said = process("burst", "sweep", "-n", "4", "-j", "2", "--wait", "0", root=root.layout.root, limit_s=60)
    assert (said.code, lines(root)) == (3, [])


@pytest.mark.parametrize("words", [("burst", "sweep"), ("swarm", "sweep"), ("run-once", "--experiment", "sweep")])
def test_one_that_was_archived_is_brought_back_and_resumed(tmp_path: Path, words: tuple[str, ...]) -> None:
    root = a_sweep(tmp_path / "lab", "strategy: random\n")
    assert process("archive", "sweep", root=root.layout.root).code == 0
    assert "labctl archive sweep --restore, then: labctl resume sweep" in process(*words, root=root.layout.root).err


@pytest.mark.parametrize("more", ["strategy: bayes\n", "strategies: [random, bayes]\n"])
def test_a_turn_refuses_an_unknown_strategy_before_the_baseline_too(tmp_path: Path, more: str) -> None:
    root = a_sweep(tmp_path / "lab", more, space=SPACE.replace("high: 2.0", "high: 2.0, default: 0.5"))
    said = process("run-once", root=root.layout.root)
    assert said.code == 1
    assert "there is no strategy 'bayes'" in said.out
    assert "did you mean bayesian?" in said.out
    assert runs_of(root, "sweep") == []


def test_resumed_where_all_is_there_it_says_how_to_have_more(tmp_path: Path) -> None:
    root = a_sweep(tmp_path / "lab")
    process("burst", "sweep", "-n", "3", root=root.layout.root)
    said = process("burst", "sweep", "-n", "2", "--resume", "--json", root=root.layout.root)
    assert said.data["ran"] == 0
    assert "3 of 2 are there" in said.data["stopped"]
    assert (
        "without it, -n counts new ones" in process("burst", "sweep", "-n", "2", "--resume", root=root.layout.root).out
    )


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_burst_that_makes_no_run_for_its_limit_ends_with_three_and_the_reason(tmp_path: Path, jobs: str) -> None:
    """It ended with 0: a script took a resumed experiment whose limit still held for one that had searched."""
    root = a_sweep(tmp_path / "lab")
    spec = tmp_path / "lab/experiments/sweep/SPEC.yaml"
    spec.write_text(spec.read_text().replace("max_iterations_total: 1000", "max_iterations_total: 2"))
    assert process("burst", "sweep", "-n", "5", root=root.layout.root).code == 0  # it made two
    process("resume", "sweep", root=root.layout.root)
    said = process("burst", "sweep", "-n", "5", "-j", jobs, "--json", root=root.layout.root)
    assert (said.code, json.loads(said.out)["data"]["ran"]) == (3, 0)
    assert str(said.error["message"]).startswith("sweep: completed (max iterations)")


def test_the_best_there_is_and_a_new_best_are_two_things(tmp_path: Path) -> None:
    root = a_sweep(tmp_path / "lab")
    first = process("burst", "sweep", "-n", "4", "--json", root=root.layout.root).data
    assert first["new_best"] == first["best"]
    edited = (tmp_path / "lab/experiments/sweep/SPEC.yaml").read_text()
    worse = edited.replace("executor_command: ", "executor_command: false || ", 1) + "shell: true\n"
    (tmp_path / "lab/experiments/sweep/SPEC.yaml").write_text(worse)
    second = process("burst", "sweep", "-n", "1", "--json", root=root.layout.root).envelope["data"]
    assert (second["best"]["run_id"], second["ran"]) == (first["best"]["run_id"], 1)


def test_ctrl_c_names_the_line_that_goes_on_with_all_that_was_said(tmp_path: Path) -> None:
    root = a_sweep(tmp_path / "lab", program="executor_command: sleep 60\n")
    words = ("burst", "sweep", "-n", "3", "--strategy", "random", "--seed", "7")
    environ = {**os.environ, "LAB_DATA_ROOT": root.layout.root}
    with subprocess.Popen(
        [sys.executable, SHIM, *words], env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as burst:
        _await(lambda: len(held(root)) == 1)
        burst.send_signal(signal.SIGINT)
        err = burst.communicate(timeout=60)[1].decode()
    assert "1 run was under way and sealed as cancelled" in err
    assert "labctl burst sweep -n 3 --strategy random --seed 7 goes on" in err


def test_the_line_to_type_again_has_what_was_said_and_what_is_left() -> None:
    args = argparse.Namespace(
        experiment="a", iterations=9, resume=False, strategy="tree", seed=0, search_space="my space.json", jobs=2,
        engine="", pause=0.0, wait=0.0, worker="", direction="", strategies=["random", "tree"], rotate=True,
    )  # fmt: skip
    told = typed_again(args, "swarm", 4)
    assert told == (
        "labctl swarm a -n 4 --strategy tree --seed 0 --search-space 'my space.json' --jobs 2 --wait 0 "
        "--strategies random tree --rotate"
    )
    args.resume = True
    assert typed_again(args, "swarm", 4).startswith("labctl swarm a -n 9 ")
    assert typed_again(args, "swarm", 4).endswith(" --resume")
