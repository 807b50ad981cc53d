"""The wheel and the sdist as a stranger gets them: built, looked into, installed by pip, used far from the checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from lab.core.version import __version__

CHECKOUT = Path(__file__).resolve().parents[2]
NO_INDEX = ("No matching distribution found", "NewConnectionError", "Temporary failure in name resolution")
CONSUMER = """\
from __future__ import annotations

import lab


def best(name: str) -> dict[str, object]:
    home = lab.Lab()
    sweep: lab.Experiment = home[name]
    made: lab.Burst = sweep.run(3, strategy="random")
    for row in sweep.table():
        value: str | float | None = row["value"]
        assert value is None or made.succeeded
    with sweep.trial() as trial:
        trial.report(loss=0.5)
    try:
        return sweep.best().params
    except lab.LabError as error:
        raise SystemExit(error.fix) from error
"""
pytestmark = [pytest.mark.heavy, pytest.mark.timeout(300), pytest.mark.xdist_group("install")]


def run(*command: str | Path, cwd: Path) -> str:
    """What it printed. Of this environment it is told nothing that would lead it back to the checkout."""
    environ = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    done = subprocess.run(
        command, cwd=cwd, env=environ, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def built(kind: str, source: Path, folder: Path) -> Path:
    run(sys.executable, "-m", "build", f"--{kind}", "--no-isolation", "--outdir", folder, source, cwd=folder)
    (made,) = folder.glob("labctl-*")
    return made


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built("wheel", CHECKOUT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built("sdist", CHECKOUT, tmp_path_factory.mktemp("sdist"))


def installation(package: Path, folder: Path) -> Path:
    """The command `labctl` in a fresh environment, with what pip found for it in the index."""
    run(sys.executable, "-m", "venv", "--without-pip", folder / "venv", cwd=folder)
    python = folder / "venv" / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python)
    try:
        run(*pip, "install", "--quiet", "--no-compile", package, cwd=folder)
    except AssertionError as refused:
        if any(words in str(refused) for words in NO_INDEX):
            pytest.skip("no package index can be reached, so nothing can be installed as a user would")
        raise
    return folder / "venv" / "bin" / "labctl"


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return installation(wheel, tmp_path_factory.mktemp("installed"))


@pytest.fixture(scope="module")
def from_sdist(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return installation(sdist, tmp_path_factory.mktemp("from-sdist"))


def carried(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_sdist_builds_the_same_wheel(wheel: Path, sdist: Path, tmp_path: Path) -> None:
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path / "source", filter="data")
    (source,) = (tmp_path / "source").iterdir()
    assert source.name == f"labctl-{__version__}"
    (tmp_path / "dist").mkdir()
    again = built("wheel", source, tmp_path / "dist")
    assert again.name == wheel.name
    assert carried(again) == carried(wheel)


def test_the_sdist_carries_what_its_own_tests_and_pages_need_and_nothing_that_was_made_here(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"LICENSE", "README.md", "LAB_MANIFEST.json", "constraints.txt", "scripts/check", "docs/README.md"} <= names
    assert not [name for name in names if name.endswith((".pyc", ".log")) or "lab-data/" in name or "/.git/" in name]


def test_the_wheel_says_what_it_is(wheel: Path) -> None:
    files = carried(wheel)
    assert "lab/py.typed" in files
    about = files[f"labctl-{__version__}.dist-info/METADATA"].decode()
    assert f"Version: {__version__}\n" in about
    assert "Classifier: Development Status :: 5 - Production/Stable\n" in about


@pytest.mark.parametrize("how", ["installed", "from_sdist"])
def test_a_stranger_gets_from_nothing_to_a_report(how: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    labctl: Path = request.getfixturevalue(how)
    assert run(labctl, "--version", cwd=tmp_path).strip() == f"labctl {__version__}"
    run(labctl, "init", cwd=tmp_path)
    run(labctl, "create", "sweep", cwd=tmp_path)
    run(labctl, "burst", "sweep", "-n", "4", "--jobs", "2", cwd=tmp_path)
    run(labctl, "best", "sweep", cwd=tmp_path)
    run(labctl, "report", "sweep", "-o", "report.html", cwd=tmp_path)
    assert (tmp_path / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    program = (
        "import lab\nhome = lab.Lab()\nassert home['sweep'].run(1, strategy='random').succeeded\n"
        "print(lab.__version__, lab.__file__, len(home['sweep'].table()), home.verify())"
    )
    version, file, runs, damage = run(labctl.parent / "python", "-I", "-c", program, cwd=tmp_path).split()
    assert (version, runs, damage) == (__version__, "5", "[]")
    assert Path(file).is_relative_to(labctl.parents[1])


def test_a_program_that_uses_the_lab_is_checked_against_its_types(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "consumer.py").write_text(CONSUMER, encoding="utf-8")
    (tmp_path / "mistaken.py").write_text('import lab\n\nlab.Lab()["a"].run("ten")\nlab.Labb()\n', encoding="utf-8")
    there = ("--python-executable", installed.parent / "python", "--cache-dir", tmp_path / "cache")
    mypy = (sys.executable, "-m", "mypy", "--strict", "--config-file", os.devnull, *there)
    run(*mypy, "consumer.py", cwd=tmp_path)
    done = subprocess.run([*mypy, "mistaken.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert '"str"; expected "int"' in done.stdout
    assert 'Module has no attribute "Labb"' in done.stdout


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
