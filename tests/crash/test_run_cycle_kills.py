"""kill -9 anywhere in a whole run, with a program that really runs: the next turn brings it to its end, once.

What the program had finished is used and not thrown away; what it had not is a crash; nobody of its tree lives on.
Sampled on each push, with a seed that a failure prints; every point behind `--slow`.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from lab.core import layout
from lab.core.launch import Exit
from lab.core.manifest import RUNNING
from lab.core.record import parse
from lab.store import bundles, reading
from tests.crash import invariants, sampled, straced
from tests.crash.aftermath import SEED, problems
from tests.crash.driver import STOPPED, StopFiles, open_root
from tests.crash.forks import Answer, child
from tests.crash.test_syscall_kills import KILLED, injectable, refused
from tests.races.marks import SHORT, WORK, Marked, said

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.core.manifest import Manifest
    from tests.crash.straced import Point

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(120)]
VALUE = 0.5
SAMPLE = 5
KILLS, AT_ONCE = 12, 3
_LATEST_S = 0.7  # by then a run of a fifth of a second is over, on a machine that is not busy
_CLEAN = 5
_RUN_ONCE = "from lab.cli.main import entry; entry()"


@pytest.fixture
def lab(ram: str) -> Iterator[Marked]:
    made = Marked(ram)
    yield made
    made.close()


def finished(lab: Marked) -> set[str]:
    """Runs that nobody has sealed yet and of which the disk says how they ended: well."""
    root = open_root(lab.path)
    found = set()
    for name, manifests in lab.manifests().items():
        for manifest in manifests:
            path = root.layout.run(name, manifest.run_id)
            told = reading.read(f"{path}/{layout.EXIT}")
            ended = None if told is None else parse(Exit, told, path)
            well = ended is not None and ended.code == 0 and not ended.stopped
            if not reading.is_file(f"{path}/{layout.SEAL}") and (well or manifest.status not in (RUNNING, "crash")):
                found.add(manifest.run_id)
    return found


def values(lab: Marked, used: set[str], executor: str = "command") -> list[str]:
    """What is wrong with the outcomes: a result that was thrown away, or one that nobody had."""
    value = VALUE if executor == "command" else 0.0
    ended = {mark.run_id for mark in lab.marks() if mark.word == "end"}
    wrong = []
    for manifest in every(lab):
        told = (manifest.status, manifest.value)
        if manifest.run_id in used and told != ("success", value):
            wrong.append(f"{manifest.run_id} had ended well and was sealed as {told}: {manifest.reason}")
        if manifest.status == "success" and manifest.run_id not in ended and executor == "command":
            wrong.append(f"{manifest.run_id} never ended and was sealed as {told}")
        if manifest.status not in ("success", "crash"):
            wrong.append(f"{manifest.run_id} was sealed as {told}: {manifest.reason}")
    return wrong


def every(lab: Marked) -> list[Manifest]:
    return [manifest for manifests in lab.manifests().values() for manifest in manifests]


def aftermath(lab: Marked, lines: list[str], executor: str = "command") -> list[str]:
    """Look at a lab whose turn was killed, take the next one, look again."""
    left = lab.emptied()
    wrong = [f"still alive: {pid} {_cmdline(pid)}" for pid in left]
    used = finished(lab)
    wrong += problems(lab.path, lines, ("turn",))
    return [*wrong, *values(lab, used, executor)]


def _cmdline(pid: str) -> str:
    try:
        with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as file:
            return file.read().replace("\0", " ")
    except OSError:
        return "(gone)"


def again(base: str, lab: Marked, marks: int) -> None:
    """The lab as it was before the turn, and so the marks."""
    invariants.fresh_copy(base, lab.path)
    lab.forget(marks)


# --- at real system calls ---------------------------------------------------------------------------------------


def run_once(lab: Marked) -> list[str]:
    return [sys.executable, "-S", "-c", _RUN_ONCE, "run-once", "--json", "--data-root", lab.path]


def strace(lab: Marked, *options: str) -> Answer:
    """The scheduler alone is traced, not what it starts: that goes on when the scheduler is killed."""
    done = subprocess.run(
        ["strace", "-qq", *options, *run_once(lab)],
        check=False, capture_output=True, text=True, cwd=straced.CHECKOUT, env=straced.environment(),
        stdin=subprocess.DEVNULL, timeout=60,
    )  # fmt: skip
    told = json.loads(done.stdout)["data"]["steps"] if done.stdout.endswith("}\n") else []
    return Answer(done.returncode, said(told), done.stderr)


def points(lab: Marked, log: str) -> list[Point]:
    """Every call of the scheduler that changes something in the lab, by its number among all calls of its name."""
    went = strace(lab, "-y", "-s", "0", "-o", log, "-e", f"trace={straced.CALLS}")
    assert went.code == 0, went
    return straced.changing(log, lab.path)


def swept(lab: Marked, sample: int) -> list[str]:
    lab.add("full", durability="full")
    assert lab.labctl("run-once")[0] == 0
    base, marks = f"{lab.path}-base", len(lab.marks())
    shutil.copytree(lab.path, base, symlinks=True)
    found = points(lab, f"{base}.log")
    assert len(found) > 40, found
    if sample:
        found = sorted(random.Random(f"{SEED}cycle").sample(found, min(sample, len(found))))
    wrong, struck = [], 0
    for point in found:
        again(base, lab, marks)
        went = strace(
            lab, "-o", "/dev/null", "-e", f"trace={point.name}",
            "-e", f"inject={point.name}:signal=KILL:when={point.number}",
        )  # fmt: skip
        struck += went.code in KILLED
        wrong += [f"KILL at {point}: {each}" for each in (*refused(went), *aftermath(lab, went.lines))]
    sys.stdout.write(f"{len(found)} points, {struck} struck, seed {SEED}\n")
    assert struck >= len(found) * 0.5, f"{struck} of {len(found)} points were reached"
    return wrong


traced = [pytest.mark.needs("strace"), pytest.mark.skipif(bool(injectable()), reason=injectable() or "-")]


@pytest.mark.parametrize(
    "sample", [pytest.param(SAMPLE, marks=traced), pytest.param(0, marks=[*traced, pytest.mark.slow])]
)
@pytest.mark.timeout(1800)
def test_a_scheduler_killed_at_a_system_call_of_a_run_loses_nothing_that_had_ended(sample: int, lab: Marked) -> None:
    wrong = swept(lab, sample)
    assert not wrong, sampled.told(wrong, __name__)


# --- before every write -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("executor", "every_nth"),
    [("stub", 7), ("command", 11), *(pytest.param(name, 1, marks=pytest.mark.slow) for name in ("stub", "command"))],
)
@pytest.mark.timeout(600)
def test_a_turn_stopped_before_any_write_goes_on(executor: str, every_nth: int, lab: Marked) -> None:
    lab.add("full", durability="full", more=f"executor: {executor}\n")
    assert child(lab.path, "turn").code == 0
    base, marks = f"{lab.path}-base", len(lab.marks())
    shutil.copytree(lab.path, base, symlinks=True)
    wrong: list[str] = []
    clean = 0
    for point in sampled.points(executor, every_nth):
        again(base, lab, marks)
        went = child(lab.path, "turn", writer=StopFiles(point))
        stopped = "stopped before" in went.stderr or went.code == STOPPED
        clean = 0 if stopped else clean + 1
        if clean == _CLEAN:  # several, for a step that only the supervisor takes stops the supervisor alone
            assert went.code == 0, went
            assert point > 40 + _CLEAN, "the sweep stopped nothing"
            break
        found = aftermath(lab, went.lines, executor)
        wrong += [f"{point} {went.stderr.removeprefix('stopped ')}: {each}" for each in found]
    assert not wrong, sampled.told(wrong, __name__)


# --- at any time ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("victim", ["the scheduler", "anybody"])
def test_a_process_killed_at_a_random_time_costs_at_most_its_own_run(victim: str, lab: Marked) -> None:
    """`anybody`: the scheduler, what it put between itself and the run, or the run's own processes."""
    names = [f"e-{number}" for number in range(AT_ONCE)]
    for name in names:
        lab.add(name, WORK)
    chance = random.Random(f"{SEED}{victim}")
    lines: list[str] = []
    wrong: list[str] = []
    for _ in range(KILLS // AT_ONCE):
        at_s = sorted((chance.random() * _LATEST_S, name) for name in names)
        started = {name: lab.start("run-once", "--json", "--experiment", name) for name in names}
        begun_s = time.monotonic()
        for after_s, name in at_s:
            time.sleep(max(0.0, begun_s + after_s - time.monotonic()))
            kill(lab, started[name], victim, name, chance)
        for process in started.values():
            out = process.communicate(timeout=60)[0]
            lines += said(json.loads(out)["data"]["steps"]) if out.endswith("}\n") and '"ok": true' in out else []
        wrong += [f"still alive: {pid} {_cmdline(pid)}" for pid in lab.emptied()]
        used = finished(lab)
        for name in names:
            went = child(lab.path, f"turn:{name}")
            lines += went.lines
            wrong += [f"the next turn ended with {went.code}: {went.stderr}"] if went.code else []
        wrong += values(lab, used) if victim == "the scheduler" else []
    wrong += invariants.after_next(lab.path, lines)
    invariants.age_drafts(lab.path)
    assert child(lab.path, "recover").code == 0
    wrong += invariants.after_recover(lab.path, lines)
    ends = [manifest.status for manifest in every(lab)]
    sys.stdout.write(f"seed {SEED}: {len(ends)} runs, {ends.count('success')} ended well\n")
    assert not wrong, f"seed {SEED}, {len(wrong)} things are wrong:\n" + "\n".join(wrong[:40])


def kill(lab: Marked, process: subprocess.Popen[str], victim: str, name: str, chance: random.Random) -> None:
    """One process of the turn on that experiment; nothing if it has ended already."""
    choice = process.pid
    if victim == "anybody":
        choice = chance.choice([process.pid, *descendants(process.pid)])
    if process.poll() is None:
        try:
            os.kill(choice, signal.SIGKILL)
        except ProcessLookupError:
            return


def descendants(pid: int) -> list[int]:
    """The children of a process, theirs, and so on, as far as they are still its own."""
    found: list[int] = []
    for thread in os.listdir(f"/proc/{pid}/task") if os.path.isdir(f"/proc/{pid}/task") else []:
        try:
            with open(f"/proc/{pid}/task/{thread}/children", encoding="ascii") as file:
                children = [int(each) for each in file.read().split()]
        except OSError:
            continue
        for one in children:
            found += [one, *descendants(one)]
    return found


def test_a_result_whose_scheduler_died_is_in_the_seal_with_all_that_it_printed(lab: Marked) -> None:
    """The scheduler is killed once the program has ended and before the run is closed."""
    lab.add("full", SHORT)
    went = child(lab.path, "turn", writer=StopFiles(0, "link", f"/{layout.SEAL}"))
    assert went.code == STOPPED, went
    assert finished(lab), "it was not stopped between the run and the seal"
    assert not aftermath(lab, went.lines)
    first = every(lab)[0]
    made = bundles.load_seal(open_root(lab.path).layout.run("full", first.run_id))
    assert made is not None
    assert made[0].files[layout.STDOUT].size > 0
    assert made[0].run.value == VALUE
