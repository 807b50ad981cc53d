"""Lines of a screen as values: pieces of text with a style each, cut to its width. Nothing in them is markup."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size

from lab.projections import text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Span = tuple[str, str]  # text, and a style as rich names it
Row = tuple[Span, ...]
BLANK: Row = ()
BOLD, DIM, WARN, BAD, GOOD, MARKED = "bold", "dim", "yellow", "red", "green", "reverse"
_HOUR_S, _MINUTE_S = 3600, 60
_BY_MINUTES_S = 600
_ID_PARTS = 4


def fit(row: Iterable[Span], width: int, *, plain: bool = False) -> Row:
    """The row, cut where the screen ends. `plain`: in ASCII, for a terminal that knows no more."""
    spans: list[Span] = []
    left = width
    for words, style in row:
        seen = ascii_of(words) if plain else words
        if not seen or left <= 0:
            continue
        shown = cut(seen, left, plain=plain)
        spans.append((shown, style))
        left -= cell_len(shown)
    return tuple(spans)


def cut(words: str, width: int, *, plain: bool = False) -> str:
    """At most so many columns. What was cut says so."""
    if cell_len(words) <= width:
        return words
    if width <= 0:
        return ""
    return set_cell_size(words, width - 1).rstrip() + ("~" if plain else text.CUT)


def cells(columns: Sequence[tuple[str, int, str]], width: int, *, selected: bool = False, plain: bool = False) -> Row:
    """A row of a table: text, width and style of each column; 0 is the rest. A selected row is reversed."""
    row: list[Span] = []
    left = width
    for words, wide, style in columns:
        room = min(left, wide or left)
        if room <= 0:
            break
        seen = ascii_of(words) if plain else words
        row.append((set_cell_size(cut(seen, max(room - (1 if wide else 0), 0), plain=plain), room), style))
        left -= room
    return tuple((words, f"{style} {MARKED}".strip()) for words, style in row) if selected else tuple(row)


def packed(bits: Iterable[Span], width: int, most: int) -> list[Row]:
    """As many bits in a line as there is room for, in at most so many lines; the last says when bits were left out."""
    lines: list[list[Span]] = [[]]
    used = 0
    for words, style in bits:
        if not words:
            continue
        long = cell_len(words)
        if used and used + 2 + long > width:
            if len(lines) == most:
                lines[-1].append((f" {text.CUT}", DIM))
                break
            lines.append([])
            used = 0
        if used:
            lines[-1].append(("  ", ""))
            used += 2
        lines[-1].append((words, style))
        used += long
    return [tuple(line) for line in lines if line]


def window(count: int, room: int, at: int) -> range:
    """Which of so many rows are shown, so that the one at `at` is among them."""
    if count <= room:
        return range(count)
    first = min(max(at - room // 2, 0), count - room)
    return range(first, first + room)


def ascii_of(words: str) -> str:
    return words if words.isascii() else words.replace(text.CUT, "~").encode("ascii", "replace").decode()


def short(run_id: str, width: int) -> str:
    """A run's id where there is room for it; else the time of day and its name, which tell it apart from its like."""
    clean = text.line(run_id)
    if len(clean) + 1 <= width:
        return clean
    parts = clean.split("-", 4)
    return f"{parts[2]}.{parts[3][:2]}-{parts[4]}" if len(parts) > _ID_PARTS and clean.startswith("RUN-") else clean


def since(stamp: str, now: datetime) -> str:
    """How long ago a moment is, no finer than a watcher wants it; empty for what is no moment."""
    try:
        seconds = max(0, int((now - datetime.fromisoformat(stamp)).total_seconds()))
    except (ValueError, TypeError):
        return ""
    if seconds >= _HOUR_S:
        return text.duration(seconds - seconds % _MINUTE_S)
    return text.duration(seconds - seconds % _MINUTE_S if seconds >= _BY_MINUTES_S else seconds)


def number(value: float | None) -> str:
    """A value in six digits: every digit is in `labctl show`."""
    return "" if value is None else f"{value:.6g}"
