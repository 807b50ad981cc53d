"""What the test command promises about itself: tiers, loud skips, its arguments, and that it cleans up."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from types import ModuleType

CHECKOUT = Path(__file__).resolve().parents[2]
TIERS = """
import os, pytest
@pytest.mark.slow
def test_slow(): pass
@pytest.mark.heavy
def test_heavy(): pass
@pytest.mark.needs("sh", "no-such-program")
def test_needs(): pass
def test_in_the_middle(): pytest.skip("on a whim")
def test_environment(): assert "LAB_DATA_ROOT" not in os.environ and "homes" in os.environ["HOME"]
"""


@pytest.fixture(scope="module")
def check() -> ModuleType:
    loader = SourceFileLoader("check", str(CHECKOUT / "scripts" / "check"))
    spec = importlib.util.spec_from_loader("check", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("options", "skips"),
    [
        ([], {"test_slow: takes minutes: runs with --slow"}),
        (["--slow"], set()),
        (["--fast"], {"test_slow: takes minutes: runs with --slow", "test_heavy: takes seconds: left out by --fast"}),
    ],
    ids=["default", "slow", "fast"],
)
def test_every_skip_is_named_with_its_reason(
    options: list[str], skips: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(CHECKOUT / "tests" / "conftest.py", tmp_path)
    (tmp_path / "test_it.py").write_text(TIERS, encoding="utf-8")
    monkeypatch.setenv("LAB_DATA_ROOT", "/nowhere")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--basetemp={tmp_path}/t", *options]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    told = {line.partition("::")[2] for line in done.stdout.splitlines() if line.startswith("test_it.py::")}
    always = {"test_needs: the program no-such-program is not installed here", "test_in_the_middle: on a whim"}
    assert told == skips | always


def test_what_follows_two_dashes_goes_to_pytest(check: ModuleType) -> None:
    options = check.parse(["--fast", "--no-system", "--", "tests/core", "--", "-k", "lease"])
    assert (options.fast, options.slow, options.setup_only, options.system) == (True, False, False, False)
    assert options.pytest == ["tests/core", "--", "-k", "lease"]


@pytest.mark.parametrize("arguments", [["--fast", "--slow"], ["tests/core"], ["--nonsense"]], ids=" ".join)
def test_what_it_does_not_know_is_a_usage_error(
    check: ModuleType, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        check.parse(arguments)
    assert stop.value.code == 2
    assert "usage: scripts/check" in capsys.readouterr().err


def test_read_only_folders_are_removed_too(check: ModuleType, tmp_path: Path) -> None:
    sealed = tmp_path / "scratch" / "runs" / "sealed"
    sealed.mkdir(parents=True)
    (sealed / "SEAL.json").write_text("{}", encoding="utf-8")
    (sealed / "outside").symlink_to(tmp_path)
    sealed.chmod(0o500)
    sealed.parent.chmod(0o000)
    check.remove(str(tmp_path / "scratch"))
    assert list(tmp_path.iterdir()) == []


def test_the_place_for_scratch_files_can_be_named(
    check: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABCTL_CHECK_TMP", str(tmp_path / "disk"))
    assert check.scratch_parent() == str(tmp_path / "disk")
    assert (tmp_path / "disk").is_dir()


def test_a_newer_python_is_asked_for_by_name(
    check: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(check.sys, "version_info", (3, 10, 0))
    monkeypatch.setenv("PATH", "/nowhere")
    assert check.main() == 5
    assert "Python 3.11 or newer is needed" in capsys.readouterr().out


def test_an_installation_cut_short_is_done_again(
    check: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    results = iter([False, True, True])

    def make(venv: str) -> bool:
        steps.append("make")
        Path(venv).mkdir(exist_ok=True)
        return True

    def install(venv: str, *extras: str) -> bool:
        steps.append("install")
        return next(results)

    monkeypatch.setenv("CI", "true")
    monkeypatch.setattr(check, "make_venv", make)
    monkeypatch.setattr(check, "install", install)
    monkeypatch.setattr(check, "install_client", lambda venv: True)
    monkeypatch.setattr(check, "digest", lambda *names: "one")
    venv = str(tmp_path / "venv")
    assert [check.set_up(venv) for _ in range(3)] == [False, True, True]
    assert steps == ["make", "install", "make", "install"]
    monkeypatch.setattr(check, "digest", lambda *names: "two")  # constraints.txt changed
    assert check.set_up(venv)
    assert steps[4:] == ["install"]


def test_without_a_torch_for_the_platform_the_rest_is_checked_and_ci_says_no(
    check: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tried: list[str] = []

    def install(venv: str, extras: str = "train") -> bool:
        tried.append(extras)
        return "train" not in extras

    (tmp_path / "venv").mkdir()
    monkeypatch.setattr(check, "make_venv", lambda venv: True)
    monkeypatch.setattr(check, "install", install)
    monkeypatch.setattr(check, "install_client", lambda venv: True)
    monkeypatch.setenv("CI", "true")
    assert not check.set_up(str(tmp_path / "venv"))
    assert tried == ["train"]
    monkeypatch.delenv("CI")
    assert check.set_up(str(tmp_path / "venv"))
    assert "warning: torch could not be installed" in capsys.readouterr().out
    assert check.set_up(str(tmp_path / "venv"))
    assert tried[1:] == ["train", "dev,parquet,search"] * 2  # tried again, for it may have been the network
