"""Measure the code loop: what a candidate costs the lab, beside what git alone takes for a worktree and a diff.

    python scripts/bench/loop.py [--quick] [--only candidate depth kept] [--json | --markdown]

CPU time of whole processes with all their children: git and the two small programs of a candidate (a change of one
line, and an `echo`) are in it. The floor is `git worktree add`, `git diff` and `git worktree remove` in the same
repository, in turns with ours. Not a test.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from functools import partial
from typing import TYPE_CHECKING

if __name__ == "__main__":
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

from scripts.bench import gauge, program
from scripts.bench.gauge import CHECKOUT
from scripts.bench.table import QUICK, Row

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from scripts.bench.program import Measure
    from scripts.bench.table import Size

GOAL_S, GOAL_RATIO, FLAT = 0.5, 3.0, 1.2
FILES, SMALL = 2_000, 30
MANY, STEP = 1_000, 50
KEPT_MB = 1.0
LABCTL = (sys.executable, os.path.join(CHECKOUT, "scripts/labctl.py"))
_CHANGE = """import os
with open("src/f0000.py", "a") as file:
    file.write(f"value_{os.environ['LAB_RUN_ITERATION']} = 1\\n")
"""
_SPEC = """id: loop
executor: reference
metric: cost
metric_direction: minimize
workspace_root: {workspace}
mutation_command: {python} -S change.py
validation_command: echo {{iteration}}
baseline_command: echo 1
mutable_paths: [src/]
max_iterations_total: 100000
"""
_ENVIRON = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
_ENVIRON.pop("PYTHONDONTWRITEBYTECODE", None)  # or each process would compile what it imports


def candidate(scratch: str, _: str, size: Size) -> list[Row]:
    """One candidate on a repository of 2,000 files."""
    place = tempfile.mkdtemp(prefix="loop-", dir=scratch)
    try:
        workspace, lab = _lab(place, FILES)
        _burst(lab, 2)
        turns, together = (3, 4) if size is QUICK else (7, 10)
        alone: list[float] = []
        ours: list[float] = []
        floors: list[float] = []
        for turn in range(turns):
            places = (f"{place}/hand-{turn}-{number}" for number in range(together))
            floors.extend(_cpu_s(partial(_by_hand, workspace, each)) for each in places)
            alone.append(_cpu_s(lambda: _burst(lab, 1)))
            ours.append((_cpu_s(lambda: _burst(lab, together + 1)) - alone[-1]) / together)
        return _rows(gauge.median(ours), gauge.median(alone), gauge.median(floors))
    finally:
        shutil.rmtree(place)


def _rows(own_s: float, alone_s: float, floor_s: float) -> list[Row]:
    floor = f"{floor_s * 1e3:.0f} ms (git worktree add, diff, remove)"
    what = f"a candidate, {FILES:,} files: mutation, harvest, commit, fresh tree, measurement, decision, seal"
    ratio = own_s / floor_s
    return [
        Row(what=what, ours=f"{own_s * 1e3:.0f} ms CPU", floor=floor, ratio=ratio,
            goal=f"< {GOAL_S} s, < {GOAL_RATIO:.0f}x", met=own_s < GOAL_S and ratio < GOAL_RATIO, number=own_s),
        Row(what="the same in a process that starts for it", ours=f"{alone_s * 1e3:.0f} ms CPU", floor=floor,
            ratio=alone_s / floor_s, number=alone_s),
    ]  # fmt: skip


def depth(scratch: str, _: str, size: Size) -> list[Row]:
    """The same at the beginning and after a thousand candidates, on a small repository."""
    place = tempfile.mkdtemp(prefix="deep-", dir=scratch)
    try:
        _, lab = _lab(place, SMALL)
        _burst(lab, 2)
        many, step = (100, 20) if size is QUICK else (MANY, STEP)
        first = _cpu_s(lambda: _burst(lab, step)) / step
        done = step
        while done + step <= many - step:
            _burst(lab, step)
            done += step
        last = _cpu_s(lambda: _burst(lab, step)) / step
        floor = f"{first * 1e3:.0f} ms (the first {step})"
        what = f"a candidate, {SMALL} files, after {done:,} candidates"
        row = Row(what=what, ours=f"{last * 1e3:.0f} ms CPU", floor=floor, ratio=last / first, goal=f"flat, <= {FLAT}x",
                  met=last / first <= FLAT, number=last)  # fmt: skip
        return [row]
    finally:
        shutil.rmtree(place)


def kept(scratch: str, _: str, size: Size) -> list[Row]:
    """What a candidate of a 20 MB workspace leaves on the disk: bundle, objects and all."""
    place = tempfile.mkdtemp(prefix="kept-", dir=scratch)
    try:
        workspace, lab = _lab(place, 200, bytes_each=100_000)
        _burst(lab, 2)
        trees = f"{lab}/scratch"

        def stays() -> int:
            return _bytes(lab, apart=trees) + _bytes(f"{workspace}/.git")

        before = stays()
        count = 5 if size is QUICK else 20
        _burst(lab, count)
        each_mb = (stays() - before) / count / 1e6
        what = "kept of a candidate of a 20 MB workspace: bundle, objects, pages"
        peer = "hermes-lab 38 MB"
        return [
            Row(what=what, ours=f"{each_mb:.3f} MB", peer=peer, ratio=each_mb / 38, goal=f"< {KEPT_MB:.0f} MB",
                met=each_mb < KEPT_MB, number=each_mb),
            Row(what="the trees in scratch/ that the next ones are made of, however many candidates there were",
                ours=f"{_bytes(trees) / 1e6:.0f} MB", number=_bytes(trees) / 1e6),
        ]  # fmt: skip
    finally:
        shutil.rmtree(place)


def _lab(place: str, files: int, bytes_each: int = 2_000) -> tuple[str, str]:
    """A repository of so many files, and a lab with a loop on it."""
    workspace, lab = f"{place}/code", f"{place}/lab"
    for number in range(files):
        folder = f"{workspace}/{'src' if number < files // 2 else 'lib'}"
        os.makedirs(folder, exist_ok=True)
        line = f"value = {number}\n"
        with open(f"{folder}/f{number:04}.py", "w", encoding="ascii") as file:
            file.write(line * (bytes_each // len(line)))
    with open(f"{workspace}/change.py", "w", encoding="ascii") as file:
        file.write(_CHANGE)
    _git(workspace, "init", "-q")
    _git(workspace, "add", ".")
    _git(workspace, "-c", "user.name=bench", "-c", "user.email=bench@localhost", "commit", "-qm", "the code")
    with open(f"{place}/loop.yaml", "w", encoding="ascii") as file:
        file.write(_SPEC.format(workspace=workspace, python=sys.executable))
    subprocess.run([*LABCTL, "init", "-q", "--data-root", lab], check=True, stdout=subprocess.DEVNULL)
    _labctl("create", f"{place}/loop.yaml", lab=lab)
    return workspace, lab


def _by_hand(workspace: str, place: str) -> None:
    _git(workspace, "worktree", "add", "-q", "--detach", place)
    with open(f"{place}/src/f0000.py", "a", encoding="ascii") as file:
        file.write("value = 0\n")
    _git(place, "diff")
    _git(workspace, "worktree", "remove", "--force", place)


def _git(folder: str, *words: str) -> None:
    subprocess.run(["git", "-C", folder, *words], check=True, stdout=subprocess.DEVNULL, env=_ENVIRON)


def _burst(lab: str, count: int) -> None:
    told = _labctl("burst", "loop", "-n", str(count), "--json", lab=lab)
    done = json.loads(told)["data"]
    if done["ran"] != count or done["failed"]:
        raise RuntimeError(f"{count} candidates were asked for: {done['ran']} ran, {done['failed']} failed")


def _labctl(*words: str, lab: str = "") -> str:
    command = [*LABCTL, *words, *(("--data-root", lab) if lab else ())]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=_ENVIRON).stdout


def _cpu_s(act: Callable[[], object]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    act()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _bytes(folder: str, apart: str = "") -> int:
    """In one walk: of two sums that are taken apart, a tree may come or go between them."""
    return sum(
        os.lstat(f"{where}/{name}").st_blocks * 512
        for where, _, names in os.walk(folder)
        if not apart or not f"{where}/".startswith(f"{apart}/")
        for name in names
    )


MEASURES: Mapping[str, Measure] = {"candidate": candidate, "depth": depth, "kept": kept}


if __name__ == "__main__":
    program.run(__doc__, MEASURES)
