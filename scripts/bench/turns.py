"""Turns of the crank that are measured inside a process of its own, so that memory and children are its alone.

Started by `crank.py` as `python -m scripts.bench.turns STEP ROOT ...`; each prints one JSON document. What a run's own
program used (its manifest says it) is taken off: what is left is the lab's.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import resource
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING, NamedTuple

from lab.cli.main import main as labctl
from lab.core import layout
from lab.scheduler import refresh
from lab.scheduler.step import RAN
from lab.scheduler.turn import Turn
from lab.scheduler.visit import Request
from lab.store import bundles, experiments
from scripts.bench import gauge, grow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from lab.scheduler.step import Step
    from lab.store.root import Root

Told = dict[str, object]
PROGRAM = ("/bin/echo", "0.5")
LINE = b'{"op":1,"trial":1,"params":{"x":0.1,"y":0.2}}\n'
FLOOR_FILES = ("spec.json", "params.json", "result.json")
_WARM_UP = 3  # turns that load modules and fill caches


class Spent(NamedTuple):
    """CPU seconds of the lab and of the programs that it started."""

    own_s: float
    program_s: float


def command(step: str, *arguments: str) -> list[str]:
    """How to start a step."""
    return [sys.executable, "-m", "scripts.bench.turns", step, *arguments]


def result(step: str, *arguments: str) -> Told:
    """Run a step and read what it tells."""
    done = subprocess.run(
        command(step, *arguments), cwd=gauge.CHECKOUT, env=gauge.environment(), check=True, stdout=subprocess.PIPE
    )
    return gauge.read(done.stdout)


def due(root: Root, names: Iterable[str], *, executor: str = "command", program: str = "", cadence: str = "0s") -> None:
    """Give these experiments a SPEC that is due after every run, or hardly ever."""
    for name in names:
        path = root.layout.spec(name)
        with open(path, encoding="utf-8") as file:
            kept = [line for line in file if line.partition(":")[0] not in ("cadence", "executor", "executor_command")]
        text = [*kept, f"cadence: {cadence}\n", f"executor: {executor}\n"]
        if program:
            text.append(f"executor_command: {program}\n")
        with open(path, "w", encoding="utf-8") as file:
            file.writelines(text)
    refresh.everything(root)


def runs(options: argparse.Namespace) -> Told:
    """One run a turn, in turns with a durable trial written by hand, of which two kinds: few files, and as many."""
    root = _opened(options)
    folder = tempfile.mkdtemp(prefix="floor-", dir=os.path.dirname(options.root))
    names = [*FLOOR_FILES, *(f"file-{number}" for number in range(options.floor_files - len(FLOOR_FILES)))]
    like_ours = tuple(names[: max(options.floor_files, 1)])
    ours: list[Spent] = []
    small: list[float] = []
    large: list[float] = []
    with open(f"{folder}/journal", "ab", buffering=0) as journal:
        for number in range(options.count + _WARM_UP):
            step, spent = _turn(root, options)
            if step is None:
                raise RuntimeError("nothing was due")
            if options.floors:
                small.append(_floor(folder, f"small-{number}", FLOOR_FILES, 0, journal.fileno()))
                large.append(_floor(folder, f"large-{number}", like_ours, options.floor_syncs, journal.fileno()))
            ours.append(spent)
    told: Told = {
        "own_s": gauge.median(each.own_s for each in ours[_WARM_UP:]),
        "program_s": gauge.median(each.program_s for each in ours[_WARM_UP:]),
        "rss_mb": gauge.memory_mb("VmRSS"),
    }
    for name, taken in (("small_s", small), ("large_s", large)):
        told[name] = gauge.median(taken[_WARM_UP:]) if taken else None
    return {**told, **_kept(root, options.experiment)}


def _opened(options: argparse.Namespace) -> Root:
    root = grow.open_root(options.root, durable=True)
    root.files.durable = options.durability == "full"
    return root


def _turn(root: Root, options: argparse.Namespace) -> tuple[Step | None, Spent]:
    """One run of one experiment, as `run-once --experiment` takes it, without the process around it."""
    turn = Turn(root, Request(max_runs=1, only=(options.experiment,)), tell=lambda _: None, interrupted=lambda: "")
    before_s = spent_s()
    gauge.mark(begin=True)
    turn.take()
    gauge.mark(begin=False)
    used_s = spent_s() - before_s
    ran = next((step for step in turn.steps if step.kind == RAN), None)
    program_s = 0.0 if ran is None else _program_s(root, ran)
    return ran, Spent(used_s - program_s, program_s)


def spent_s() -> float:
    """CPU of this process and of all that it waited for."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return gauge.cpu_s() + children.ru_utime + children.ru_stime


def _program_s(root: Root, step: Step) -> float:
    """What the run's own program used."""
    if step.outcome != "success":
        raise RuntimeError(f"{step.run_id} ended as {step.outcome}: {step.what}")
    manifest = bundles.load_manifest(root.layout.run(step.experiment, step.run_id))
    return (manifest.usage.cpu_s or 0.0) if manifest is not None else 0.0


def _floor(folder: str, name: str, files: Sequence[str], syncs: int, journal: int) -> float:
    """A durable trial by hand: a lease, a program, a folder of files, its name, a journal line, the lease back.

    Each file, the folder's name and the journal are synced; `syncs` above that go to the folder. The CPU of this
    process alone: the program's is not in it.
    """
    before_s = gauge.cpu_s()
    lease = f"{folder}/{name}.lease"
    descriptor = os.open(lease, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
    os.write(descriptor, LINE)
    os.close(descriptor)
    subprocess.run(PROGRAM, stdout=subprocess.DEVNULL, check=True)
    path = f"{folder}/{name}"
    os.mkdir(f"{path}.tmp")
    for file in files:
        descriptor = os.open(f"{path}.tmp/{file}", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
        os.write(descriptor, LINE)
        os.fsync(descriptor)
        os.close(descriptor)
    os.rename(f"{path}.tmp", path)
    for _ in range(max(syncs - len(files) - 1, 1)):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        os.fsync(descriptor)
        os.close(descriptor)
    os.write(journal, LINE)
    os.fsync(journal)
    os.unlink(lease)
    return gauge.cpu_s() - before_s


def _kept(root: Root, experiment: str) -> Told:
    """Files and bytes of the newest bundle without what the program printed, and the ledger lines of one run."""
    path = root.layout.run(experiment, bundles.names(root, experiment)[-1])
    printed = (layout.STDOUT, layout.STDERR)
    sizes = {
        f"{place}/{name}": os.stat(f"{place}/{name}").st_size for place, _, found in os.walk(path) for name in found
    }
    with open(root.layout.events, "rb") as file:
        lines = file.read().splitlines(keepends=True)
    newest = os.path.basename(path).encode()
    return {
        "files": len(sizes),
        "bytes": sum(size for name, size in sizes.items() if os.path.basename(name) not in printed),
        "ledger": sum(len(line) for line in lines[-20:] if newest in line),
    }


def many(options: argparse.Namespace) -> Told:
    """As many runs as are due, in one turn."""
    root = _opened(options)
    request = Request(max_runs=options.many)
    taken = []
    for _ in range(options.count + 1):
        turn = Turn(root, request, tell=lambda _: None, interrupted=lambda: "")
        before_s = spent_s()
        turn.take()
        used_s = spent_s() - before_s
        ran = [step for step in turn.steps if step.kind == RAN]
        if len(ran) != options.many:
            raise RuntimeError(f"{len(ran)} of {options.many} ran; {turn.steps[-1]}")
        taken.append((used_s - sum(_program_s(root, step) for step in ran)) / len(ran))
    return {"own_s": gauge.median(taken[1:]), "peak_mb": gauge.memory_mb("VmHWM")}


def memory(options: argparse.Namespace) -> Told:
    """The largest that a whole `run-once` was, and that any process was that it waited for."""
    words = ["run-once", "--quiet", "--data-root", options.root]
    code = labctl(words)
    children_kb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return {"code": code, "peak_mb": gauge.memory_mb("VmHWM"), "children_mb": children_kb / 1024}


def packages(options: argparse.Namespace) -> Told:
    """As many packages: offered, worked on, taken in. The CPU of each step for each package, its program taken off."""
    root = _opened(options)
    shared = ["--quiet", "--data-root", options.root]
    told: Told = {}
    for verb, more in (("ready", True), ("work", True), ("ingest", False)):
        before_s = spent_s()
        with open(os.devnull, "w", encoding="utf-8") as nothing, contextlib.redirect_stdout(nothing):
            code = labctl([f"dispatch-{verb}", *(["--max-runs", str(options.many)] if more else []), *shared])
        if code:
            raise RuntimeError(f"dispatch-{verb} ended with {code}")
        told[verb] = (spent_s() - before_s) / options.many
    newest = [bundles.names(root, name)[-1:] for name in experiments.names(root)]
    manifests = [
        bundles.load_manifest(root.layout.run(name, each[0]))
        for name, each in zip(experiments.names(root), newest, strict=True)
        if each
    ]
    told["runs"] = len([made for made in manifests if made is not None and made.package])
    told["program_s"] = gauge.median((made.usage.cpu_s or 0.0) for made in manifests if made is not None)
    return told


STEPS: Mapping[str, Callable[[argparse.Namespace], Told]] = {
    "runs": runs,
    "many": many,
    "memory": memory,
    "packages": packages,
}


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="turns")
    parser.add_argument("step", choices=STEPS)
    parser.add_argument("root")
    parser.add_argument("--experiment", default="exp-0000")
    parser.add_argument("--count", type=int, default=30)
    parser.add_argument("--many", type=int, default=50, help="runs in one turn")
    parser.add_argument("--durability", default="full")
    parser.add_argument("--floors", action="store_true", help="runs: measure the trial by hand too")
    parser.add_argument("--floor-files", type=int, default=8, help="files of the larger floor")
    parser.add_argument("--floor-syncs", type=int, default=0, help="how often the larger floor waits for the disk")
    options = parser.parse_args(arguments)
    print(gauge.told(STEPS[options.step](options)))


if __name__ == "__main__":
    main(sys.argv[1:])
