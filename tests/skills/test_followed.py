"""The skills that ship do what they say: each block is run in the order of the page, then each command of the text."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING

import pytest

from lab.core import policy
from tests.skills.followed import NAMES, SKILLS, blocks_of, follow, mentioned, run_mentioned

if TYPE_CHECKING:
    from pathlib import Path

KNOWN = {"bash", "python", "yaml", "text", "json"}
ANSWERED = (0, 1, 3)  # done, or told that a check failed or that nothing is due: never that the words are wrong
# What a lab refuses when the page has been followed: no run is under way, and the sentence names the verb alone.
REFUSED = {"cancel": "is sealed already", "lease": "wants an experiment and a generation"}
# What the last block of a skill must have led to.
ENDS = {
    "labctl-operate": (r"stopped: turns_used", r"all as it was sealed: \d+ runs"),
    "labctl-author-spec": (r"valid: rate-sweep", r"history: \d+ of \d+ runs are points", r"proposed: rate-sweep-"),
    "labctl-autoresearch": (
        r"discard, not accepted",
        r"stopped: no_gain|stopped: rounds_used",
        r"No tree|no tree|try-\d",
        r"all as it was sealed",
    ),
    "labctl-train-gpu": (r"CUDA out of memory", r"rejected: train-1", r"all as it was sealed"),
    "labctl-research": (
        r"would be made: ",
        r"literature +done in ",
        r"ideation +due",
        r"mine is told|smooth is told",
        r"all as it was sealed",
    ),
    "labctl-tinker": (r"valid: tinker-sl", r"nothing was trained yet", r"rejected: rates-1", r"all as it was sealed"),
    "labctl-diagnose": (r"no such table: users", r"'failed': \d", r"Nothing to mend"),
}


@pytest.mark.heavy
@pytest.mark.timeout(120)
@pytest.mark.needs("bash", "cut", "git", "sed")
@pytest.mark.parametrize("name", NAMES)
def test_whoever_follows_a_skill_gets_where_it_leads(name: str, tmp_path: Path) -> None:
    said = follow(name, tmp_path)
    for wanted in ENDS[name]:
        assert re.search(wanted, said), f"{wanted} was not said:\n{said}"
    typed = 0
    for words, code, heard in run_mentioned(name, tmp_path):
        typed += 1
        is_foreseen = code == 2 and words[0] in REFUSED and REFUSED[words[0]] in heard
        assert code in ANSWERED or is_foreseen, f"labctl {' '.join(words)} ended with {code}:\n{heard}"
        assert "Traceback" not in heard, heard
    assert typed == len(mentioned(name)) > 0


@pytest.mark.parametrize("name", NAMES)
def test_a_skill_is_short_and_has_an_example_for_each_mode(name: str) -> None:
    text = (SKILLS / name / "SKILL.md").read_text()
    assert 100 <= text.count("\n") <= 200
    assert {block.language for block in blocks_of(name)} <= KNOWN
    shown = "\n".join(f"{block.heading}\n{block.lead}\n{block.text}" for block in blocks_of(name))
    for mode in ("burst", "cron", "guided", "agents"):
        assert re.search(rf"\b{mode}\b", shown, re.IGNORECASE), mode
    assert not re.search(r"\bnever stop\b|\bloop forever\b", text, re.IGNORECASE)


def test_the_reasons_for_an_end_are_those_that_labctl_gives() -> None:
    _, _, rest = (SKILLS / "labctl-train-gpu" / "SKILL.md").read_text().partition("| reason | set by |\n")
    table = rest.partition("\n\n")[0]
    told = dict(re.findall(r"^\| `([^`]+)` \| `([^`]+)` \|$", table, re.MULTILINE))
    source = inspect.getsource(policy)
    given = re.findall(r'(?:Finish|how)\(reason=(?:"([^"]+)"|(\w+)), facts=\{', source)  # `how`: of a training, a pause
    named = [(words, name) for words, name in given if name != "reason"]  # a sentence that begins with one of them
    assert set(told) == {words or getattr(policy, name) for words, name in named}
    assert all(re.search(rf"\b{field}\b", source) for field in told.values())
