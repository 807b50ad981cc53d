"""What a notebook shows of a value: small tables of HTML, with every word escaped, and never more than a screenful."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

ROWS, COLUMNS = 30, 24
_CELL_CHARS = 60


def table(columns: Sequence[str], rows: Sequence[Mapping[str, object]], about: str) -> str:
    """The first rows and columns, under a line that says what they are and how many are left out."""
    shown = columns[:COLUMNS]
    left = [f"{len(rows) - ROWS} more rows"] if len(rows) > ROWS else []
    left += [f"{len(columns) - COLUMNS} more columns"] if len(columns) > COLUMNS else []
    head = "".join(f"<th>{cell(name)}</th>" for name in shown)
    body = "".join(
        f"<tr>{''.join(f'<td>{cell(row.get(name))}</td>' for name in shown)}</tr>" for row in rows[:ROWS]
    )  # fmt: skip
    told = ", ".join([about, *left])
    return f"<p>{escape(told)}</p><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def pairs(about: str, told: Iterable[tuple[str, object]]) -> str:
    """A table of names and values."""
    body = "".join(f"<tr><th>{cell(name)}</th><td>{cell(value)}</td></tr>" for name, value in list(told)[:ROWS])
    return f"<p>{escape(about)}</p><table><tbody>{body}</tbody></table>"


def cell(value: object) -> str:
    """A value, cut and escaped: names and notes were written by runs and models."""
    if value is None:
        return ""
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return escape(text if len(text) <= _CELL_CHARS else f"{text[: _CELL_CHARS - 1]}…")
