"""`labctl research publish` and `approve --release`, as people type them, with real runs."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from lab.cli import research
from lab.mcp import tools
from lab.research.projects import overview
from tests.cli.labs import SHIM, Said, process
from tests.research.release.releases import Publishing, a_project, a_remote, git, received
from tests.research.tasks import PROJECT

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("detect_secrets", reason="not installed: detect-secrets (pip install 'labctl[publish]')")


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    return a_remote(tmp_path)


@pytest.fixture
def project(tmp_path: Path, remote: Path) -> Publishing:
    return a_project(tmp_path, {"a.txt": b"a\n"}, f"  to: git\n  remote: {remote}\n")


def _said(project: Publishing, *words: str) -> Said:
    said = process("research", *words, root=project.root.layout.root, env={"LABCTL_ACTOR": "ann"}, limit_s=50)
    assert "Traceback" not in said.all, said
    return said


def _typed(project: Publishing, words: tuple[str, ...], answer: str) -> int:
    """At a terminal, where somebody answers what is asked."""
    ours, theirs = pty.openpty()
    environ = {**os.environ, "LAB_DATA_ROOT": project.root.layout.root, "LABCTL_ACTOR": "ann"}
    with subprocess.Popen(
        [sys.executable, SHIM, "research", *words], stdin=theirs, stdout=theirs, stderr=theirs, env=environ
    ) as asked:
        os.close(theirs)
        seen = b""
        while b"to approve exactly this" not in seen:
            seen += os.read(ours, 4096)
        os.write(ours, f"{answer}\n".encode())
        try:
            while os.read(ours, 4096):
                pass
        except OSError:  # the other end is closed
            pass
        code = asked.wait(30)
    os.close(ours)
    return code


@pytest.mark.heavy
def test_a_release_is_listed_approved_by_hand_and_sent_once(project: Publishing, remote: Path) -> None:
    assert _said(project, "publish", PROJECT).code == 2, "nothing is listed yet"
    assert _said(project, "run", PROJECT).code == 0
    shown = _said(project, "publish", PROJECT)
    sha256 = json.loads(_said(project, "publish", PROJECT, "--json").out)["data"]["release"]
    assert sha256 in shown.out
    assert "a.txt" in shown.out
    for words in (("publish", PROJECT, "--send"), ("approve", PROJECT), ("approve", PROJECT, "--release", sha256[:12])):
        assert _said(project, *words).code == 2
    approve = ("approve", PROJECT, "--release", sha256)
    assert _typed(project, approve, "y") == 2
    assert _typed(project, approve, sha256[1:13]) == 2
    assert _said(project, "publish", PROJECT, "--send").code == 2
    assert set(received(remote)) == {"main"}
    inside = {"LABCTL_ACTOR": "ann", "LAB_RUN_ID": "RUN-1"}
    refused = process("research", *approve, root=project.root.layout.root, env=inside, limit_s=50)
    assert (refused.code, "no run approves or sends" in refused.all) == (2, True)
    assert _typed(project, approve, sha256[:12]) == 0
    refused = process("research", "publish", PROJECT, "--send", root=project.root.layout.root, env=inside, limit_s=50)
    assert (refused.code, "no run approves or sends" in refused.all) == (2, True)
    remote.rename(remote.parent / "moved.git")
    lost = _said(project, "publish", PROJECT, "--send")
    assert (lost.code, "git could not reach the remote" in lost.err) == (1, True), lost
    (remote.parent / "moved.git").rename(remote)
    (then,) = overview.of(project.root, PROJECT).next
    assert then == f"labctl research publish {PROJECT} --send"
    sent = _said(project, "publish", PROJECT, "--send")
    assert sent.code == 0, sent
    again = _said(project, "publish", PROJECT, "--send")
    assert (again.out, "sent on " in again.out) == (sent.out.splitlines(keepends=True)[-1], True)
    branch = f"labctl/{PROJECT}-{sha256[:12]}"
    assert set(received(remote)) == {"main", branch}
    assert set(received(remote)[branch]) == {"a.txt", "README.md"}


@pytest.mark.heavy
def test_a_sender_that_is_killed_while_the_remote_takes_it_leaves_one_commit(project: Publishing, remote: Path) -> None:
    _said(project, "run", PROJECT)
    sha256 = json.loads(_said(project, "publish", PROJECT, "--json").out)["data"]["release"]
    resumed = process("resume", PROJECT, root=project.root.layout.root)
    assert "will stop it again: a release is listed" in resumed.err  # nobody has said yes to that hash
    approved = _said(project, "approve", PROJECT, "--release", sha256)
    assert (approved.code, "the next run of the project sends it" in approved.out) == (0, True)
    hook, began = remote / "hooks/post-receive", remote / "began"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {began}\nexec sleep 60\n")
    hook.chmod(0o755)
    environ = {**os.environ, "LAB_DATA_ROOT": project.root.layout.root, "LABCTL_ACTOR": "ann"}
    with subprocess.Popen(
        [sys.executable, SHIM, "research", "publish", PROJECT, "--send"], env=environ, start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as sender:  # fmt: skip
        until_s = time.monotonic() + 40
        while not began.exists() and time.monotonic() < until_s:
            os.sched_yield()
        os.killpg(sender.pid, signal.SIGKILL)
    assert began.exists()
    hook.unlink()
    branch = f"labctl/{PROJECT}-{sha256[:12]}"
    taken = git(remote, "rev-parse", branch)
    sent = _said(project, "publish", PROJECT, "--send", "--json")
    receipt = json.loads(sent.out)["data"]["receipt"]
    assert (sent.code, receipt["commit"], receipt["found"]) == (0, taken, True)
    assert git(remote, "rev-list", "--count", branch) == "1"


def test_no_tool_and_no_flag_approves_a_release() -> None:
    assert not [each for each in vars(tools) if "approve" in each.lower() or "publish" in each.lower()]
    import argparse

    parser = argparse.ArgumentParser(add_help=False)
    research.arguments(parser)
    flags = {flag for action in parser._actions for flag in action.option_strings}
    assert flags.isdisjoint({"--yes", "-y", "--force", "--auto-approve", "--no-scan"})
