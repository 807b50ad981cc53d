"""Measure what others can be asked for on this machine: a trial that is told, a proposal, and a command that starts.

    python scripts/bench/peers.py [--quick] [--only trial proposal start import] [--json | --markdown]

optuna and nevergrad, those of labctl[search], each in a process of its own, in turns with ours. A trial of optuna's is
`ask` and `tell` on a journal file, which it syncs; ours is `Experiment.trial()`, sealed. The objective costs nothing.
The peer hermes-lab is not here: its figures are of another machine, and stand in the other programs. Not a test.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING

if __name__ == "__main__":
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

from scripts.bench import gauge, program, start
from scripts.bench.table import QUICK, Row

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scripts.bench.gauge import Median
    from scripts.bench.program import Measure
    from scripts.bench.table import Size

GOAL_MS, PROPOSAL_MS = 10.0, 20.0
_SAMPLES = 20  # of each length of history
# argv: a folder, and the lengths of history at which it is to tell what a trial takes. One line of JSON.
_OURS = """
import json, resource, statistics, sys
import lab
home = lab.Lab.init(sys.argv[1])
tune = home.create("tune", metric="loss", direction="minimize", durability=sys.argv[2],
                   max_iterations_total=1000000,
                   space={"x": {"low": -2.0, "high": 2.0}, "y": {"low": -2.0, "high": 2.0}})
def one():
    with tune.trial(strategy="random") as trial:
        trial.report(loss=trial.params["x"] ** 2 + trial.params["y"] ** 2)
"""
_THEIRS = """
import json, os, resource, statistics, sys
import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
optuna.logging.set_verbosity(optuna.logging.ERROR)
os.makedirs(sys.argv[1])
storage = JournalStorage(JournalFileBackend(sys.argv[1] + "/journal.log"))
study = optuna.create_study(storage=storage, sampler=optuna.samplers.RandomSampler(seed=1))
def one():
    trial = study.ask()
    x, y = trial.suggest_float("x", -2, 2), trial.suggest_float("y", -2, 2)
    study.tell(trial, x ** 2 + y ** 2)
"""
_TOLD = """
def used():
    told = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in told)
done, found = 0, {}
for stop in map(int, sys.argv[3:]):
    taken = []
    while done < stop:
        before = used()
        one()
        done += 1
        taken.append(used() - before)
    last = taken[-SAMPLES:]
    found[stop] = [statistics.median(last), min(last), max(last)]
print(json.dumps(found))
"""


def trial(scratch: str, disk: str, size: Size) -> list[Row]:
    """One more trial after few and after many: proposed, kept, and told."""
    stops = (20, 100) if size is QUICK else (20, 1_000)
    rows = []
    for where, folder, durability in (("on disk, synced", disk, "full"), ("in memory, not synced", scratch, "fast")):
        place = tempfile.mkdtemp(prefix="trial-", dir=folder)
        ours = _trials(_OURS, f"{place}/lab", durability, stops)
        theirs = _trials(_THEIRS, f"{place}/optuna", durability, stops) if _is_there("optuna") else {}
        for stop in stops:
            mine, other = ours[stop], theirs.get(stop)
            peer = f"optuna's journal {_ms(other)}" if other else ""
            rows.append(
                Row(
                    what=f"trial {stop:,} from Python, {where}: asked for, told and kept, CPU", ours=_ms(mine),
                    peer=peer, floor=f"{_ms(ours[stops[0]])} (trial {stops[0]})", ratio=mine / ours[stops[0]],
                    goal=f"<= {GOAL_MS:g} ms, flat" if durability == "fast" else "",
                    met=mine <= GOAL_MS / 1e3 if durability == "fast" else None, number=mine,
                )
            )  # fmt: skip
    return rows


def _trials(program_text: str, place: str, durability: str, stops: Sequence[int]) -> dict[int, Median]:
    text = program_text + _TOLD.replace("SAMPLES", str(_SAMPLES))
    command = [sys.executable, "-W", "ignore", "-c", text, place, durability, *map(str, stops)]
    done = subprocess.run(command, check=True, capture_output=True, env=gauge.environment(), cwd=gauge.CHECKOUT)
    told: dict[str, list[float]] = json.loads(done.stdout)
    return {int(stop): gauge.between(*each) for stop, each in told.items()}


_PROPOSE = """
import json, statistics, sys, time
from lab.core import space
from lab.core.origin import Origin
from lab.core.trial import History, Trial, luck
from lab.strategies import door
found = space.parse({f"x{n}": {"low": -2.0, "high": 2.0} for n in range(5)})
def value(params):
    return sum((each - 0.5) ** 2 for each in params.values())
def ours(name, count):
    strategy, trials, taken = door.find(name), [], []
    for number in range(count):
        history = History(trials=tuple(trials), seed=1, number=number)
        before = time.process_time()
        offered = strategy.propose(found, history, luck(1, number))
        taken.append(time.process_time() - before)
        origin = offered.origin if hasattr(offered, "origin") else None
        origin = origin or Origin(strategy=name, seed=1, number=number, seen=number)
        trials.append(Trial(run_id=str(number), params=offered.params, value=value(offered.params),
                            outcome="success", origin=origin))
    return taken
def tpe(count):
    import optuna
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study, taken = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=1)), []
    for number in range(count):
        before = time.process_time()
        trial = study.ask()
        params = {f"x{n}": trial.suggest_float(f"x{n}", -2, 2) for n in range(5)}
        taken.append(time.process_time() - before)
        study.tell(trial, value(params))
    return taken
def cma(count):
    import nevergrad
    made = nevergrad.p.Array(shape=(5,)).set_bounds(-2.0, 2.0)
    optimizer, taken = nevergrad.optimizers.CMA(parametrization=made, budget=count), []
    for number in range(count):
        before = time.process_time()
        asked = optimizer.ask()
        taken.append(time.process_time() - before)
        optimizer.tell(asked, float(((asked.value - 0.5) ** 2).sum()))
    return taken
name, count, last = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
taken = {"tpe": tpe, "cma": cma}.get(name, lambda count: ours(name, count))(count)[-last:]
print(json.dumps([statistics.median(taken), min(taken), max(taken)]))
"""


def proposal(_scratch: str, _disk: str, size: Size) -> list[Row]:
    """One proposal at the end of a search, in memory: five numbers, a smooth valley."""
    count = 60 if size is QUICK else 200
    theirs = {}
    for name, module, called in (("tpe", "optuna", "optuna's TPE"), ("cma", "nevergrad", "nevergrad's CMA")):
        if _is_there(module):
            theirs[called] = _proposal(name, count)
    peer = ", ".join(f"{called} {_ms(each)}" for called, each in theirs.items())
    tpe = theirs.get("optuna's TPE")
    rows = []
    for name in ("random", "perturb", "tree", "evolution", "bayesian", "portfolio"):
        if name == "evolution" and not _is_there("nevergrad"):
            continue
        ours = _proposal(name, count)
        floor = f"{_ms(tpe)} (optuna's TPE)" if tpe else ""
        rows.append(
            Row(what=f"proposal {count} of {name}, CPU", ours=_ms(ours), peer=peer, floor=floor,
                ratio=ours / tpe if tpe else None, goal=f"<= {PROPOSAL_MS:g} ms",
                met=ours <= PROPOSAL_MS / 1e3, number=ours)
        )  # fmt: skip
    return rows


def _proposal(name: str, count: int) -> Median:
    command = [sys.executable, "-W", "ignore", "-c", _PROPOSE, name, str(count), str(_SAMPLES // 2)]
    done = subprocess.run(command, check=True, capture_output=True, env=gauge.environment(), cwd=gauge.CHECKOUT)
    return gauge.between(*json.loads(done.stdout))


def starting(scratch: str, _disk: str, size: Size) -> list[Row]:
    """`--help` of both, as whole processes."""
    script = os.path.join(os.path.dirname(sys.executable), "optuna")
    ours = next(iter(start.launchers().values()))
    commands = {"floor": gauge.FLOOR, "ours": [*ours, "--help"]}
    if os.access(script, os.X_OK):
        commands["optuna"] = [script, "--help"]
    del scratch
    taken = gauge.in_turns(commands, gauge.environment(), max(size.repeats // 3, 3))
    return [_against(taken, "--help beside optuna's")]


def importing(_scratch: str, _disk: str, size: Size) -> list[Row]:
    """What a notebook waits for."""
    commands = {"floor": gauge.FLOOR, "ours": [sys.executable, "-c", "import lab; lab.Lab"]}
    if _is_there("optuna"):
        commands["optuna"] = [sys.executable, "-c", "import optuna"]
    taken = gauge.in_turns(commands, gauge.environment(), max(size.repeats // 3, 3))
    return [_against(taken, "import lab, beside import optuna")]


def _against(taken: Mapping[str, Median], what: str) -> Row:
    peer = f"optuna {_ms(taken['optuna'])}" if "optuna" in taken else ""
    return Row(
        what=what, ours=_ms(taken["ours"]), peer=peer, floor=f"{_ms(taken['floor'])} (python -c pass)",
        ratio=taken["ours"] / taken["floor"], number=taken["ours"],
    )  # fmt: skip


def _is_there(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def _ms(seconds: float) -> str:
    return f"{1e3 * seconds:.2f} ms"


MEASURES: dict[str, Measure] = {"trial": trial, "proposal": proposal, "start": starting, "import": importing}


if __name__ == "__main__":
    program.run(__doc__, MEASURES)
