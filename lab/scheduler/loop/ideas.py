"""The list of ideas that a person (or an agent) keeps in the workspace: the next one that was not tried is proposed.

The file is theirs and is only read. An idea is known by the digest of its words, which its run's seal carries
(`Candidate.idea`): what was tried follows from the runs, and a reworded idea is another one.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import msgspec

from lab.core import canonical
from lab.scheduler.loop import known
from lab.store import reading

if TYPE_CHECKING:
    from lab.core.spec import Spec
    from lab.store.root import Root

FILE = "autoresearch.ideas.md"  # looked for where the SPEC names no other
MOST_IDEAS = 1_000
_MOST_BYTES = 256 << 10
_IDEA_CHARS, _KEY_CHARS = 500, 16
_ITEM = re.compile(r"(?P<indent>\s*)(?:[-*+]|\d{1,9}[.)])\s+(?:\[(?P<tick>[ xX-])\]\s+)?(?P<text>\S.*)")
_FENCE = re.compile(r"\s*(?:```|~~~)")


class Idea(msgspec.Struct, frozen=True, kw_only=True):
    """One item of the list. `run_id` is the run that tried it; `ticked` is what the list itself says."""

    text: str
    key: str
    ticked: bool = False
    run_id: str = ""

    @property
    def is_open(self) -> bool:
        return not (self.ticked or self.run_id)


def parse(text: str) -> tuple[Idea, ...]:
    """The ideas of a list: `- [ ] idea`, `- idea`, `1. idea`, and the indented lines below one. Pure.

    What is no item of a list, or stands in a fence, is no idea. The same idea twice is one, ticked where either is.
    """
    found: dict[str, Idea] = {}
    for item in _items(text):
        ticked, words = item[0], " ".join(" ".join(item[1:]).split())[:_IDEA_CHARS]
        key = canonical.digest(words.casefold().encode())[:_KEY_CHARS]
        before = found.get(key)
        found[key] = Idea(text=words, key=key, ticked=bool(ticked) or (before is not None and before.ticked))
        if len(found) == MOST_IDEAS:
            break
    return tuple(found.values())


def _items(text: str) -> list[list[str]]:
    """Each item as its tick, its words, and the words of the lines that go on with it."""
    items: list[list[str]] = []
    in_fence, goes_on = False, False
    for line in text.splitlines():
        if _FENCE.match(line):
            in_fence, goes_on = not in_fence, False
            continue
        item = None if in_fence else _ITEM.fullmatch(line)
        if item is not None:
            items.append([(item["tick"] or "").strip(), item["text"]])
            goes_on = True
        elif goes_on and line[:1].isspace() and line.strip() and not in_fence:
            items[-1].append(line)
        else:
            goes_on = False
    return items


def place(spec: Spec, workspace: str) -> str:
    """Where the list lies; empty where there is no workspace."""
    return os.path.join(workspace, os.path.expanduser(spec.ideas_file or FILE)) if workspace else ""


def listed(root: Root, spec: Spec, workspace: str) -> tuple[Idea, ...]:
    """Every idea, in the order of the list, with the run that tried it. Nothing where there is no such file."""
    path = place(spec, workspace)
    data = reading.read_head(path, _MOST_BYTES) if path else None
    ideas = parse(canonical.plain((data or b"").decode(errors="replace")))
    tried = known.tried(root, spec.id, [idea.key for idea in ideas])
    return tuple(msgspec.structs.replace(idea, run_id=tried.get(idea.key, "")) for idea in ideas)


def following(ideas: tuple[Idea, ...]) -> Idea | None:
    """The next one that was not tried."""
    return next((idea for idea in ideas if idea.is_open), None)
