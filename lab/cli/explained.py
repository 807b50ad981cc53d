"""Every word that labctl explains: those of the core, and the codes of tables that live elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.core import glossary
from lab.core.errors import NotFound, nearest
from lab.core.glossary import Word
from lab.core.skills import codes

if TYPE_CHECKING:
    from collections.abc import Iterator

SKILL = "skill"


def words() -> Iterator[Word]:
    """All of them, a family at a time."""
    yield from glossary.words()
    for each in codes.MEANING.values():
        why = f"a rule of {each.target}, as {each.severity}"
        yield Word(code=each.code, family=SKILL, means=each.means, why=why, do=each.mend)


def find(code: str) -> list[Word]:
    """What a word means: `crash` is an outcome and a verdict. `NotFound` with the nearest one."""
    every = list(words())
    wanted = _plain(code)
    found = [word for word in every if _plain(word.code) == wanted]
    if not found:
        by_plain = {_plain(word.code): word.code for word in every}
        close = by_plain.get(nearest(wanted, tuple(by_plain)), "")
        fix = f"did you mean {close}? labctl explain --list" if close else "labctl explain --list"
        raise NotFound(f"labctl has no word {code!r} to explain", fix=fix)
    return found


def _plain(code: str) -> str:
    return code.strip().lower().replace("_", "-")
