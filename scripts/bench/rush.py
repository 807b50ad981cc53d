"""Eight schedulers at one lab: what fails, what happens twice, what overlaps, and what it costs."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from lab.store import bundles, experiments, verify
from scripts.bench import gauge, grow, start, turns
from scripts.bench.table import Row

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from lab.store.root import Root
    from scripts.bench.table import Size

EXPERIMENTS = 16
# One write each, appended: the order of the lines is the order in which things happened, seen from outside.
SCRIPT = """\
#!/bin/sh
echo "begin $LAB_EXPERIMENT_ID $LAB_RUN_ID" >> {marks}
echo "end $LAB_EXPERIMENT_ID $LAB_RUN_ID" >> {marks}
echo 0.5
"""


class Rush(NamedTuple):
    """What came of it."""

    processes: int
    failed: int
    cpu_s: float


def rushing(scratch: str, size: Size) -> list[Row]:
    """As many `run-once` at a time as there are lanes, each lane one after the other, all experiments always due."""
    place = f"{tempfile.mkdtemp(prefix='rush-', dir=scratch)}/lab"
    script, marks = f"{place}.sh", f"{place}.marks"
    with open(script, "w", encoding="utf-8") as file:
        file.write(SCRIPT.format(marks=marks))
    os.chmod(script, 0o700)
    names = [f"exp-{number:04d}" for number in range(EXPERIMENTS)]
    root = grow.grown(place, [(name, 0) for name in names], durability="full")
    turns.due(root, names, program=script)
    command = [*start.launchers()["python -c"], "run-once", "--max-runs", "1", "--data-root", place]
    went = _rush(command, size.lanes, size.shots)
    with open(marks, encoding="utf-8") as file:
        lines = [line.split() for line in file]
    began = sum(line[0] == "begin" for line in lines)
    bare = gauge.in_turns({"floor": gauge.FLOOR}, gauge.environment(), 5)["floor"]
    twice, crossed = _twice(root), len(list(overlaps(lines)))
    damage = len(verify.verify(root).damage)
    what = f"{size.lanes} schedulers x {size.shots} run-once over {EXPERIMENTS} experiments"
    return [
        _none(f"{what}: processes that failed", went.failed, f"of {went.processes}"),
        _none(f"{what}: iterations or generations that exist twice", twice, f"in {began} runs"),
        _none(f"{what}: runs that overlapped another of their experiment", crossed, f"of {began}"),
        _none(f"{what}: findings of labctl verify", damage, ""),
        Row(
            what=f"{what}: CPU of each process, its run included",
            ours=f"{1e3 * went.cpu_s / went.processes:.1f} ms ({began} runs)",
            floor=f"{1e3 * bare:.1f} ms (python -c pass)",
            ratio=went.cpu_s / went.processes / bare,
            number=went.cpu_s / went.processes,
        ),
    ]


def _rush(command: Sequence[str], lanes: int, shots: int) -> Rush:
    """Start one process per lane, and the next one in a lane when its last one has ended."""
    environ = gauge.environment()
    silent = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in (0, 1, 2)]
    left = dict.fromkeys(range(lanes), shots)
    running: dict[int, int] = {}

    def shoot(lane: int) -> None:
        left[lane] -= 1
        running[os.posix_spawn(command[0], list(command), environ, file_actions=silent)] = lane

    for lane in range(lanes):
        shoot(lane)
    failed, cpu_s = 0, 0.0
    while running:
        pid, status, used = os.wait4(-1, 0)
        lane = running.pop(pid)
        failed += status != 0
        cpu_s += used.ru_utime + used.ru_stime
        if left[lane]:
            shoot(lane)
    return Rush(lanes * shots, failed, cpu_s)


def _twice(root: Root) -> int:
    """Iterations and generations that more than one bundle of an experiment claims."""
    found: Counter[tuple[str, str, int]] = Counter()
    for name in experiments.names(root):
        for run_id in bundles.names(root, name):
            manifest = bundles.load_manifest(root.layout.run(name, run_id))
            if manifest is not None:
                found[name, "iteration", manifest.iteration] += 1
                found[name, "generation", manifest.generation] += 1
    return sum(number - 1 for number in found.values())


def overlaps(lines: Iterable[Sequence[str]]) -> Iterator[str]:
    """Runs that began while another one of their experiment had begun and not ended."""
    inside: dict[str, str] = {}
    for word, experiment, run_id in lines:
        if word == "end":
            inside.pop(experiment, None)
            continue
        if experiment in inside:
            yield run_id
        inside[experiment] = run_id


def _none(what: str, number: int, of: str) -> Row:
    return Row(what=what, ours=f"{number} {of}".strip(), goal="0", met=number == 0, number=float(number))
