"""Give every parser of the lab what nobody meant to give it: mutations of good inputs, led by what they reach.

    python scripts/trial/fuzz.py [--seconds 60] [--only NAME ...] [--seed N] [--json | --markdown]

With atheris (pip install atheris; it has wheels for Linux and Python up to 3.13) inputs that reach new edges are kept
and changed further; without it the same mutations are tried, and edges are not counted. The table of targets is
scripts/trial/fuzzing/table.py. `--seconds` is for each target.
"""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
import time
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING

if __name__ == "__main__":
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

from scripts.trial import report
from scripts.trial.fuzzing import mutate
from scripts.trial.fuzzing.table import TARGETS
from scripts.trial.fuzzing.target import judged, shown
from scripts.trial.report import Finding, Setting

if TYPE_CHECKING:
    from scripts.trial.fuzzing.target import Target

CHECKOUT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
SECONDS, QUICK_SECONDS = 60.0, 2.0
_PROMISE = "a value or an error of ours, within bounds, and it holds to its word"
_EDGES = re.compile(r"\bcov: ([0-9]+)")
_RUNS = re.compile(r"stat::number_of_executed_units: ([0-9]+)")
_KEPT = 400  # inputs that are changed further where nothing says which of them are worth it


def tried(name: str, setting: Setting) -> list[Finding]:
    """One target for its time."""
    target = TARGETS[name]
    seconds = setting.seconds or (QUICK_SECONDS if setting.quick else SECONDS)
    run = _guided if find_spec("atheris") else _unguided
    told, broken = run(target, seconds, setting)
    return [Finding(what=f"{name}: {target.what}", tried=told, promise=_PROMISE, broken=broken)]


def _guided(target: Target, seconds: float, setting: Setting) -> tuple[str, list[str]]:
    folder = f"{setting.scratch}/{target.name}"
    os.makedirs(folder, exist_ok=True)
    module = target.read.__module__
    what = (module, target.name, str(int(seconds)), str(setting.seed), folder)
    command = [sys.executable, "-m", "scripts.trial.fuzzing.guided", *what]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, check=False)
    said = done.stderr.decode(errors="replace")
    broken = []
    if os.path.exists(f"{folder}/broken.jsonl"):
        with open(f"{folder}/broken.jsonl", encoding="utf-8") as file:
            found = [json.loads(line) for line in file]
        broken = [f"{each['wrong']}; of {shown(bytes.fromhex(each['input']))}" for each in found]
    for left in sorted(os.listdir(folder)):
        if left.startswith(("timeout-", "oom-", "crash-", "leak-")):
            with open(f"{folder}/{left}", "rb") as kept:
                broken.append(f"{left.partition('-')[0]}: of {shown(kept.read())}")
    runs, edges = _RUNS.findall(said), _EDGES.findall(said)
    if not runs and not broken:
        broken.append(f"it did not run: {said[-500:]}")
    return f"{int(runs[-1] if runs else 0):,} inputs, {int(edges[-1] if edges else 0):,} edges", broken


def _unguided(target: Target, seconds: float, setting: Setting) -> tuple[str, list[str]]:
    chance = random.Random(setting.seed)
    words = [word.encode() for word in target.words]
    rests = [seed[target.head :] for seed in target.seeds]
    kept = list(target.seeds)
    found: dict[str, tuple[str, bytes]] = {}
    count, until_s = 0, time.monotonic() + seconds
    while time.monotonic() < until_s:
        base = chance.choice(kept)
        data = (base[: target.head] + mutate.changed(base[target.head :], chance, words, rests))[: target.most]
        wrong = judged(target, data)
        count += 1
        where = wrong.rpartition(" at ")[2] if " at " in wrong else wrong[:30]
        if wrong and (where not in found or len(data) < len(found[where][1])):
            found[where] = (wrong, data)
        elif not wrong and len(kept) < _KEPT and chance.random() < 0.02:  # noqa: PLR2004  # now and then one goes on
            kept.append(data)
    return f"{count:,} inputs", [f"{wrong}; of {shown(data)}" for wrong, data in found.values()]


if __name__ == "__main__":
    report.run(__doc__, {name: partial(tried, name) for name in TARGETS})
