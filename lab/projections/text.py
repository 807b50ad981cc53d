"""What came from outside, made harmless on a page.

A goal, a reason, a note or a result was written by a person, a model or a crashed program. On a page it may neither
end a table, a list or a fence, nor speak to the terminal, nor hide. Our own words do not pass through here.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

LINE_CHARS = 200
BLOCK_CHARS = 4_000
BLOCK_LINES = 60
NONE = "-"
CUT = "…"

# Whole escape sequences go, or their tails ("[31m") would stay behind as text. Most turns meet none, and compile none.
_ANSI = (
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # colours, cursor
    r"|(?:\x1b\]|\x9d)[^\x07\x1b\x9c\x9d]*(?:\x07|\x1b\\|\x9c)"  # titles, links
    r"|\x1b[ -/]*[0-~]"
)
# Controls; marks that turn the direction of writing, so that a page reads other than it is; invisible letters.
_HIDDEN = (
    "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\U000e0000-\U000e0fff"
)
UNSEEN = re.compile(f"[{_HIDDEN}]")
_SURROGATE = "[\ud800-\udfff]"
_MARKUP = re.compile(r"[\\`<|\[\]]")
_OPENS_BLOCK = re.compile(r"[#>~=]|[-+*](?![\w.])")
_ORDERED = re.compile(r"(\d{1,9})([.)])(?=\s|$)")
_BACKTICKS = re.compile("`+")


def line(text: str, limit: int = LINE_CHARS) -> str:
    """One line of plain text, at most `limit` characters."""
    seen = text[: 8 * limit]  # a note of 10 MB is not read to its end
    if not (seen.isascii() and seen.isprintable()):
        seen = re.sub(_SURROGATE, "\ufffd", re.sub(_ANSI, "", seen))
        seen = UNSEEN.sub("", " ".join(seen.split()))  # split first: some of the unseen are line ends
    words = " ".join(seen.split())
    if len(words) > limit or len(text) > 8 * limit:
        return words[: limit - 1].rstrip() + CUT
    return words


def md(text: str, limit: int = LINE_CHARS) -> str:
    """One line that Markdown shows as it is, in a paragraph, a list or a table."""
    plain = line(text, limit)
    if plain.isalnum():
        return plain
    escaped = _MARKUP.sub(r"\\\g<0>", plain)
    if _OPENS_BLOCK.match(escaped):
        return "\\" + escaped
    ordered = _ORDERED.match(escaped)
    return f"{ordered[1]}\\{escaped[ordered.end(1) :]}" if ordered else escaped


def block(text: str, limit: int = BLOCK_CHARS, lines: int = BLOCK_LINES) -> str:
    """Several lines of plain text, for a fence. Cut where it is too long, and it says so."""
    seen = text[:limit]
    if not seen.isascii() or "\x1b" in seen or not seen.replace("\n", "").isprintable():
        seen = re.sub(_ANSI, "", seen.replace("\r\n", "\n").replace("\r", "\n"))
        seen = re.sub(_SURROGATE, "\ufffd", UNSEEN.sub("", seen))
    rows = seen.strip("\n").split("\n")
    cut = len(text) > limit or len(rows) > lines
    return "\n".join([*(row.rstrip() for row in rows[:lines]), *([CUT] if cut else [])]).strip("\n")


def visible(text: str) -> str:
    """The same text without what no reader sees. Line ends and indents stay."""
    return re.sub(_SURROGATE, "\ufffd", UNSEEN.sub("", re.sub(_ANSI, "", text)))


def rewritten(raw: bytes) -> bytes:
    """What a terminal shows of a line of output, finished or not: after each carriage return it is written anew.

    So of a progress bar its last state. Of a line of any length in one pass; a cut comes after this, not before.
    """
    return raw.rstrip(b"\r").rpartition(b"\r")[2]


def fenced(text: str, language: str = "text") -> list[str]:
    """The lines of a fence that nothing inside can close. `text` comes from `block`."""
    longest = max((len(found) for found in _BACKTICKS.findall(text)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}{language}", text, fence]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A table. Cells are our own words or have gone through `md`."""
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    return lines


def row(cells: Sequence[str]) -> bytes:
    """A line of a table of tabs."""
    return ("\t".join(cells) + "\n").encode(errors="replace")


def cell(words: str, limit: int) -> str:
    """One cell of it. A quote that opens a cell would make csv readers swallow the lines after it."""
    plain = line(words, limit)
    return f"'{plain[1:]}" if plain.startswith('"') else plain or NONE


def number(value: float | None) -> str:
    """A value with every digit it has, as STATUS.json spells it; a dash where there is none."""
    return NONE if value is None else repr(value)


def count(number_of: int, noun: str) -> str:
    """`1 run`, `3 runs`."""
    return f"{number_of} {noun}" if number_of == 1 else f"{number_of} {noun}s"


def duration(seconds: float) -> str:
    """A length of time for people: `45 s`, `3 min 20 s`, `2 h 05 min`, `3 d 4 h`."""
    if seconds < 60:  # noqa: PLR2004  # a minute
        return f"{seconds:.3g} s"
    whole = round(seconds)
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest} s" if rest else f"{minutes} min"


def moment(stamp: str) -> str:
    """A time stamp of ours to the second; anything else as it is."""
    if len(stamp) == len("2026-01-02T03:04:05.678901Z") and stamp[10] == "T" and stamp.endswith("Z"):
        return md(f"{stamp[:10]} {stamp[11:19]} UTC")
    return md(stamp) or NONE


def page(lines: Iterable[str]) -> bytes:
    """The bytes of a page."""
    return ("\n".join(lines).rstrip("\n") + "\n").encode(errors="replace")
