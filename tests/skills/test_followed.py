"""The skills that ship do what they say: each command and each block of them is run, in the order of the page."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.skills.followed import NAMES, SKILLS, blocks_of, follow

if TYPE_CHECKING:
    from pathlib import Path

KNOWN = {"bash", "python", "yaml", "text", "json"}
# What the last block of a skill must have led to.
ENDS = {
    "labctl-operate": (r"stopped: turns_used", r"all as it was sealed: \d+ runs"),
    "labctl-author-spec": (r"valid: rate-sweep", r"history: \d+ of \d+ runs are points", r"proposed: rate-sweep-"),
    "labctl-autoresearch": (r"success, accepted", r"stopped: no_gain|stopped: rounds_used", r"all as it was sealed"),
    "labctl-train-gpu": (r"CUDA out of memory", r"rejected: train-1", r"all as it was sealed"),
    "labctl-diagnose": (r"no such table: users", r"'failed': \d", r"Nothing to mend"),
}


@pytest.mark.heavy
@pytest.mark.timeout(120)
@pytest.mark.needs("bash", "awk", "sed")
@pytest.mark.parametrize("name", NAMES)
def test_whoever_follows_a_skill_gets_where_it_leads(name: str, tmp_path: Path) -> None:
    said = follow(name, tmp_path)
    for wanted in ENDS[name]:
        assert re.search(wanted, said), f"{wanted} was not said:\n{said}"


@pytest.mark.parametrize("name", NAMES)
def test_a_skill_is_short_and_has_an_example_for_each_mode(name: str) -> None:
    text = (SKILLS / name / "SKILL.md").read_text()
    assert 100 <= text.count("\n") <= 200
    assert {block.language for block in blocks_of(name)} <= KNOWN
    shown = "\n".join(f"{block.heading}\n{block.lead}\n{block.text}" for block in blocks_of(name))
    for mode in ("burst", "cron", "guided", "agents"):
        assert re.search(rf"\b{mode}\b", shown, re.IGNORECASE), mode
    assert not re.search(r"\bnever stop\b|\bloop forever\b", text, re.IGNORECASE)
