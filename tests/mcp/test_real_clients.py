"""The clients themselves, where they are installed: they find the server where `labctl mcp install` put it.

None of them needs a key or a network for it. What each says was seen of the versions named in its test.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.mcp import tools
from tests.cli.labs import process
from tests.mcp.wire import a_lab_that_runs

if TYPE_CHECKING:
    from lab.store.root import Root

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


@pytest.fixture
def root(tmp_path: Path) -> Root:
    (tmp_path / "project").mkdir()
    return a_lab_that_runs(tmp_path / "lab")


def install(root: Root, *words: str) -> str:
    """The folder of the project, with the server in the settings."""
    project = Path(root.layout.root).parent / "project"
    assert process("mcp", "install", *words, root=root.layout.root, cwd=project).code == 0
    return str(project)


def said(project: str, *command: str) -> str:
    """All that a client says to a command."""
    environ = {**os.environ, "NO_COLOR": "1", "CI": "1"}
    done = subprocess.run(
        command, cwd=project, env=environ, capture_output=True, stdin=subprocess.DEVNULL, timeout=100, check=False
    )
    return (done.stdout + done.stderr).decode()


@pytest.mark.needs("codex")
def test_codex_knows_the_server(root: Root) -> None:
    told = said(install(root, "codex", "--global"), "codex", "mcp", "get", "labctl")  # 0.171.0
    assert "enabled: true" in told
    assert root.layout.root in told
    assert "tool_timeout_sec: 3660" in told


@pytest.mark.needs("opencode")
def test_opencode_connects_to_the_server(root: Root) -> None:
    told = said(install(root, "opencode"), "opencode", "mcp", "list")  # 1.18.33
    assert "labctl" in told
    assert "connected" in told


@pytest.mark.needs("gemini")
def test_gemini_connects_to_the_server_in_a_folder_that_it_trusts(root: Root) -> None:
    project = install(root, "gemini")
    trusted = Path(os.environ["HOME"], ".gemini/trustedFolders.json")
    trusted.parent.mkdir()
    trusted.write_text(json.dumps({project: "TRUST_FOLDER"}), encoding="utf-8")
    told = said(project, "gemini", "mcp", "list")  # 0.61.0
    assert "labctl" in told
    assert "Connected" in told


@pytest.mark.needs("hermes")
def test_hermes_finds_every_tool(root: Root) -> None:
    told = said(install(root, "hermes", "--global"), "hermes", "mcp", "test", "labctl")  # 0.19.0, with mcp 1.30
    assert f"Tools discovered: {len(tools.TOOLS)}" in told


@pytest.mark.needs("claude")
def test_claude_code_asks_about_the_server_of_a_project_and_takes_the_command_for_all(root: Root) -> None:
    project = install(root, "claude")
    assert "Pending approval" in said(project, "claude", "mcp", "list")  # 2.1.197
    told = process("mcp", "install", "claude", "--global", root=root.layout.root).err
    command = told.partition("fix: ")[2].strip().split(" ")
    assert "labctl" in said(os.environ["HOME"], *command)
    assert "Connected" in said(os.environ["HOME"], "claude", "mcp", "list")
