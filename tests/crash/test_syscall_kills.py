"""kill -9 at real system calls, and real refusals of a full or a failing disk, of whole processes.

Sampled on each push, with a seed that a failure prints; every point behind `--slow`.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.crash import invariants, sampled, straced
from tests.crash.aftermath import SEED, problems

if TYPE_CHECKING:
    from tests.crash.forks import Answer

REFUSABLE = frozenset({"write", "fsync", "link", "linkat", "rename", "renameat", "mkdir", "openat", "ftruncate"})
EXITS = frozenset({1, 2, 3, 4, 5})
KILLED = (-signal.SIGKILL, 128 + signal.SIGKILL)


def injectable() -> str:
    """Why strace cannot do its work here, or an empty string: some containers forbid ptrace."""
    try:
        told = subprocess.run(["strace", "-o", "/dev/null", "true"], check=False, capture_output=True, timeout=10)
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return "no strace here"
    return "" if told.returncode == 0 else "strace may not trace here"


pytestmark = [
    pytest.mark.heavy,
    pytest.mark.needs("strace"),
    pytest.mark.skipif(bool(injectable()), reason=injectable() or "-"),
]


class Case(NamedTuple):
    """A command under strace, what was done before it, and what the next person does."""

    before: tuple[str, ...]
    command: str
    after: tuple[str, ...] = ("run",)
    sample: int = 6


CASES = {
    "create": Case((), "create", ("create", "run")),
    "run": Case(("create", "run", "begin"), "run", sample=8),
    "recover": Case(("create", "run", "begin"), "recover"),
    "refresh": Case(("create", "run", "begin", "run"), "refresh", sample=4),
}


def swept(name: str, ram: str, what: str, sample: int) -> list[str]:
    """Inject at the points of a command (`sample` of them; 0 is all). Every line names its point and its rerun."""
    case = CASES[name]
    base, path = f"{ram}/base", f"{ram}/lab"
    os.mkdir(base)
    for step in case.before:
        assert straced.plain(base, step).code == 0
    if name == "refresh":
        os.unlink(f"{base}/LAB-INDEX.json")
        os.unlink(f"{base}/experiments/full/STATUS.json")
    invariants.fresh_copy(base, path)
    found = straced.points(path, (case.command,), f"{ram}/log")
    if "error" in what:
        found = [point for point in found if point.name in REFUSABLE]
    assert len(found) >= 8, found
    if sample:
        found = sorted(random.Random(f"{SEED}{name}{what}").sample(found, min(sample, len(found))))
    wrong, struck = [], 0
    for point in found:
        invariants.fresh_copy(base, path)
        went = straced.inject(path, (case.command,), point, what)
        struck += went.code in KILLED or bool(went.stderr)
        wrong += [
            f"{name} {what} at {point}: {each}" for each in (*refused(went), *problems(path, went.lines, case.after))
        ]
    sys.stdout.write(f"{name} {what}: {len(found)} points, {struck} struck, seed {SEED}\n")
    assert struck >= len(found) * 0.5 or "error" in what, f"{struck} of {len(found)} points were reached"
    return wrong


def refused(went: Answer) -> list[str]:
    """A refusal is worded for a person; a kill says nothing."""
    if "Traceback" in went.stderr:
        return [f"a stack trace: {went.stderr.splitlines()[-1]}"]
    if went.code not in {0, *EXITS, *KILLED}:
        return [f"it ended with {went.code}: {went.stderr}"]
    return []


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", CASES)
def test_a_process_killed_at_a_system_call_costs_at_most_its_own_run(name: str, ram: str) -> None:
    wrong = swept(name, ram, "signal=KILL", CASES[name].sample)
    assert not wrong, sampled.told(wrong, __name__)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("error", ["ENOSPC", "EIO"])
@pytest.mark.parametrize("name", ["create", "run"])
def test_a_refused_system_call_is_an_answer_and_no_loss(name: str, error: str, ram: str) -> None:
    wrong = swept(name, ram, f"error={error}", 3)
    assert not wrong, sampled.told(wrong, __name__)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("what", ["signal=KILL", "error=ENOSPC", "error=EIO"])
@pytest.mark.parametrize("name", CASES)
def test_every_system_call_of_a_command(name: str, what: str, ram: str) -> None:
    wrong = swept(name, ram, what, 0)
    assert not wrong, sampled.told(wrong, __name__)
