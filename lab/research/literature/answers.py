"""Reading JSON that a stranger answered: whole, of the types that were promised, or refused in words."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from lab.research.literature import phrase
from lab.research.literature.entry import Unanswered

T = TypeVar("T")


class _Wrong(msgspec.Struct):
    message: object = None
    error: object = None


def decoded(body: bytes, kind: type[T]) -> T:
    if body.lstrip()[:1] == b"<":
        raise Unanswered("it answered with a page of HTML, and not with JSON")
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as wrong:
        # Some say an error with the status 200, as if it were an answer.
        raise Unanswered(
            f"it answered with an error: {words}" if (words := said(body)) else f"its answer cannot be read: {wrong}"
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Unanswered("its answer is no whole JSON") from None


def said(body: bytes) -> str:
    """What an error says of itself, in a few words."""
    try:
        wrong = msgspec.json.decode(body, type=_Wrong)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ""
    words = next((each for each in (wrong.message, wrong.error) if isinstance(each, str) and each), "")
    return phrase.plain(words, 200)
