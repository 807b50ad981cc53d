"""A lab whose runs a real Slurm places, by labctl as people type it: each command is a process of its own."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.cli.labs import SHIM, Said, process

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.engines.cluster import Cluster

LIMIT_S = 50.0
SPEC = """\
id: sweep
goal: find out where it runs
metric: loss
metric_direction: minimize
max_iterations_total: {runs}
max_parallel: {parallel}
time_budget_minutes: {minutes}
durability: fast
cadence: 0s
executor: command
executor_command: "/bin/sh {program}"
"""
# Whoever begins says so before anything else, in one write: a run that was carried out twice is there twice.
PROGRAM = 'echo "$LAB_RUN_ID" >> "$LAB_REPO_ROOT/executed"\n{program}\necho "METRIC loss=0.5"\n'


class Lab:
    """One experiment, `sweep`, at one cluster. `program` is what a run does, in shell."""

    def __init__(
        self, place: Path, cluster: Cluster, *, program: str = "", runs: int = 1, minutes: float = 1,
        parallel: int = 1, **row: object,
    ) -> None:  # fmt: skip
        self.place = place
        self.cluster = cluster
        self.root = place / "lab"
        self.specs = place / "specs"
        self.specs.mkdir(parents=True)
        (self.specs / "run.sh").write_text(PROGRAM.format(program=program))
        (self.specs / "sweep.yaml").write_text(
            SPEC.format(runs=runs, minutes=minutes, parallel=parallel, program=self.specs / "run.sh")
        )
        self.done("init")
        self.row(**row)
        self.done("create", str(self.specs / "sweep.yaml"))

    # -- what people do -------------------------------------------------------------------------------------------

    def row(self, **row: object) -> None:
        """What the class of the experiment asks for."""
        (self.root / "engines.yaml").write_text(json.dumps({"default": {"engine": "slurm", **row}}))

    def labctl(self, *words: str, limit_s: float = 60) -> Said:
        return process(*words, root=self.root, env=self.cluster.environ, limit_s=limit_s)

    def done(self, *words: str) -> Said:
        said = self.labctl(*words)
        assert said.code == 0, said
        return said

    def turn(self) -> Said:
        """What cron does."""
        said = self.labctl("run-once")
        assert said.code in (0, 1), said
        return said

    def turns_until(
        self, what: str, true: Callable[[], object], *, limit_s: float = LIMIT_S, pause_s: float = 0.3
    ) -> None:
        """Cron, until it is so."""
        self.until(what, lambda: true() or (self.turn(), true())[1], limit_s=limit_s, pause_s=pause_s)

    def until(self, what: str, true: Callable[[], object], *, limit_s: float = LIMIT_S, pause_s: float = 0.05) -> None:
        end_s = time.monotonic() + limit_s
        while not true():
            if time.monotonic() > end_s:
                raise AssertionError(f"not within {limit_s:.0f} s: {what}\n{self.report()}")
            time.sleep(pause_s)

    def placed(self) -> list[dict[str, object]]:
        """What `status` says of the runs that engines have."""
        engines = self.labctl("status", "--json").data["engines"]
        assert isinstance(engines, dict)
        found = engines["runs"]
        assert isinstance(found, list)
        return found

    # -- what the files say ---------------------------------------------------------------------------------------

    @property
    def locks(self) -> Path:
        return self.root / "registry/locks/sweep"

    def runs(self) -> list[Path]:
        return sorted((self.root / "experiments/sweep/runs").glob("RUN-*"))

    def run(self) -> Path:
        """The only one."""
        (found,) = self.runs()
        return found

    def sealed(self, *outcomes: str) -> list[str]:
        """The runs that count, by their outcome."""
        found = []
        for run in self.runs():
            if (run / "SEAL.json").exists():
                outcome = json.loads((run / "SEAL.json").read_text())["run"]["outcome"]
                if not outcomes or outcome in outcomes:
                    found.append(run.name)
        return found

    def superseded(self) -> list[str]:
        return [run.name for run in self.runs() if (run / "SUPERSEDED.json").exists()]

    def executed(self) -> list[str]:
        """Every beginning of a program, by its run."""
        try:
            return (self.specs / "executed").read_text().split()
        except FileNotFoundError:
            return []

    def number(self) -> str:
        """Slurm's number of the only job."""
        (path,) = self.locks.glob("*.job")
        return str(json.loads(path.read_text())["number"])

    def started(self) -> dict[str, object]:
        """The body that was let in."""
        for path in self.locks.glob("*.started"):
            found = json.loads(path.read_text())
            assert isinstance(found, dict)
            return found
        return {}

    def settled(self) -> bool:
        """Nothing is under way, and nothing is left to be done."""
        return not [path for path in self.locks.glob("*") if path.suffix in (".claim", ".superseded", ".abandoned")]

    def leftovers(self) -> list[str]:
        """What lies beside claims."""
        return sorted(path.name for path in self.locks.glob("*") if path.suffix not in ("", ".released"))

    def over(self) -> bool:
        """As many runs as were asked for are sealed, and nothing is left."""
        return bool(self.sealed()) and self.settled()

    def report(self) -> str:
        """For who reads a test that failed."""
        lines = [f"{run.name}: {sorted(os.listdir(run))}" for run in self.runs()]
        lines += [f"{path.name}: {path.read_text()[:400]}" for path in sorted(self.locks.glob("*"))]
        lines += ["executed:", *self.executed()]
        lines.append((self.root / "registry/events.jsonl").read_text()[-3000:])
        return "\n".join([*lines, self.cluster.report()])


def wrapper(place: Path, *before: str) -> str:
    """A Python for `python` in engines.yaml that is started by these words: strace, say."""
    path = place / "python"
    words = " ".join(before)
    path.write_text(f'#!/bin/sh\nexport PYTHONPATH={Path(SHIM).parents[1]}\nexec {words} {sys.executable} "$@"\n')
    path.chmod(0o755)
    return str(path)
