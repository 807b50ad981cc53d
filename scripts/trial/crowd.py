"""The lab that many schedulers share: experiments of every kind, whose programs leave marks outside of it.

A mark is one appended line: `begin LEASE RUN` and `end LEASE RUN VALUE`. The value follows from the name of
the run, so that a value in the wrong run shows. Each program starts a child that ignores SIGTERM and would outlive it.
"""

from __future__ import annotations

import os
import re
import subprocess
from typing import NamedTuple

from tests.crash.straced import CHECKOUT
from tests.races.marks import Marked

COMMON = """\
id: {id}
goal: withstand the crowd, version 0
metric: loss
metric_direction: minimize
cadence: {cadence}
time_budget: {budget}s
kill_grace_s: 0.5
max_iterations_total: 1000000
durability: {durability}
executor_command: {program}
"""
PROGRAM = """\
#!/bin/sh
echo "begin $LAB_LEASE_ID $LAB_RUN_ID" >> {marks}
( trap '' TERM INT; sleep 30 ) > /dev/null 2>&1 &
child=$!
sleep {seconds}
value=${{LAB_RUN_ID%-*}}
value=0.${{value##*-}}
echo "METRIC loss=$value"
kill -9 $child
echo "end $LAB_LEASE_ID $LAB_RUN_ID $value" >> {marks}
"""
SEARCH = "search_space: {x: {low: 0.0, high: 1.0, default: 0.5}, k: {choices: [a, b, c]}}\n"
TIERS = "fidelity_tiers: [proxy, final]\nfidelity_promotion_rule: asha\nreduction_factor: 2\n"
# name -> (seconds of a run, its budget, durability, more of the SPEC)
PLAIN = {
    "e-0": (0.02, 20, "fast", ""),
    "e-1": (0.3, 20, "full", "priority: high\n"),
    "wide": (0.2, 20, "fast", "max_parallel: 3\n"),
    "slow": (2, 20, "full", ""),
    "brief": (5, 1, "fast", ""),  # is ended at its budget, each time
    "sweep": (0.05, 20, "fast", f"max_parallel: 2\nstrategy: portfolio\n{SEARCH}{TIERS}"),
    "swarm": (0.05, 20, "fast", f"max_parallel: 2\nstrategy: random\n{SEARCH}"),
    "queue": (0.05, 20, "fast", "max_parallel: 3\nexecutor_class: queue\n"),
}
SLOTS = {"wide": 3, "sweep": 2, "swarm": 2, "queue": 3}
LOOP = """\
id: loop
mode: code-autoresearch
goal: withstand the crowd, version 0
metric: loss
metric_direction: minimize
executor: reference
workspace_root: {folder}/code
mutation_command: sh {folder}/mutate.sh
validation_command: sh {folder}/measure.sh
mutable_paths: [value.txt]
baseline_repeats: 2
promotion_strategy: branch
cadence: {cadence}
time_budget: 20s
kill_grace_s: 0.5
max_iterations_total: 1000000
durability: full
worker_roles: [researcher]
"""
MUTATE = """\
echo "mutate $LAB_LEASE_ID $LAB_RUN_ID" >> {marks}
value=${{LAB_RUN_ID%-*}}
echo "0.${{value##*-}}" > value.txt
"""
MEASURE = 'echo "measure $LAB_LEASE_ID $LAB_RUN_ID" >> {marks}\necho "METRIC loss=$(cat value.txt)"\n'
PROJECT, STUDY, LOOP_ID = "lines", "lines-all-parameters", "loop"
STUDY_RUNS = 4_000  # more than the trial has time for: the project stays in its study phase
_MICROSECOND = re.compile(r"RUN-\d{8}-\d{6}-(\d{6})-")


class Mark(NamedTuple):
    """One line: `what` is the value, once there is one."""

    word: str
    lease: str
    run_id: str
    what: tuple[str, ...]


class Crowded(Marked):
    """The lab, its programs and their marks."""

    def __init__(self, folder: str, *, cadence: str = "0s", study_runs: int = STUDY_RUNS) -> None:
        super().__init__(folder)
        self.cadence = cadence
        self.folder = folder
        self.place = f"{folder}/marks"
        self.read_to = 0
        self.said: list[Mark] = []
        for name, (seconds, budget, durability, more) in PLAIN.items():
            spec = COMMON.format(
                id=name, budget=budget, durability=durability, cadence=cadence,
                program=self._script(name, PROGRAM, seconds),
            )  # fmt: skip
            self._create(name, spec + more)
        self._loop()
        self.projects = (PROJECT,) if study_runs else ()
        if study_runs:
            self._project(study_runs)

    def _script(self, name: str, text: str, seconds: float = 0.0) -> str:
        path = f"{self.folder}/{name}.sh"
        with open(path, "w", encoding="utf-8") as file:
            file.write(text.format(marks=self.place, seconds=seconds))
        os.chmod(path, 0o700)
        return path

    def _create(self, name: str, spec: str) -> None:
        path = f"{self.folder}/{name}.yaml"
        with open(path, "w", encoding="utf-8") as file:
            file.write(spec)
        self.done("create", path)

    def _loop(self) -> None:
        code = f"{self.folder}/code"
        os.makedirs(code)
        with open(f"{code}/value.txt", "w", encoding="utf-8") as file:
            file.write("0.9\n")
        who = ("-c", "user.name=crowd", "-c", "user.email=crowd@example.org")
        for words in (("init", "-q", "-b", "main"), ("add", "-A"), ("commit", "-q", "-m", "as it is")):
            subprocess.run(["git", "-C", code, *who, *words], check=True, stdin=subprocess.DEVNULL)
        self._script("mutate", MUTATE)
        self._script("measure", MEASURE)
        self._create(LOOP_ID, LOOP.format(folder=self.folder, cadence=self.cadence))

    def _project(self, runs: int) -> None:
        """A project that has come to its study, and stays there."""
        own = f"{CHECKOUT}/examples/research-full"
        words = ["--mode", "full", "--topic", "When is a straight line enough?", "--offline", "--runs", str(runs)]
        brought = ["--own", f"{own}/library.bib", "--own", f"{own}/notes.md"]
        command = [*self.command("research", "new", PROJECT, *words, *brought)]
        subprocess.run(command, cwd=self.folder, check=True, stdin=subprocess.DEVNULL, capture_output=True)
        self.done("research", "run", PROJECT, "--until", "implementation")

    def done(self, *words: str) -> None:
        """A command that must succeed before the trial can begin."""
        subprocess.run(self.command(*words, "--quiet"), check=True, stdin=subprocess.DEVNULL, capture_output=True)

    @property
    def names(self) -> tuple[str, ...]:
        """What is run by schedulers; the study of a project is not."""
        return (*PLAIN, LOOP_ID, *self.projects)

    def archives(self) -> list[str]:
        """What `prune` has made, by name."""
        try:
            return sorted(name for name in os.listdir(f"{self.path}/backups") if name.endswith(".tar"))
        except FileNotFoundError:
            return []

    def news(self) -> list[Mark]:
        """The marks since the last look."""
        try:
            with open(self.place, encoding="utf-8") as file:
                file.seek(self.read_to)
                text = file.read()
        except FileNotFoundError:
            return []
        whole = text[: text.rfind("\n") + 1]
        self.read_to += len(whole.encode())
        found = []
        for line in whole.splitlines():
            word, lease, run_id, *rest = line.split()
            found.append(Mark(word, lease, run_id, tuple(rest)))
        self.said += found
        return found


def value_of(run_id: str) -> float:
    """What the program of this run measures."""
    found = _MICROSECOND.match(run_id)
    return float(f"0.{found.group(1)}") if found else -1.0
