"""How much of one skill stands in another: told by paragraphs, found by runs of five words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lab.core.skills.codes import issue

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lab.core.skills.codes import Issue

MOST = 0.30
_RUN = 5
_ALIKE = 0.8  # of a paragraph's runs; a word changed here and there does not make it another paragraph
_WORD = re.compile(r"\w+")


def judge(playbooks: Mapping[str, str]) -> Iterator[tuple[str, Issue]]:
    """Each pair of skills of which one repeats more than 30 % of itself in the other, told at the later one."""
    measured = [(name, _paragraphs(playbooks[name])) for name in sorted(playbooks)]
    for at, (name, mine) in enumerate(measured):
        for other, theirs in measured[:at]:
            share = max(_share(mine, theirs), _share(theirs, mine))
            if share > MOST:
                yield name, issue("OVERLAP", f"{share:.0%} of it and {other} are the same")


def _paragraphs(playbook: str) -> list[tuple[int, frozenset[tuple[str, ...]]]]:
    found = []
    for paragraph in re.split(r"\n\s*\n", playbook.replace("\r\n", "\n")):
        words = _WORD.findall(paragraph.lower())
        if len(words) >= _RUN:  # a heading that two skills share is no repetition
            runs = zip(*(words[start:] for start in range(_RUN)), strict=False)
            found.append((len(words), frozenset(runs)))
    return found


def _share(
    mine: list[tuple[int, frozenset[tuple[str, ...]]]], theirs: list[tuple[int, frozenset[tuple[str, ...]]]]
) -> float:
    there = frozenset().union(*(runs for _, runs in theirs))
    shared = sum(words for words, runs in mine if len(runs & there) >= _ALIKE * len(runs))
    return shared / max(sum(words for words, _ in mine), 1)
