"""How the lab lies there before a verb of the table is typed."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

from tests.crash.rows import SPACE, STUB, experiment, git, in_child, joined, lab, listed, python, typing, write

JOURNAL = """\
{"op_code":0,"worker_id":"w","study_name":"s","directions":[1]}
{"op_code":4,"worker_id":"w","study_id":0,"datetime_start":"2026-01-02T03:04:05.000000+00:00","state":1,"value":0.125,\
"values":null,"datetime_complete":"2026-01-02T03:04:06.000000+00:00","distributions":{},"params":{},"user_attrs":{},\
"system_attrs":{},"intermediate_values":{}}
"""
# As the real one: it takes a file, or tells it. The one of the machine is nobody's to try things with.
CRONTAB = """\
#!/bin/sh
place="$HOME/crontab"
case "$1" in
  -l) test -f "$place" && cat "$place" || { echo "no crontab for ann" >&2; exit 1; } ;;
  -) cat > "$place.new" && mv "$place.new" "$place" ;;
  *) cat "$1" > "$place.new" && mv "$place.new" "$place" ;;
esac
"""
# Never twice the same, or the loop would say so.
LESS = """\
echo "$(cat value) $(date +%N)" | awk '{printf "%.9f\\n", $1 - 1 - $2 / 1e9}' > value.new
mv value.new value
"""


def empty(box: str) -> None:
    del box


def made(box: str) -> None:
    lab(box, "init")


def sweep(box: str) -> None:
    """A search, and nothing run yet."""
    made(box)
    experiment(box, more=STUB + SPACE)
    write(box, "work/params.json", '{"lr": 0.5, "depth": 2}')


def ran(box: str, runs: int = 2) -> None:
    sweep(box)
    lab(box, "burst", "sweep", "-n", str(runs), "--strategy", "random", "--seed", "1")


def printed(box: str) -> None:
    """One whose runs are programs."""
    made(box)
    experiment(box, more='executor_command: "echo METRIC loss=0.5"\n')
    lab(box, "run-once")


def new_spec(box: str) -> None:
    made(box)
    write(box, "work/sweep.yaml", f"id: sweep\ngoal: g\nmetric: loss\nmetric_direction: minimize\n{STUB}")


def begun(box: str, owner: str = "dead") -> None:
    """A run that was begun, and nobody ended."""
    ran(box)
    in_child(_begun, f"{box}/lab", owner)


def _begun(path: str, owner: str) -> int:
    from lab.scheduler import cycle
    from tests.crash.driver import open_root
    from tests.scheduler import labs

    cycle.begin(open_root(path), "sweep", owner=getattr(labs, owner)())
    return 0


def abroad(box: str) -> None:
    begun(box, "foreign")


def broken_pages(box: str) -> None:
    ran(box)
    os.unlink(f"{box}/lab/LAB-INDEX.json")
    os.unlink(f"{box}/lab/experiments/sweep/STATUS.json")
    os.unlink(f"{box}/lab/experiments/sweep/metrics.jsonl")


# -- beside the lab -------------------------------------------------------------------------------------------------


def old_root(box: str) -> None:
    from tests.cli.hermes_root import a_hermes_root

    made(box)
    a_hermes_root(Path(f"{box}/work/old"))


def two_copies(box: str) -> None:
    """A lab and a copy of it; both were worked on since, and the copy has an experiment of its own."""
    ran(box)
    shutil.copytree(f"{box}/lab", f"{box}/work/copy", symlinks=True)
    experiment(box, "other")
    lab(box, "burst", "other", "-n", "1")
    for words in (
        ("burst", "sweep", "-n", "2"),
        ("create", "other.yaml", "--id", "away"),
        ("burst", "away", "-n", "1"),
    ):
        lab(box, "--data-root", "copy", *words)


def journal(box: str) -> None:
    ran(box)
    write(box, "work/journal.log", JOURNAL)


def crontab(box: str) -> None:
    made(box)
    write(box, "home/bin/crontab", CRONTAB, runs=True)
    write(box, "home/crontab", "# mine\n5 4 * * * true\n")


def scheduled(box: str) -> None:
    crontab(box)
    lab(box, "schedule", "install", "--backend", "cron")


def settings(box: str) -> None:
    made(box)
    write(box, "work/.mcp.json", '{"mcpServers": {"mine": {"command": "true"}}}\n')


def old_skills(box: str) -> None:
    """A copy that somebody changed."""
    made(box)
    lab(box, "skills", "install", "--claude")
    with open(f"{box}/work/.agents/skills/labctl-operate/SKILL.md", "a", encoding="utf-8") as file:
        file.write("\nmine\n")


# -- a person's word ------------------------------------------------------------------------------------------------


def proposed(box: str) -> None:
    ran(box)
    lab(box, "propose", "sweep", "--params", "params.json")


def guided(box: str) -> None:
    """A search that asked, and was answered."""
    ran(box)
    lab(box, "guided", "sweep", "-n", "1", "--wait", "0", code=3)
    lab(box, "approve", "sweep-1")


def noted(box: str) -> None:
    made(box)
    write(box, "lab/control/notify.json", '{"channels": [{"name": "me", "command": ["sh", "-c", "cat >> told"]}]}')


# -- packages -------------------------------------------------------------------------------------------------------


def queued(box: str) -> None:
    ran(box)
    lab(box, "dispatch-ready", "--experiment", "sweep", "--now")


def claimed(box: str) -> None:
    queued(box)
    lab(box, "dispatch-claim", "--worker", "w1")


def did(box: str) -> str:
    """The id of the one package that there is."""
    for stage in ("ready", "running", "complete"):
        for name in listed(f"{box}/lab/dispatch/{stage}"):
            if not name.startswith("."):
                return name.split("@")[0]
    raise AssertionError("there is no package")


def package_of(box: str, stage: str) -> str:
    name, folder = did(box), f"{box}/lab/dispatch/{stage}"
    return f"{folder}/{next(each for each in listed(folder) if each.startswith(name))}"


def filled(box: str) -> None:
    claimed(box)
    folder = package_of(box, "running")
    for name, text in {"RESULT.md": "# Done\n\n## Next\n\nGo on.\n", "metrics.json": '{"loss": 0.25}'}.items():
        write(folder, f"run/{name}", text)


def completed(box: str) -> None:
    filled(box)
    lab(box, "dispatch-complete", did(box), "--worker", "w1")


def returned(box: str) -> None:
    """One that travelled, and came back as a tar."""
    claimed(box)
    name = did(box)
    lab(box, "dispatch-pack", name, "--worker", "w1")
    os.system(f"cd {box}/work && tar xf {name}.tar")  # noqa: S605  # what a person types there
    lab(box, "dispatch-work", "--package", name)


def packed_apart(box: str) -> None:
    claimed(box)
    name = did(box)
    lab(box, "dispatch-pack", name, "--worker", "w1")
    os.system(f"cd {box}/work && tar xf {name}.tar")  # noqa: S605


def for_agents(box: str) -> None:
    made(box)
    write(box, "work/ws/model.txt", "5\n")
    more = f"workspace_root: {box}/work/ws\nvalidation_command: cat model.txt\nmutable_paths: [model.txt]\n"
    experiment(box, "loop", more)


def handed_to_agent(box: str) -> None:
    for_agents(box)
    task = json.loads(lab(box, "dispatch-agent-next", "--experiment", "loop"))
    change = {"dispatch_id": task["dispatch_id"], "changes": {"model.txt": "3\n"}, "reasoning": "less"}
    write(box, "work/change.json", json.dumps(change))


def posted(box: str) -> None:
    """A courier has something to send."""
    made(box)
    experiment(box, "away", STUB)
    os.makedirs(f"{box}/work/in")


def arrived(box: str) -> None:
    """A worker where no lab is has something to do."""
    posted(box)
    lab(box, "courier", "post", "--experiment", "away", "--send", f"mv {{file}} {box}/work/in/")


def answered(box: str) -> None:
    """The answer is there."""
    arrived(box)
    lab(box, "worker", "--inbox", "in", "--until-idle", "0", "--send", "mv {file} post")


def placed(box: str) -> None:
    ran(box)
    in_child(_placed, f"{box}/lab")


def _placed(path: str) -> int:
    from tests.cli.handed import handed
    from tests.crash.driver import open_root

    handed(open_root(path), "sweep", number="7", params={"lr": 0.5, "depth": 2})
    return 0


def under_way(box: str) -> str:
    """The run that nobody has ended."""
    runs = f"{box}/lab/experiments/sweep/runs"
    return next(name for name in listed(runs) if not os.path.exists(f"{runs}/{name}/SEAL.json"))


# -- code -----------------------------------------------------------------------------------------------------------


def code(box: str) -> None:
    """A repository with one number in it, and what prints that number and lowers it."""
    made(box)
    write(box, "work/code/value", "50\n")
    write(box, "work/code/measure.sh", 'echo "METRIC cost=$(cat value)"\n')
    write(box, "work/code/less.sh", LESS)
    git(f"{box}/work/code", "init", "-q", "-b", "main")
    git(f"{box}/work/code", "add", ".")
    git(f"{box}/work/code", "commit", "-q", "-m", "as it was")


LOOP = (
    "autoresearch", "start", "--workspace", "code", "--id", "loop", "--mutate", "sh less.sh", "--yes",
    "--edit", "value", "--metric", "cost", "--direction", "lower", "--measure", "sh measure.sh",
)  # fmt: skip


def loop(box: str) -> None:
    code(box)
    lab(box, *LOOP)


def measured(box: str) -> None:
    """The baseline alone."""
    loop(box)
    lab(box, "burst", "loop", "-n", "1")


def looped(box: str) -> None:
    """The baseline and one kept change."""
    loop(box)
    lab(box, "burst", "loop", "-n", "3")


def trying(box: str) -> None:
    loop(box)
    lab(box, "burst", "loop", "-n", "1")
    told = json.loads(lab(box, "try", "loop", "--begin", "--json"))["data"]["begun"]
    write(told["tree"], "value", "40\n")


def logged(box: str) -> None:
    code(box)
    write(box, "work/results.tsv", "commit\tcost\tmemory_gb\tstatus\tdescription\na1b2c3d\t5.0\t1.0\tkeep\tx\n")


# -- research -------------------------------------------------------------------------------------------------------

REST = "implementation, training, evaluation, iteration, writing, publishing"


def project(box: str) -> None:
    """A project of the two phases that take no time, with a gate between them."""
    made(box)
    lab(box, "research", "new", "mine", "--mode", "A", "--topic", "why", "--offline", "--gate", "ideation")
    with open(f"{box}/work/mine/project.yaml", "a", encoding="utf-8") as file:
        file.write(f"skip: [{REST}]\n")


def gated(box: str) -> None:
    project(box)
    lab(box, "research", "run", "mine")


def closed(box: str) -> None:
    """A project at its end, with something given anew."""
    gated(box)
    lab(box, "research", "approve", "mine")
    lab(box, "research", "run", "mine")
    _told(box, 'topic: "why"', 'topic: "why not"')


def _told(box: str, old: str, new: str) -> None:
    """An edit of the project's own file."""
    with open(f"{box}/work/mine/project.yaml", encoding="utf-8") as file:
        text = file.read()
    assert old in text, text
    write(box, "work/mine/project.yaml", text.replace(old, new))


def releasing(box: str) -> None:
    """A project that goes straight to its last phase, and a remote to send to."""
    made(box)
    remote = f"{box}/work/remote.git"
    git(f"{box}/work", "init", "-q", "--bare", "-b", "main", remote)
    lab(box, "research", "new", "mine", "--mode", "A", "--topic", "why", "--offline")
    write(box, "work/mine/a.txt", "a\n")
    skipped = "literature, ideation, implementation, training, evaluation, iteration, writing"
    _told(box, "publish: {}\n", f"skip: [{skipped}]\npublish:\n  to: git\n  remote: {remote}\n  files: [a.txt]\n")


def listed_release(box: str) -> None:
    releasing(box)
    lab(box, "research", "run", "mine")


def hash_of(box: str) -> str:
    told = lab(box, "research", "publish", "mine", "--json")
    found = re.search("--release ([0-9a-f]+)", told)
    assert found, told
    return found[1]


def approved_release(box: str) -> None:
    listed_release(box)
    lab(box, "research", "approve", "mine", "--release", hash_of(box))


# -- training -------------------------------------------------------------------------------------------------------


def service(box: str) -> None:
    """The local server with arithmetic for models; it lives as long as the process that made the box."""
    from tests.crash.services import url
    from tests.tinker.cli.trained import RECIPE

    made(box)
    write(box, "work/code/recipe.py", RECIPE)
    write(box, "work/code/data.txt", "5 6 7 8 9 10 11")
    told = f"tinker: {{base_url: '{url()}', base_model: tiny/qwen3, steps: 6, chunk_steps: 4}}\n"
    experiment(box, "sft", f"executor: tinker\nworkspace_root: {box}/work/code\nexecutor_command: recipe.py\n{told}")


def chunked(box: str) -> None:
    service(box)
    lab(box, "run-once", "--experiment", "sft", "--now")


def many(box: str) -> None:
    ran(box, 8)


def pruned(box: str) -> None:
    many(box)
    lab(box, "prune", "--keep", "5", "--yes")


def archive(box: str) -> str:
    return next(name for name in listed(f"{box}/lab/backups") if name.endswith(".tar"))


def paused(box: str) -> None:
    ran(box)
    lab(box, "pause", "sweep")


ASKED_TIER = joined(ran, typing(("propose", "sweep", "--tier", "final")))
PYTHON = python()
