"""Many schedulers on one lab, as cron and people start them: real processes, real programs, marks from outside."""

from __future__ import annotations

import os
import random
import re
import signal
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from lab.core import event
from lab.store import ledger
from tests.crash import invariants, straced
from tests.crash.aftermath import SEED
from tests.crash.driver import open_root
from tests.races.marks import LONG, SHORT, Marked, answered, depths, said, until

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

    from lab.core.event import Event

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(120)]
LANES, SHOTS, EXPERIMENTS = 8, 8, 12  # more of each: scripts/trial/schedulers.py
INTERRUPTED = 130
_MOMENT = re.compile(r"RUN-(\d{4})(\d\d)(\d\d)-(\d\d)(\d\d)(\d\d)-(\d{6})-.*")


@pytest.fixture
def lab(ram: str) -> Iterator[Marked]:
    made = Marked(ram)
    yield made
    made.close()


def rushed(lab: Marked, lanes: int, shots: int, *words: str) -> list[subprocess.Popen[str]]:
    """In each lane one `run-once` after the other, all lanes at the same time."""
    left = dict.fromkeys(range(lanes), shots)
    running: dict[int, subprocess.Popen[str]] = {}
    done: list[subprocess.Popen[str]] = []
    while left or running:
        for lane in [lane for lane in left if lane not in running]:
            running[lane] = lab.start("run-once", "--json", *words)
            left[lane] -= 1
        for lane, process in list(running.items()):
            if process.poll() is not None:
                done.append(running.pop(lane))
                if not left[lane]:
                    del left[lane]
        time.sleep(0.002)
    return done


def well(lab: Marked, lines: list[str]) -> None:
    """Everything that was told is sealed and counted, the pages are a rebuild's, and `verify` is content."""
    code, found = lab.labctl("verify")
    assert code == 0, found
    wrong = invariants.after_next(lab.path, lines)
    invariants.age_drafts(lab.path)
    assert lab.labctl("recover")[0] == 0
    wrong += invariants.after_recover(lab.path, lines)
    assert not wrong, wrong


def once(lab: Marked) -> None:
    """Of each experiment, no iteration and no generation twice."""
    for name, manifests in lab.manifests().items():
        for field in ("iteration", "generation"):
            numbers = Counter(getattr(manifest, field) for manifest in manifests)
            assert not [number for number, times in numbers.items() if times > 1], f"{name}: {field} twice"


def test_eight_schedulers_share_a_lab(lab: Marked) -> None:
    """No process fails, nothing is run twice, nothing overlaps, nothing is lost, and nobody starves."""
    wide = {"e-03": 2, "e-07": 3}
    names = [f"e-{number:02d}" for number in range(EXPERIMENTS)]
    for name in names:
        lab.add(name, more=f"max_parallel: {wide.get(name, 1)}\n")
    answers = [answered(process) for process in rushed(lab, LANES, SHOTS, "--max-runs", "1")]
    assert [code for code, _ in answers if code] == []
    lines = [line for _, data in answers for line in said(data["steps"])]
    marks = lab.marks()
    began, ended = ([mark.run_id for mark in marks if mark.word == word] for word in ("begin", "end"))
    assert sorted(began) == sorted(ended) == sorted(line.split()[2] for line in lines)
    assert len(set(began)) == len(began)
    deepest = depths(marks)
    assert all(deepest[name] <= wide.get(name, 1) for name in names), deepest
    assert deepest[""] > 1, "they did not work at the same time"
    once(lab)
    share = Counter(mark.experiment for mark in marks if mark.word == "begin")
    assert min(share[name] for name in names) >= len(began) / EXPERIMENTS / 2, f"somebody starved: {share}"
    assert len(began) >= LANES * SHOTS * 0.9, "schedulers went away though something was due"
    well(lab, lines)


def test_two_cron_lines_at_one_instant_run_what_is_due_once(lab: Marked) -> None:
    for number in range(8):
        name = f"due-{number:02d}"
        lab.add(name)
        lab.edit(name, "cadence: 0s", "cadence: 1h")
        both = [lab.start("run-once", "--json", "--experiment", name) for _ in range(2)]
        answers = [answered(process) for process in both]
        assert [code for code, _ in answers] == [0, 0], answers
        ran = [str(data["ran"]) for _, data in answers]
        assert sorted(ran) == ["0", "1"], f"{name}: {answers}"
    assert max(depths(lab.marks()).values()) == 1
    once(lab)
    well(lab, [])


def test_a_pause_that_was_acknowledged_holds_whatever_is_running(lab: Marked) -> None:
    """Claims and decisions come in one order: no run was claimed between a pause and the resume after it."""
    lab.add("full", more="executor: stub\n")
    runners = [worker(lab, "turns", "full", time.monotonic() + 4.0) for _ in range(3)]
    pauser = worker(lab, "pauses", "full", 60)
    told, complaint = pauser.communicate(timeout=60)
    assert pauser.returncode == 0, complaint
    lines = told.splitlines()
    for runner in runners:
        told, complaint = runner.communicate(timeout=60)
        assert (runner.returncode, complaint) == (0, "")
        lines += told.splitlines()
    assert lines.count("PAUSED full") == 60
    assert sum(line.startswith("SEALED") for line in lines) >= 10, "nothing ran meanwhile"
    claimed = sorted(moment(manifest.run_id) for manifest in lab.manifests()["full"])
    pauses, resumes = (
        [each.ts for each in told_by(lab, event.PHASE_CHANGED) if each.phase in phases]
        for phases in ({"paused"}, {"queued", "active"})
    )
    for pause in pauses:
        resume = min((each for each in resumes if each > pause), default="9")
        assert not [each for each in claimed if pause < each < resume], f"claimed while paused: {pause} to {resume}"
    once(lab)


def worker(lab: Marked, *words: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-S", "-m", "tests.races.worker", lab.path, *map(str, words)]
    return lab.spawn(command, straced.environment())


def moment(run_id: str) -> str:
    """When a run was claimed, as the ledger writes moments: its name was made inside the section."""
    found = _MOMENT.fullmatch(run_id)
    assert found, run_id
    year, month, day, hour, minute, second, micro = found.groups()
    return f"{year}-{month}-{day}T{hour}:{minute}:{second}.{micro}Z"


def told_by(lab: Marked, kind: str) -> list[Event]:
    entries = ledger.entries(open_root(lab.path))
    return [entry.line.event for entry in entries if entry.line and entry.line.event.type == kind]


def test_a_pause_while_running_lets_the_run_end_and_no_other_begin(lab: Marked) -> None:
    lab.add("a", LONG)
    running = lab.start("run-once", "--json")
    lab.begun(1)
    assert lab.labctl("pause", "a")[0] == 0
    lab.release()
    code, data = answered(running)
    assert (code, data["ran"]) == (0, 1)
    assert lab.labctl("run-once")[1]["ran"] == 0
    assert lab.labctl("run-once", "--experiment", "a", "--now")[1]["ran"] == 0
    assert [mark.word for mark in lab.marks()] == ["begin", "end"]
    assert [manifest.status for manifest in lab.manifests()["a"]] == ["success"]
    assert lab.labctl("resume", "a")[0] == 0
    assert lab.labctl("run-once")[1]["ran"] == 1


def test_a_spec_edited_while_running_counts_from_the_next_run_on(lab: Marked) -> None:
    lab.add("a", LONG)
    running = lab.start("run-once", "--json")
    lab.begun(1)
    lab.edit("a", lab.program(LONG), lab.program(SHORT, 0.25))
    lab.release()
    assert answered(running)[1]["ran"] == 1
    assert lab.labctl("run-once")[1]["ran"] == 1
    first, second = lab.manifests()["a"]
    assert (first.value, second.value) == (0.5, 0.25)
    assert first.spec_sha256 != second.spec_sha256
    assert [each.spec for each in told_by(lab, event.SPEC_EDITED)] == [second.spec_sha256]


def test_several_jobs_fill_the_slots_that_there_are_and_no_more(lab: Marked) -> None:
    for number in range(7):
        lab.add(f"single-{number}", LONG)
    lab.add("wide", LONG, more="max_parallel: 3\npriority: urgent\n")
    running = lab.start("run-once", "--json", "--jobs", "4", "--max-runs", "12")
    lab.begun(4)
    time.sleep(0.2)  # for a fifth one, which must not come
    assert depths(lab.marks())[""] == 4
    assert depths(lab.marks())["wide"] >= 1
    lab.release()
    code, data = answered(running)
    assert (code, data["ran"]) == (0, 10)
    deepest = depths(lab.marks())
    assert deepest[""] == 4
    assert deepest["wide"] <= 3
    once(lab)
    well(lab, said(data["steps"]))


@pytest.mark.parametrize("jobs", ["1", "3"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("whom", ["the turn", "its group"])
def test_an_interrupt_ends_the_run_seals_it_as_cancelled_and_leaves_nobody(
    whom: str, number: signal.Signals, jobs: str, lab: Marked
) -> None:
    """A terminal interrupts the whole foreground group, `kill` only the process that it names."""
    for name in "abc"[: int(jobs)]:
        lab.add(name, LONG)
    running = lab.start("run-once", "--json", "--jobs", jobs)
    lab.begun(int(jobs))
    if whom == "the turn":
        running.send_signal(number)
    else:
        os.killpg(running.pid, number)
    code, told = answered(running)
    assert code == INTERRUPTED
    assert number.name in str(told)
    assert not lab.emptied(), "processes of the run live on"
    manifests = [manifest for each in lab.manifests().values() for manifest in each]
    assert [(each.status, each.value) for each in manifests] == [("cancelled", None)] * int(jobs)
    assert all("stopped by SIG" in each.reason for each in manifests)
    assert "end" not in [mark.word for mark in lab.marks()]
    well(lab, [f"SEALED {each.experiment} {each.run_id}" for each in manifests])


def test_a_parent_killed_with_minus_nine_costs_none_of_its_runs(lab: Marked) -> None:
    for name in "abcd":
        lab.add(name, LONG)
    running = lab.start("run-once", "--jobs", "4", "--max-runs", "4")
    lab.begun(4)
    running.kill()
    running.wait()
    lab.release()
    until(lambda: [each.status for runs in lab.manifests().values() for each in runs] == ["success"] * 4)
    assert not lab.emptied()
    code, data = lab.labctl("run-once")
    assert code == 0
    assert [step["kind"] for step in as_list(data["steps"])] == ["ran"] * 3, f"there was something to settle: {data}"
    well(lab, said(data["steps"]))


def as_list(value: object) -> list[dict[str, object]]:
    assert isinstance(value, list)
    return value


def test_schedulers_that_are_killed_at_random_lose_nothing_and_never_overlap(lab: Marked) -> None:
    """Each lane kills some of its turns; the next turn settles what they left."""
    names = [f"e-{number}" for number in range(6)]
    for name in names:
        lab.add(name)
    draw = random.Random(SEED)
    lines: list[str] = []
    for _ in range(10):
        started = [lab.start("run-once", "--json") for _ in range(3)]
        time.sleep(draw.random() * 0.4)
        doomed = started.pop()
        doomed.kill()
        doomed.communicate(timeout=60)
        for process in started:
            code, data = answered(process)
            assert code == 0, (SEED, data)
            lines += said(data["steps"])
    assert not lab.emptied()
    code, data = lab.labctl("run-once", "--max-runs", "20")
    assert code == 0, (SEED, data)
    deepest = depths_of_the_living(lab)
    assert all(deepest.get(name, 0) <= 1 for name in names), f"seed {SEED}: {deepest}"
    once(lab)
    well(lab, lines + said(data["steps"]))


def depths_of_the_living(lab: Marked) -> dict[str, int]:
    """Depths by the marks, where a run that was killed between its marks is over when the next one begins."""
    marks = lab.marks()
    ended = {mark.run_id for mark in marks if mark.word == "end"}
    return depths(mark for mark in marks if mark.run_id in ended)
