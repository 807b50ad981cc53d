"""A skill followed in an empty folder with a real `labctl`: its blocks, then the commands of its text."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lab.cli import skills_lint
from lab.core.skills import blocks, commands
from lab.core.skills import page as pages

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.core.skills.blocks import Block, Parts

CHECKOUT = Path(__file__).resolve().parents[2]
SKILLS = CHECKOUT / "templates" / "skills"
NAMES = sorted(path.parent.name for path in SKILLS.glob("*/SKILL.md"))
_SAVED_AS = re.compile(r"# ([\w.-]+\.\w+)\n")


def programs(folder: Path) -> Path:
    """`labctl` and `python3`, as an installation would put them on the path: the checkout's, and this interpreter."""
    folder.mkdir()
    for name, words in (("labctl", f"'{CHECKOUT}/scripts/labctl.py'"), ("python3", "")):
        script = folder / name
        script.write_text(f"#!/bin/sh\nexec '{sys.executable}' {words} \"$@\"\n")
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return folder


def parts_of(name: str) -> Parts:
    page = pages.parse((SKILLS / name / "SKILL.md").read_bytes())
    return blocks.parts(page.playbook, page.playbook_line)


def blocks_of(name: str) -> Iterator[Block]:
    return iter(parts_of(name).blocks)


def mentioned(name: str) -> list[tuple[str, ...]]:
    """The commands in sentences and tables, without `labctl`."""
    return list(
        dict.fromkeys(each.words[1:] for each in commands.of_prose(parts_of(name)) if each.words[0] == "labctl")
    )


def settings(folder: Path) -> dict[str, str]:
    return {**os.environ, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "LABCTL_ACTOR": "ann"}


def follow(name: str, folder: Path) -> str:
    """Do what the skill says. What was printed by all of its blocks; a block that fails is a failure here."""
    programs(folder / "bin")
    place = folder / "project"
    place.mkdir()
    said = []
    for block in blocks_of(name):
        if saved := _SAVED_AS.match(block.text):
            (place / saved[1]).write_text(block.text)
            continue
        words = {"bash": ["bash", "-euo", "pipefail", "-c"], "python": [sys.executable, "-c"]}.get(block.language)
        if words is None:
            continue
        done = subprocess.run(
            [*words, block.text], cwd=place, env=settings(folder), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{name}, line {block.line}:\n{block.text}\n{done.stdout}"
        assert "Traceback" not in done.stdout, done.stdout
        said.append(done.stdout)
    return "".join(said)


def run(folder: Path, *words: str) -> tuple[int, str]:
    """One command in the folder in which a skill was followed: its exit code, and what it said."""
    done = subprocess.run(
        [str(folder / "bin/labctl"), *words], cwd=folder / "project", env=settings(folder), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout


def run_mentioned(name: str, folder: Path) -> Iterator[tuple[tuple[str, ...], int, str]]:
    """Type each command of the text, after the skill was followed: the words in capitals stand for what is in the lab.

    Of a command that is only named (`labctl cancel`) the help is asked for: that it exists is all that is said of it.
    """
    experiment = run(folder, "list")[1].split()[0]
    runs = [row.split("\t")[0] for row in run(folder, "list", experiment)[1].splitlines() if row.startswith("RUN-")]
    stand_for = {"ID": experiment, "RUN": runs[-1], "OTHER": runs[0], "KIND": "busy", "WHY": "enough"}
    for words in mentioned(name):
        typed = tuple(stand_for.get(word, word) for word in words)
        if skills_lint.attempt(typed, whole=True):
            typed = (words[0], "--help")
        yield (typed, *run(folder, *typed))
