"""How wide words are, before anything has drawn them: an upper bound for the usual sans-serif letters.

It holds for Latin letters, digits and signs in DejaVu Sans, which is the widest that a page comes to on its own, in
Arial and Liberation Sans, and in the letters inside Pillow. Of other scripts it is wide enough for most.
"""

from __future__ import annotations

import functools
import unicodedata

# Thousandths of the size -> the letters that are no wider, in plain and in bold; beside themselves, where that is more.
_PLAIN = {
    280: "'ijl", 320: "I,. \u00b7\u2018\u2019", 340: "/:;\\|", 365: "f-", 401: "()[]t!", 415: "r", 460: '"',
    525: "`sz\u201c\u201d", 561: "Jc?_*\u2013", 595: "Lkvxy", 616: "FoTae", 637: "hnubdgpq0123456789${}\u00b5\u20ac",
    687: "EKPSYVXZB", 732: "CRUA", 771: "NHD", 790: "G&OQ", 840: "w#+<=>^~\u2212\u00b1\u00d7", 870: "M", 975: "m%",
    1016: "W@\u2014\u2026\u2192",
}  # fmt: skip
_BOLD = {
    307: "'", 350: "ijl ", 380: "/\\|I,.\u00b7\u2018\u2019", 416: ":;-", 436: "f", 458: "!()[]", 494: "tr", 525: '`"',
    561: "J_*\u2013", 596: "zcs", 615: "?", 660: "Lxvy\u201c\u201d", 688: "kaeFEo",
    720: "0123456789$\u20acThnu{}bdgpq", 740: "YZPCS\u00b5", 775: "BRXAVK", 840: "UGDHN#+<=>^~\u2212\u00b1\u00d7",
    875: "OQ&", 925: "w", 1002: "M@%\u2014\u2026\u2192", 1045: "m", 1105: "W",
}  # fmt: skip
_WIDTHS = tuple({letter: em / 1_000 for em, told in each.items() for letter in told} for each in (_PLAIN, _BOLD))
_FULL_EM, _PICTURE_EM, _UPPER_EM, _LOWER_EM = 1.05, 1.3, 1.1, 0.95
_BOLDER = 1.22  # times as wide as plain ones, at most
_PICTURES = 0x1F000


def width(text: str, size: float, *, bold: bool = False) -> float:
    """In the units of the scene."""
    return size * sum(_em(letter, bold) for letter in text)


def fitted(text: str, size: float, room: float, *, bold: bool = False) -> str:
    """The text, or as much of its beginning as fits, with an ellipsis."""
    if width(text, size, bold=bold) <= room:
        return text
    room -= size * _em("…", bold)
    kept = []
    for letter in text:
        room -= size * _em(letter, bold)
        if room < 0:
            break
        kept.append(letter)
    shown = "".join(kept).rstrip(" ,;:")
    return f"{shown}…" if shown else ""


@functools.lru_cache(maxsize=4_096)
def _em(letter: str, bold: bool) -> float:  # noqa: FBT001  # called for each letter
    known = _WIDTHS[bold].get(letter)
    if known is not None:
        return known
    if unicodedata.combining(letter):
        return 0.0
    if unicodedata.east_asian_width(letter) in "WF":
        return _PICTURE_EM if ord(letter) >= _PICTURES else _FULL_EM
    base = unicodedata.normalize("NFD", letter)[0]
    if base != letter:
        return _em(base, bold)
    return (_LOWER_EM if letter.islower() else _UPPER_EM) * (_BOLDER if bold else 1.0)
