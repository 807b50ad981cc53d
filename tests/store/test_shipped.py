from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from lab.core.errors import NotFound, Unavailable
from lab.store import program, shipped

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "site" / "lab"
    (folder / "templates" / "training").mkdir(parents=True)
    (folder / "templates" / "sweep.yaml").write_bytes(b"name: sweep\n")
    (folder / "templates" / "README.md").write_bytes(b"not a SPEC\n")
    (folder / "secret.yaml").write_bytes(b"outside\n")
    monkeypatch.setattr(shipped, "PACKAGE", str(folder))
    return folder


def test_only_specs_are_listed(package: Path) -> None:
    assert shipped.templates() == ("sweep.yaml",)


@pytest.mark.parametrize("name", ["sweep", "sweep.yaml", "templates/sweep.yaml", "./templates/sweep.yaml"])
def test_a_template_goes_by_every_name_that_a_person_would_type(package: Path, name: str) -> None:
    assert shipped.read_template(name) == b"name: sweep\n"


@pytest.mark.parametrize(
    "name", ["", ".", "gone", "../secret", "../secret.yaml", "README.md", "training", "/etc/hosts"]
)
def test_nothing_but_a_listed_template_is_ever_opened(package: Path, name: str) -> None:
    with pytest.raises(NotFound, match="there is no template"):
        shipped.read_template(name)


def test_a_folder_with_a_spec_is_a_template_and_its_files_are_read_flat(package: Path) -> None:
    folder = package / "templates" / "training"
    assert shipped.folders() == ()
    (folder / "SPEC.yaml").write_bytes(b"# It trains. And more.\nid: training\n")
    (folder / "train.py").write_bytes(b"pass\n")
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__/train.pyc").touch()
    (folder / ".hidden").touch()
    (folder / ".gitignore").write_bytes(b"__pycache__/\n")
    assert shipped.folders() == ("training",)
    assert shipped.names() == ("sweep", "training")
    assert set(shipped.read_folder("training")) == {".gitignore", "SPEC.yaml", "train.py"}
    assert shipped.abouts()["training"] == "It trains"
    for name in ("training", "templates/training", "./templates/training/", "training/"):
        assert shipped.find_folder(name) == "training"
    for name in ("", ".", "..", "../lab", "skills", "training/train.py", "training.yaml"):
        assert shipped.find_folder(name) == ""


def test_a_misspelt_name_is_answered_with_the_nearest(package: Path) -> None:
    with pytest.raises(NotFound, match=r"did you mean sweep\.yaml\?"):
        shipped.read_template("sweeep")


def test_a_checkout_keeps_its_templates_beside_the_package(package: Path) -> None:
    beside = package.parent / "templates"
    os.rename(package / "templates", beside)
    assert shipped.template_folder() == str(beside)


def test_an_installation_without_templates_says_how_to_mend_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipped, "PACKAGE", str(tmp_path / "site" / "lab"))
    with pytest.raises(Unavailable, match="install labctl again"):
        shipped.templates()


@pytest.mark.parametrize("name", ["cron.txt", "labctl.service", "labctl.timer", "launchd.plist"])
def test_the_units_of_a_schedule_are_shipped(name: str) -> None:
    assert "{" in shipped.config(name)


def test_a_part_of_its_own_work_is_done_by_the_very_copy_that_is_at_work() -> None:
    """Whatever labctl is installed beside the Python: that is another version."""
    checkout = os.path.dirname(shipped.PACKAGE)
    done = subprocess.run(
        [*program.same(), "explain", "busy", "--json"],
        cwd="/", env={"PATH": "", "PYTHONPATH": ""}, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert program.same() == [sys.executable, f"{checkout}/scripts/labctl.py"]
