"""What people see of runs that an engine has: `status` and the other verbs that look, and `cancel`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from lab.core import job
from tests.cli.handed import CLAIM, JOB, SEEN, age, handed, seen, started
from tests.cli.labs import a_lab

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.labs import Labctl


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
