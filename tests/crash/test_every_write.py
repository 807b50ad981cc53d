"""Stop the machine before every step that the lab's writer takes, then go on with the next ordinary command.

On each push before some of them, with a seed that a failure prints; before every one behind `--slow`.
"""

from __future__ import annotations

import errno
import os
from typing import NamedTuple

import pytest

from lab.store import verify
from tests.crash import invariants, sampled
from tests.crash.aftermath import problems
from tests.crash.driver import STOPPED, RefusingFiles, StopFiles, open_root
from tests.crash.forks import child
from tests.crash.known import unknown

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(120)]
few_or_all = sampled.few_or_all(5)


class Case(NamedTuple):
    """A command to be stopped everywhere: what was done before it, and what the next person does."""

    before: tuple[str, ...]
    command: str
    after: tuple[str, ...] = ("run",)
    died: tuple[str, str] = ("", "")  # the run that died before: its last step's name and path
    every: int = 1


SEALING, RECORDING = ("link", "/SEAL.json"), ("append", "/events.jsonl")
CASES = {
    "create": Case((), "create", ("create", "run")),
    "create-fast": Case((), "create:fast", ("create:fast", "run:fast"), every=5),
    "create-second": Case(("create", "run"), "create:fast", ("create:fast", "run:fast", "run"), every=3),
    "first-run": Case(("create",), "run"),
    "run": Case(("create", "run", "begin", "run"), "run"),
    "run-fast": Case(("create:fast", "run:fast"), "run:fast", ("run:fast",), every=5),
    "pause": Case(("create", "run"), "pause"),
    "resume": Case(("create", "run", "pause"), "resume"),
    "recover-begun": Case(("create", "begin"), "recover"),
    "recover-closed": Case(("create",), "recover", died=SEALING, every=3),
    "recover-sealed": Case(("create",), "recover", died=RECORDING, every=3),
    "run-after-begun": Case(("create", "run", "begin"), "run"),
    "run-after-closed": Case(("create",), "run", died=SEALING, every=3),
    "run-after-sealed": Case(("create",), "run", died=RECORDING, every=3),
}


@few_or_all
@pytest.mark.parametrize("name", CASES)
def test_a_lab_stopped_before_any_step_goes_on(name: str, sparse: int, ram: str) -> None:
    case = CASES[name]
    base, path = prepared(case, ram), f"{ram}/lab"
    wrong: list[str] = []
    for point in sampled.points(name, case.every * sparse):
        invariants.fresh_copy(base, path)
        stopped = child(path, case.command, writer=StopFiles(point))
        if stopped.code != STOPPED:
            assert stopped.code == 0, stopped
            assert point > 10, "the sweep stopped nothing"
            break
        found = problems(path, stopped.lines, case.after)
        wrong += [f"{name} {point} {stopped.stderr.removeprefix('stopped ')}: {each}" for each in found]
    assert not wrong, sampled.told(wrong, __name__)


def prepared(case: Case, folder: str) -> str:
    """The lab as it was before the command."""
    base = f"{folder}/base"
    os.mkdir(base)
    for step in case.before:
        assert child(base, step).code == 0
    if case.died[0]:
        assert child(base, "run", writer=StopFiles(0, *case.died)).code == STOPPED
    return base


@few_or_all
@pytest.mark.parametrize("refusal", [errno.ENOSPC, errno.EIO], ids=["full-disk", "bad-disk"])
def test_a_process_whose_disk_refused_one_step_can_go_on_itself(refusal: int, sparse: int, ram: str) -> None:
    """A burst is one process: a lease that it keeps by accident would lock out nobody but itself."""
    case = CASES["first-run"]
    base, path = prepared(case, ram), f"{ram}/lab"
    wrong: list[str] = []
    for point in sampled.points(f"refused {refusal}", sparse):
        invariants.fresh_copy(base, path)
        writer = RefusingFiles(point, refusal)
        went = child(path, "run", writer=writer, then=("run",))
        found = invariants.after_crash(path, went.lines)
        if went.code:
            found.append(f"WEDGED: the same process then got {went.code}: {went.stderr}")
        found += problems(path, went.lines, case.after)
        wrong += [f"step {point}: {each}" for each in unknown(found)]
        if not went.stderr and sum(line.startswith("SEALED") for line in went.lines) == 2:
            break
    assert not wrong, sampled.told(wrong, __name__)


def test_a_ledger_line_torn_at_any_byte_costs_only_itself(ram: str) -> None:
    base, path = f"{ram}/base", f"{ram}/lab"
    for step in ("create", "run", "pause"):
        assert child(base, step).code == 0
    with open(f"{base}/registry/events.jsonl", "rb") as file:
        whole = file.read()
    start = whole.rindex(b"\n", 0, len(whole) - 1) + 1
    wrong = []
    for end in {*range(start, len(whole), 7), len(whole) - 2, len(whole) - 1}:
        invariants.fresh_copy(base, path)
        os.truncate(f"{path}/registry/events.jsonl", end)
        os.unlink(f"{path}/LAB-INDEX.json")  # the crash came before any page had seen the line
        assert child(path, "run").code == 0
        found = verify.verify(open_root(path)).damage
        wrong += [f"{end - start} of {len(whole) - start} bytes: {each.kind}: {each.what}" for each in found]
    assert not unknown(wrong), wrong


def test_the_runbook_of_an_experiment_that_is_announced_late_is_that_of_a_rebuild(ram: str) -> None:
    """Its maker died before the ledger line, somebody refreshed the pages, and then it was made again."""
    path = f"{ram}/lab"
    assert child(path, "create:fast").code == 0
    assert child(path, "create", writer=StopFiles(0, "mkdir", "/full/runs")).code == STOPPED
    said = [line for step in ("refresh", "create", "run") for line in child(path, step).lines]
    assert not invariants.after_next(path, said)
