"""Measure the research pipeline: what its phases cost, and whether they are worth it.

    python scripts/bench/research.py [--quick] [--only phases training worth luck] [--json | --markdown]

`phases` is the CPU of whole processes with all their children, phase by phase, on a study whose runs are an `echo`; the
floor is a run of that study by itself. `training` is that phase beside `labctl burst` of as many runs, in turns.
`worth` lets the pipeline and a plain burst of as many measurements search the study that comes with labctl, with the
same seeds, and measures what each keeps ten times more, with seeds that neither saw. `luck` does the same on a study
that measures noise alone, and counts how often a gain is told. Not a test; the whole takes some five minutes.
"""

from __future__ import annotations

import glob
import json
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
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

LABCTL = (sys.executable, os.path.join(CHECKOUT, "scripts", "labctl.py"))
SHIPPED = os.path.join(CHECKOUT, "templates", "research", "study")
PHASES = ("literature", "ideation", "implementation", "training", "evaluation", "iteration", "writing", "publishing")
RUNS, RATIO, PHASE_RUNS = 100, 1.5, 3.0
SEEDS, FRESH = 6, range(101, 111)
LUCKS, LUCKY = 12, 0.05
_SPEC = """id: study
metric: value
metric_direction: minimize
executor_command: /bin/echo {params.x}
report_executor_command: /bin/echo -n {params.x}
fidelity_tiers: [selection, report]
initial_fidelity_tier: selection
search_space: {x: {low: 0.0, high: 1.0, default: 0.9}}
strategy: random
max_iterations_total: 100000
seed: 1
"""
_NOISE = """import os, random, sys
print(random.Random(f"{sys.argv[1]} {sys.argv[2]} {os.environ['LAB_SEED']}").gauss(1, 0.1))
"""
_ENVIRON = {name: value for name, value in os.environ.items() if not name.startswith(("LAB", "HERMES_LAB"))}
_STARTED = re.compile(r"(?:clone3?|v?fork)\(.*\) = \d+|resumed>.*= \d+")


def phases(scratch: str, _: str, size: Size) -> list[Row]:
    """Each phase by itself."""
    taken: dict[str, list[float]] = {name: [] for name in (*PHASES, "a run")}
    started: dict[str, int] = {}
    for turn in range(2 if size == QUICK else 4):
        place = _lab(scratch)
        _study(f"{place}/study")
        _project(place, "--runs", "5")
        _labctl(place, "create", f"{place}/study")
        taken["a run"].append(_cpu_s(partial(_labctl, place, "burst", "study", "-n", "1")))
        for name in PHASES:
            act = partial(_labctl, place, "research", "run", "project", "--until", name)
            if turn == 0:
                started[name] = _processes(place, "research", "run", "project", "--until", name)
            else:
                taken[name].append(_cpu_s(act))
        shutil.rmtree(place)
    floor = gauge.median(taken["a run"])
    rows = []
    for name in PHASES:
        ours = gauge.median(taken[name])
        runs = {"training": 5, "evaluation": 6, "implementation": 1}.get(name, 0)
        what = f"CPU of the phase {name}, {started[name]} processes" + (f", {runs} runs in it" if runs else "")
        rows.append(
            Row(what=what, ours=_ms(ours), floor=f"{_ms(floor)} (a run of an echo)", ratio=ours / floor,
                goal="" if runs else f"{PHASE_RUNS:g} runs", met=None if runs else ours <= PHASE_RUNS * floor,
                number=ours)
        )  # fmt: skip
    return rows


def training(scratch: str, _: str, size: Size) -> list[Row]:
    """The runs of a round beside as many by hand."""
    ours, plain = list[float](), list[float]()
    for _turn in range(1 if size == QUICK else 5):
        place = _lab(scratch)
        _study(f"{place}/study")
        _project(place, "--runs", str(RUNS + 1))  # the first of them is made with the study
        _labctl(place, "research", "run", "project", "--until", "implementation")
        _labctl(place, "create", f"{place}/study")
        ours.append(_cpu_s(partial(_labctl, place, "research", "run", "project", "--until", "training")))
        plain.append(_cpu_s(partial(_labctl, place, "burst", "study", "-n", str(RUNS))))
        shutil.rmtree(place)
    mine, theirs = gauge.median(ours), gauge.median(plain)
    floor = f"{_ms(theirs)} (labctl burst -n {RUNS})"
    what = f"CPU of training with {RUNS} runs of an echo"
    met = mine <= RATIO * theirs
    return [Row(what=what, ours=_ms(mine), floor=floor, ratio=mine / theirs, goal=f"{RATIO:g}", met=met, number=mine)]


def worth(scratch: str, _: str, size: Size) -> list[Row]:
    """What is kept in the end, on what neither has seen."""
    kept: dict[str, list[float]] = {"pipeline": [], "burst": [], "baseline": []}
    off: dict[str, list[float]] = {"pipeline": [], "burst": []}
    counts = []
    for seed in range(1, (2 if size == QUICK else SEEDS) + 1):
        place = _lab(scratch)
        shutil.copytree(SHIPPED, f"{place}/study")
        _edit(f"{place}/study/SPEC.yaml", "seed: 1 ", f"seed: {seed} ")
        _project(place)
        _labctl(place, "research", "run", "project", "--until", "iteration")
        params, told, count = _found(place)
        counts.append(count)
        _labctl(place, "create", f"{place}/study")
        _labctl(place, "burst", "study", "-n", str(count))
        best = json.loads(_labctl(place, "best", "study", "--json"))["data"]
        truth = {
            name: _fresh(place, each)
            for name, each in (("pipeline", params), ("burst", best["params"]), ("baseline", {}))
        }
        for name, value in truth.items():
            kept[name].append(value)
        off["pipeline"].append(abs(told - truth["pipeline"]))
        off["burst"].append(abs(best["value"] - truth["burst"]))
        shutil.rmtree(place)
    runs = f"{min(counts)} to {max(counts)} measurements each, {len(counts)} seeds"
    rows = []
    for what, found, floor in (
        (f"held-out error of what is kept; {runs}", kept, f"; the baseline {statistics.mean(kept['baseline']):.4f}"),
        ("how far the number that is told is from that", off, ""),
    ):
        mine, theirs = statistics.mean(found["pipeline"]), statistics.mean(found["burst"])
        rows.append(
            Row(what=what, ours=f"{mine:.4f}", floor=f"{theirs:.4f} (a plain burst{floor})", ratio=mine / theirs,
                number=mine)
        )  # fmt: skip
    return rows


def luck(scratch: str, _: str, size: Size) -> list[Row]:
    """How often a gain is told where there is none."""
    kept, shown, count = 0, 0, 3 if size == QUICK else LUCKS
    for seed in range(1, count + 1):
        place = _lab(scratch)
        _study(f"{place}/study")
        with open(f"{place}/study/noise.py", "w", encoding="ascii") as file:
            file.write(_NOISE)
        _edit(f"{place}/study/SPEC.yaml", "seed: 1\n", f"seed: {seed}\nworkspace_root: .\n")
        _edit(f"{place}/study/SPEC.yaml", "/bin/echo {", f"{sys.executable} -I -S noise.py selection {{")
        _edit(f"{place}/study/SPEC.yaml", "/bin/echo -n {", f"{sys.executable} -I -S noise.py report {{")
        _project(place)
        _labctl(place, "research", "run", "project", "--until", "iteration")
        decided = json.loads(_read(_newest(place, "project", "decision.json")))
        told = json.loads(_read(_newest(place, "project", "training.json")))
        kept += decided["decision"] == "keep"
        shown += told["best"] != told["baseline"]
        shutil.rmtree(place)
    what = f"of {count} searches in noise alone, those that tell of a gain"
    floor = f"{shown} (the best run of each is better than its baseline)"
    goal = f"at most {LUCKY:.0%}"
    return [
        Row(what=what, ours=str(kept), floor=floor, goal=goal, met=kept <= max(1, LUCKY * count), number=float(kept))
    ]


def _found(place: str) -> tuple[dict[str, object], float, int]:
    """What the pipeline keeps, the value that it tells of it, and how many measurements it took."""
    told = json.loads(_read(_newest(place, "project", "evaluation.json")))
    decided = json.loads(_read(_newest(place, "project", "decision.json")))
    side = told["candidate"] if decided["decision"] == "keep" else told["baseline"]
    runs = glob.glob(f"{place}/lab/experiments/{told['experiment']}/runs/RUN-*/SEAL.json")
    return side["params"], side["mean"], len(runs)


def _newest(place: str, name: str, file: str) -> str:
    return max(glob.glob(f"{place}/lab/experiments/{name}/runs/RUN-*/artifacts/{file}"))


def _fresh(place: str, params: Mapping[str, object]) -> float:
    """The mean on the rows that are reported, with seeds that nobody used."""
    given = f"{place}/given.json"
    with open(given, "w", encoding="ascii") as file:
        json.dump(params, file)
    values = []
    for seed in FRESH:
        environ = {**_ENVIRON, "LAB_PARAMS_PATH": given, "LAB_SEED": str(seed)}
        command = [sys.executable, f"{place}/study/fit.py", "report"]
        told = subprocess.run(command, check=True, capture_output=True, text=True, env=environ).stdout
        values.append(float(told.rpartition("=")[2]))
    return statistics.mean(values)


def _lab(scratch: str) -> str:
    place = f"{scratch}/research"  # no name of chance: it is in what is published, and would look like a secret
    os.makedirs(place)
    _labctl(place, "init", "-q")
    return place


def _study(folder: str) -> None:
    os.makedirs(folder)
    with open(f"{folder}/SPEC.yaml", "w", encoding="ascii") as file:
        file.write(_SPEC)


def _project(place: str, *more: str) -> None:
    _labctl(
        place, "research", "new", "project", "--mode", "A", "--topic", "a bench", "--offline", "--study",
        f"{place}/study", *more,
    )  # fmt: skip


def _edit(path: str, old: str, new: str) -> None:
    text = _read(path)
    if old not in text:
        raise RuntimeError(f"{path} does not say {old!r}")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text.replace(old, new, 1))


def _read(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read()


def _labctl(place: str, *words: str) -> str:
    command = [*LABCTL, *words, "--data-root", f"{place}/lab"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=_ENVIRON, cwd=place)
    if done.returncode:
        raise RuntimeError(f"labctl {' '.join(words)} ended with {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout


def _processes(place: str, *words: str) -> int:
    """How many processes a command starts, itself included; 0 where nobody can count."""
    strace = shutil.which("strace")
    if strace is None:
        _labctl(place, *words)
        return 0
    log = f"{place}/strace.log"
    command = [strace, "-f", "-e", "trace=clone,clone3,fork,vfork", "-o", log, *LABCTL, *words]
    subprocess.run(
        [*command, "--data-root", f"{place}/lab"], check=True, capture_output=True, env=_ENVIRON, cwd=place
    )  # fmt: skip
    return len({line.split(" ", 1)[0] for line in _read(log).splitlines() if line[:1].isdecimal()})


def _cpu_s(act: Callable[[], object]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    act()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"


MEASURES: Mapping[str, Measure] = {"phases": phases, "training": training, "worth": worth, "luck": luck}


if __name__ == "__main__":
    program.run(__doc__, MEASURES)
