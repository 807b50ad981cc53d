"""The forms in which a file can carry words: as it is, in another encoding, packed, or written as something else.

What is looked into: texts of one, two or four bytes a letter, the strings of JSON and of notebooks, other spellings and
encodings (`spelt`), streams and the members of archives (`packed`), and these within each other, a few levels deep.
What is packed and cannot be looked into is a problem, never passed over. A secret that somebody takes apart, or
encrypts, is not found here.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from lab.research.release import packed, spelt
from lab.research.release.pieces import Shut, Text, Unpacked, joined

if TYPE_CHECKING:
    from collections.abc import Iterator

_SAMPLE = 65_536
_RARE = 0.02  # control characters: a text has hardly any
_DEEPEST = 4  # streams within streams, and encodings in them
_MOST_DECODED = 256 << 20  # bytes that were written as something else, of one file


class _Left:
    """What may still be decoded of one file."""

    def __init__(self) -> None:
        self.bytes = _MOST_DECODED


def into(data: bytes) -> Iterator[Text | Shut]:
    """Everything that a file says, or why it cannot be known."""
    yield from _into(data, "", _Left(), 0, is_member=False)


def _into(data: bytes, within: str, left: _Left, depth: int, *, is_member: bool) -> Iterator[Text | Shut]:
    yield from (_below(each, within) for each in packed.shut(data))
    yield from _words(data, within, left, depth)
    for each in packed.streams(data):
        yield from _of_stream(each, within, left, depth)
    listed = packed.members(data, is_member=is_member)
    yield from (_below(each, within) for each in packed.unlisted(data))
    for part in listed:
        if isinstance(part, Unpacked):
            place = joined(within, part.within)
            yield from _into(part.data, place, left, depth + 1, is_member=part.is_member)
        elif isinstance(part, Shut):
            yield _below(part, within)
        else:
            yield Text(text=part.text, within=part.within)


def _of_stream(each: Unpacked | Shut, within: str, left: _Left, depth: int) -> Iterator[Text | Shut]:
    if isinstance(each, Shut):
        yield _below(each, within)
    elif depth < _DEEPEST:
        yield from _into(each.data, joined(within, each.within), left, depth + 1, is_member=True)
    else:
        yield from _words(each.data, joined(within, each.within), left, depth)


def _below(each: Shut, within: str) -> Shut:
    return Shut(what=each.what, within=joined(within, each.within) if each.within else within)


def _words(data: bytes, within: str, left: _Left, depth: int) -> Iterator[Text | Shut]:
    text = _decoded(data)
    if text is None:
        # Without zero bytes, what has two or four bytes a letter reads as one of one byte.
        for pieces in (data, data.replace(b"\0", b"")) if b"\0" in data else (data,):
            found = b"\n".join(spelt.RUN.findall(pieces)).decode("ascii")
            if found:
                yield Text(text=found, within=within or "as bytes", is_prose=False)
                yield from _encoded(found, within, left, depth)
        return
    yield Text(text=text, within=within, is_plain=not within)
    for how, other, is_prose in spelt.forms(text):
        yield Text(text=other, within=joined(within, how), is_prose=is_prose)
        yield from _encoded(other, joined(within, how), left, depth)
    yield from _encoded(text, within, left, depth)
    yield from _of_json(text, within, left, depth)


def _decoded(data: bytes) -> str | None:
    """The text, where these bytes are one."""
    for mark, name in ((b"\xff\xfe\0\0", "utf-32"), (b"\0\0\xfe\xff", "utf-32"), (b"\xff\xfe", "utf-16"),
                       (b"\xfe\xff", "utf-16"), (b"\xef\xbb\xbf", "utf-8-sig")):  # fmt: skip
        if data.startswith(mark):
            return data.decode(name, "replace")
    sample = data[:_SAMPLE]
    if b"\0" in sample:
        return None
    rare = sum(sample.count(bytes((code,))) for code in range(32) if code not in (9, 10, 12, 13, 27))
    if rare > _RARE * len(sample):
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        high = sum(byte > 127 for byte in sample)  # noqa: PLR2004  # above ASCII
        return data.decode("latin-1") if high < 0.3 * len(sample) else None  # else it is no text


def _encoded(text: str, within: str, left: _Left, depth: int, level: int = 0) -> Iterator[Text | Shut]:
    """What stands there in an encoding, as far as it is words, or is packed."""
    found: list[str] = []
    place = joined(within, "decoded")
    for data in spelt.decoded(text):
        left.bytes -= len(data)
        if left.bytes < 0:
            yield Shut(what="more is encoded in it than can be looked at", within=within)
            return
        found += _as_words(data)
        if depth < _DEEPEST and packed.may_be(data):
            yield from (_below(each, place) for each in packed.shut(data, is_decoded=True))
            for each in (*packed.streams(data), *packed.members(data, is_member=False)):
                if isinstance(each, Unpacked):
                    yield from _into(each.data, joined(place, each.within), left, depth + 1, is_member=True)
    if found:
        words = "\n".join(found)
        yield Text(text=words, within=place, is_prose=False)
        if level < spelt.DEEPEST:
            yield from _encoded(words, place, left, depth, level + 1)


def _as_words(data: bytes) -> list[str]:
    found = spelt.RUN.findall(data)
    if b"\0" in data:
        found += spelt.RUN.findall(data.replace(b"\0", b""))
    return [each.decode("ascii") for each in found]


def _of_json(text: str, within: str, left: _Left, depth: int) -> Iterator[Text | Shut]:
    """The strings of a document or of its lines, as a program reads them: each cell of a notebook in one piece."""
    if not text.lstrip()[:1] in ("{", "[", '"'):  # noqa: E713  # the two first signs of all JSON
        return
    documents = [text] if _is_json(text) else text.splitlines()
    found: list[str] = []
    for document in documents:
        try:
            value = json.loads(document)
        except (ValueError, RecursionError):
            continue
        waiting: list[object] = [value]
        while waiting:
            each = waiting.pop()
            if isinstance(each, dict):
                waiting += [*each, *each.values()]
            elif isinstance(each, list):
                if each and all(isinstance(part, str) for part in each):
                    found.append("".join(map(str, each)))  # the lines of a cell
                waiting += each
            elif isinstance(each, str):
                found.append(each)
    strings = "\n".join(found)
    if strings:
        place = joined(within, "in its strings")
        yield Text(text=strings, within=place)
        yield from _encoded(strings, place, left, depth)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
