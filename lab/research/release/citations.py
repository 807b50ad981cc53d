"""Whether what a paper cites has been seen by anybody: what has not may be written about, and is not published."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.core.errors import LabError
from lab.research import source
from lab.research.literature import rows
from lab.research.paper import bibliography

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.research.paper.evidence import InLab
    from lab.research.source import Source


class Cited(msgspec.Struct, frozen=True, kw_only=True):
    """`problems` block a release. `unverified` do not: nobody could be asked, so a person must know of them.

    That is where the project is offline, and of a note of the user's own that names no paper.
    """

    problems: tuple[str, ...] = ()
    unverified: tuple[str, ...] = ()


def sources(bundles: InLab, literature: str) -> dict[str, Source]:
    """The sources of the literature phase by key; none where there was no such phase."""
    if not literature:
        return {}
    data = bundles.read(literature, f"artifacts/{source.FILE}")
    return {row.key: row for row in rows.read(data)}


def judged(bibtex: bytes, known: Mapping[str, Source], *, offline: bool) -> Cited:
    """What is cited, held against the sources."""
    wrong: list[str] = []
    unverified: list[str] = []
    for key in sorted(bibliography.entries(bibtex)):
        row = known.get(key)
        if row is None:
            wrong.append(f"{key} is cited, and is none of the sources")
        elif row.status in (source.MISMATCH, source.NOT_FOUND):
            word = "differs from what its host has" if row.status == source.MISMATCH else "was not found at any host"
            wrong.append(f"{key} is cited, and {word}" + (f": {row.why}" if row.why else ""))
        elif row.status == source.UNVERIFIED and not (offline or row.is_bare_note):
            wrong.append(f"{key} is cited, and nobody was asked whether there is such a thing")
        elif row.status == source.UNVERIFIED:
            unverified.append(key)
    return Cited(problems=tuple(wrong), unverified=tuple(unverified))


def require(cited: Cited) -> None:
    if cited.problems:
        what = f"what cannot be vouched for is not published: {'; '.join(cited.problems[:10])}"
        fix = "correct the source or take the citation out, then: labctl research run ID --phase literature"
        raise LabError(what, where=source.FILE, fix=fix)
