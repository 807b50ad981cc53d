"""How wide words are, before anything has drawn them: an upper bound for the usual sans-serif letters."""

from __future__ import annotations

import unicodedata

_NARROW, _WIDE = frozenset("iljtf.,:;|!'()[] "), frozenset("mwMW@%")
_NARROW_EM, _PLAIN_EM, _CAPITAL_EM, _WIDE_EM, _FULL_EM = 0.36, 0.6, 0.74, 0.98, 1.05


def width(text: str, size: float) -> float:
    """In the units of the scene."""
    return size * sum(map(_em, text))


def fitted(text: str, size: float, room: float) -> str:
    """The text, or as much of its beginning as fits, with an ellipsis."""
    if width(text, size) <= room:
        return text
    room -= size * _WIDE_EM
    kept = []
    for letter in text:
        room -= size * _em(letter)
        if room < 0:
            break
        kept.append(letter)
    shown = "".join(kept).rstrip(" ,;:")
    return f"{shown}…" if shown else ""


def _em(letter: str) -> float:
    if letter in _NARROW:
        return _NARROW_EM
    if letter in _WIDE:
        return _WIDE_EM
    if letter.isascii():
        return _CAPITAL_EM if letter.isupper() else _PLAIN_EM
    return _FULL_EM if unicodedata.east_asian_width(letter) in "WF" else 0.0 if unicodedata.combining(letter) else 0.78
