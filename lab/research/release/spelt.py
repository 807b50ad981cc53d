"""The other ways in which a text can be written: escapes, signs that nobody sees, lines that go on, and encodings.

Encodings are looked for in what was decoded too, a few levels deep. What somebody wrote in a way of their own is not
read here: letters in another order, a key in pieces that a program puts together, a cipher.
"""

from __future__ import annotations

import base64
import binascii
import html
import quopri
import re
import unicodedata
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Iterator

DEEPEST = 3  # levels of one encoding within another
RUN = re.compile(rb"[\x20-\x7e\t]{12,}")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{24,}")
_BASE32 = re.compile(r"[A-Z2-7]{32,}|[a-z2-7]{32,}")
_BASE85 = re.compile(r"[0-9A-Za-z!#$%&()*+;<=>?@^_`{|}~-]{30,}")
_ASCII85 = re.compile(r"[!-uz]{30,}")
_HEX = re.compile(r"(?:[0-9a-fA-F]{2}){12,}")
_HEX_APART = re.compile(r"(?<![0-9a-fA-F])(?:(?:0x|\\x)?[0-9a-fA-F]{2}(?:[,:] ?| )){11,}(?:0x|\\x)?[0-9a-fA-F]{2}")
_UU = re.compile(r"^[!-M][ -`]{4,60}$", re.MULTILINE)
_WRAPPED = re.compile(r"(?<=[A-Za-z0-9+/]{60})\r?\n[ \t>]*(?=[A-Za-z0-9+/])")
_WRAPPED_32 = re.compile(r"(?<=[A-Z2-7]{48})\r?\n[ \t]*(?=[A-Z2-7])")
_WRAPPED_85 = re.compile(r"(?<=\S{60})\r?\n(?=\S)")
_NUMBERED = re.compile(r"\\u\{?([0-9a-fA-F]{4})\}?|\\x([0-9a-fA-F]{2})|\\([0-7]{3})")
_GOES_ON = re.compile(r"\\\r?\n[ \t]*")
_APART = re.compile(r"([\"'])[ \t]*(?:\+|\\?\r?\n|\+[ \t]*\\?\r?\n|[ \t])[ \t]*\+?[ \t]*[rbf]?\1")
_OF_PRINT = re.compile(r"=(?:[0-9A-F]{2}|\r?\n)")
# Shown as nothing, though not all are of the class of what is not shown.
_UNSEEN = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180e\u180f\u2800\u3164\uffa0")
_LETTERS = 4  # of base64, that stand for three bytes
_MOST_85 = 2 << 20  # letters: it is slow, and nothing ordinary looks like it


def forms(text: str) -> Iterator[tuple[str, str, bool]]:
    """How else it can be read: how, the text, and whether somebody may have written it so."""
    others = {"with its letters written out": _NUMBERED.sub(_letter, text) if "\\" in text else text}
    others["as a URL says it"] = unquote(text) if "%" in text else text
    others["as a page shows it"] = html.unescape(text) if "&" in text else text
    others["with its lines joined"] = _GOES_ON.sub("", text) if "\\" in text else text
    if len(_OF_PRINT.findall(text)) > 1:
        others["as a mail says it"] = quopri.decodestring(text.encode()).decode(errors="replace")
    if not text.isascii():
        bare = unicodedata.normalize("NFKC", "".join(each for each in text if is_seen(each)))
        others["without what is not seen"] = bare
    for how, other in others.items():
        if other != text:
            yield how, other, True
    apart = _APART.sub("", text)
    if apart != text:
        yield "with its strings put together", apart, False


def is_seen(letter: str) -> bool:
    """Whether a reader sees anything of it, if only a gap."""
    if letter.isascii():
        return True
    number = ord(letter)
    if 0xFE00 <= number <= 0xFE0F or 0xE0000 <= number <= 0xE0FFF:  # noqa: PLR2004  # variants and tags
        return False
    return letter not in _UNSEEN and unicodedata.category(letter) != "Cf"


def _letter(found: re.Match[str]) -> str:
    return chr(int(found[1] or found[2], 16) if not found[3] else int(found[3], 8))


def decoded(text: str) -> Iterator[bytes]:
    """What stands there as base64, base32, base85, hex or uuencode. Where it begins is not known, so each may be."""
    joined = _WRAPPED.sub("", text)
    for match in _BASE64.finditer(joined):
        letters = match[0].replace("-", "+").replace("_", "/")
        for first in range(_LETTERS):
            part = letters[first:]
            part = part[: len(part) - len(part) % _LETTERS] if len(part) % _LETTERS == 1 else part
            yield base64.b64decode(part + "=" * (-len(part) % _LETTERS))
    for match in _HEX.finditer(joined):
        for first in (0, 1):
            part = match[0][first:]
            yield binascii.unhexlify(part[: len(part) - len(part) % 2])
    for match in _HEX_APART.finditer(text):
        yield binascii.unhexlify("".join(re.findall(r"(?:0x|\\x)?([0-9a-fA-F]{2})", match[0])))
    for match in _BASE32.finditer(_WRAPPED_32.sub("", text)):
        for first in range(8):
            part = match[0][first:].upper()
            yield base64.b32decode(part[: len(part) - len(part) % 8])
    yield from _of_85(text)
    lines = _UU.findall(text)
    if lines:
        yield b"".join(filter(None, map(_uu, lines)))


def _of_85(text: str) -> Iterator[bytes]:
    """Both alphabets. Words, numbers and base64 are none."""
    left = _MOST_85
    joined = _WRAPPED_85.sub("", text)
    for pattern, decode in ((_BASE85, base64.b85decode), (_ASCII85, base64.a85decode)):
        for match in pattern.finditer(joined):
            part = match[0].removeprefix("<~").removesuffix("~")
            if not _is_mixed(part):
                continue
            left -= len(part)
            if left < 0:
                return
            for first in range(5):
                try:
                    yield decode(part[first:])
                except ValueError:
                    continue


def _is_mixed(part: str) -> bool:
    """Base64 has few signs that are no letters or digits, and a row of a table few others."""
    start = part[:200]
    signs = sum(not each.isalnum() for each in start)
    return len(start) < 8 * signs < 6 * len(start) and any(map(str.isupper, start)) and any(map(str.islower, start))


def _uu(line: str) -> bytes:
    size = (ord(line[0]) - 32) & 63
    if abs(len(line) - 1 - (size + 2) // 3 * 4) > 1:
        return b""
    try:
        return binascii.a2b_uu(line)
    except binascii.Error:
        return b""
