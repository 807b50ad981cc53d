"""A skill followed to the letter: every block of it, in order, in an empty folder, with a real `labctl`."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lab.core.skills import blocks
from lab.core.skills import page as pages

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.core.skills.blocks import Block

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


def blocks_of(name: str) -> Iterator[Block]:
    page = pages.parse((SKILLS / name / "SKILL.md").read_bytes())
    return iter(blocks.parts(page.playbook, page.playbook_line).blocks)


def follow(name: str, folder: Path) -> str:
    """Do what the skill says. What was printed by all of its blocks; a block that fails is a failure here."""
    settings = {**os.environ, "PATH": f"{programs(folder / 'bin')}:{os.environ['PATH']}", "LABCTL_ACTOR": "ann"}
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
            [*words, block.text], cwd=place, env=settings, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{name}, line {block.line}:\n{block.text}\n{done.stdout}"
        assert "Traceback" not in done.stdout, done.stdout
        said.append(done.stdout)
    return "".join(said)
