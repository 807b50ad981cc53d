r"""Which sources a text of Markdown cites: one finder for reviews, papers and whoever judges them.

`[@a; @b]`, `[see @a, p. 3]`, `[-@a]`, `@a` in the text, `@{a}`, and `\cite{a, b}` of LaTeX. Not what is code between
backticks, has a backslash before it, or stands in an address. Prose that names a paper (Smith, 2020) nobody can see.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    Said = Callable[[Sequence[str]], str]

PLAIN = r"what is no citation is written \@name or `@name`"
_SEEN = re.compile(
    r"\\(?:no)?[cC]ite[a-z]*\*?(?:\[[^\]\n]{0,200}\]){0,2}\{(?P<latex>[^{}\n]{1,2000})\}"
    r"|\\[!-/:-@\[-`{-~]"
    r"|(?<!`)(?P<ticks>`+)(?!`)[^\n]{0,1000}?(?<!`)(?P=ticks)(?!`)"
    r"|https?://[^\s<>()\[\]\"]+"
    r"|(?<![\w@])@(?:(?P<key>\w[\w-]*(?:[:.][\w-]+)*)|\{(?P<braced>[^{}\n]{1,200})\})"
)
_GROUP = re.compile(r"(?<!\\)\[[^\[\]\n]*\](?!\()")
_ANY = re.compile(r"(?<!\\)\[[^\[\]\n]*\]")


def spans(text: str) -> Iterator[tuple[int, int, str]]:
    """Every citation: where it begins and ends, and its key."""
    for found in _SEEN.finditer(text):
        if found["latex"]:
            yield from ((*found.span(), key) for each in found["latex"].split(",") if (key := each.strip()))
        elif found["key"] or found["braced"]:
            yield *found.span(), found["key"] or found["braced"].strip()


def keys(text: str) -> frozenset[str]:
    """All that it cites."""
    return frozenset(key for _, _, key in spans(text))


def followed(text: str, said: Said, shown: str = "") -> str:
    """The text with words behind each citation, or behind the brackets that it stands in: what is said of its keys.

    `shown` is the same text with blanks where something else answers for it.
    """
    at = list(spans(shown or text))
    places: dict[int, list[str]] = {}
    groups = [found.span() for found in _GROUP.finditer(shown or text)] if at else []
    for start, end, key in at:
        while groups and groups[0][1] <= start:
            groups.pop(0)
        within = bool(groups) and groups[0][0] < start and end < groups[0][1]
        places.setdefault(groups[0][1] if within else end, []).append(key)
    pieces, done = [], 0
    for place, cited in places.items():
        pieces += [text[done:place], said(cited)]
        done = place
    return "".join((*pieces, text[done:]))


def bracketed(text: str, known: Collection[str]) -> str:
    """The text with brackets around each citation of these keys that stands in none."""
    within = [found.span() for found in _ANY.finditer(text)]
    at: dict[tuple[int, int], list[str]] = {}
    for start, end, key in spans(text):
        while within and within[0][1] <= start:
            within.pop(0)
        if key in known and not (within and within[0][0] < start):
            at.setdefault((start, end), []).append(key)
    pieces, done = [], 0
    for (start, end), cited in at.items():
        pieces += [text[done:start], f"[{'; '.join(f'@{key}' for key in cited)}]"]
        done = end
    return "".join((*pieces, text[done:]))
