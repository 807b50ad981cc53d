"""What is measured inside a process of its own, so that memory and system calls are its alone.

Started by the other files here as `python -m scripts.bench.steps STEP ...`; each prints one JSON document.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from functools import partial
from typing import TYPE_CHECKING

from lab.core import layout
from lab.core.ended import Ended
from lab.core.run import SUCCESS
from lab.scheduler import closing, cycle, refresh
from lab.store import bundles, contents, machine
from lab.store.files import Files
from scripts.bench import gauge, grow

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from lab.core.claim import Owner
    from lab.core.manifest import Manifest
    from lab.store.root import Root

Told = dict[str, object]
LOGS = {layout.STDOUT: b"step 100 loss 0.25\n" * 40, layout.STDERR: b"", "notes.txt": b"the eighth file\n"}
_GENERATIONS = 10_000_000  # far above what `grow` numbers


def command(step: str, *arguments: str) -> list[str]:
    """How to start a step."""
    return [sys.executable, "-m", "scripts.bench.steps", step, *arguments]


def result(step: str, *arguments: str) -> dict[str, object]:
    """Run a step and read what it tells."""
    done = subprocess.run(
        command(step, *arguments), cwd=gauge.CHECKOUT, env=gauge.environment(), check=True, stdout=subprocess.PIPE
    )
    return gauge.read(done.stdout)


class _CountingFiles(Files):
    """The lab's writer, which counts how often it waits for the disk."""

    def __init__(self) -> None:
        super().__init__()
        self.syncs = 0

    def step(self, name: str, path: str) -> None:
        del path
        self.syncs += name == "fsync"


def seal(options: argparse.Namespace) -> Told:
    """Sealing eight small files, in turns with a plain loop that writes as much and syncs as often."""
    root = grow.grown(options.roots[0], [("seal", 1)], durability=options.durability)
    ours: list[float] = []
    opened: list[float] = []
    floor: list[float] = []
    syncs = _syncs(root, options.durability)
    for number in range(2, options.count + 2):
        made, start = _open(root, "seal", number)
        opened.append(gauge.cpu_s() - start)
        if options.mark != "floor":
            ours.append(_timed(partial(_seal, root, made, options.durability)))
        if options.mark != "ours":
            plain = {**grow.contents(made), **LOGS}
            place = f"{root.layout.place('scratch')}/{made.run_id}"
            floor.append(_timed(partial(_plain, place, plain, syncs)))
    told: Told = {"syncs": syncs}
    for name, taken in (("ours", ours), ("open", opened), ("floor", floor)):
        told[name] = gauge.median(taken) if taken else None
    return told


def _timed(work: Callable[[], object]) -> float:
    start = gauge.cpu_s()
    gauge.mark(begin=True)
    work()
    gauge.mark(begin=False)
    return gauge.cpu_s() - start


def _syncs(root: Root, durability: str) -> int:
    """How often one seal waits for the disk."""
    files = _CountingFiles()
    kept, root.files = root.files, files
    made, _ = _open(root, "seal", _GENERATIONS)
    before = files.syncs
    _seal(root, made, durability)
    root.files = kept
    return files.syncs - before


def _open(root: Root, experiment: str, number: int) -> tuple[Manifest, float]:
    """A bundle with all that a run leaves before it is closed, and the CPU clock from just before it was opened."""
    made = grow.manifest(experiment, number, root.world.now())
    given = grow.contents(made)
    first = {name: given[name] for name in (layout.PLAN, layout.PARAMS)}
    start = gauge.cpu_s()
    bundles.open_bundle(root, made, {**first, **LOGS})
    return made, start


def _seal(root: Root, made: Manifest, durability: str) -> None:
    """What `cycle.finish` does between the end of a run and the fold."""
    root.files.durable = durability == "full"
    metrics: Mapping[str, object] = {"loss": made.value, "steps": 100, "metric": "loss", "value": made.value}
    bundles.close(root, made, result=closing.result_text(made), metrics=metrics)
    stock = contents.take_stock(root, made.experiment, made.run_id, durability=durability)
    with root.section(made.experiment):
        run = made.run()
        bundles.publish(root, run, made.generation, sealed_by="bench", durability=durability, contents=stock)


def _plain(place: str, given: Mapping[str, bytes], syncs: int) -> None:
    """The floor: a folder, the same files, and as many fsyncs; what is left of them waits for the two folders."""
    os.mkdir(place)
    for name, data in given.items():
        descriptor = os.open(f"{place}/{name}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        os.write(descriptor, data)
        if syncs:
            os.fsync(descriptor)
        os.close(descriptor)
    for number in range(syncs - len(given)):
        descriptor = os.open(os.path.dirname(place) if number % 2 else place, os.O_RDONLY | os.O_DIRECTORY)
        os.fsync(descriptor)
        os.close(descriptor)


def fold(options: argparse.Namespace) -> Told:
    """Folding one more run, in turns over roots of different length: CPU, and bytes read and written."""
    roots = [grow.open_root(place, durable=False) for place in options.roots]
    folded: list[list[tuple[float, int, int]]] = [[] for _ in roots]
    for turn in range(options.count + 2):
        for root, taken in zip(roots, folded, strict=True):
            made, _ = _open(root, options.experiment, _GENERATIONS + turn)
            _seal(root, made, "fast")
            before = gauge.io_bytes()
            used_s = _timed(partial(_fold, root, options.experiment))
            after = gauge.io_bytes()
            if turn >= 2:  # noqa: PLR2004  # the first ones load modules and fill caches
                taken.append((used_s, after[0] - before[0], after[1] - before[1]))
    return {
        place: [gauge.median(column) for column in zip(*taken, strict=True)]
        for place, taken in zip(options.roots, folded, strict=True)
    }


def _fold(root: Root, experiment: str) -> None:
    with root.section(experiment):
        subject = refresh.catch_up(root, experiment)
    refresh.lab_pages(root, (subject,))


def cycles(options: argparse.Namespace) -> Told:
    """Whole runs, begin to finish, in one process: the median CPU of the last ten percent before each stop."""
    root = grow.grown(options.roots[0], [(options.experiment, 0)], durability=options.durability)
    root.files.durable = options.durability == "full"
    owner = machine.this_process("bench")
    taken: list[float] = []
    told: Told = {}
    for number in range(1, max(options.stops) + 1):
        taken.append(_timed(partial(_cycle, root, options.experiment, owner, number)))
        if number in options.stops:
            window = taken[-max(min(number // 2, 200), 1) :]
            told[str(number)] = [gauge.median(window), gauge.memory_mb("VmRSS")]
    told["total_s"] = sum(taken)
    told["peak_mb"] = gauge.memory_mb("VmHWM")
    told["bundle"] = _bundle(root, options.experiment)
    return told


def _cycle(root: Root, experiment: str, owner: Owner, number: int) -> None:
    params = {"lr": 0.001 * number, "momentum": 0.9, "batch": 64}
    running = cycle.begin(root, experiment, owner=owner, params=params)
    for name, data in ((layout.STDOUT, LOGS[layout.STDOUT]), (layout.STDERR, b"")):
        with open(f"{running.path}/{name}", "wb") as file:
            file.write(data)
    value = 2.0 / (1.0 + number % 997)
    metrics: dict[str, object] = {"loss": value, "steps": 100}
    cycle.finish(root, running, Ended(outcome=SUCCESS, value=value, wall_s=1.5, metrics=metrics))


def _bundle(root: Root, experiment: str) -> list[int]:
    """Files and bytes of the newest bundle, and its ledger line's length."""
    path = root.layout.run(experiment, bundles.names(root, experiment)[-1])
    sizes = [os.stat(f"{place}/{name}").st_size for place, _, names in os.walk(path) for name in names]
    with open(root.layout.events, "rb") as file:
        line = file.read().splitlines()[-1]
    return [len(sizes), sum(sizes), len(line) + 1]


def rebuild(options: argparse.Namespace) -> Told:
    """Every page from every seal."""
    root = grow.open_root(options.roots[0], durable=False)
    start = gauge.cpu_s()
    done = refresh.everything(root)
    return {"cpu_s": gauge.cpu_s() - start, "peak_mb": gauge.memory_mb("VmHWM"), "runs": done.runs}


def idle(options: argparse.Namespace) -> Told:
    """Catching up with nothing to catch up: what `begin` pays for whatever *other* experiments wrote meanwhile."""
    root = grow.open_root(options.roots[0], durable=False)
    taken: list[float] = []
    for _ in range(options.count):
        with root.section(options.experiment):
            taken.append(_timed(partial(refresh.catch_up, root, options.experiment)))
    return {"cpu_s": gauge.median(taken), "peak_mb": gauge.memory_mb("VmHWM")}


STEPS: Mapping[str, Callable[[argparse.Namespace], Told]] = {
    "seal": seal,
    "fold": fold,
    "cycles": cycles,
    "rebuild": rebuild,
    "idle": idle,
}


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="steps")
    parser.add_argument("step", choices=STEPS)
    parser.add_argument("roots", nargs="+")
    parser.add_argument("--experiment", default="exp-0000")
    parser.add_argument("--count", type=int, default=30)
    parser.add_argument("--durability", default="fast")
    parser.add_argument("--stops", type=int, nargs="+", default=[10])
    parser.add_argument("--mark", default="", choices=("", "ours", "floor"), help="seal: only this side")
    options = parser.parse_args(arguments)
    print(gauge.told(STEPS[options.step](options)))


if __name__ == "__main__":
    main(sys.argv[1:])
