"""One spelling for a value, so that a digest means something.

Keys sorted, no spaces, UTF-8, shortest floats, no NaN and no infinity. `text` is the same value laid out for people.
"""

from __future__ import annotations

import hashlib
import json

import msgspec

INDENT = 2


def encode(value: object) -> bytes:
    """The canonical bytes of a JSON value. Raises ValueError for NaN, infinity and what JSON has no word for."""
    try:
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        return text.encode()
    except (TypeError, UnicodeEncodeError, RecursionError) as error:
        message = f"not a JSON value: {error}"
        raise ValueError(message) from error


def page(value: object) -> bytes:
    """The same value for people: indented, keys in the order they were given, one newline at the end."""
    plain_json = json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    return msgspec.json.format(plain_json, indent=INDENT) + b"\n"  # json's own indent is pure Python, and shows


def plain(text: str) -> str:
    """A text that UTF-8 can hold: what is no character of a path or a name is written as its number."""
    return text.encode(errors="backslashreplace").decode()


def is_text(text: str) -> bool:
    """Whether UTF-8 can hold it. A lone surrogate, the half of a character, is no text."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def digest(data: bytes) -> str:
    """What `sha256sum` prints for the same bytes."""
    return hashlib.sha256(data).hexdigest()
