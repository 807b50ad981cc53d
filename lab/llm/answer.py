"""What a service's answer says, whichever service it is. Pure: bytes in, a record out, and nothing is raised.

Services differ from their own documents, and gateways from both: every field may be missing, or of another type.
"""

from __future__ import annotations

import msgspec

from lab.llm.exchange import FAILING, LIMITED, MALFORMED, NOTHING, REFUSED, TRUNCATED, Tokens
from lab.llm.foreign import field, number, object_in

_MAX_WORDS = 300
_GOOD, _TOO_MANY, _SERVER = 200, 429, 500


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a service or an agent said. `problem` is empty, or a word of lab.llm.exchange; then `what` says it."""

    text: str = ""
    used: Tokens = Tokens()
    model: str = ""
    problem: str = ""
    what: str = ""


def opened(status: int, data: bytes) -> dict[str, object] | Answer:
    """The object that an answer is, or the reading of one that is none."""
    if not _GOOD <= status < _GOOD + 100:
        return failed(status, data)
    value = object_in(data)
    if value is None:
        return odd(data)
    if value.get("error") or value.get("type") == "error":
        return refused(value.get("error"))
    return value


def failed(status: int, data: bytes) -> Answer:
    """The reading of an answer whose status says that it is none. A request that was turned away costs nothing."""
    words = complaint(data)
    what = f"it answered {status}" + (f": {words}" if words else "")
    if status >= _SERVER:
        return Answer(problem=FAILING, what=what)
    problem = LIMITED if status == _TOO_MANY else REFUSED
    return Answer(problem=problem, what=what, used=NOTHING)


def odd(data: bytes) -> Answer:
    """The reading of a good status with something behind it that is no answer of this service."""
    start = one_line(data[:_MAX_WORDS].decode(errors="replace"))
    return Answer(problem=MALFORMED, what=f"it answered with what is no answer: {start or 'nothing at all'}")


def refused(error: object) -> Answer:
    """The reading of an error that came with a good status, as gateways send it."""
    code = number(field(error, "code")) or 0
    kind = field(error, "type")
    problem = REFUSED
    if code >= _SERVER or kind in ("overloaded_error", "api_error", "server_error"):
        problem = FAILING
    elif code == _TOO_MANY or kind == "rate_limit_error":
        problem = LIMITED
    return Answer(problem=problem, what=f"it answered with an error: {words_of(error) or 'without words'}")


def cut(text: str, model: str, used: Tokens) -> Answer:
    """The reading of an answer that reached the limit of tokens. What there is of it is kept."""
    at = f" of {used.answered:,} tokens" if used.answered else ""
    what = f"the answer was cut off at the limit{at}" + ("" if text.strip() else ", before it had begun")
    return Answer(text=text, model=model, used=used, problem=TRUNCATED, what=what)


def complaint(data: bytes) -> str:
    """The words in which a service says what is wrong, or the beginning of whatever it sent."""
    value = object_in(data)
    if value is None:
        return one_line(data[: 4 * _MAX_WORDS].decode(errors="replace"))
    return words_of(value.get("error")) or words_of(value)


def words_of(error: object) -> str:
    """The words of an error in any of the usual forms."""
    if isinstance(error, str):
        return one_line(error)
    for name in ("message", "detail", "msg", "error"):
        value = field(error, name)
        if isinstance(value, (list, dict)) and value:
            return one_line(msgspec.json.encode(value).decode())
        if isinstance(value, str) and value.strip():
            return one_line(value)
    return ""


def one_line(text: str) -> str:
    """A text as part of a sentence: in one line, without what a terminal would obey, cut."""
    plain = " ".join("".join(each if each.isprintable() else " " for each in text[: 4 * _MAX_WORDS]).split())
    return plain if len(plain) <= _MAX_WORDS else plain[:_MAX_WORDS] + " ..."


def text(value: object) -> str:
    """A content: a string, or the texts of a list of parts. What a model thought first is no part of it."""
    if isinstance(value, str):
        return value
    if not isinstance(value, list):
        return ""
    parts = [field(part, "text") for part in value if field(part, "type") in ("text", "output_text", None)]
    return "".join(part for part in parts if isinstance(part, str))
