"""The example of a sweep on Slurm: a real one placed its runs, and without one no run is made."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from tests.e2e.newcomer import Person
from tests.engines import cluster as clusters
from tests.engines.conftest import require_slurm

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.heavy, pytest.mark.xdist_group("slurm"), pytest.mark.timeout(180)]
COMMANDS = frozenset({"sbatch", "squeue", "scontrol", "scancel", "sinfo"})
READY = (
    "cp -r examples/slurm-sweep ~/slurm-sweep; labctl init; cp ~/slurm-sweep/engines.yaml ~/lab-data/engines.yaml; "
    "labctl create ~/slurm-sweep"
)


def test_each_run_of_the_sweep_is_a_job_of_its_own_and_what_it_says_is_what_it_measured(tmp_path: Path) -> None:
    require_slurm()
    ann = Person(tmp_path)
    ann.typed(READY)
    with clusters.alone() as cluster:
        ann.environ |= cluster.environ
        ann.typed("labctl burst salesman -n 6 --jobs 3")
        jobs, names = cluster.jobs(), cluster.names()
        nodes = cluster.nodes
    assert len(names) == len(set(names)) == 6
    assert all("-salesman-" in name for name in names)
    runs = sorted((tmp_path / "lab-data/experiments/salesman/runs").glob("RUN-*"))
    said = [(run / "stdout.log").read_text().splitlines() for run in runs]
    places = [line.removeprefix("on ").split(", job ") for line, *_ in said]
    assert {node for node, _ in places} <= set(nodes)
    assert sorted(number for _, number in places) == sorted(jobs)
    for run, (_, told) in zip(runs, said, strict=True):
        sealed = json.loads((run / "SEAL.json").read_text())["run"]
        assert sealed["outcome"] == "success"
        assert sealed["value"] == float(told.removeprefix("METRIC length="))


def test_without_slurm_nothing_is_run_and_what_to_install_is_said(tmp_path: Path) -> None:
    ann = Person(tmp_path)
    ann.typed(READY)
    plain = tmp_path / "without-slurm"
    plain.mkdir()
    for folder in reversed(ann.environ["PATH"].split(":")):
        for name in os.listdir(folder) if os.path.isdir(folder) else ():
            if name not in COMMANDS:
                (plain / name).unlink(missing_ok=True)
                (plain / name).symlink_to(f"{folder}/{name}")
    ann.environ["PATH"] = str(plain)
    said = ann.typed("labctl burst salesman -n 16 --jobs 8", code=5)
    assert "there is no sbatch on PATH" in said
    assert "slurm-client" in said
    assert "runs=0" in ann.typed("labctl list")
    ann.typed("labctl burst salesman -n 1 --engine here")
    (run,) = (tmp_path / "lab-data/experiments/salesman/runs").glob("RUN-*")
    assert (run / "stdout.log").read_text().startswith("on this machine, job none\n")
