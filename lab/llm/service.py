"""A model behind HTTP: one try, with what is sent and what is kept of it. The dialects are openai and anthropic.

What a service turned out to understand is remembered for as long as the process lives: the next question need not
find it out again.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Protocol

import msgspec

from lab.llm import http, price
from lab.llm.exchange import FAILING, LIMITED, NOTHING, REFUSED, Attempt, Tokens, kept
from lab.llm.redact import Redact
from lab.llm.wire import Broken

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.core.model import Model
    from lab.llm.answer import Answer
    from lab.llm.exchange import Ask
    from lab.llm.http import Address
    from lab.llm.transport import Stop

_BAD_REQUEST = (400, 415, 422, 501)
# What the words of a service have in them when it is the form of the question that it does not know.
_FORM_WORDS = ("format", "schema", "json", "grammar", "tool", "structured", "function")


class Dialect(Protocol):
    """How a kind of service is spoken to: the modules openai and anthropic."""

    BASE_URL: str
    KEY_ENV: str
    MODES: tuple[str, ...]
    LADDER: tuple[str, ...]

    def headers(self, key: str) -> dict[str, str]: ...
    def request(self, ask: Ask, model: Model, how: str, *, limit: str = "") -> tuple[str, dict[str, object]]: ...
    def read(self, status: int, data: bytes) -> Answer: ...


class Manner(msgspec.Struct, frozen=True, kw_only=True):
    """How a service is asked: how for the shape, and by which name the bound of an answer goes."""

    how: str
    limit: str = ""


_LEARNT: dict[tuple[str, str], Manner] = {}


class Service:
    """One model of one service. The key is sent, and never kept."""

    def __init__(
        self,
        model: Model,
        dialect: Dialect,
        to: Address,
        key: str,
        environ: Mapping[str, str],
        secrets: tuple[str, ...],
    ) -> None:
        self._model = model
        self._dialect = dialect
        self._to = to
        self._headers = dialect.headers(key)
        self._environ = environ
        self._redact = Redact((key, *secrets))
        self._name = (f"{to.scheme}://{to.place}{to.path}", model.model)

    def send(self, ask: Ask, *, until: float, stop: Stop) -> Attempt:
        manner = self._manner()
        path, body = self._dialect.request(ask, self._model, manner.how, limit=manner.limit)
        data = json.dumps(body, ensure_ascii=False).encode(errors="replace")
        sent = Attempt(request=self._redact(data.decode()), structured=manner.how if ask.schema is not None else "")
        headers = {"Content-Type": "application/json", "Accept": "application/json", "Accept-Encoding": "identity"}
        headers |= {"User-Agent": "labctl", **self._headers}
        to = msgspec.structs.replace(self._to, path=self._to.path + path)
        try:
            reply = http.post(to, headers, data, environ=self._environ, until=until, stop=stop)
        except Broken as broken:
            used = NOTHING if broken.unsent else Tokens()
            what = self._redact(broken.what)
            return msgspec.structs.replace(
                sent, problem=broken.problem, what=what, again=broken.again, used=used, unsent=broken.unsent
            )
        came = self._redact(reply.body.decode(errors="replace"))
        reading = self._dialect.read(reply.status, reply.body)
        blotted = self._dialect.read(reply.status, came.encode(errors="replace"))
        if blotted.problem == reading.problem:  # no key that is a word of the protocol, such as "text"
            reading = blotted  # a key would be cut in two where its words are, and its beginning kept
        otherwise = self._otherwise(ask, manner, reply.status, reading)
        if otherwise is not None:
            _LEARNT[self._name] = otherwise
        return msgspec.structs.replace(
            sent,
            response=kept(came),
            status=reply.status,
            model=self._redact(reading.model),
            used=price.paid(reading.used, self._model),
            problem=reading.problem,
            what=self._redact(reading.what),
            retry_after_s=reply.retry_after_s,
            again=reading.problem in (LIMITED, FAILING) or (reading.problem == REFUSED and otherwise is not None),
            text=self._redact(reading.text),
        )

    def _manner(self) -> Manner:
        learnt = _LEARNT.get(self._name) or Manner(how=self._dialect.LADDER[0])
        if self._model.structured == "auto":
            return learnt
        return msgspec.structs.replace(learnt, how=self._model.structured)

    def _otherwise(self, ask: Ask, manner: Manner, status: int, reading: Answer) -> Manner | None:
        """How it is asked the next time, where this time it was not understood; None where it was."""
        if status in _BAD_REQUEST:
            words = reading.what.lower()
            for name, other in _LIMIT_NAMES.items():
                if manner.limit != other and name in words and other in words:
                    return msgspec.structs.replace(manner, limit=other)
            if not any(word in words for word in _FORM_WORDS) and ":" in words:
                return None  # it says what is wrong, and it is something else
            return self._lower(manner)
        ignored = ask.schema is not None and not reading.problem and "{" not in reading.text
        return self._lower(manner) if ignored else None  # it took the schema, and answered in prose

    def _lower(self, manner: Manner) -> Manner | None:
        ladder = self._dialect.LADDER
        if self._model.structured != "auto" or manner.how not in ladder[:-1]:
            return None
        return msgspec.structs.replace(manner, how=ladder[ladder.index(manner.how) + 1])


_LIMIT_NAMES = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}
