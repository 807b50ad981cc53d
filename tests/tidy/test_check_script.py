"""What the test command promises about itself: tiers, loud skips, its arguments, and that it cleans up."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.programs import loaded

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

GROUPS = """
import os, pytest
@pytest.fixture(scope="module")
def dear(): pass
@pytest.mark.xdist_group("one")
@pytest.mark.parametrize("number", range(8))
def test_marked(number): noted("marked")
@pytest.mark.parametrize("text", ["a@b", "[c]", "d", "e", "f", "g", "h", "i"])
def test_dear(text, dear): noted("dear")
def noted(what):
    with open(f"{what}.seen", "a") as file:
        file.write(os.environ["PYTEST_XDIST_WORKER"] + "\\n")
"""


@pytest.fixture(scope="module")
def check() -> ModuleType:
    return loaded(CHECKOUT / "scripts" / "check", "check")


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


@pytest.mark.heavy
def test_what_is_made_once_for_many_tests_is_not_made_by_each_worker(tmp_path: Path) -> None:
    shutil.copy(CHECKOUT / "tests" / "conftest.py", tmp_path)
    (tmp_path / "test_it.py").write_text(GROUPS, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "2", "--dist=loadgroup"]
    done = subprocess.run(
        [*command, f"--basetemp={tmp_path}/t"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    for what in ("marked", "dear"):
        workers = (tmp_path / f"{what}.seen").read_text(encoding="utf-8").split()
        assert len(workers) == 8
        assert len(set(workers)) == 1, workers


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


@pytest.fixture
def venv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment whose python says what it was given. mypy fails; with LONG it takes until it is ended."""
    python = tmp_path / "venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text(
        '#!/bin/sh\necho "given: $*"\ncase "$2" in mypy) [ -z "$LONG" ] || exec sleep 600; exit 1;; esac\n',
        encoding="utf-8",
    )
    python.chmod(0o755)
    monkeypatch.setenv("LABCTL_CHECK_TMP", str(tmp_path / "scratch"))
    return tmp_path / "venv"


def test_what_runs_beside_the_others_is_told_of_and_counts(
    check: ModuleType, venv: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert check.run_steps(str(venv), check.parse([])) == 1
    told = capfd.readouterr().out
    summary = told.partition("== summary\n")[2].splitlines()
    assert {line.partition("  (")[0] for line in summary} == {
        "FAILED  mypy --strict",
        *(f"passed  {each}" for each in ("ruff format --check", "ruff check", "pytest")),
        *(f"passed  pytest {each}" for each in check.WITH_TORCH),
    }
    assert all(f"== pytest {each}\ngiven: -m pytest" in told for each in check.WITH_TORCH)


def test_what_runs_beside_the_others_ends_when_these_are_interrupted(
    check: ModuleType, venv: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LONG", "yes")
    real = check.call

    def call(command: list[str], **given: str) -> bool:
        if "pytest" in command:
            raise KeyboardInterrupt
        return bool(real(command, **given))

    monkeypatch.setattr(check, "call", call)
    with pytest.raises(KeyboardInterrupt):
        check.run_steps(str(venv), check.parse([]))
    assert "== pytest tests/" not in capfd.readouterr().out


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
    # Tried again, for it may have been the network.
    assert tried[1:] == ["train", "dev,papers,parquet,publish,search"] * 2
