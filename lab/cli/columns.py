"""Rows below their heads, as a terminal shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


_NOTHING = ("", "-")


def columns(
    head: Sequence[str], rows: Sequence[Sequence[str]], left: set[int], may_go: Iterable[int] = ()
) -> Iterator[str]:
    """The rows below their heads; numbers stand to the right, columns of `left` to the left.

    A column of `may_go` that says nothing in any row is left out.
    """
    gone = {column for column in may_go if all(row[column] in _NOTHING for row in rows)}
    shown = [column for column in range(len(head)) if column not in gone]
    widths = {column: max(len(row[column]) for row in (head, *rows)) for column in shown}
    for row in (head, *rows):
        cells = (
            row[column].ljust(widths[column]) if column in left else row[column].rjust(widths[column])
            for column in shown
        )
        yield "  ".join(cells).rstrip()
