"""A small lab to be killed: `python -m tests.crash.driver ROOT STEP...`.

A step is `verb` or `verb:experiment`. What was achieved is told on stdout, one line each and only once it is true
(`SEALED full RUN-...`): whoever kills this process holds the lab to it. Exit codes are those of `labctl`; an error
that `labctl` would not word for a person escapes here as a traceback.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from lab.cli.surroundings import the_world
from lab.core.ended import Ended
from lab.core.errors import LabError
from lab.scheduler import create, cycle, decisions, refresh, watchdog
from lab.scheduler.step import PROBLEM, RAN
from lab.scheduler.turn import Turn
from lab.scheduler.visit import Request
from lab.store import machine, refusals
from lab.store.files import Files
from lab.store.root import Root

if TYPE_CHECKING:
    from collections.abc import Callable

    Tell = Callable[[str], None]

SPECS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "specs")
EXPERIMENT = "full"
STOPPED = 99


class StopFiles(Files):
    """A machine that stops before its nth step, at once and for good: no handler, no `finally`, no flush.

    Or, with n = 0, before the first step of that name on a path that ends so.
    """

    def __init__(self, last: int, name: str = "", path: str = "") -> None:
        super().__init__()
        self.left = last
        self.wanted = (name, path)

    def step(self, name: str, path: str) -> None:
        self.left -= 1
        wanted, where = self.wanted
        if self.left == 0 or (wanted == name and path.endswith(where)):
            os.write(2, f"stopped before {name} {path}".encode())
            os._exit(STOPPED)


class RefusingFiles(Files):
    """A disk that refuses the nth step, once."""

    def __init__(self, last: int, refusal: int) -> None:
        super().__init__()
        self.left = last
        self.refusal = refusal

    def step(self, name: str, path: str) -> None:
        self.left -= 1
        if self.left == 0:
            raise OSError(self.refusal, os.strerror(self.refusal), path)


def open_root(path: str, *, writer: Files | None = None) -> Root:
    return Root(path, the_world(), files=writer)


def say(line: str) -> None:
    os.write(1, line.encode() + b"\n")


def begin(root: Root, experiment: str, tell: Tell) -> cycle.Running:
    """The first half of a run, with what an executor would have written by then."""
    running = cycle.begin(root, experiment, owner=machine.this_process("driver"), params={"lr": 0.1})
    tell(f"BEGAN {experiment} {running.manifest.run_id} {running.manifest.generation}")
    os.makedirs(f"{running.path}/artifacts/deep")
    for name in ("stdout.log", "stderr.log", "artifacts/model.bin", "artifacts/deep/notes.txt"):
        with open(f"{running.path}/{name}", "wb", buffering=0) as file:
            file.write(name.encode() * 50)
    return running


def finish(root: Root, running: cycle.Running, tell: Tell) -> None:
    manifest = running.manifest
    value = 1.0 / manifest.generation
    cycle.finish(root, running, Ended(outcome="success", value=value, result="# Done\n\n## Next\n\nGo on.\n"))
    tell(f"SEALED {manifest.experiment} {manifest.run_id}")


def turn(root: Root, experiment: str, tell: Tell) -> None:
    """One turn of the crank on one experiment, with whatever its SPEC starts."""
    taken = Turn(root, Request(only=(experiment,)), tell=lambda _: None, interrupted=lambda: "")
    taken.take()
    for step in taken.steps:
        if step.kind == RAN:
            tell(f"SEALED {step.experiment} {step.run_id}")
        elif step.kind == PROBLEM:
            raise LabError(step.what, fix=step.fix)


def perform(root: Root, step: str, tell: Tell) -> None:
    """One step of the drive."""
    verb, _, experiment = step.partition(":")
    experiment = experiment or EXPERIMENT
    match verb:
        case "create":
            create.make_lab(root)
            create.experiment(root, f"{SPECS}/{experiment}.yaml", actor="driver")
            tell(f"CREATED {experiment}")
        case "run":
            finish(root, begin(root, experiment, tell), tell)
        case "begin":
            begin(root, experiment, tell)
        case "held":  # waits between the two halves until somebody says so
            running = begin(root, experiment, tell)
            sys.stdin.readline()
            finish(root, running, tell)
        case "turn":
            turn(root, experiment, tell)
        case "pause" | "resume":
            change = decisions.pause if verb == "pause" else decisions.resume
            if change(root, experiment, reason="", actor="driver").changed:
                tell(f"{verb.upper()}D {experiment}")
        case "recover":
            watchdog.recover(root)
            tell("RECOVERED")
        case "refresh":
            refresh.everything(root)
            tell("REFRESHED")
        case _:
            raise SystemExit(f"no step {verb}")


def drive(path: str, steps: list[str], tell: Tell, writer: Files | None = None) -> int:
    """All steps in this process. The exit code is what `labctl` would answer."""
    root = open_root(path, writer=writer)
    try:
        for step in steps:
            perform(root, step, tell)
    except LabError as error:
        sys.stderr.write(f"{error.kind}: {error}\n")
        return error.exit_code
    except OSError as error:
        refusal = refusals.refused(error)
        sys.stderr.write(f"{refusal.kind}: {refusal}\n")
        return refusal.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(drive(os.path.abspath(sys.argv[1]), sys.argv[2:], say))
