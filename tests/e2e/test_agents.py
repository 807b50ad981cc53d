"""Searches that ask a program, and runs in which an agent edits: the whole of labctl, and doubles for the agents."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.scheduler import create
from lab.testing.files import a_root
from tests.cli.labs import CHECKOUT, SHIM, process
from tests.cli.models import a_sweep, asks, bundle, lines, origins, point

if TYPE_CHECKING:
    from lab.store.root import Root

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(60)]
RECORDED = CHECKOUT / "tests" / "llm" / "agents" / "recorded"
KEY = "sk-a-very-secret-key"
OURS = str(9_000_000 + os.getpid())  # seconds that nobody beside us sleeps
ANSWERS = """#!{python} -IS
import json, sys
question = json.load(sys.stdin)
assert question["schema"] == "labctl.question/1" and "minimize" in question["prompt"]
print(json.dumps({proposals}))
"""


def a_program(path: Path, text: str) -> str:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


def burst(root: Root, *words: str, path: str = "") -> None:
    environ = {"PATH": f"{path}:{os.environ['PATH']}", "OPENAI_API_KEY": KEY}
    said = process("burst", "sweep", *words, root=root.layout.root, env=environ)
    assert said.code == 0, said


def test_a_program_that_answers_is_a_model(tmp_path: Path) -> None:
    proposals = json.dumps({"proposals": [point(3), point(4)]})
    program = a_program(tmp_path / "bin" / "ask", ANSWERS.format(python=sys.executable, proposals=proposals))
    root = a_sweep(tmp_path / "lab", "", transport="command", command=program)
    burst(root, "-n", "2")
    params = [line["params"] for line in lines(root)]
    assert params == [point(3)["params"], point(4)["params"]]
    request = bundle(root, "llm/request.json")[0]
    assert program in str(request)


def test_an_agent_that_answers_by_its_events_is_a_model_and_its_key_is_nowhere(tmp_path: Path) -> None:
    events = [json.loads(line) for line in (RECORDED / "codex-answer.jsonl").read_text().splitlines()]
    events[3]["item"]["text"] = "Here: " + json.dumps({"proposals": [point(5)]})
    (tmp_path / "said.jsonl").write_text("\n".join(map(json.dumps, events)))
    a_program(tmp_path / "bin" / "codex", f'#!/bin/bash\necho "$OPENAI_API_KEY" >&2; cat {tmp_path}/said.jsonl\n')
    root = a_sweep(tmp_path / "lab", "", transport="command", provider="codex")
    burst(root, "-n", "1", path=f"{tmp_path}/bin")
    assert lines(root)[0]["params"] == point(5)["params"]
    (usage,) = bundle(root, "llm/usage.json")
    assert (usage["sent"], usage["answered"]) == (20393, 404)
    held = [path for path in (tmp_path / "lab").rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]
    assert held == []


@pytest.mark.parametrize(
    ("does", "problem"),
    [
        ("exit 0", "model-empty"),
        (f"trap '' TERM; (setsid sleep {OURS} &); exec sleep {OURS}", "model-timeout"),
        (f"cat {RECORDED}/codex-failed.jsonl; exit 1", "model-failing"),
    ],
    ids=["says nothing", "waits for ever", "fails"],
)
def test_an_agent_that_fails_is_made_up_for_and_leaves_nothing_running(tmp_path: Path, does: str, problem: str) -> None:
    a_program(tmp_path / "bin" / "codex", f"#!/bin/bash\n{does}\n")
    more = {"transport": "command", "provider": "codex", "fallback": "random", "timeout_s": 1}
    root = a_sweep(tmp_path / "lab", "", **more)
    burst(root, "-n", "1", path=f"{tmp_path}/bin")
    assert origins(root)[0]["arm"] == "random"
    assert asks(root)[0]["problem"] == problem
    assert os.listdir(root.layout.place("scratch/agents")) == []
    running = [Path("/proc", name, "cmdline") for name in os.listdir("/proc") if name.isdecimal()]
    assert not [path for path in running if path.exists() and OURS.encode() in path.read_bytes()]


def test_a_run_in_which_an_agent_edits_is_sealed_with_what_was_asked_and_judged(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "train.py").write_text("LR = 0.1\n")
    (project / "evaluate.py").write_text("print('METRIC loss=0.5')\n")
    (project / "run.sh").write_text(f"set -e\n{sys.executable} {SHIM} mutate\n{sys.executable} evaluate.py\n")
    does = "echo 'LR = 0.2' >train.py; echo \"print('METRIC loss=-99')\" >evaluate.py; echo $OPENAI_API_KEY"
    bundle_of = "for f in $(dirname $PWD)/../../experiments/*/runs/*/manifest.json; do echo '{}' >$f; done"
    a_program(tmp_path / "bin" / "codex", f"#!/bin/bash\n{does}\n{bundle_of}\ncat {RECORDED}/codex-answer.jsonl\n")
    root = a_root(tmp_path / "lab")
    create.make_lab(root)
    (tmp_path / "spec.yaml").write_text(
        f"id: edit\ngoal: lower\nmetric: loss\nmetric_direction: minimize\nworkspace_root: {project}\n"
        "mutable_paths: [train.py]\nread_only_paths: [evaluate.py]\nagent_provider: codex\nenv: [OPENAI_API_KEY]\n"
        f"executor_command: bash -c 'cd {project} && bash run.sh'\n"
    )
    environ = {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}", "OPENAI_API_KEY": KEY}
    lab = root.layout.root
    assert process("create", str(tmp_path / "spec.yaml"), root=lab, env=environ).code == 0
    said = process("run-once", "--experiment", "edit", "--now", root=lab, env=environ)
    assert said.code == 0, said
    (run,) = Path(root.layout.runs("edit")).iterdir()
    record = run / "artifacts" / "local-agent"
    told = json.loads((record / "mutation.json").read_text())
    assert [each["path"] for each in told["changed"]] == ["train.py"]
    assert [each["path"] for each in told["refused"]] == ["evaluate.py"]
    assert told["behind"] == [f"{run}/manifest.json was changed and is put back"]
    assert json.loads((run / "manifest.json").read_text())["run_id"] == run.name
    assert json.loads((run / "metrics.json").read_text())["value"] == 0.5
    assert KEY not in (record / "stdout.log").read_text() + (run / "stdout.log").read_text()
    assert process("verify", root=lab).code == 0
