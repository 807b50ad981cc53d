"""`--help`, `status` and `list` are typed all day: they load the standard library and of it only what is quick.

The program runs with `-S`, so that no installed package can be imported at all, not even by a .pth file.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
COSTLY = {
    "asyncio", "dataclasses", "filelock", "inspect", "jinja2", "msgspec", "pathlib", "shtab", "socket", "subprocess",
    "typing", "yaml",
}  # fmt: skip
PROGRAM = """
import json, sys
sys.path.insert(0, sys.argv[1])
from lab.cli.main import main
try:
    code = main(sys.argv[2:])
except SystemExit as stop:
    code = stop.code or 0
print(json.dumps({"code": code, "modules": sorted(sys.modules)}), file=sys.stderr)
"""


def loaded(*command: str, folder: Path) -> set[str]:
    """The top-level modules that are in memory when the command is done."""
    arguments = [sys.executable, "-I", "-S", "-B", "-c", PROGRAM, str(CHECKOUT), *command]
    done = subprocess.run(arguments, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stderr.splitlines()[-1])
    assert told["code"] == 0, done.stderr
    return {name.partition(".")[0] for name in told["modules"]}


def labctl(*command: str, folder: Path) -> None:
    shim = str(CHECKOUT / "scripts" / "labctl.py")
    done = subprocess.run([sys.executable, shim, *command], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """A folder whose ./lab-data has been written and read once: what is measured is the everyday call."""
    labctl("init", folder=tmp_path)
    for template in sorted((CHECKOUT / "templates").glob("*.yaml"))[:1]:
        labctl("create", str(template), folder=tmp_path)
    claims = tmp_path / "lab-data" / "registry" / "locks" / "first"  # and an engine has a run of it
    claims.mkdir(parents=True)
    (claims / "00000001.claim").write_text("{}")
    (claims / "00000001.job").write_text(json.dumps({"run_id": "RUN-1", "engine": "slurm", "number": "7"}))
    return tmp_path


@pytest.mark.parametrize("command", [("--help",), ("status", "--help")], ids=" ".join)
def test_help_loads_nothing_that_costs_time(command: tuple[str, ...], tmp_path: Path) -> None:
    modules = loaded(*command, folder=tmp_path)
    assert not modules & COSTLY
    assert modules <= sys.stdlib_module_names | {"__main__", "lab"}


@pytest.mark.parametrize("command", [("status",), ("status", "--json"), ("list",)], ids=" ".join)
def test_reading_a_lab_loads_nothing_that_costs_time(command: tuple[str, ...], lab: Path) -> None:
    modules = loaded(*command, folder=lab)
    assert not modules & COSTLY
    assert modules <= sys.stdlib_module_names | {"__main__", "lab"}


def test_a_burst_loads_no_client_of_http() -> None:
    """Most runs ask nobody: `run-once` under cron would load one every few minutes for nothing."""
    program = "import sys; import lab.scheduler.search.burst, lab.api.experiment; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    assert not {"http.client", "urllib.request", "socket"} & set(done.stdout.split())


def test_a_turn_of_cron_loads_nothing_for_addresses_and_differences() -> None:
    """Each is a millisecond or two of every `run-once`, and most runs change no code and ask no service."""
    program = "import sys; import lab.scheduler.turn, lab.scheduler.work, lab.scheduler.visit; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    assert not {"difflib", "ipaddress", "urllib.parse", "jinja2"} & set(done.stdout.split())


# What only some turns need: code loops, trainings, workers, dead holders, failed programs, digests, pages anew.
NOT_OF_EVERY_TURN = {
    "calendar", "fnmatch", "jinja2", "tempfile", "urllib.parse",
    "lab.core.crash", "lab.core.glossary", "lab.core.race", "lab.core.spec_reading", "lab.core.spec_rules",
    "lab.core.trial", "lab.core.verdict",
    "lab.executors.leftovers", "lab.executors.sandbox", "lab.executors.tinker", "lab.executors.training",
    "lab.projections.autoresearch_summary", "lab.projections.digest", "lab.projections.runbook",
    "lab.scheduler.chaining.decided", "lab.scheduler.chaining.order", "lab.scheduler.digest",
    "lab.scheduler.loop.conduct", "lab.scheduler.placing", "lab.scheduler.search.plan",
    "lab.store.verify", "lab.tinker",
}  # fmt: skip
OTHER_RINGS = (
    "lab.api",
    "lab.engines",
    "lab.llm",
    "lab.mcp",
    "lab.research",
    "lab.strategies",
    "lab.testing",
    "lab.web",
)
MOST_OF_OURS = 161  # modules; it was 175 before those above were loaded only where they are used
# Types of fields that stand as text, which msgspec reads by compiling each: 20 us. It was 529 before the records that
# every turn reads were written in modules without `from __future__ import annotations`.
MOST_SPELLED = 24
TURN = """
import gc, json, sys
sys.path.insert(0, sys.argv[1])
from lab.cli import main
collected = []
threshold = gc.set_threshold
def noted(*given):
    threshold(*given)
    gc.callbacks.append(lambda phase, _: collected.append(phase))
gc.set_threshold = noted
spelled = []
def called(frame, event, _):
    if event == "call" and frame.f_code.co_name == "get_class_annotations":
        types = frame.f_locals["obj"].__annotations__
        spelled.extend(name for name, each in types.items() if isinstance(each, str))
sys.setprofile(called)
import os
def end(code):
    told = {"code": code, "collected": len(collected), "modules": sorted(sys.modules), "spelled": spelled}
    print(json.dumps(told), file=sys.stderr)
    sys.stderr.flush()
    raise SystemExit(code)
os._exit = end
sys.argv[1:] = sys.argv[2:]
main.entry()
"""


@pytest.mark.parametrize("due", [True, False], ids=["a run", "nothing due"])
@pytest.mark.parametrize("program", ["", "/bin/echo METRIC loss=0.5"], ids=["stub", "command"])
def test_a_turn_loads_what_it_needs_and_is_not_interrupted_to_look_for_garbage(
    program: str, due: bool, tmp_path: Path
) -> None:
    """Sixty modules of a third of a millisecond each, and one collection of 3 ms, were a third of a turn of cron."""
    labctl("init", folder=tmp_path)
    lines = ["id: first", "goal: g", "metric: loss", "metric_direction: minimize", "time_budget: 5m"]
    lines += [
        f"cadence: {'0s' if due else '30d'}",
        "max_iterations_total: 100",
        f"executor: {'command' if program else 'stub'}",
    ]
    lines += [f"executor_command: {program}"] if program else []
    (tmp_path / "first.yaml").write_text("\n".join(lines) + "\n")
    labctl("create", "first.yaml", folder=tmp_path)
    labctl("run-once", folder=tmp_path)  # the first run of a lab writes pages that later ones leave alone
    arguments = [sys.executable, "-I", "-B", "-c", TURN, str(CHECKOUT), "run-once"]
    done = subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert [line[:9] for line in done.stdout.splitlines()] == ["ran first"] * due
    told = json.loads(done.stderr.splitlines()[-1])
    modules = set(told["modules"])
    ours = {name for name in modules if name.partition(".")[0] == "lab"}
    assert not modules & NOT_OF_EVERY_TURN
    assert not {name for name in ours if name.startswith(OTHER_RINGS)}
    assert len(ours) <= MOST_OF_OURS, sorted(ours)
    assert told["collected"] == 0
    assert len(told["spelled"]) <= MOST_SPELLED, told["spelled"]
