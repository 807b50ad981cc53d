"""The command lines that hermes-lab documents, typed in its order, in a workspace like its example.

Its README's own demonstration ended with 20 failures, exit code 0, and a crash recorded as the best value. Here each
line does what it says.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
EVALUATE = """\
import json, pathlib
here = pathlib.Path(__file__).parent
point = json.loads((here / "config.json").read_text())
value = (1 - point["x"]) ** 2 + 100 * (point["y"] - point["x"] ** 2) ** 2
print(json.dumps({"value": value}))
"""
SPEC = """\
id: optimize-rosenbrock
goal: Find the lowest point of a curved valley
metric: value
metric_direction: minimize
cadence: 0.001s
time_budget_minutes: 1
max_iterations_total: 100
workspace_root: examples/optimize-function
executor_command: python3 evaluate.py
validation_command: python3 evaluate.py
mutable_paths:
  - config.json
worker_roles:
  - scout
"""


class Shell:
    """`python3 scripts/labctl.py`, in the folder where hermes-lab's users type it, and with its variable."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("LAB", "HERMES"))},
            "HERMES_LAB_DATA_ROOT": str(folder / "data"),
            "PATH": f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}",
        }

    def __call__(self, *words: str, code: int = 0, given: str = "") -> str:
        command = [sys.executable, str(CHECKOUT / "scripts/labctl.py"), *words]
        done = subprocess.run(
            command, cwd=self.folder, env=self.environ, input=given, capture_output=True, text=True, check=False
        )
        assert done.returncode == code, (words, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
        return done.stdout

    def data(self, *words: str, code: int = 0) -> dict[str, object]:
        found = json.loads(self(*words, "--json", code=code))["data"]
        assert isinstance(found, dict)
        return found


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    example = tmp_path / "examples/optimize-function"
    example.mkdir(parents=True)
    (example / "evaluate.py").write_text(EVALUATE)
    (example / "config.json").write_text('{"x": 0.0, "y": 0.5}\n')
    (example / "SPEC.yaml").write_text(SPEC)
    made = Shell(tmp_path)
    made("init")
    assert made("create", "examples/optimize-function/SPEC.yaml") == "created experiment: optimize-rosenbrock\n"
    return made


def test_the_demonstration_runs_and_its_value_is_the_one_it_printed(shell: Shell) -> None:
    assert shell("run-once", "--max-runs", "3").startswith("ran optimize-rosenbrock [default] as scout (success 26.0)")
    line = shell("list")
    assert "runs=1" in line
    assert "best=26.0" in line
    assert "26.0" in (shell.folder / "data/experiments/optimize-rosenbrock/best.md").read_text()


def test_a_crash_is_never_the_best(shell: Shell) -> None:
    shell("run-once")
    (shell.folder / "examples/optimize-function/config.json").write_text("{}")
    assert "(failed)" in shell("run-once", code=1)
    status = json.loads((shell.folder / "data/experiments/optimize-rosenbrock/STATUS.json").read_text())
    assert (status["best_metric_value"], status["last_outcome"], status["run_count"]) == (26.0, "failed", 2)


def test_steering_and_looking_in_the_words_of_its_readme(shell: Shell) -> None:
    name = "optimize-rosenbrock"
    assert shell("pause", name, "--reason", "lunch") == f"paused: {name}\n"
    assert shell("run-once") == ""
    assert shell("resume", name) == f"resumed: {name}\n"
    assert shell("run-once", "--executor-class", "default").startswith(f"ran {name}")
    for words in (["status"], ["list"], ["refresh"], ["watchdog", "--repair"], ["recover"], ["verify"]):
        shell(*words)
    assert shell("digest").startswith("digest written:")
    assert shell("weekly-digest").startswith("weekly digest written:")
    assert shell("complete", name).startswith("completed:")
    assert shell("run-once") == ""


def test_a_worker_takes_a_package_from_ready_to_sealed(shell: Shell) -> None:
    assert shell("dispatch-ready", "--max-runs", "3").startswith("queued dispatch DISPATCH-")
    did = shell("dispatch-claim", "--max-runs", "1", "--worker", "gpu-1").split()[0]
    package = next((shell.folder / "data/dispatch/running").iterdir())
    (package / "run/RESULT.md").write_text("# Done by hand\n\n## Next\n\nTry x = 1.\n")
    (package / "run/metrics.json").write_text('{"value": 4.0}')
    assert "complete" in shell("dispatch-complete", did, "--outcome", "success", "--worker", "gpu-1")
    assert "into optimize-rosenbrock/RUN-" in shell("dispatch-ingest")
    assert "best=4.0" in shell("list")
    assert "Try x = 1." in (shell.folder / "data/experiments/optimize-rosenbrock/NEXT.md").read_text()


def test_a_worker_runs_the_command_itself(shell: Shell) -> None:
    shell("dispatch-ready")
    assert "(success" in shell("dispatch-work", "--worker", "gpu-1")
    shell("dispatch-ingest")
    assert "best=26.0" in shell("list")


def test_an_agent_asks_for_work_and_hands_in_a_change(shell: Shell) -> None:
    task = shell.data("dispatch-agent-next", "--worker", "agent", "--experiment", "optimize-rosenbrock")
    assert (task["experiment"], task["metric"], task["metric_direction"]) == (
        "optimize-rosenbrock", "value", "minimize",
    )  # fmt: skip
    answer = {
        "dispatch_id": task["dispatch_id"],
        "changes": {"config.json": '{"x": 1.0, "y": 1.0}\n'},
        "reasoning": "that is where the valley ends",
    }
    (shell.folder / "answer.json").write_text(json.dumps(answer))
    done = shell.data("dispatch-agent-submit", "answer.json")
    assert (done["accepted"], done["candidate_value"], done["ingested"]) == (True, 0.0, True)
    assert (shell.folder / "examples/optimize-function/config.json").read_text() == '{"x": 0.0, "y": 0.5}\n'
    assert "best=0.0" in shell("list")
