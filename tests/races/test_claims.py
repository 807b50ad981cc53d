"""Eight processes at one lab: one winner each time, nothing lost, no two holders at once."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from lab.core import layout
from lab.scheduler import create
from lab.store import leases, ledger, machine, reading, verify
from tests.crash import invariants, straced
from tests.crash.aftermath import SEED
from tests.crash.driver import open_root
from tests.crash.forks import child

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(120)]
PROCESSES = 8
ROUNDS = 60
LINES = 200
A_DAY_S = 86_400.0
GUN_S = 0.003
CRANKING_S = 2.5


@pytest.fixture
def lab(ram: str) -> str:
    path = f"{ram}/lab"
    for name in ("full", "fast", "slots"):
        assert child(path, f"create:{name}").code == 0
    return path


@pytest.fixture
def start(lab: str) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start workers; whatever is left of them when the test ends is killed, also those that were stopped."""
    started: list[subprocess.Popen[str]] = []

    def one(*words: object) -> subprocess.Popen[str]:
        worker = subprocess.Popen(
            [sys.executable, "-S", "-m", "tests.races.worker", lab, *map(str, words)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1,
            cwd=straced.CHECKOUT, env=straced.environment(),
        )  # fmt: skip
        started.append(worker)
        return worker

    yield one
    for worker in started:
        if worker.poll() is None:
            worker.kill()
        worker.communicate()


def heard(worker: subprocess.Popen[str]) -> str:
    assert worker.stdout is not None
    line = worker.stdout.readline().strip()
    assert line, worker.communicate()[1]
    return line


def tell(worker: subprocess.Popen[str], line: object) -> None:
    assert worker.stdin is not None
    worker.stdin.write(f"{line}\n")
    worker.stdin.flush()


@pytest.mark.parametrize(("experiment", "slots"), [("full", 1), ("slots", 3)])
def test_of_eight_that_want_a_claim_at_one_instant_as_many_win_as_there_are_slots(
    experiment: str, slots: int, start: Callable[..., subprocess.Popen[str]]
) -> None:
    workers = [start("claims", experiment, ROUNDS, slots) for _ in range(PROCESSES)]
    assert [heard(worker) for worker in workers] == ["READY"] * PROCESSES
    generations: list[int] = []
    for number in range(ROUNDS):
        gun = time.monotonic() + GUN_S
        for worker in workers:
            tell(worker, gun)
        answers = [heard(worker) for worker in workers]
        won = [int(answer.split()[1]) for answer in answers if answer.startswith("WON")]
        assert len(won) == slots, f"round {number}: {answers}"
        assert answers.count("BUSY") == PROCESSES - slots
        generations += won
        for worker, answer in zip(workers, answers, strict=True):
            tell(worker, "over")
            if answer != "BUSY":
                assert heard(worker) == "RELEASED"
    assert len(set(generations)) == ROUNDS * slots, "a generation was used twice"
    if slots == 1:
        assert generations == list(range(1, ROUNDS + 1)), "a generation was left out"
    assert [worker.wait() for worker in workers] == [0] * PROCESSES


def test_a_taker_that_slept_between_its_look_and_its_claim_cannot_take_a_used_generation(lab: str) -> None:
    """It saw generation 1 free; while it slept, somebody ran it to its end, and a third holds the next."""
    root = open_root(lab)
    slept: list[int] = []

    def name_run(generation: int) -> str:
        if not slept:
            slept.append(generation)
            assert child(lab, "run").code == 0
        return f"RUN-{generation}"

    lease = leases.take(root, "full", owner=machine.this_process("sleeper"), name_run=name_run)
    assert slept == [1]
    assert lease.claim.generation == 2


def test_cranks_that_are_killed_at_random_lose_nothing_and_never_overlap(
    lab: str, start: Callable[..., subprocess.Popen[str]]
) -> None:
    names = ["full", "fast", "e3", "e4"]
    for name in names[2:]:
        made_like(lab, "fast", name)
    rng = random.Random(SEED)
    deadline = time.monotonic() + CRANKING_S
    workers = [start("crank", ",".join(names), deadline, rng.randrange(1 << 30)) for _ in range(PROCESSES)]
    said: list[str] = []
    killed = 0
    while time.monotonic() < deadline - 0.5:
        time.sleep(rng.random() * 0.4)
        number = rng.randrange(PROCESSES)
        workers[number].kill()
        lines, complaint = workers[number].communicate()
        assert not complaint, complaint
        said += lines.splitlines()
        killed += 1
        workers[number] = start("crank", ",".join(names), deadline, rng.randrange(1 << 30))
    for worker in workers:
        lines, complaint = worker.communicate()
        assert not complaint, complaint
        assert worker.returncode == 0
        said += lines.splitlines()
    counts = f"seed {SEED}: {killed} killed, {sum(line.startswith('SEALED') for line in said)} sealed"
    sys.stdout.write(f"{counts}\n")
    for name in names:
        went = child(lab, f"run:{name}")
        assert went.code == 0, (counts, went)
        said += went.lines
    wrong = [*overlaps(said), *invariants.after_next(lab, said)]
    invariants.age_drafts(lab)
    assert child(lab, "recover").code == 0
    assert not (wrong + invariants.after_recover(lab, said)), counts


def made_like(lab: str, source: str, name: str) -> None:
    """One more experiment, with another id."""
    create.experiment(open_root(lab), f"{straced.CHECKOUT}/tests/crash/specs/{source}.yaml", new_id=name, actor="race")


def overlaps(said: list[str]) -> list[str]:
    """Two runs of one experiment at the same time, by the clock all processes share, and generations used twice."""
    wrong = []
    began: dict[tuple[str, str], tuple[str, float]] = {}
    spans: dict[str, list[tuple[float, float, str]]] = {}
    for words in (line.split() for line in said):
        if len(words) < 5:
            continue
        word, name, run_id, generation, at_s = words[:5]
        if word == "BEGAN":
            if (name, generation) in began:
                wrong.append(f"{name}: generation {generation} began twice")
            began[name, generation] = (run_id, float(at_s))
        elif word == "SEALED":
            spans.setdefault(name, []).append((began[name, generation][1], float(at_s), run_id))
    for name, each in spans.items():
        each.sort()
        wrong += [
            f"{name}: {run_id} began before {before} was over"
            for (_, over_s, before), (start_s, _, run_id) in pairwise(each)
            if start_s < over_s
        ]
    return wrong


def test_a_holder_that_was_stopped_past_its_lease_cannot_seal(
    lab: str, start: Callable[..., subprocess.Popen[str]]
) -> None:
    slow = start("slow", "full")
    run_id = heard(slow).split()[2]
    slow.send_signal(signal.SIGSTOP)
    assert child(lab, "run").code == 3, "its lease still binds"
    then = time.time() - A_DAY_S
    os.utime(open_root(lab).layout.claim("full", 1), (then, then))
    went = child(lab, "run")
    assert went.code == 0, went
    slow.send_signal(signal.SIGCONT)
    tell(slow, "go on")
    assert heard(slow) == "SUPERSEDED"
    assert slow.wait() == 3
    root = open_root(lab)
    kept = root.layout.run("full", run_id)
    assert reading.is_file(f"{kept}/{layout.SUPERSEDED}")
    assert not reading.is_file(f"{kept}/{layout.SEAL}")
    assert invariants.sealed(root) == {went.lines[-1].split()[2]: 2}
    assert child(lab, "recover").code == 0
    assert not invariants.after_recover(lab, went.lines)
    assert list(invariants.sealed(root).values()) == [2], "recovery counted what was superseded"


def test_lines_of_eight_writers_make_one_chain(lab: str, start: Callable[..., subprocess.Popen[str]]) -> None:
    before = verify.verify(open_root(lab)).records
    gun = time.monotonic() + 1
    workers = [start("lines", gun, LINES) for _ in range(PROCESSES)]
    assert [(worker.wait(), worker.communicate()[1]) for worker in workers] == [(0, "")] * PROCESSES
    found = verify.verify(open_root(lab))
    assert (found.records - before, found.damage) == (PROCESSES * LINES, ())


def test_no_pause_is_lost_while_runs_go_on(lab: str, start: Callable[..., subprocess.Popen[str]]) -> None:
    cranks = [start("crank", "full", time.monotonic() + CRANKING_S, SEED + number) for number in range(2)]
    pauser = start("pauses", "full", ROUNDS)
    said, complaint = pauser.communicate()
    assert pauser.returncode == 0, complaint
    lines = said.splitlines()
    for crank in cranks:
        told, complaint = crank.communicate()
        assert crank.returncode == 0, complaint
        lines += told.splitlines()
    assert lines.count("PAUSED full") == ROUNDS
    events = [entry.line.event for entry in ledger.entries(open_root(lab)) if entry.line is not None]
    assert sum(each.phase == "paused" for each in events) == ROUNDS
    wrong = [line for line in invariants.after_next(lab, lines) if not line.startswith("claim left")]
    assert not wrong, wrong
    assert not invariants.after_recover(lab, lines)
