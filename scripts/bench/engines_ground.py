"""Where runs that an engine has are measured: a lab, a Slurm of its own, and programs in Slurm's names."""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from lab.scheduler import create
from lab.scheduler.step import QUEUED
from lab.scheduler.turn import Turn
from lab.scheduler.visit import Request
from scripts.bench import grow
from scripts.bench.turns import spent_s
from tests.engines import cluster as slurm

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lab.store.root import Root
    from tests.engines.cluster import Cluster

NAME = "noop"
SPEC = """\
id: {name}
metric: loss
metric_direction: minimize
cadence: 0
max_iterations_total: 1000000
max_parallel: {slots}
time_budget_minutes: 5
executor: {executor}
executor_command: {program}
"""
FAKES = {
    "sbatch": "read line; echo $$",
    "scontrol": ":",
    "scancel": ":",
    "squeue": 'cat "$SLURM_CONF"',  # the one variable of ours that reaches it
}


class Watch:
    """CPU of this process and all that it waited for, and the programs that it started."""

    def __init__(self) -> None:
        self.started: list[str] = []
        sys.addaudithook(self._heard)

    def _heard(self, name: str, given: Sequence[object]) -> None:
        if name == "subprocess.Popen":
            self.started.append(os.path.basename(str(given[0])))


WATCH = Watch()


def lab(place: str, environ: Mapping[str, str], slots: int, *, executor: str = "command") -> Root:
    """One experiment that an engine may run many times at once."""
    os.environ.update(environ)
    root = grow.open_root(place, durable=True)
    create.make_lab(root)
    path = f"{place}.yaml"
    with open(path, "w", encoding="utf-8") as file:
        file.write(SPEC.format(name=NAME, slots=slots, executor=executor, program="/bin/echo 0.5"))
    create.experiment(root, path, actor="bench")
    with open(f"{place}/engines.yaml", "w", encoding="utf-8") as file:
        file.write('{"default": {"engine": "slurm"}}\n')
    return root


@contextmanager
def a_slurm(disk: str, *, nodes: int = 2, cpus: int = slurm.CPUS) -> Iterator[Cluster]:
    """A cluster of its own, and its variables in this process."""
    missing = slurm.missing()
    if missing:
        raise SystemExit(f"Slurm is not installed here: {', '.join(missing)} (Debian: apt install slurm-wlm munge)")
    before = dict(os.environ)
    with slurm.running(Path(tempfile.mkdtemp(prefix="slurm-", dir=disk)), nodes=nodes, cpus=cpus) as cluster:
        os.environ.update(cluster.environ)
        try:
            yield cluster
        finally:
            os.environ.clear()
            os.environ.update(before)


def faked(disk: str) -> dict[str, str]:
    """Programs in Slurm's names, for what is ours alone."""
    folder = tempfile.mkdtemp(prefix="fakes-", dir=disk)
    for name, text in FAKES.items():
        path = f"{folder}/{name}"
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"#!/bin/sh\n{text}\n")
        os.chmod(path, 0o700)
    Path(f"{folder}/jobs").touch()
    return {"PATH": f"{folder}:{os.environ.get('PATH', os.defpath)}", "SLURM_CONF": f"{folder}/jobs"}


def handed_over(root: Root, number: int, *, slots: int = 0) -> float:
    """Hand over so many runs, as a turn of the crank does. CPU for each, all programs included."""
    request = Request(max_runs=number, only=(NAME,), now=True, engine="slurm", slots=slots or number)
    turn = Turn(root, request, tell=lambda _: None, interrupted=lambda: "")
    before_s = spent_s()
    turn.take()
    used_s = spent_s() - before_s
    queued = sum(step.kind == QUEUED for step in turn.steps)
    if queued != number:
        raise RuntimeError(f"{queued} of {number} were handed over; {turn.steps[-1]}")
    return used_s / number


def which(name: str) -> str:
    found = next((f"{each}/{name}" for each in os.get_exec_path() if os.access(f"{each}/{name}", os.X_OK)), "")
    if not found:
        raise RuntimeError(f"there is no {name} on PATH")
    return found


def drain(cluster: Cluster) -> None:
    """Let no job start: what is measured is not to share the machine with what it started."""
    for node in cluster.nodes:
        cluster.call("scontrol", "update", f"nodename={node}", "state=drain", "reason=bench")
