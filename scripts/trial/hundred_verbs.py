"""What the verbs of the table find: the small things that are made before one of them is typed in the large lab."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING

from scripts.trial.hundred_ground import BIG

if TYPE_CHECKING:
    from collections.abc import Callable

    from scripts.trial.hundred_box import Act, Box

LOOK, PAGE, ALL, RUN, ASIDE = "a look", "a page", "everything", "a run", "no lab"
# What it ought to take: CPU seconds, and MB. Runs and what no lab is needed for take what their programs take.
OUGHT: dict[str, tuple[float, float]] = {LOOK: (0.3, 300), PAGE: (3.0, 300), ALL: (60.0, 300), RUN: (3.0, 300)}
JOURNAL = """\
{"op_code":0,"worker_id":"w","study_name":"s","directions":[1]}
{"op_code":4,"worker_id":"w","study_id":0,"datetime_start":"2026-01-02T03:04:05.000000+00:00","state":1,"value":0.125,\
"values":null,"datetime_complete":"2026-01-02T03:04:06.000000+00:00","distributions":{},"params":{},"user_attrs":{},\
"system_attrs":{},"intermediate_values":{}}
"""
NEW = "id: {id}\nmetric: loss\nmetric_direction: minimize\n{more}"
STUB = "executor: stub\nsearch_space: {lr: {low: 0.0001, high: 1.0, log: true}}\n"
SERVICE = "executor: tinker\nworkspace_root: code\nexecutor_command: recipe.py\ntinker: {base_url: 'http://127.0.0.1:9'"
KEPT = ("--folder", "kept")
MUTATE = ("--mutate", "sh less.sh")
LESS = """\
echo "$(cat value) $(date +%N)" | awk '{printf "%.9f\\n", $1 - 1 - $2 / 1e9}' > value.new
mv value.new value
"""
CODE = "cd code && git init -q -b main && git add . && git commit -q -m 'as it was'"
START = ("--workspace", "code", "--metric", "cost", "--direction", "lower", "--measure", "sh measure.sh")
HELD = """\
import sys
from lab.scheduler import cycle
from scripts.bench import grow
from tests.scheduler.labs import foreign
cycle.begin(grow.open_root(sys.argv[1], durable=False), "held", owner=foreign())
"""
PLACED = """\
import sys
from scripts.bench import grow
from tests.cli.handed import handed
handed(grow.open_root(sys.argv[1], durable=False), "placed", number="7", params={"lr": 0.5})
"""
SKIPPED = "implementation, training, evaluation, iteration, writing, publishing"


def spec(box: Box, name: str, more: str = STUB) -> None:
    box.write(f"{name}.yaml", NEW.format(id=name, more=more))
    box.type("create", f"{name}.yaml")


def typed(*commands: tuple[str, ...]) -> Act:
    def act(box: Box) -> None:
        for words in commands:
            box.type(*words)

    return act


def code(box: Box) -> None:
    """A repository with one number in it."""
    box.write("code/value", "50\n")
    box.write("code/measure.sh", 'echo "METRIC cost=$(cat value)"\n')
    box.write("code/less.sh", LESS)
    box.shell(CODE)


def logged(box: Box) -> None:
    box.write("results.tsv", "commit\tcost\tmemory_gb\tstatus\tdescription\na1b2c3d\t5.0\t1.0\tkeep\tx\n")


def old_root(box: Box) -> None:
    box.python(
        "import sys; from pathlib import Path; from tests.cli.hermes_root import a_hermes_root as made; "
        "made(Path(sys.argv[1]))",
        f"{box.work}/old",
    )


def tree(box: Box) -> None:
    told = json.loads(box.type("try", "code", "--list", "--json"))["data"]
    box.write(f"{told['trees'][0]['tree']}/value", "40\n")


def gated(box: Box) -> None:
    with open(f"{box.work}/mine/project.yaml", "a", encoding="utf-8") as file:
        file.write(f"skip: [{SKIPPED}]\n")


def long_run(box: Box) -> None:
    """A run that goes on until somebody cancels it."""
    spec(box, "slow", "executor_command: sleep 600\n")
    box.start("run-once", "--experiment", "slow", "--now", "--quiet")
    runs = f"{box.lab}/experiments/slow/runs"
    while not (os.path.isdir(runs) and os.listdir(runs)):
        time.sleep(0.05)


def filled(box: Box) -> None:
    folder = f"{box.lab}/dispatch/running"
    name = next(each for each in os.listdir(folder) if each.startswith(box.package()))
    box.write(f"{folder}/{name}/run/RESULT.md", "# Done\n")
    box.write(f"{folder}/{name}/run/metrics.json", '{"loss": 0.25}')


def away(box: Box) -> None:
    """A package that travelled, and was worked on where no lab is."""
    box.shell(f"tar xf {box.package()}.tar")
    box.type("dispatch-work", "--package", box.package())


def agents(box: Box) -> None:
    box.write("ws/model.txt", "5\n")
    more = f"workspace_root: {box.work}/ws\nvalidation_command: cat model.txt\nmutable_paths: [model.txt]\n"
    spec(box, "agents", more)


def handed(box: Box) -> None:
    task = json.loads(box.type("dispatch-agent-next", "--experiment", "agents", "--again"))
    change = {"dispatch_id": task["dispatch_id"], "changes": {"model.txt": "3\n"}, "reasoning": "less"}
    box.write("change.json", json.dumps(change))


def lost(box: Box) -> None:
    """Pages of the largest experiment are gone."""
    for name in ("LAB-INDEX.json", f"experiments/{BIG}/STATUS.json", f"experiments/{BIG}/metrics.jsonl"):
        os.unlink(f"{box.lab}/{name}")


def placed(box: Box) -> None:
    spec(box, "placed")
    box.python(PLACED, box.lab)


def open_run(box: Box, experiment: str) -> str:
    """The run of it that nobody has ended."""
    folder = f"{box.lab}/experiments/{experiment}/runs"
    return next(name for name in os.listdir(folder) if not os.path.exists(f"{folder}/{name}/SEAL.json"))


def first(*words: str, many: int = 1) -> Callable[[Box], tuple[str, ...]]:
    """Words with runs of the largest experiment after them: one of the first, one of the last."""

    def of(box: Box) -> tuple[str, ...]:
        runs = box.runs(BIG)
        return (*words, *(runs[9], runs[-9])[:many])

    return of


def archive_of(box: Box, experiment: str) -> str:
    return next(name for name in os.listdir(f"{box.lab}/backups") if name.startswith(f"runs-{experiment}-"))


def noted(box: Box) -> None:
    channel = {"name": "me", "command": ["sh", "-c", "cat > /dev/null"]}
    box.write(f"{box.lab}/control/notify.json", json.dumps({"channels": [channel]}))


def held(box: Box) -> None:
    """A run of a machine of which nothing can be known."""
    spec(box, "held")
    box.python(HELD, box.lab)


def training(box: Box) -> None:
    """A training at a service that does not answer."""
    box.write("code/recipe.py", "")
    spec(box, "sft", f"{SERVICE}, base_model: tiny, steps: 6, chunk_steps: 4}}\n")
