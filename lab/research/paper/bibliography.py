"""What is cited: whether anybody has verified it, and the entries of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lab.research import citing
from lab.research.literature import bibliography
from lab.research.source import VERIFIED, Source

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_HEAD = "% The sources that the paper cites, as the literature phase has them. Written by labctl.\n"
STATES = {
    "mismatch": "the record of the host says something else",
    "not_found": "not found where it was looked for",
    "unverified": "unverified: nobody was asked",
}


def doubted(text: str, shown: str, sources: Mapping[str, Source]) -> str:
    """The text with a word behind each citation of what nobody has verified; `shown` as `citing.followed` has it."""

    def said(keys: Sequence[str]) -> str:
        states = sorted({sources[key].status for key in keys if key in sources} - {VERIFIED})
        return f" ({', '.join(states).replace('_', ' ')})" if states else ""

    return citing.followed(text, said, shown)


def bibtex(cited: Iterable[str], sources: Mapping[str, Source]) -> bytes:
    """The entries of what is cited, in the order of their keys."""
    known = [sources[key] for key in sorted(set(cited)) if key in sources]
    found = [bibliography.entry(each, {"note": STATES.get(each.status, "")}) for each in known]
    return "\n".join([_HEAD, *found]).encode(errors="replace")


def entries(data: bytes) -> set[str]:
    """The keys of a file of ours."""
    return {found[1] for found in re.finditer(r"^@[a-z]+\{([^,\s]+),", data.decode(errors="replace"), re.MULTILINE)}
