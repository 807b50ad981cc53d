"""What `scale.py` measures inside a process of its own, so that memory, children and system calls are its alone.

Started as `python -m scripts.bench.scale_steps STEP PLACE ...`; each prints one JSON document.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lab.core.ended import Ended
from lab.core.event import RUN_SEALED, Event
from lab.core.run import SUCCESS
from lab.core.view import RECENT_RUNS
from lab.scheduler import create, cycle, prune, refresh
from lab.scheduler.prune import Wish
from lab.store import leases, machine, verify
from lab.store.files import Files
from lab.store.root import Root
from scripts.bench import gauge, grow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

Told = dict[str, object]
_MANY = 2_000  # names that are looked at in a folder, whatever it holds
_BLOCK = 512  # what st_blocks counts in


def result(step: str, *arguments: str) -> Told:
    """Run a step and read what it tells."""
    command = [sys.executable, "-m", "scripts.bench.scale_steps", step, *arguments]
    done = subprocess.run(command, cwd=gauge.CHECKOUT, env=gauge.environment(), check=True, stdout=subprocess.PIPE)
    return gauge.read(done.stdout)


# -- one lab of some size -------------------------------------------------------------------------------------------


def proof(options: argparse.Namespace) -> Told:
    """`verify` of everything: CPU and memory."""
    root = grow.open_root(options.place, durable=False)
    before_s = gauge.cpu_s()
    told = verify.verify(root)
    return {"cpu_s": gauge.cpu_s() - before_s, "peak_mb": gauge.memory_mb("VmHWM"), "runs": told.runs + told.archived}


def archive(options: argparse.Namespace) -> Told:
    """`prune` of all that may go: CPU, and what a run leaves before and after, in bytes, blocks and inodes."""
    root = grow.open_root(options.place, durable=False)
    os.sync()  # blocks are given out late
    before = _used(root.layout.runs(options.experiment))
    before_s = gauge.cpu_s()
    done = prune.prune(root, options.experiment, Wish())
    used_s = gauge.cpu_s() - before_s
    os.sync()
    kept = [_used(root.layout.place("backups")), _used(root.layout.archived(options.experiment))]
    number = len(done.runs)
    return {
        "runs": number,
        "cpu_s": used_s,
        "bundle": [each / (number + RECENT_RUNS) for each in before],
        "tar": [each / number for each in kept[0]],
        "companion": [each / number for each in kept[1]],
    }


def _used(folder: str) -> list[int]:
    """Files and folders below a folder, the bytes in them, and what the disk has set aside for them."""
    inodes = size = blocks = 0
    for place, folders, names in os.walk(folder):
        for name in (*folders, *names):
            seen = os.lstat(f"{place}/{name}")
            inodes += 1
            size += seen.st_size if name in names else 0
            blocks += seen.st_blocks * _BLOCK
    return [inodes, size, blocks]


# -- folders and the ledger -----------------------------------------------------------------------------------------


def folders(options: argparse.Namespace) -> Told:
    """A folder of as many run folders, empty ones: what one more costs, what a look at one costs, and a listing."""
    os.makedirs(options.place)
    stem = f"{options.place}/RUN-20260101-000000-"
    for number in range(options.count - _MANY // 2):
        os.mkdir(f"{stem}{number:06d}-explorer")
    before_s = time.perf_counter()
    for number in range(options.count - _MANY // 2, options.count):
        os.mkdir(f"{stem}{number:06d}-explorer")
    made_s = (time.perf_counter() - before_s) / (_MANY // 2)
    step = max(options.count // _MANY, 1)
    before_s = time.perf_counter()
    for number in range(0, options.count, step):
        os.stat(f"{stem}{number:06d}-explorer")
    stat_s = (time.perf_counter() - before_s) / len(range(0, options.count, step))
    before_s = time.perf_counter()
    listed = len(os.listdir(options.place))
    return {
        "mkdir_s": made_s,
        "stat_s": stat_s,
        "listdir_s": time.perf_counter() - before_s,
        "listed": listed,
        "bytes": os.stat(options.place).st_size,
    }


def newcomer(options: argparse.Namespace) -> Told:
    """A ledger of as many runs of one experiment; what the pages of another one cost that begins now, and again."""
    root = grow.open_root(options.place, durable=False)
    create.make_lab(root)
    chain = grow.Chain(root)
    for name in ("old", "new"):
        grow.experiment(root, chain, name, "fast")
    for number in range(options.count):
        chain.add(
            Event(
                type=RUN_SEALED,
                ts="2026-01-01T00:00:00.000000Z",
                experiment="old",
                run_id=f"RUN-20260101-000000-{number:06d}-explorer",
                seal="0" * 64,
                generation=number,
                actor="bench",
                facts={"outcome": "success", "value": 0.125},
            )
        )
    chain.flush()
    told: Told = {"bytes": os.stat(root.layout.events).st_size}
    for what in ("first_s", "again_s"):
        before_s = gauge.cpu_s()
        with root.section("new"):
            refresh.catch_up(root, "new")
        told[what] = gauge.cpu_s() - before_s
    return {**told, "peak_mb": gauge.memory_mb("VmHWM")}


# -- claims in flight -----------------------------------------------------------------------------------------------


class Opens:
    """How many files this process opens, as Python's own audit tells of them."""

    def __init__(self) -> None:
        self.number = 0
        sys.addaudithook(self._heard)

    def _heard(self, name: str, _arguments: object) -> None:
        self.number += name == "open"


def claims(options: argparse.Namespace) -> Told:
    """One claim more and its release, beside as many that others hold."""
    root = grow.grown(options.place, [("exp-0000", 0)])
    owner = machine.this_process("bench")
    with root.section("exp-0000"):
        for _ in range(options.count):
            leases.take(root, "exp-0000", owner=owner, slots=options.count + 1, name_run=lambda n: f"RUN-{n}")
    opens = Opens()
    taken: list[float] = []
    surveyed: list[float] = []
    opened = 0
    for _ in range(21):
        before, before_s = opens.number, gauge.cpu_s()
        with root.section("exp-0000"):
            lease = leases.take(root, "exp-0000", owner=owner, slots=options.count + 1, name_run=lambda n: f"RUN-{n}")
            taken.append(gauge.cpu_s() - before_s)
            opened = opens.number - before
            lease.release(root)
        before_s = gauge.cpu_s()
        leases.survey(root, "exp-0000")
        surveyed.append(gauge.cpu_s() - before_s)
    return {"take_s": gauge.median(taken), "survey_s": gauge.median(surveyed), "opens": opened}


def beats(options: argparse.Namespace) -> Told:
    """Renewing as many claims, each of its own: CPU for each."""
    root = grow.grown(options.place, [("exp-0000", 0)])
    owner = machine.this_process("bench")
    held = [
        leases.take(root, "exp-0000", owner=owner, slots=options.count + 1, name_run=lambda n: f"RUN-{n}")
        for _ in range(options.count)
    ]
    before_s = gauge.cpu_s()
    for lease in held:
        lease.renew(root)
    return {"cpu_s": (gauge.cpu_s() - before_s) / options.count}


# -- sections -------------------------------------------------------------------------------------------------------


class _Held(Root):
    """A data root that notes how long each section was waited for and held."""

    def watch(self) -> None:
        self.held: list[float] = []

    @contextmanager
    def section(self, experiment: str) -> Iterator[None]:
        with super().section(experiment):
            before_s = time.perf_counter()
            gauge.mark(begin=True)
            try:
                yield
            finally:
                gauge.mark(begin=False)
                self.held.append(time.perf_counter() - before_s)


def sections(options: argparse.Namespace) -> Told:
    """Whole runs one after the other: wall time inside the experiment's section, when a run begins and when it ends."""
    made = grow.grown(options.place, [("exp-0000", 0)], durability="full")
    root = _Held(made.layout.root, made.world, files=Files())
    root.watch()
    owner = machine.this_process("bench")
    begins: list[float] = []
    ends: list[float] = []
    for number in range(options.count):
        root.held.clear()
        running = cycle.begin(root, "exp-0000", owner=owner, params={"lr": 0.001 * number})
        begins.append(sum(root.held))
        root.held.clear()
        cycle.finish(root, running, Ended(outcome=SUCCESS, value=1.0 / (1 + number), wall_s=1.5, metrics={}))
        ends.append(sum(root.held))
    return {"begin_s": gauge.median(begins), "end_s": gauge.median(ends)}


def ender(options: argparse.Namespace) -> Told:
    """One of several processes that begin and end runs without a pause; all of one experiment, or each its own."""
    root = grow.open_root(options.place, durable=True)
    owner = machine.this_process("bench")
    before_s = time.perf_counter()
    waited: list[float] = []
    for number in range(options.count):
        one_s = time.perf_counter()
        running = cycle.begin(root, options.experiment, owner=owner, params={"lr": 0.001 * number})
        ended = Ended(outcome=SUCCESS, value=1.0 / (1 + number), wall_s=1.5, metrics={})
        cycle.sealed(root, running, ended)  # its lab's pages are another section
        waited.append(time.perf_counter() - one_s)
    return {"wall_s": time.perf_counter() - before_s, "worst_s": max(waited), "cpu_s": gauge.cpu_s()}


STEPS: Mapping[str, Callable[[argparse.Namespace], Told]] = {
    "proof": proof,
    "archive": archive,
    "folders": folders,
    "newcomer": newcomer,
    "claims": claims,
    "beats": beats,
    "sections": sections,
    "ender": ender,
}


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="scale_steps")
    parser.add_argument("step", choices=STEPS)
    parser.add_argument("place")
    parser.add_argument("--experiment", default="exp-0000")
    parser.add_argument("--count", type=int, default=30)
    options = parser.parse_args(arguments)
    print(gauge.told(STEPS[options.step](options)))


if __name__ == "__main__":
    main(sys.argv[1:])
