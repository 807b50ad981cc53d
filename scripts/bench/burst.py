"""Measure bursts: what a run costs the lab after few runs and many, how far two jobs go, and what a search holds.

    python scripts/bench/burst.py [--quick] [--only runs jobs memory] [--json | --markdown]

The lab's own CPU for a run of a burst, in turns with a turn of the crank on an experiment that searches nothing. Beside
the peer, hermes-lab, whose figures were taken earlier: compare the ratios. Not a test.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

if __name__ == "__main__":
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

from lab.cli.surroundings import the_world
from lab.scheduler import create
from lab.scheduler.search.burst import Burst, Order
from lab.scheduler.search.plan import Wanted
from lab.scheduler.turn import Turn
from lab.scheduler.visit import Request
from lab.store import bundles
from lab.store.root import Root
from scripts.bench import gauge, program
from scripts.bench.table import Row
from scripts.bench.turns import spent_s

if TYPE_CHECKING:
    from scripts.bench.program import Measure
    from scripts.bench.table import Size

SPEC = """\
id: {name}
metric: loss
metric_direction: minimize
cadence: 0
max_iterations_total: 1000000
executor: {executor}
executor_command: {program}
"""
SPACE = """\
search_space:
  x: {low: -2.0, high: 2.0}
  lr: {low: 1.0e-5, high: 1.0, log: true}
  n: {low: 1, high: 900, type: int}
  kind: {choices: [a, b, c]}
"""
STEP = 50  # runs whose median is one figure
PEER = "hermes-lab 29 ms at run 20, 212 at 1,000"
_SLEEP_S, _SLEEPERS = 0.5, 16
_ALL = """
import json, sys
from lab.core import space
from lab.core.trial import History, Origin, Trial, luck
from lab.strategies import door
from lab.strategies.tpe import Parzen
found = space.parse(json.loads(sys.argv[1]))
trials, told = [], {}
for name in sys.argv[2:]:
    if name == "TPE":
        Parzen().point(found, History(trials=tuple(trials), seed=1, number=len(trials)), luck(1, len(trials), name))
    strategy = door.find("bayesian" if name == "TPE" else name)
    for number in range(len(trials), len(trials) + 24):
        history = History(trials=tuple(trials), seed=1, number=number)
        offered = strategy.propose(found, history, luck(1, number, name))
        value = (offered.params["x"] - 0.5) ** 2 + offered.params["n"] / 900
        origin = Origin(strategy=name, seed=1, number=number, seen=number)
        trials.append(Trial(run_id=str(number), params=offered.params, value=value, outcome="success", origin=origin))
    with open("/proc/self/status", encoding="ascii", errors="replace") as file:
        told[name] = next(int(line.split()[1]) / 1024 for line in file if line.startswith("VmHWM"))
print(json.dumps(told))
"""


def _lab(path: str, executor: str, started: str) -> Root:
    """A lab with one experiment that searches and one that does not."""
    root = Root(path, the_world())
    create.make_lab(root)
    for name, space in (("searched", SPACE), ("plain", "")):
        place = f"{path}.{name}.yaml"
        with open(place, "w", encoding="utf-8") as file:
            file.write(SPEC.format(name=name, executor=executor, program=started) + space)
        create.experiment(root, place, actor="bench")
    return root


def _burst(root: Root, runs: int) -> Burst:
    order = Order(experiment="searched", runs=runs)
    made = Burst(root, order, Wanted(strategy="random"), tell=lambda _: None, interrupted=lambda: "")
    made.prepare()
    return made


def _both(root: Root, burst: Burst) -> tuple[float, float]:
    """Median CPU of a burst's run and of a crank's turn, in turns."""
    ours, cranks = [], []
    request = Request(max_runs=1, only=("plain",))
    for _ in range(STEP):
        before_s = spent_s()
        if not burst.one():
            raise RuntimeError(burst.stopped)
        ours.append(spent_s() - before_s)
        turn = Turn(root, request, tell=lambda _: None, interrupted=lambda: "")
        before_s = spent_s()
        turn.visit("plain")
        cranks.append(spent_s() - before_s)
    return gauge.median(ours), gauge.median(cranks)


def runs(scratch: str, disk: str, size: Size) -> list[Row]:
    """The CPU of a run of a burst beside the crank's, early and late."""
    rows = []
    for where, executor, started in (
        (scratch, "stub", ""), (scratch, "command", "/bin/echo 0.5"), (disk, "command", "/bin/echo 0.5"),
    ):  # fmt: skip
        late = size.stops[-1] if executor == "stub" else size.stops[-2]
        place = "in memory" if where == scratch else "on disk"
        root = _lab(f"{where}/burst-{executor}-{place.partition(' ')[2]}", executor, started)
        burst = _burst(root, late)
        first, first_crank = _both(root, burst)
        while len(burst.search.book.ended) < late - STEP:
            burst.one()
        last, last_crank = _both(root, burst)
        what = f"CPU of a burst's run, its program included, {executor}, {place}"
        rows += [
            Row(what=f"{what}, at run {STEP}", ours=f"{first * 1e3:.2f} ms", ratio=first / first_crank,
                floor=f"{first_crank * 1e3:.2f} ms (a visit of the crank's)", goal="as the crank's"),
            Row(what=f"{what}, at run {late:,}", ours=f"{last * 1e3:.2f} ms", peer=PEER, ratio=last / last_crank,
                number=last, floor=f"{last_crank * 1e3:.2f} ms (a visit of the crank's)", goal="as the crank's"),
            Row(what=f"{what}, run {late:,} against run {STEP}", ours=f"{last * 1e3:.2f} ms", ratio=last / first,
                floor=f"{first * 1e3:.2f} ms", goal="flat", met=last / first < 1.2),  # noqa: PLR2004
        ]  # fmt: skip
        rows.append(_kept(root))
    return rows


def _kept(root: Root) -> Row:
    path = root.layout.run("searched", bundles.names(root, "searched")[-1])
    sizes = [os.stat(f"{place}/{name}").st_size for place, _, found in os.walk(path) for name in found]
    return Row(
        what="kept of a burst's run", ours=f"{len(sizes)} files, {sum(sizes):,} bytes", peer="hermes-lab 38 files"
    )


def jobs(scratch: str, _: str, size: Size) -> list[Row]:
    """How much more two jobs bring about than one, where the work takes time."""
    taken: dict[int, list[float]] = {1: [], 2: []}
    for turn in range(3 if size.turns > STEP else 1):
        for many, times in taken.items():
            path = f"{scratch}/jobs-{turn}-{many}"
            _lab(path, "command", f"sh -c 'sleep {_SLEEP_S}; echo METRIC loss=1'")
            words = ["burst", "searched", "--strategy", "random", "-n", str(_SLEEPERS), "-j", str(many), "--quiet"]
            begun_s = time.monotonic()
            command = [sys.executable, f"{gauge.CHECKOUT}/scripts/labctl.py", *words, "--data-root", path]
            subprocess.run(command, check=True, env=gauge.environment(), stdout=subprocess.DEVNULL)
            times.append(time.monotonic() - begun_s)
    one, two = (gauge.median(taken[many]) for many in (1, 2))
    what = f"throughput of --jobs 2, {_SLEEPERS} runs of {_SLEEP_S} s"
    floor = f"{one:.1f} s (--jobs 1)"
    return [Row(what=what, ours=f"{two:.1f} s", floor=floor, ratio=one / two, goal=">= 1.8x", met=one / two >= 1.8)]  # noqa: PLR2004


def memory(_: str, __: str, ___: Size) -> list[Row]:
    """The peak of one process that has asked every strategy."""
    names = ["random", "perturb", "tree", "bayesian", "portfolio", "TPE", "evolution"]
    space = json.dumps({"x": {"low": -2.0, "high": 2.0}, "n": {"low": 1, "high": 900, "type": "int"}})
    done = subprocess.run(
        [sys.executable, "-c", _ALL, space, *names],
        check=True, env=gauge.environment(), cwd=gauge.CHECKOUT, stdout=subprocess.PIPE,
    )  # fmt: skip
    told: dict[str, float] = json.loads(done.stdout)
    return [
        Row(
            what=f"peak memory after asking {', '.join(names[: names.index(name) + 1])}",
            ours=f"{peak:.0f} MB",
            goal="< 250 MB" if name == names[-1] else "",
            met=peak < 250 if name == names[-1] else None,  # noqa: PLR2004
        )
        for name, peak in told.items()
    ]


MEASURES: dict[str, Measure] = {"runs": runs, "jobs": jobs, "memory": memory}


if __name__ == "__main__":
    program.run(__doc__, MEASURES)
