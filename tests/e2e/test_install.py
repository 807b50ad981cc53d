"""The wheel as a stranger gets it: built, looked into, installed, used far from the checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.heavy, pytest.mark.timeout(180), pytest.mark.xdist_group("install")]


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, CHECKOUT, cwd=folder)
    (built,) = folder.glob("labctl-*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command `labctl` in an environment of its own, which borrows the dependencies of this one to be quick."""
    folder = tmp_path_factory.mktemp("installed")
    run(sys.executable, "-m", "venv", "--without-pip", folder / "venv", cwd=folder)
    python = folder / "venv" / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python)
    run(*pip, "install", "--no-deps", "--no-index", wheel, cwd=folder)
    theirs = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip()
    # Last on the path, and a line of a .pth is not followed further: the editable checkout stays out of reach.
    Path(theirs, "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return folder / "venv" / "bin" / "labctl"


def test_the_wheel_carries_every_template_and_nothing_of_the_checkout(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    shipped = [path for name in ("templates", "config") for path in (CHECKOUT / name).rglob("*") if path.is_file()]
    expected = {f"lab/{path.relative_to(CHECKOUT)}" for path in shipped}
    assert expected
    assert {name for name in expected if "__pycache__" not in name} <= names
    assert {name.split("/")[0].split("-")[0] for name in names} == {"lab", "labctl"}


def test_the_wheel_carries_what_pages_are_made_of(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    web = CHECKOUT / "lab" / "web"
    parts = [path for name in ("templates", "static", "vendor") for path in (web / name).rglob("*") if path.is_file()]
    assert len(parts) > 20
    assert {str(path.relative_to(CHECKOUT)) for path in parts} <= names


def test_the_wheel_carries_the_skills_where_tools_look_that_search_packages_for_some(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        carried = {name: archive.read(name) for name in archive.namelist() if name.startswith("lab/.agents/")}
    skills = CHECKOUT / "templates" / "skills"
    assert carried == {
        f"lab/.agents/skills/{path.relative_to(skills)}": path.read_bytes()
        for path in skills.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_an_installed_labctl_makes_a_lab_in_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    run(installed, "init", cwd=tmp_path)
    assert isinstance(json.loads(run(installed, "status", "--json", cwd=tmp_path)), dict)
    assert os.listdir(tmp_path) == ["lab-data"]


def test_an_installed_labctl_finds_its_own_templates(installed: Path, tmp_path: Path) -> None:
    program = (
        "import lab, lab.store.shipped as s; print(lab.__file__, len([s.read_template(n) for n in s.templates()]))"
    )
    file, count = run(installed.parent / "python", "-I", "-c", program, cwd=tmp_path).split()
    assert not Path(file).is_relative_to(CHECKOUT)
    assert int(count) == len(list((CHECKOUT / "templates").glob("*.yaml")))


@pytest.mark.parametrize("name", ["gpu-training", "templates/gpu-training"])
def test_an_installed_labctl_copies_a_template_that_is_a_folder(installed: Path, tmp_path: Path, name: str) -> None:
    run(installed, "init", cwd=tmp_path)
    assert "gpu-training" in run(installed, "create", "--list", cwd=tmp_path)
    told = json.loads(run(installed, "create", name, "--json", cwd=tmp_path))["data"]
    assert told["copied"] == str(tmp_path / "gpu-training")
    shipped = (CHECKOUT / "templates" / "gpu-training").iterdir()
    assert set(os.listdir(tmp_path / "gpu-training")) == {path.name for path in shipped if path.is_file()}
    spec = tmp_path / "gpu-training" / "SPEC.yaml"
    assert spec.read_bytes() == (CHECKOUT / "templates" / "gpu-training" / "SPEC.yaml").read_bytes()


def test_an_installed_labctl_installs_its_skills_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    told = json.loads(run(installed, "skills", "show", "labctl-operate", "--json", cwd=tmp_path))["data"]
    assert told["summary"]["path"] == "lab/.agents/skills/labctl-operate/SKILL.md"
    assert not Path(told["source"]["root"]).is_relative_to(CHECKOUT)
    run(installed, "skills", "install", "--claude", cwd=tmp_path)
    copied = (tmp_path / ".claude" / "skills" / "labctl-operate" / "SKILL.md").read_bytes()
    assert copied == (CHECKOUT / "templates" / "skills" / "labctl-operate" / "SKILL.md").read_bytes()
