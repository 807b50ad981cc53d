"""Commands of git that take in or send away more than anybody looked at."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_TAKES_A_VALUE = frozenset({"-C", "-c", "--git-dir", "--work-tree", "--namespace", "--config-env"})
_EVERYTHING = frozenset({"-A", "--all", "-u", "--update", "*", ":/", ":"})
_COMMITS_ALL = re.compile(r"-[A-Za-z]*a[A-Za-z]*")
_LOOKED_AT = frozenset({"-p", "--patch", "-i", "--interactive", "-n", "--dry-run"})  # it asks, or only tells
_LOOKS = frozenset({"diff", "status", "show"})
_SPELT = re.compile(r"(?<![\w./-])git[ \t]+[^\n;&|\"'`()]{1,300}")


def sweeps(words: Sequence[str]) -> bool:
    """Whether a command adds or commits everything there is, or pushes."""
    verb, rest = _taken_apart(words)
    if _LOOKED_AT & set(rest):
        return False
    if verb == "add":
        return any(word in _EVERYTHING or (word and posixpath.normpath(word) in (".", "..")) for word in rest)
    if verb == "commit":
        return any(word == "--all" or _COMMITS_ALL.fullmatch(word) for word in rest)
    return verb == "push"


def looks(words: Sequence[str]) -> bool:
    """Whether a command shows what has changed."""
    return _taken_apart(words)[0] in _LOOKS


def spelt(text: str) -> Iterator[tuple[int, tuple[str, ...]]]:
    """The git commands that stand in a text, each with where it begins."""
    return ((found.start(), tuple(found[0].split())) for found in _SPELT.finditer(text))


def _taken_apart(words: Sequence[str]) -> tuple[str, Sequence[str]]:
    """The verb and what follows it; no verb where the words are no command of git."""
    if words[:1] not in (("git",), ["git"]):
        return "", ()
    at = 1
    while at < len(words) and words[at].startswith("-"):
        at += 2 if words[at] in _TAKES_A_VALUE else 1
    return (words[at], words[at + 1 :]) if at < len(words) else ("", ())
