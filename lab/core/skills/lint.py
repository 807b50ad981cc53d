"""All rules on one skill; `overlap` has the one on several. The judgement is a value; nobody is stopped by it here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.core.skills import blocks, commands, head, words
from lab.core.skills.codes import issue

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.core.skills.codes import Issue
    from lab.core.skills.commands import Try
    from lab.core.skills.page import Page

BODY_LINES, BODY_TOKENS = 500, 5_000
_CHARS_A_TOKEN = 4  # what tokenizers make of English text and code, near enough for a budget
_ORDER = ("when to use", "prerequisites", "how to run", "quick reference", "procedure", "pitfalls", "verification")


def judge(page: Page, folder: str, *, files: frozenset[str], known: frozenset[str], attempt: Try) -> list[Issue]:
    """What is wrong with one skill, by line. `files` lie beside it; `known` are the names of the skills there are."""
    found = list(page.issues)
    if not any(each.code == "SKILL_UNREADABLE" for each in found):
        parts = blocks.parts(page.playbook, page.playbook_line)
        found += head.judge(page, folder)
        found += _size(page)
        found += words.judge_blocks(parts)
        found += commands.judge(parts, attempt)
        found += words.judge_names(parts, files)
        found += words.judge_manners(parts)
        found += _sections(parts.headings)
        found += _related(page, known)
    return sorted(found, key=lambda each: (each.line, each.code))


def tokens(text: str) -> int:
    """About how many tokens a model reads."""
    return -(-len(text) // _CHARS_A_TOKEN)


def _size(page: Page) -> Iterator[Issue]:
    rows, cost = page.playbook.count("\n"), tokens(page.playbook)
    if rows > BODY_LINES or cost > BODY_TOKENS:
        yield issue("LONG", f"the body has {rows} lines, about {cost} tokens", line=page.playbook_line)


def _sections(headings: tuple[str, ...]) -> Iterator[Issue]:
    there = [_ORDER.index(each.lower()) for each in headings if each.lower() in _ORDER]
    if there and there != sorted(there):
        yield issue("HERMES_SECTIONS", "the sections come in another order")


def _names_related(page: Page) -> list[str]:
    """The skills that the frontmatter names as related, wherever clients write that."""
    found: list[str] = []
    for place in (page.frontmatter, page.metadata, page.hermes):
        named = place.get("related_skills")
        listed = named.replace(",", " ").split() if isinstance(named, str) else named
        found += [str(each) for each in listed] if isinstance(listed, list) else []
    return found


def _related(page: Page, known: frozenset[str]) -> Iterator[Issue]:
    line = next((at for path, at in page.lines.items() if path.endswith("related_skills")), 0)
    for name in _names_related(page):
        if name not in known:
            yield issue("NAME_UNRESOLVED", f"there is no skill {name[:80]}", line=line, field="related_skills")
