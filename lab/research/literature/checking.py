"""Whether a citation is what it says it is: three answers that are never mixed up, and which field it is that differs.

A paper that exists and is cited with a wrong year is no invention, and one that nobody knows is no misprint.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from lab.research.literature import phrase
from lab.research.literature.entry import Entry

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SAME_TITLE = 0.9  # alike enough to be the same title: a hyphen, a subtitle's colon, a plural
NEAR_TITLE = 0.7  # alike enough to be meant, where the first author is the same
_YEARS_APART = 1  # a preprint, and the volume it is printed in
_OTHERS = frozenset({"others", "al", "et al", "and others"})
_PREPRINT = "10.48550/"


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """`match` is the found entry that was compared, its place among the found in `index`; none where none was near."""

    status: Literal["verified", "mismatch", "not_found"]
    why: str = ""
    match: Entry | None = None
    index: int = -1


def check(entry: Entry, found: Sequence[Entry]) -> Checked:
    """Compare what is claimed with what hosts told of it. Nothing found is `not_found`, whoever was asked."""
    best: Checked | None = None
    least = len(Entry.__struct_fields__)
    # What is the same to the letter first: to measure how alike titles are takes a hundred times as long.
    plain = [index for index, each in enumerate(found) if is_same(entry, each)]
    for index in (*plain, *(each for each in range(len(found)) if each not in plain)):
        each = found[index]
        if not _is_meant(entry, each):
            continue
        wrong = tuple(differences(entry, each))
        if not wrong:
            return Checked(status="verified", match=each, index=index)
        if best is None or len(wrong) < least:
            best, least = Checked(status="mismatch", why="; ".join(wrong), match=each, index=index), len(wrong)
    return best or Checked(status="not_found", why="nothing that was found is this")


def differences(entry: Entry, found: Entry) -> Iterable[str]:
    """The fields in which a claim differs from what a host says, in words. What one of them lacks is no difference."""
    alike = phrase.likeness(entry.title, found.title)
    if entry.title and alike < SAME_TITLE:
        yield f"title: {entry.title[:120]!r} is claimed, {found.title[:120]!r} is found ({alike:.2f} alike)"
    if entry.year is not None and found.year is not None and abs(entry.year - found.year) > _YEARS_APART:
        yield f"year: {entry.year} is claimed, {found.year} is found"
    strangers = _strangers(entry.authors, found.authors)
    if strangers:
        yield f"authors: {', '.join(strangers[:3])[:120]} is claimed, {', '.join(found.authors[:3])[:120]} is found"
    if _differs(entry.doi, found.doi):
        yield f"doi: {entry.doi[:80]} is claimed, {found.doi[:80]} is found"
    if entry.arxiv and found.arxiv and entry.arxiv != found.arxiv:
        yield f"arxiv: {entry.arxiv} is claimed, {found.arxiv} is found"


def is_same(one: Entry, other: Entry) -> bool:
    """Whether two entries are of one paper: by a number that both have, else by title and first author."""
    if (one.doi and one.doi == other.doi) or (one.arxiv and one.arxiv == other.arxiv):
        return True
    if phrase.folded(one.title) != phrase.folded(other.title) or not phrase.folded(one.title):
        return False
    if not one.authors or not other.authors:
        return True
    return phrase.surname(one.authors[0]) == phrase.surname(other.authors[0])


def _is_meant(entry: Entry, found: Entry) -> bool:
    if (entry.doi and entry.doi == found.doi) or (entry.arxiv and entry.arxiv == found.arxiv):
        return True
    alike = phrase.likeness(entry.title, found.title)
    if alike >= SAME_TITLE:
        return True
    first = phrase.surname(entry.authors[0]) if entry.authors else ""
    return alike >= NEAR_TITLE and bool(first) and first in {phrase.surname(each) for each in found.authors}


def _strangers(claimed: tuple[str, ...], found: tuple[str, ...]) -> tuple[str, ...]:
    """Claimed authors who are none of the found. `Lovelace, A.` and `Ada Lovelace` are one."""
    if not found:
        return ()
    words = {word for each in found for word in phrase.folded(each).split()}
    return tuple(
        each
        for each in claimed
        if (name := phrase.surname(each)) and phrase.folded(each) not in _OTHERS and not set(name.split()) <= words
    )


def _differs(claimed: str, found: str) -> bool:
    """Two numbers of one paper are no difference: arXiv's own, and the journal's."""
    is_preprint = claimed.startswith(_PREPRINT) or found.startswith(_PREPRINT)
    return bool(claimed and found) and claimed != found and not is_preprint
