"""Who works in the crowded lab: a lane starts one `labctl` after the other, and reads how each ended.

A process that was killed by the trial is no finding. One that ends otherwise has to answer with an exit code of
labctl's own, in one JSON document, and without a stack trace.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING

from scripts.trial.crowd import LOOP_ID, PLAIN, Crowded
from tests.crash import straced

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from random import Random

DONE, FAILED, BAD_INPUT, BUSY, CORRUPT, INTERRUPTED = 0, 1, 2, 3, 4, 130
EXPECTED = (DONE, FAILED, BAD_INPUT, BUSY, INTERRUPTED)
EXPLAINED = {"unrecorded", "ledger-torn"}  # what a kill may leave for the next writer: docs/explanation/durability.md
SEALED_KINDS = ("ran", "ingested")
HANGS_AFTER_S = 240.0
Words = tuple[str, ...]


@dataclass
class Told:
    """What all lanes heard."""

    ends: Counter[tuple[str, int]] = field(default_factory=Counter)  # (verb, exit code)
    sealed: set[tuple[str, str]] = field(default_factory=set)  # (experiment, run) that a process answered as sealed
    decided: Counter[str] = field(default_factory=Counter)
    troubles: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)


class Lane:
    """One after the other, until the time is over."""

    def __init__(self, name: str, lab: Crowded, told: Told, choose: Callable[[], Words]) -> None:
        self.name = name
        self.lab = lab
        self.told = told
        self.choose = choose
        self.words: Words = ()
        self.process: subprocess.Popen[bytes] | None = None
        self.since_s = 0.0
        self.killed = ""  # with what the trial ended it
        self.stopped_until_s = 0.0
        self.out: IO[bytes] = open(f"{lab.folder}/{name}.out", "w+b")  # noqa: SIM115  # lives as long as the lane
        self.err: IO[bytes] = open(f"{lab.folder}/{name}.err", "w+b")  # noqa: SIM115  # the same

    def start(self) -> None:
        self.words, self.killed, self.since_s = self.choose(), "", time.monotonic()
        for file in (self.out, self.err):
            file.seek(0)
            file.truncate()
        self.process = subprocess.Popen(
            self.lab.command(*self.words, "--json"), stdin=subprocess.DEVNULL, stdout=self.out, stderr=self.err,
            cwd=straced.CHECKOUT, process_group=0, env={**os.environ, "LABCTL_ACTOR": self.name},
        )  # fmt: skip

    def look(self, *, more: bool) -> None:
        """Wake who slept enough, read who ended, start the next one."""
        if self.process is None:
            if more:
                self.start()
            return
        now_s = time.monotonic()
        if self.stopped_until_s and now_s >= self.stopped_until_s:
            self.wake()
        code = self.process.poll()
        if code is None:
            took_s = now_s - self.since_s
            if took_s > 2 * HANGS_AFTER_S and not self.stopped_until_s:
                self.told.broken.append(
                    f"{self.name}: {' '.join(self.words)} does not end, {took_s:.0f} s after it began"
                )
                self.kill(signal.SIGKILL, "hangs")
            elif took_s > HANGS_AFTER_S and not self.killed and not self.stopped_until_s:
                self.kill(signal.SIGTERM, "asked to end")  # a phase of research may take hours
            return
        self._ended(code)
        self.process = None

    def wake(self) -> None:
        self.stopped_until_s = 0.0
        if self.process is not None:
            with suppress(ProcessLookupError):
                self.process.send_signal(signal.SIGCONT)

    def kill(self, number: signal.Signals, why: str, *, group: bool = False) -> None:
        if self.process is None:
            return
        self.killed = why
        if group:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)
        else:
            self.process.send_signal(number)
        if number is signal.SIGKILL:
            self.stopped_until_s = 0.0

    def _ended(self, code: int) -> None:
        self.stopped_until_s = 0.0
        verb = self.words[0]
        out, err = _text(self.out), _text(self.err)
        self.told.ends[verb, code] += 1
        command = " ".join(self.words)
        if "Traceback" in out + err:
            self.told.broken.append(f"{command}: a stack trace: {(out + err)[-1500:]}")
        if code < 0:
            if not self.killed:
                self.told.broken.append(f"{command}: ended by signal {-code}, which nobody sent")
            return
        try:
            said = json.loads(out)
        except ValueError:
            if not (self.killed and not out):
                self.told.broken.append(f"{command}: exit code {code}, and no JSON: {out[-300:]!r} {err[-700:]!r}")
            return
        if code not in EXPECTED and not (code == CORRUPT and verb == "verify" and _only_explained(said)):
            self.told.broken.append(f"{command}: exit code {code}: {out[:1000]} {err[-300:]}")
        if code == INTERRUPTED and not self.killed:
            self.told.broken.append(f"{command}: says that it was interrupted, and was not: {out[:500]}")
        for each in _mappings(said):
            self._heard(verb, each)

    def _heard(self, verb: str, each: dict[str, object]) -> None:
        kind, experiment, run_id = (str(each.get(name, "")) for name in ("kind", "experiment", "run_id"))
        if kind in SEALED_KINDS and experiment and run_id:
            self.told.sealed.add((experiment, run_id))
        if verb in ("pause", "resume") and each.get("changed"):
            self.told.decided[f"{verb}d"] += 1


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode("utf-8", "replace")


def _mappings(value: object) -> Iterator[dict[str, object]]:
    if isinstance(value, dict):
        yield value
        for each in value.values():
            yield from _mappings(each)
    elif isinstance(value, list):
        for each in value:
            yield from _mappings(each)


def _only_explained(said: object) -> bool:
    kinds = {str(each["kind"]) for each in _mappings(said) if {"kind", "where", "what"} <= each.keys()}
    return bool(kinds) and kinds <= EXPLAINED


def scheduling(lab: Crowded, rng: Random, number: int) -> Callable[[], Words]:
    """What a scheduler starts next. Lanes have their likes, so that none of the modes is left out."""
    worker = f"w{number}"
    turn = ("run-once", "--max-runs", "4")
    choices: dict[int, list[Words]] = {
        0: [turn],
        1: [turn, (*turn, "--jobs", "3")],
        2: [("burst", "sweep", "-n", "5"), ("burst", "sweep", "-n", "6", "-j", "2")],
        3: [("swarm", "swarm", "-n", "5"), ("burst", "wide", "-n", "4", "-j", "2")],
        4: [("dispatch-ready", "--max-runs", "5"), ("dispatch-work", "--max-runs", "3", "--worker", worker)],
        5: [("worker", "--max-runs", "4", "--until-idle", "1", "--executor-class", "queue", "--worker", worker)],
        6: [("burst", LOOP_ID, "-n", "2"), turn, ("dispatch-ingest",)],
        7: [turn, *(("run-once", "--experiment", name, "--now") for name in lab.projects)],
    }
    return lambda: rng.choice(choices[number % len(choices)])


class Person:
    """What people and cron do beside the schedulers."""

    def __init__(self, lab: Crowded, rng: Random) -> None:
        self.lab = lab
        self.rng = rng
        self.edits = 0
        self.next: list[Words] = []

    def __call__(self) -> Words:
        if self.next:
            return self.next.pop(0)
        name = self.rng.choice(self.lab.names)
        plain = self.rng.choice(list(PLAIN))
        choices: tuple[Words, ...] = (
            ("pause", name), ("resume", name), ("resume", name), ("cancel", plain), ("refresh",), ("watchdog",),
            ("watchdog", "--repair"), ("recover",), ("verify",), ("status",), ("list",), ("show", name),
            ("board", "sweep"), ("lease", "show", name), ("archive", "brief"), ("archive", "brief", "--restore"),
            ("set-fidelity", "sweep", self.rng.choice(("proxy", "final"))), ("approvals",),
            ("prune", "--keep", "5", "--experiment", plain, "--yes"), ("dispatch-ingest",), ("digest",), ("edit", name),
            ("propose", "sweep"), *(("prune", "--restore", each, "--yes") for each in self.lab.archives()[-1:]),
        )  # fmt: skip
        return self._made(self.rng.choice(choices))

    def _made(self, words: Words) -> Words:
        match words:
            case ("edit", name):
                self._edit(name)
                return ("validate", f"{self.lab.path}/experiments/{name}/SPEC.yaml")
            case ("pause", name):  # for a moment: the others are to go on
                self.next = [("resume", name)]
            case ("propose", name):
                path = f"{self.lab.folder}/params.json"
                with open(path, "w", encoding="utf-8") as file:
                    json.dump({"x": self.rng.random(), "k": "b"}, file)
                self.next = [self.rng.choice((("approve", self._waits(name)), ("reject", self._waits(name))))]
                return ("propose", name, "--params", path)
        return words

    def _waits(self, name: str) -> str:
        """The id that the next proposal of this experiment has, if nothing waits; a wrong one is refused."""
        with suppress(OSError):
            found = [each.split(".")[0] for each in os.listdir(f"{self.lab.path}/control/approvals")]
            numbers = [int(each.rpartition("-")[2]) for each in found if each.rpartition("-")[2].isdecimal()]
            return f"{name}-{max(numbers, default=0) + self.rng.randrange(2)}"
        return f"{name}-1"

    def _edit(self, name: str) -> None:
        """An editor that puts another file in the place of the first."""
        path = f"{self.lab.path}/experiments/{name}/SPEC.yaml"
        self.edits += 1
        with open(path, encoding="utf-8") as file:
            lines = file.read().splitlines()
        lines = [f"goal: withstand the crowd, version {self.edits}" if x.startswith("goal:") else x for x in lines]
        with open(f"{path}.new", "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
        os.replace(f"{path}.new", path)
