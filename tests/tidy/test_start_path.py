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
