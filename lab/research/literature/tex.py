"""The little of TeX that titles and names are written in: read as plain text, and written so that TeX reads it back."""

from __future__ import annotations

import re
import unicodedata

from lab.research.literature import phrase

# An accent as TeX writes it -> the mark that Unicode combines with a letter.
_MARKS = {
    "`": "\u0300", "'": "\u0301", "^": "\u0302", "~": "\u0303", "=": "\u0304", "u": "\u0306", ".": "\u0307",
    '"': "\u0308", "r": "\u030a", "H": "\u030b", "v": "\u030c", "d": "\u0323", "c": "\u0327", "k": "\u0328",
}  # fmt: skip
_LETTERS = {
    "ss": "ß", "ae": "æ", "AE": "Æ", "oe": "œ", "OE": "Œ", "aa": "å", "AA": "Å", "o": "ø", "O": "Ø", "l": "ł",
    "L": "Ł", "i": "i", "j": "j", "textendash": "\u2013", "textemdash": "\u2014", "textbackslash": "\\",
    "textasciitilde": "~", "textasciicircum": "^", "textbraceleft": "{", "textbraceright": "}",
}  # fmt: skip
_ACCENT = re.compile(r"""\\(?:([`'^"~=.])\s*|([uvHcdkr])(?:\s+|(?=\{)))(?:\{\s*(\\?[^\W\d_])\s*\}|(\\?[^\W\d_]))""")
_LETTER = re.compile(rf"\\({'|'.join(sorted(_LETTERS, key=len, reverse=True))})(?![A-Za-z])(?:\{{\}}|\s+)?")
_COMMAND = re.compile(r"\\([A-Za-z]+)\s*")
# Whoever reads BibTeX counts braces whatever stands before them, so none of a title's own may stand there.
_SPECIAL = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "{": r"\textbraceleft{}", "}": r"\textbraceright{}",
    **{each: f"\\{each}" for each in "&%$#_"},
}  # fmt: skip
_KEPT = "\0"  # before the number of a character that is none of TeX's
_TAKEN = frozenset("&%$#_{}\\~^- ")


def plain(text: str) -> str:
    """What a reader would see. Commands that are not known are left out, and what they stand around is kept."""
    read = _ACCENT.sub(_accented, text.replace(_KEPT, " "))
    read = _LETTER.sub(lambda found: _sheltered(_LETTERS[found[1]]), read)
    read = re.sub(r"\\([&%$#_{}\\ ])", lambda found: _sheltered(found[1]), read)
    read = _COMMAND.sub("", read).replace("~", " ").replace("---", "\u2014").replace("--", "\u2013")
    read = re.sub(r"[{}$\\]", "", read)
    read = re.sub(rf"{_KEPT}([0-9a-f]{{2}})", lambda found: chr(int(found[1], 16)), read)
    return phrase.plain(unicodedata.normalize("NFC", read), 20_000)


def _sheltered(text: str) -> str:
    """Its characters as their numbers, where a later step would take them for TeX."""
    return "".join(f"{_KEPT}{ord(each):02x}" if each in _TAKEN else each for each in text)


def escaped(text: str) -> str:
    """On one line, so that TeX prints it and runs none of it, and braces are in pairs."""
    written = "".join(_SPECIAL.get(each, each) for each in phrase.plain(text, 20_000))
    return re.sub(r"-(?=-)", "-{}", written)  # two would become a dash


def _accented(found: re.Match[str]) -> str:
    letter = (found[3] or found[4]).lstrip("\\")
    return unicodedata.normalize("NFC", letter + _MARKS[found[1] or found[2]])
