"""A lab whose runs leave marks outside of it: what ran, and when, is told by the programs and not by the lab.

Each mark is one appended line, so that their order is the order in which things happened.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, NamedTuple

from lab.scheduler import create
from lab.store import bundles, experiments, machine
from tests.cli.labs import SHIM
from tests.crash import straced
from tests.crash.driver import open_root

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from lab.core.manifest import Manifest

PATIENCE_S = 20.0  # for what takes a few hundredths of a second on a machine that is not busy
GONE_S = 4.0  # two seconds, and as much again for a machine that is
_LOOK_EVERY_S = 0.01

SPEC = """\
id: {id}
metric: loss
metric_direction: minimize
cadence: 0s
max_iterations_total: 100000
durability: {durability}
kill_grace_s: 0.5
executor_command: {program}
"""
# What happens between the two marks is some milliseconds of work, so that an overlap has room to show.
SHORT = """\
#!/bin/sh
echo "begin $LAB_EXPERIMENT_ID $LAB_RUN_ID" >> {marks}
i=0; while [ $i -lt 10000 ]; do i=$((i+1)); done
echo "end $LAB_EXPERIMENT_ID $LAB_RUN_ID" >> {marks}
echo {value}
"""
# A fifth of a second of work.
WORK = """\
#!/bin/sh
echo "begin $LAB_EXPERIMENT_ID $LAB_RUN_ID" >> {marks}
sleep 0.2
echo "end $LAB_EXPERIMENT_ID $LAB_RUN_ID" >> {marks}
echo {value}
"""
# Waits for a file, with a child of its own; never longer than half a minute, whatever becomes of the test.
LONG = """\
#!/bin/sh
( trap '' TERM INT; n=0; while [ ! -e {go} ] && [ $n -lt 1500 ]; do n=$((n+1)); sleep 0.02; done ) &
echo "begin $LAB_EXPERIMENT_ID $LAB_RUN_ID" >> {marks}
n=0; while [ ! -e {go} ] && [ $n -lt 1500 ]; do n=$((n+1)); sleep 0.02; done
echo "end $LAB_EXPERIMENT_ID $LAB_RUN_ID" >> {marks}
echo {value}
"""


class Mark(NamedTuple):
    """One line of the marks."""

    word: str
    experiment: str
    run_id: str


class Marked:
    """A lab in a folder, the programs of its runs, and their marks."""

    def __init__(self, folder: str) -> None:
        self.path = f"{folder}/lab"
        self.go = f"{folder}/go"
        self._marks = f"{folder}/marks"
        self._folder = folder
        self._started: list[subprocess.Popen[str]] = []
        create.make_lab(open_root(self.path))

    def program(self, text: str, value: float = 0.5) -> str:
        """A script of this text, to be named in a SPEC."""
        path = f"{self._folder}/{abs(hash((text, value)))}.sh"
        if not os.path.exists(path):
            with open(path, "w", encoding="utf-8") as file:
                file.write(text.format(marks=self._marks, go=self.go, value=value))
            os.chmod(path, 0o700)
        return path

    def add(self, name: str, program: str = SHORT, *, durability: str = "fast", more: str = "") -> None:
        """One more experiment whose runs are this program."""
        place = f"{self._folder}/{name}.yaml"
        with open(place, "w", encoding="utf-8") as file:
            file.write(SPEC.format(id=name, durability=durability, program=self.program(program)) + more)
        create.experiment(open_root(self.path), place, actor="test")

    def edit(self, name: str, old: str, new: str) -> None:
        """Change a SPEC as a person would: another file in its place."""
        path = open_root(self.path).layout.spec(name)
        with open(path, encoding="utf-8") as file:
            text = file.read()
        assert old in text
        with open(f"{path}.new", "w", encoding="utf-8") as file:
            file.write(text.replace(old, new))
        os.replace(f"{path}.new", path)

    def release(self) -> None:
        """Let the runs that wait go on to their end."""
        with open(self.go, "w", encoding="utf-8"):
            pass

    def marks(self) -> list[Mark]:
        """All marks so far, in order."""
        try:
            with open(self._marks, encoding="utf-8") as file:
                return [Mark(*line.split()) for line in file if line.endswith("\n")]
        except FileNotFoundError:
            return []

    def forget(self, kept: int) -> None:
        """Take back all marks but the first ones: the lab is set back to that moment."""
        if os.path.exists(self._marks):
            lines = [" ".join(mark) + "\n" for mark in self.marks()[:kept]]
            with open(self._marks, "w", encoding="utf-8") as file:
                file.writelines(lines)

    def begun(self, count: int) -> None:
        """Wait until so many runs have begun; not any longer once everything that was started has ended."""

        def enough() -> bool:
            over = all(process.poll() is not None for process in self._started)
            found = sum(mark.word == "begin" for mark in self.marks())
            assert found >= count or not over, [process.communicate() for process in self._started]
            return found >= count

        until(enough)

    def command(self, *words: str) -> list[str]:
        """A command of `labctl` on this lab, for a process of its own."""
        return [sys.executable, SHIM, *words, "--data-root", self.path]

    def start(self, *words: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        """Start `labctl` and go on."""
        return self.spawn(self.command(*words), {**os.environ, **(env or {})})

    def spawn(self, command: list[str], env: Mapping[str, str]) -> subprocess.Popen[str]:
        """Start a program that does not outlive the test."""
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env,
            cwd=straced.CHECKOUT, process_group=0,
        )  # fmt: skip
        self._started.append(process)
        return process

    def close(self) -> None:
        """End what a test that failed left running."""
        self.release()
        for process in self._started:
            if process.poll() is None:
                process.kill()
            process.communicate()

    def labctl(self, *words: str) -> tuple[int, dict[str, object]]:
        """Run `labctl --json` to its end: its code and its data. A stack trace is a failure of every test."""
        return answered(self.start(*words, "--json"))

    def manifests(self) -> dict[str, list[Manifest]]:
        """What every bundle says of its run."""
        root = open_root(self.path)
        found: dict[str, list[Manifest]] = {}
        for name in experiments.names(root):
            loaded = [bundles.load_manifest(root.layout.run(name, run_id)) for run_id in bundles.names(root, name)]
            found[name] = [manifest for manifest in loaded if manifest is not None]
        return found

    def processes(self) -> list[str]:
        """Processes that were told of this lab, by their command line or their environment, or that work in it."""
        token = self._folder.encode()
        told = {pid for pid in os.listdir("/proc") if pid.isdecimal() and token in _told(pid)}
        return sorted(told | {str(pid) for pid in machine.writers(self.path)})

    def emptied(self, within_s: float = GONE_S) -> list[str]:
        """What is still alive of its processes after that time; waits no longer than it has to."""
        limit_s = time.monotonic() + within_s
        while (left := self.processes()) and time.monotonic() < limit_s:
            time.sleep(_LOOK_EVERY_S)
        return left


def _told(pid: str) -> bytes:
    """Command line and environment of a process; nothing of one that has ended, also when nobody has reaped it."""
    told = b""
    for name in ("cmdline", "environ"):
        try:
            with open(f"/proc/{pid}/{name}", "rb") as file:
                told += file.read()
        except OSError:
            continue
    return told


def answered(process: subprocess.Popen[str]) -> tuple[int, dict[str, object]]:
    """The end of a `labctl --json`: its code, and the data of its one document."""
    out, err = process.communicate(timeout=60)
    assert "Traceback" not in out + err, err
    told = json.loads(out)
    data = told.get("data")
    return process.returncode, data if isinstance(data, dict) else told


def until(true: Callable[[], object], limit_s: float = PATIENCE_S) -> None:
    """Wait for something to become true."""
    deadline_s = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < deadline_s, "it did not become true in time"
        time.sleep(_LOOK_EVERY_S)


def said(steps: object) -> list[str]:
    """The runs of these steps as lines that `tests.crash.invariants` holds the lab to."""
    assert isinstance(steps, list)
    return [f"SEALED {step['experiment']} {step['run_id']}" for step in steps if step["kind"] == "ran"]


def depths(marks: Iterable[Mark]) -> dict[str, int]:
    """How many runs of each experiment were under way at the same time, at most; of all together under the name ``."""
    inside: dict[str, set[str]] = {"": set()}
    deepest: dict[str, int] = {"": 0}
    for mark in marks:
        for name in ("", mark.experiment):
            here = inside.setdefault(name, set())
            here.add(mark.run_id) if mark.word == "begin" else here.discard(mark.run_id)
            deepest[name] = max(deepest.get(name, 0), len(here))
    return deepest
