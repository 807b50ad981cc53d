"""A process of a race: `python -m tests.races.worker ROOT VERB ARGUMENT...`.

It tells one line for each thing that came true. Nothing here takes a lock or a decision of its own: what is raced is
the lab.
"""

from __future__ import annotations

import os
import random
import sys
import time

from lab.core import event
from lab.core.ended import Ended
from lab.core.errors import Busy, LabError, Superseded
from lab.scheduler import cycle, decisions
from lab.scheduler.step import PROBLEM, RAN
from lab.scheduler.turn import Turn
from lab.scheduler.visit import Request
from lab.store import leases, ledger, machine
from tests.crash.driver import open_root, say

GAP_S = 0.002


def claims(path: str, experiment: str, rounds: int, slots: int) -> None:
    """Each round: wait for the gun, try to take one claim, tell whether it was won, and keep it until the next line."""
    root = open_root(path)
    me = machine.this_process(f"racer-{os.getpid()}")
    say("READY")
    for _ in range(rounds):
        start_s = float(sys.stdin.readline())
        while time.monotonic() < start_s:  # all of them at the same instant, as near as one clock brings them
            pass
        try:
            lease = leases.take(root, experiment, owner=me, slots=slots)
        except Busy:
            say("BUSY")
            sys.stdin.readline()
            continue
        say(f"WON {lease.claim.generation}")
        sys.stdin.readline()
        with root.section(experiment):
            lease.release(root)
        say("RELEASED")


def crank(path: str, names: list[str], deadline_s: float, seed: int) -> None:
    """Runs over several experiments until the deadline, with no manners: Busy means try another one."""
    root = open_root(path)
    rng = random.Random(seed)
    me = machine.this_process(f"crank-{os.getpid()}")
    while time.monotonic() < deadline_s:
        name = rng.choice(names)
        try:
            running = cycle.begin(root, name, owner=me, params={"x": rng.random()})
            run_id = running.manifest.run_id
            say(f"BEGAN {name} {run_id} {running.manifest.generation} {time.monotonic():.6f}")
            time.sleep(rng.random() * GAP_S)
            over_s = time.monotonic()
            cycle.finish(root, running, Ended(outcome="success", value=rng.random()))
            say(f"SEALED {name} {run_id} {running.manifest.generation} {over_s:.6f}")
        except Busy:
            time.sleep(rng.random() * GAP_S)


def turns(path: str, experiment: str, deadline_s: float) -> None:
    """Turns of the crank on one experiment until the deadline, as fast as they go."""
    root = open_root(path)
    while time.monotonic() < deadline_s:
        turn = Turn(root, Request(only=(experiment,)), tell=lambda _: None, interrupted=lambda: "")
        turn.take()
        for step in turn.steps:
            if step.kind == RAN:
                say(f"SEALED {step.experiment} {step.run_id}")
            elif step.kind == PROBLEM:
                sys.stderr.write(f"{step.what}\n")


def pauses(path: str, experiment: str, count: int) -> None:
    """Pause and resume, and tell each one that was acknowledged."""
    root = open_root(path)
    for _ in range(count):
        decisions.pause(root, experiment, reason="race", actor="pauser")
        say(f"PAUSED {experiment}")
        decisions.resume(root, experiment, reason="race", actor="pauser")
        say(f"RESUMED {experiment}")


def lines(path: str, start_s: float, count: int) -> None:
    """Nothing but ledger lines, as fast as they go."""
    root = open_root(path)
    while time.monotonic() < start_s:
        pass
    for _ in range(count):
        ledger.append(root, event.Event(type=event.DIGEST_WRITTEN, ts=root.now(), name="race"), durable=False)


def slow(path: str, experiment: str) -> None:
    """Begin; wait for a line; finish, whatever happened to the lease meanwhile."""
    root = open_root(path)
    running = cycle.begin(root, experiment, owner=machine.this_process("slow"))
    say(f"BEGAN {experiment} {running.manifest.run_id} {running.manifest.generation}")
    sys.stdin.readline()
    try:
        cycle.finish(root, running, Ended(outcome="success", value=1.0))
    except Superseded as error:
        say("SUPERSEDED")
        sys.exit(error.exit_code)
    say(f"SEALED {experiment} {running.manifest.run_id}")


def main(path: str, verb: str, *rest: str) -> None:
    match verb:
        case "claims":
            claims(path, rest[0], int(rest[1]), int(rest[2]))
        case "crank":
            crank(path, rest[0].split(","), float(rest[1]), int(rest[2]))
        case "turns":
            turns(path, rest[0], float(rest[1]))
        case "pauses":
            pauses(path, rest[0], int(rest[1]))
        case "lines":
            lines(path, float(rest[0]), int(rest[1]))
        case "slow":
            slow(path, rest[0])


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except LabError as problem:
        sys.stderr.write(f"{problem.kind}: {problem}\n")
        sys.exit(problem.exit_code)
