"""SPECs written for hermes-lab, and the shipped templates: `labctl create` takes each as it is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
SPECS = sorted((CHECKOUT / "tests/fixtures/hermes").glob("*.yaml")) + sorted((CHECKOUT / "templates").glob("*.yaml"))


def labctl(*words: str, folder: Path) -> str:
    """`labctl` as a user types it, in a process of its own."""
    command = [sys.executable, str(CHECKOUT / "scripts/labctl.py"), *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("spec", SPECS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_spec_is_created_unchanged(spec: Path, tmp_path: Path) -> None:
    labctl("init", folder=tmp_path)
    said = labctl("create", str(spec), folder=tmp_path)
    name = said.removeprefix("created experiment: ").strip()
    assert (tmp_path / "lab-data/experiments" / name / "SPEC.yaml").read_bytes() == spec.read_bytes()
    assert labctl("list", folder=tmp_path).startswith(f"{name}\tqueued\t")
    labctl("show", name, folder=tmp_path)
    labctl("verify", folder=tmp_path)


@pytest.mark.parametrize("template", [path.stem for path in SPECS if path.parent.name == "templates"])
def test_a_template_is_created_by_its_name(template: str, tmp_path: Path) -> None:
    labctl("init", folder=tmp_path)
    assert labctl("create", template, "--id", "mine", folder=tmp_path) == "created experiment: mine\n"
