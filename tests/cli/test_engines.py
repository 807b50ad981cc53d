"""What people see of runs that an engine has: `status` and the other verbs that look, and `cancel`."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from typing import TYPE_CHECKING

import msgspec
import pytest

from lab.cli import placed as cli_placed
from lab.core import job
from lab.scheduler import cycle
from lab.scheduler.placing import placed
from lab.store import jobs
from tests.cli.handed import CLAIM, JOB, SEEN, age, handed, printed, seen, started
from tests.cli.labs import SHIM, a_lab, ended, me, process
from tests.scheduler.placing import engine_double

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.labs import Labctl
    from tests.scheduler.placing.engine_double import Double


def test_status_says_what_is_queued_and_what_runs_where(labctl: Labctl, place: Path) -> None:
    root = a_lab(place, "alpha", "beta")
    assert labctl.done("status", "--json").data["engines"] == {"queued": 0, "running": 0, "runs": [], "left_out": 0}
    waits = handed(root, "alpha", number="123")
    seen(root, waits, job.WAITING, why="Resources")
    runs = handed(root, "beta", number="124")
    seen(root, runs, job.WAITING, why="Priority")
    started(root, runs, "n7")
    fresh = handed(root, "beta", "local")
    told = labctl.done("status", "--json").data["engines"]
    assert (told["queued"], told["running"], told["left_out"]) == (2, 1, 0)
    rows = {row["run"]: row for row in told["runs"]}
    shown = ("engine", "number", "state", "where", "why")
    assert {name: tuple(row[key] for key in shown) for name, row in rows.items()} == {
        waits.manifest.run_id: ("slurm", "123", "queued", "", "Resources"),
        runs.manifest.run_id: ("slurm", "124", "running", "n7", ""),
        fresh.manifest.run_id: ("local", "", "queued", "", "local has not taken it yet"),
    }
    assert all(row["since"] for row in rows.values())
    text = labctl.done("status").out
    assert "at engines: 1 running, 2 queued\n" in text
    assert f"alpha  {waits.manifest.run_id}  queued at slurm (job 123) since" in text
    assert f"beta  {runs.manifest.run_id}  running at slurm (job 124) on n7 since" in text


def test_status_and_the_other_verbs_say_the_same_of_a_run(place: Path) -> None:
    """`status` reads with the standard library alone, all else by records: two readers of the same files."""
    root = a_lab(place, "alpha")
    name = partial(handed, root, "alpha")
    name(), name("local")
    for why, state in (("Resources", job.WAITING), ("", job.WAITING), ("JobHeldUser", job.HELD), ("", job.RUNNING)):
        seen(root, name(number="1"), state, why=why, where="n1" if state == job.RUNNING else "")
        begun = name(number="2")
        seen(root, begun, state, why=why)
        started(root, begun, "n7")
    seen(root, name(number="3"), job.ASKED, why="slurm does not take it now: the queue is full")
    seen(root, name(), job.ASKED, why="slurm does not take it now: the queue is full")
    came = name().lease.claim  # who submitted it was killed before the answer was written down, and its body came
    assert jobs.begin(
        root, "alpha", came.generation, job.Start(run_id=came.run_id, host="n8", pid=1, number="77", at=root.now())
    )
    claims = root.layout.claims("alpha")
    for begins in (False, True):
        over = name(number="4")
        known = jobs.load(root, "alpha", over.lease.claim.generation)
        assert known is not None
        jobs.write(root, msgspec.structs.replace(known, ended=job.LOST, why="NODE_FAIL"))
        if begins:
            started(root, over, "n9")
    rows = cli_placed.of(root.layout.root, {"alpha": os.listdir(claims)})["runs"]
    states = placed.states(root, "alpha")
    assert len(rows) == len(states) == 15
    said = {each.run_id: f"{each.run_id}  {placed.line(each)}" for each in states}
    assert {row["run"]: cli_placed.line(row) for row in rows} == said
    fields = ("experiment", "engine", "number", "state", "where", "since", "why")
    assert {row["run"]: [row.get(key) for key in fields] for row in rows} == {
        each.run_id: [getattr(each, key) for key in fields] for each in states
    }


def test_a_queue_that_nobody_watches_is_said(labctl: Labctl, place: Path) -> None:
    root = a_lab(place, "alpha", "beta")
    waits, runs = handed(root, "alpha", number="1"), handed(root, "beta", number="2")
    seen(root, waits, job.WAITING)
    seen(root, runs, job.RUNNING)
    started(root, runs)
    assert labctl.done("status", "--json").envelope["warnings"] == []
    age(root, runs, SEEN, 9000)  # a body that lives seals its run by itself, whoever looks
    assert labctl.done("status", "--json").envelope["warnings"] == []
    age(root, waits, SEEN, 9000)
    (warning,) = labctl.done("status", "--json").envelope["warnings"]
    assert waits.manifest.run_id in warning
    assert "labctl run-once" in warning
    age(root, runs, CLAIM, 9000)
    (warning,) = labctl.done("status", "--json").envelope["warnings"]
    assert "2 runs at slurm" in warning
    assert "silent for 150 min" in labctl.done("status").out


def test_the_watchdog_names_runs_that_nobody_heard_of(labctl: Labctl, place: Path) -> None:
    root = a_lab(place, "alpha", "beta")
    waits, runs = handed(root, "alpha", number="1"), handed(root, "beta", number="2")
    seen(root, waits, job.WAITING)
    started(root, runs)
    assert labctl.done("watchdog", "--json").data["alerts"] == []
    for running, suffix in ((waits, CLAIM), (waits, SEEN), (waits, JOB), (runs, CLAIM)):
        age(root, running, suffix, 7300)
    (alert,) = labctl("watchdog", "--json").envelope["data"]["alerts"]  # beta's body was let in just now
    assert alert["what"].startswith("alpha: 1 of its runs at slurm were not looked after, the first for 2 h")
    assert "labctl run-once" in alert["fix"]
    assert checked(labctl, "alpha") == ("warning", alert["what"])


def test_one_that_nobody_ever_looked_at_is_said_too(labctl: Labctl, place: Path) -> None:
    root = a_lab(place, "alpha")
    age(root, handed(root, "alpha", number="1"), JOB, 9000)
    assert len(labctl.done("status", "--json").envelope["warnings"]) == 1


@pytest.mark.parametrize("crafted", ["", "[]", "{", '{"run_id": 7, "engine": ["x"], "number": "\\u001b[2J"}', "\0\0"])
def test_damaged_files_of_a_job_do_not_stop_status(labctl: Labctl, place: Path, crafted: str) -> None:
    root = a_lab(place, "alpha")
    running = handed(root, "alpha", number="1")
    seen(root, running, job.RUNNING)
    started(root, running)
    for name in os.listdir(root.layout.claims("alpha")):
        if name.endswith((".job", ".seen", ".started")):
            path = f"{root.layout.claims('alpha')}/{name}"
            os.chmod(path, 0o644)
            with open(path, "w", encoding="utf-8") as file:
                file.write(crafted)
    said = labctl.done("status")
    assert "\x1b" not in said.out
    labctl.done("status", "--json")


def test_what_was_settled_is_not_shown(labctl: Labctl, place: Path) -> None:
    root = a_lab(place, "alpha")
    running = handed(root, "alpha", number="1")
    claim = root.layout.claim("alpha", running.lease.claim.generation)
    os.rename(claim, claim.replace(".claim", ".released"))  # who retires it died before the files beside it went
    assert labctl.done("status", "--json").data["engines"]["queued"] == 0


def test_many_jobs_are_counted_and_the_first_are_shown(labctl: Labctl, place: Path) -> None:
    root = a_lab(place, "alpha")
    running = handed(root, "alpha", number="1")
    seen(root, running, job.WAITING)
    generation = running.lease.claim.generation
    for number in range(generation + 1, generation + 600):
        for suffix in (".claim", ".job", ".seen"):
            os.link(root.layout.claim("alpha", generation, suffix), root.layout.claim("alpha", number, suffix))
    started(root, running)
    told = labctl.done("status", "--json").data["engines"]
    assert (told["queued"], told["running"], len(told["runs"]), told["left_out"]) == (599, 1, 500, 100)
    assert told["runs"][0]["state"] == "running"
    assert "and 580 more" in labctl.done("status").out


def table(place: Path, text: str) -> None:
    (place / "engines.yaml").write_text(text)


def checked(labctl: Labctl, name: str) -> tuple[str, str]:
    checks = labctl("doctor", "--json").envelope["data"]["checks"]
    return next(((each["state"], each["what"]) for each in checks if each["name"] == name), ("", ""))


def test_doctor_asks_each_engine_that_the_lab_names(
    labctl: Labctl, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = a_lab(place, "alpha")
    assert checked(labctl, "engines")[0] == "none"
    monkeypatch.setenv("PATH", "/nowhere")
    table(place, "gpu:\n  engine: slurm\nbig:\n  engine: slurm\n  nodes: 2\nsmall:\n  engine: here\n")
    state, what = checked(labctl, "engine slurm")
    assert state == "failed"
    assert "install" in what or "not" in what
    assert "class big, class gpu" in what
    table(place, "# nothing\n")
    assert checked(labctl, "engine slurm") == ("", "")
    handed(root, "alpha", number="1")
    assert "runs of alpha" in checked(labctl, "engine slurm")[1]


def test_a_table_that_cannot_be_read_is_said_by_doctor_and_by_validate(labctl: Labctl, place: Path) -> None:
    a_lab(place, "alpha")
    table(place, "gpu:\n  engine: slurm\n  partitoin: x\n")
    state, what = checked(labctl, "engines")
    assert state == "failed"
    assert "line 3: gpu: unknown key 'partitoin'; did you mean partition?" in what
    said = labctl("validate", "engines.yaml", "--json")
    assert said.code == 2
    assert said.error["where"] == f"{place}/engines.yaml line 3"
    assert "nothing would run" in labctl.done("validate", "alpha").err
    table(place, "gpu:\n  engine: slurm\n")
    assert labctl.done("validate", "engines.yaml", "--json").data["classes"] == {"gpu": "slurm"}
    (place / "engines.yaml").unlink()
    assert labctl("validate", "engines.yaml").code == 2


def test_a_class_that_is_nearly_one_of_the_table_is_said(labctl: Labctl, place: Path) -> None:
    a_lab(place, "alpha", more="executor_class: gpuu\n")
    assert not any("gpuu" in each for each in labctl.done("validate", "alpha", "--json").envelope["warnings"])
    table(place, "gpu:\n  engine: slurm\n")
    warnings = labctl.done("validate", "alpha", "--json").envelope["warnings"]
    assert any("gpuu has no row" in each and "gpu has one" in each for each in warnings)
    assert checked(labctl, "alpha")[0] == "warning"


def test_show_and_lease_say_where_an_engine_has_a_run(labctl: Labctl, place: Path) -> None:
    root = a_lab(place, "alpha", more="max_parallel: 3\n")
    waits, runs = handed(root, "alpha", number="7"), handed(root, "alpha", number="8")
    seen(root, waits, job.WAITING, why="Resources")
    started(root, runs, "n3")
    run = waits.manifest.run_id
    told = labctl.done("show", run, "--json").data
    assert (told["state"], told["placed"], told["engine"], told["number"]) == ("under way", "queued", "slurm", "7")
    assert "engine: queued at slurm (job 7) since" in labctl.done("show", run).out
    assert labctl.done("show", runs.manifest.run_id, "--json").data["where"] == "n3"
    page = labctl.done("show", "alpha")
    assert f"under way: {run}, queued at slurm (job 7)" in page.out
    assert len(labctl.done("show", "alpha", "--json").data["engines"]) == 2
    first, second = labctl.done("lease", "show", "alpha", "--json").data["claims"]
    assert (first["state"], first["engine"], first["number"], first["why"]) == ("queued", "slurm", "7", "Resources")
    assert (second["state"], second["where"]) == ("running", "n3")
    assert "pid" not in labctl.done("lease", "show", "alpha").out


def test_the_board_of_a_search_says_where_its_trials_are(labctl: Labctl, place: Path) -> None:
    root = a_lab(place, "alpha")
    waits = handed(root, "alpha", number="7", params={"lr": 0.1})
    seen(root, waits, job.WAITING, why="Resources")
    (claim,) = labctl.done("board", "alpha", "--json").data["claims"]
    assert (claim["params"], claim["run_id"]) == ({"lr": 0.1}, waits.manifest.run_id)
    assert claim["where"].startswith("queued at slurm (job 7)")
    assert "lr=0.1  queued at slurm (job 7)" in labctl.done("board", "alpha").out


def test_tail_of_a_run_that_waits_says_so_and_shows_what_its_job_printed(labctl: Labctl, place: Path) -> None:
    root = a_lab(place, "alpha")
    waits = handed(root, "alpha", number="7")
    seen(root, waits, job.WAITING, why="Resources")
    assert labctl.done("tail", "alpha").out.startswith(f"{waits.manifest.run_id} is queued at slurm (job 7) since")
    printed(root, waits, "bash: module: command not found\n")
    assert labctl.done("tail", "alpha").out == "bash: module: command not found\n"
    told = labctl.done("tail", "alpha", "--json").data
    assert told["lines"] == ["bash: module: command not found"]
    assert str(told["engine"]).startswith("queued at slurm")
    started(root, waits)
    with open(f"{waits.path}/stdout.log", "w", encoding="utf-8") as file:
        file.write("step 1\n")
    assert labctl.done("tail", "alpha").out == "step 1\n"


def test_tail_of_an_experiment_takes_what_runs_before_what_waits(labctl: Labctl, place: Path) -> None:
    root = a_lab(place, "alpha", more="max_parallel: 3\n")
    runs, _ = handed(root, "alpha", number="7"), handed(root, "alpha", number="8")
    started(root, runs)
    assert labctl.done("tail", "alpha", "--json").data["run_id"] == runs.manifest.run_id


def test_follow_goes_on_through_the_queue_to_the_end_of_the_run(place: Path) -> None:
    root = a_lab(place, "alpha")
    running = handed(root, "alpha", number="7")
    run = running.manifest.run_id
    seen(root, running, job.WAITING, why="Resources")
    command = [sys.executable, SHIM, "tail", "alpha", "-f", "--data-root", str(place)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            assert child.stderr is not None
            assert f"{run} is queued at slurm (job 7)" in child.stderr.readline()
            started(root, running, "n3")
            with open(f"{running.path}/stdout.log", "w", encoding="utf-8", buffering=1) as log:
                log.write("step 1\nst")
                assert child.stdout.readline() == "step 1\n"
                log.write("ep 2\n")
                assert child.stdout.readline() == "step 2\n"
                log.write("the last words")
            cycle.finish(root, running, ended(0.5))
            out, err = child.communicate(timeout=15)
        finally:
            child.kill()
    assert child.returncode == 0
    assert out == "the last words\n"
    assert f"{run} is running at slurm (job 7) on n3" in err
    assert f"{run} has ended: success" in err


def test_follow_of_a_run_that_has_ended_shows_its_end(labctl: Labctl, place: Path) -> None:
    root = a_lab(place, "alpha")
    running = cycle.begin(root, "alpha", owner=me())
    with open(f"{running.path}/stdout.log", "w", encoding="utf-8") as log:
        log.write("one\ntwo\nthree")
    cycle.finish(root, running, ended(0.5))
    assert labctl.done("tail", "alpha", "--follow", "-n", "1").out == "two\nthree\n"
    assert labctl("tail", "alpha", "--follow", "--json").code == 2


SLEEPS = "executor_command: sh -c 'echo begun; exec sleep 100'\nshell: true\nmax_parallel: 2\n"


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Double:
    return engine_double.installed(monkeypatch)


@pytest.fixture
def queued(place: Path, labctl: Labctl, engine: Double) -> str:
    """A lab with a run that waits at the double: its id."""
    del engine
    a_lab(place, "alpha", more=SLEEPS)
    table(place, "default:\n  engine: double\n")
    labctl.done("run-once", "--experiment", "alpha", "--max-runs", "1")
    (run,) = labctl.done("status", "--json").data["engines"]["runs"]
    assert run["state"] == "queued"
    return str(run["run"])


def test_a_run_that_waits_is_taken_from_its_engine_at_once(labctl: Labctl, place: Path, queued: str) -> None:
    said = labctl.done("cancel", queued, "--reason", "wrong data")
    assert said.out == f"ended: {queued} (cancelled)\n"
    assert [each.state for each in engine_double.load(f"{place}/registry/engines/double")] == [job.OVER]
    assert labctl.done("show", queued, "--json").data["reason"].endswith("wrong data")
    assert labctl.done("status", "--json").data["engines"]["queued"] == 0
    assert labctl("cancel", queued).code == 2


def test_a_run_whose_engine_does_not_answer_stays_asked(labctl: Labctl, engine: Double, queued: str) -> None:
    engine.silent = True
    said = labctl.done("cancel", "alpha")
    assert said.out == f"asked to end: {queued}, run by double (job 1)\n"
    assert "the controller is down" in said.err
    waited = labctl("cancel", "alpha", "--wait", "--at-most", "0.2", "--json")
    assert waited.code == 3
    assert "or its engine answers" in str(waited.error["fix"])
    engine.silent = False
    assert labctl.done("cancel", "alpha", "--wait").out == f"ended: {queued} (cancelled)\n"


def test_a_run_in_a_place_of_its_engine_hears_the_word_by_itself(place: Path) -> None:
    a_lab(place, "alpha", more=SLEEPS)
    table(place, "default:\n  engine: local\n")
    assert process("run-once", "--max-runs", "1", root=place).code == 0
    with subprocess.Popen(
        [sys.executable, SHIM, "tail", "alpha", "-f", "--data-root", str(place)], stdout=subprocess.PIPE, text=True
    ) as tail:
        try:
            assert tail.stdout is not None
            assert tail.stdout.readline() == "begun\n"
            said = process("cancel", "alpha", "--wait", "--json", root=place)
            (run,) = said.data["runs"]
            assert (run["outcome"], run["changed"]) == ("cancelled", True)
            assert tail.wait(timeout=15) == 0
        finally:
            tail.kill()
    assert process("status", "--json", root=place).data["engines"]["runs"] == []


def test_under_a_broken_table_nothing_runs_and_it_is_said_once(labctl: Labctl, place: Path) -> None:
    a_lab(place, "alpha", "beta", more="executor_command: 'true'\n")
    table(place, "default:\n  engine: lokal\n")
    said = labctl("run-once")
    assert said.code == 1
    assert said.out.count("did you mean local?") == 1
    assert f"{place}/engines.yaml line 2" in said.out
    status = labctl.done("status", "--json").data
    assert (status["runs"], status["claims"]) == (0, {})
    for verb in ("burst", "guided"):
        refused = labctl(verb, "alpha")
        assert refused.code in (1, 2)
        assert "did you mean local?" in refused.all
    assert labctl.done("status", "--json").data["runs"] == 0
    assert labctl("run-once", "--engine", "here").out.count("ran ") == 2
