"""Rows that an agent or a program wrote: what they claim of themselves is dropped, and the hosts are asked instead.

A paper that no host knows and that is none of the user's is left out, and that is said: it may have been made up, and
nobody could tell. So nothing is confirmed offline but the user's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.research.literature import own, phrase, sourcing, surveying
from lab.research.source import Quote, Source

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.research.literature.own import Own
    from lab.research.literature.searching import Desk
    from lab.research.worker import Task


def confirm(task: Task, rows: Sequence[Source]) -> tuple[Source, ...]:
    """The rows that may be cited, with statuses, texts and raw answers of the lab's; `rows.leave` writes them.

    Quotes are kept where they are words of the text that the lab has itself. The user's rows are read anew from the
    user's files, whatever the row says. Keys stay, as far as they are unique. `Unavailable` where every host failed.
    """
    desk = surveying.desk(task)
    offline = task.project.literature.offline
    shelf = sourcing.Shelf(task.out, phrase.stems(phrase.keywords(surveying.about(task), 40)))
    mine = {(each.file, phrase.folded(each.claim.title)): each for each in own.read(task).sources}
    for row in rows:
        theirs = _of_users(row, mine)
        if theirs is not None:
            made, text = sourcing.of_own(theirs, None if offline else desk)
            _place(shelf, msgspec.structs.replace(made, key=row.key or made.key), text, row.quotes)
            continue
        told = _judged(row, desk)
        if isinstance(told, str):
            task.say(f"left out: {phrase.plain(row.title, 120)!r}: {told}")
            continue
        _place(shelf, told[0], told[1], row.quotes)
    if rows:
        surveying.refuse_silence(desk, shelf.rows)
    return tuple(shelf.rows)


def _judged(row: Source, desk: Desk) -> tuple[Source, str] | str:
    """A row as hosts know it, and the abstract that they tell; or why it is left out."""
    bare = Source(
        key=row.key, title=phrase.plain(row.title, 500), authors=row.authors, year=row.year, url=row.url, doi=row.doi,
        arxiv=row.arxiv, origin=row.origin,
    )  # fmt: skip
    if not bare.title:
        return "it has no title"
    made, found = sourcing.judged(bare, desk)
    if found is None:
        return made.why
    return msgspec.structs.replace(made, origin=found.host), found.entry.abstract


def _of_users(row: Source, mine: dict[tuple[str, str], Own]) -> Own | None:
    """The user's source that a row means: by its file and title, or the only one of its file."""
    if not row.file:
        return None
    found = mine.get((row.file, phrase.folded(row.title)))
    if found is None:
        same = [each for (file, _), each in mine.items() if file == row.file]
        found = same[0] if len(same) == 1 else None
    return found


def _place(shelf: sourcing.Shelf, row: Source, text: str, quotes: tuple[Quote, ...]) -> None:
    placed = shelf.place(row, text)
    said = tuple(_spanned(each, text) for each in quotes)
    true = tuple(each for each in said if each is not None)
    if true:
        shelf.rows[-1] = msgspec.structs.replace(placed, quotes=true)


def _spanned(quote: Quote, text: str) -> Quote | None:
    """Where the quote stands in the text, wherever it says that it does."""
    at = text.find(quote.text) if quote.text else -1
    return None if at < 0 else Quote(text=quote.text, start=at, end=at + len(quote.text))
