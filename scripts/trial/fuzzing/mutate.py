# ruff: noqa: E501  # an input or a row of a table stands on one line
"""From an input to one like it: by bytes, by lines, by numbers, and by the values of a JSON document.

With the same chance the same input comes of it. It knows what parsers stumble over: half a character, an endless
nest, a number that no float holds, a key that stands twice.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

_NUMBER = re.compile(rb"-?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
_VALUE = re.compile(rb"[:=,\[{(]\s*|\A|\n")
NUMBERS = (
    b"0", b"-1", b"-0.0", b"1e308", b"1e999", b"-1e999", b"1e-400", b"NaN", b"Infinity", b"-Infinity", b"nan", b"inf",
    b"9" * 25, b"9" * 400, b"9" * 5000, b"1_000", b"0x1f", b"007", b"1.", b".5", b"2147483648", b"9223372036854775808",
    b"18446744073709551616", b"253402300800", b"1e22", b"true", b"null", "\u0663".encode(), "\u00b2".encode(),
)  # fmt: skip
WORDS = (
    b"\0", b"\xff", b"\xc3\x28", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\r\n", b"\r", b"\n", b"\t", b" ", b"\x1b[31m", b"\x85",
    "\u2028".encode(), "\u202e".encode(), "\U0001f600".encode(), b"\\ud800", b"\\udc00", b"\\u0000", b"\\", b'"', b"'", b"`",
    b"{", b"}", b"[", b"]", b"<", b">", b"&", b"*", b"%", b"#", b":", b",", b"=", b"|", b"!", b"@", b"$", b"~", b"---\n", b"...",
    b"null", b"true", b"{}", b"[]", b'""', b"../", b"/", b"//", b"..", b"!!int ''", b"!!timestamp x", b"!!bool x",
    b"&a ", b"*a", b"<<: ", b"? ", b"- ", b"2020-99-99", b"0001-01-01T00:00:00+14:00", b"9999-12-31T23:59:59-14:00",
    b"2026-11-30T05:33:00Z", b"://", b"http://", b"a" * 300, b"9" * 30,
)  # fmt: skip
NESTS = (b"[", b'{"a":', b"(", b"{", b"- ", b"<a>", b"a:\n ", b'"', b"\\", b"-", b"`", b"> ", b"{{", b"$(")
DEPTHS = (3, 50, 1_200, 1_200, 20_000)
VALUES: tuple[object, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, 2**64, 10**30, 10**400, 0.0, -0.0, 1e308, -1e308, 5e-324, 0.5, "", " ", "\0",
    "a" * 300, "x" * 70_000, "\ud800", "\n", "..", "/", "-", "nan", "1e999", "null", "0001-01-01T00:00:00+14:00", "9999-12-31",
    [], {}, [[]], [None], {"": None}, {"a": {}}, [0] * 300, "\u202e", "\U0001f600", "*", "{x}", "$(x)", "a\tb",
)  # fmt: skip
_MOST_STEPS = 4


def changed(data: bytes, chance: random.Random, words: Sequence[bytes] = (), others: Sequence[bytes] = ()) -> bytes:
    """An input like this one. `words` mean something to who reads it; `others` are inputs of the same kind."""
    for _ in range(chance.randint(1, _MOST_STEPS)):
        how = chance.choice(
            (_bytes, _bytes, _word, _word, _number, _lines, _value, _value, _value, _nest, _joined, _grown)
        )
        data = how(data, chance, words) if how is not _joined else _joined(data, chance, others)
    return data


def _bytes(data: bytes, chance: random.Random, words: Sequence[bytes]) -> bytes:
    del words
    at = chance.randint(0, len(data))
    to = min(len(data), at + chance.choice((0, 1, 1, 2, 8, 64)))
    new = chance.choice((b"", bytes((chance.randrange(256),)), data[at:to] * 2, data[at:to][::-1]))
    if chance.random() < 0.05:  # noqa: PLR2004  # torn off now and then
        return data[:at]
    return data[:at] + new + data[to:]


def _word(data: bytes, chance: random.Random, words: Sequence[bytes]) -> bytes:
    word = chance.choice(words) if words and chance.random() < 0.6 else chance.choice(WORDS)  # noqa: PLR2004  # the likelier ones
    at = chance.randint(0, len(data))
    return data[:at] + word + data[at + chance.choice((0, 0, 1, len(word))) :]


def _number(data: bytes, chance: random.Random, words: Sequence[bytes]) -> bytes:
    found = list(_NUMBER.finditer(data[:20_000]))
    if not found:
        return _word(data, chance, words)
    one = chance.choice(found)
    return data[: one.start()] + chance.choice(NUMBERS) + data[one.end() :]


def _lines(data: bytes, chance: random.Random, words: Sequence[bytes]) -> bytes:
    del words
    lines = data.split(b"\n")
    at = chance.randrange(len(lines))
    match chance.randrange(4):
        case 0:
            lines[at : at + 1] = [lines[at]] * chance.choice((2, 3, 40))
        case 1:
            del lines[at]
        case 2:
            lines.insert(chance.randint(0, len(lines)), lines.pop(at))
        case _:
            lines[at] = chance.choice((b" ", b"  ", b"\t", b"- ", b"# ")) + lines[at]
    return b"\n".join(lines)


def _nest(data: bytes, chance: random.Random, words: Sequence[bytes]) -> bytes:
    """A nest without end: anywhere, or in the place of a value."""
    del words
    begins = [found.end() for found in _VALUE.finditer(data[:20_000])] if chance.random() < 0.6 else []  # noqa: PLR2004  # mostly
    at = chance.choice(begins) if begins else chance.randint(0, len(data))
    return data[:at] + chance.choice(NESTS) * chance.choice(DEPTHS) + data[at:]


def _grown(data: bytes, chance: random.Random, words: Sequence[bytes]) -> bytes:
    """A piece of it many times over: what is quadratic shows."""
    del words
    at = chance.randint(0, len(data))
    piece = data[at : at + chance.choice((1, 2, 5, 20))]
    return data[:at] + piece * chance.choice((10, 200, 2_000)) + data[at:]


def _joined(data: bytes, chance: random.Random, others: Sequence[bytes]) -> bytes:
    other = chance.choice(others) if others else data
    return data[: chance.randint(0, len(data))] + other[chance.randint(0, len(other)) :]


def _value(data: bytes, chance: random.Random, words: Sequence[bytes]) -> bytes:
    """Another value at one place of a document, or at one of a line of it."""
    lines = data.split(b"\n")
    at = chance.randrange(len(lines))
    for start, text in ((0, data), (at, lines[at])):
        try:
            document = json.loads(text)
        except (ValueError, RecursionError):
            continue
        made = _spelt(_elsewhere(document, chance, words, 0))
        if text is data and start == 0:
            return made
        lines[at] = made
        return b"\n".join(lines)
    return _word(data, chance, words)


def _spelt(value: object) -> bytes:
    try:
        return json.dumps(value).encode()
    except ValueError:  # a number of more digits than Python writes
        return b"9" * 5000


def _elsewhere(value: object, chance: random.Random, words: Sequence[bytes], depth: int) -> object:
    if isinstance(value, dict) and value and chance.random() < 0.85 and depth < 8:  # noqa: PLR2004  # mostly further in
        key = chance.choice(list(value))
        match chance.randrange(6):
            case 0:
                return {each: inner for each, inner in value.items() if each != key}
            case 1:
                name = chance.choice(words).decode(errors="replace") if words else "x"
                return {**value, name: chance.choice(VALUES)}
            case _:
                return {**value, key: _elsewhere(value[key], chance, words, depth + 1)}
    if isinstance(value, list) and value and chance.random() < 0.85 and depth < 8:  # noqa: PLR2004  # the same
        at = chance.randrange(len(value))
        match chance.randrange(5):
            case 0:
                return value[:at] + value[at + 1 :]
            case 1:
                return value * chance.choice((2, 30))
            case _:
                return [*value[:at], _elsewhere(value[at], chance, words, depth + 1), *value[at + 1 :]]
    return chance.choice(VALUES)
