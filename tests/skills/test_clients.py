"""The programs that read skills find ours where `labctl skills install` put them: each is asked where it is there."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.skills.followed import CHECKOUT, NAMES

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.labs import Labctl

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(180)]


def said(*command: str, cwd: Path) -> str:
    """What a client prints, in a home of its own."""
    done = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.needs("codex", "git")
@pytest.mark.parametrize("where", [(), ("--global",)], ids=["project", "home"])
def test_codex_puts_them_into_its_prompt(where: tuple[str, ...], labctl: Labctl, project: Path, home: Path) -> None:
    labctl.done("skills", "install", "--codex", *where)
    said("git", "init", "-q", cwd=project)
    prompt = said("codex", "debug", "prompt-input", cwd=project)
    assert [name for name in NAMES if f"{name}: " not in prompt] == []


@pytest.mark.needs("opencode", "git")
@pytest.mark.parametrize("where", [("--opencode",), ("--claude",), ("--opencode", "--global")], ids=" ".join)
def test_opencode_finds_each_once(where: tuple[str, ...], labctl: Labctl, project: Path, home: Path) -> None:
    labctl.done("skills", "install", *where)
    said("git", "init", "-q", cwd=project)
    found = said("opencode", "debug", "skill", cwd=project)
    assert {name: found.count(f'"name": "{name}"') for name in NAMES} == dict.fromkeys(NAMES, 1)


@pytest.mark.needs("claude")
def test_claude_installs_the_plug_in_from_the_checkout(project: Path, home: Path) -> None:
    said("claude", "plugin", "validate", "--strict", str(CHECKOUT), cwd=project)
    said("claude", "plugin", "marketplace", "add", str(CHECKOUT), cwd=project)
    said("claude", "plugin", "install", "labctl@labctl", cwd=project)
    told = said("claude", "plugin", "details", "labctl", cwd=project)
    assert f"Skills ({len(NAMES)})  {', '.join(NAMES)}\n" in told
    assert "MCP servers (1)  labctl" in told


@pytest.mark.needs("codex")
def test_codex_takes_the_same_marketplace(project: Path, home: Path) -> None:
    (home / ".codex").mkdir()
    assert "Added marketplace `labctl`" in said("codex", "plugin", "marketplace", "add", str(CHECKOUT), cwd=project)


@pytest.mark.needs("hermes")
def test_hermes_lists_them_in_their_category(
    labctl: Labctl, project: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HERMES_HOME", str(home / "hermes"))
    monkeypatch.setenv("COLUMNS", "200")
    labctl.done("skills", "install", "--hermes", "--global")
    told = said("hermes", "skills", "list", cwd=project)
    assert [name for name in NAMES if name not in told] == []
    assert os.listdir(home / "hermes/skills/mlops")
