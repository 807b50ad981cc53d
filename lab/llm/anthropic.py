"""Messages, as Anthropic and those who imitate it speak them. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from lab.llm import answer, foreign
from lab.llm.answer import Answer
from lab.llm.exchange import EMPTY, REFUSED, Tokens
from lab.llm.foreign import field
from lab.llm.openai import NAME, shown

if TYPE_CHECKING:
    from lab.core.model import Model
    from lab.llm.exchange import Ask

BASE_URL = "https://api.anthropic.com/v1"
KEY_ENV = "ANTHROPIC_API_KEY"
MODES: tuple[str, ...] = ("tool", "prompt")
LADDER: tuple[str, ...] = ("tool", "prompt")
VERSION = "2023-06-01"


def headers(key: str) -> dict[str, str]:
    return {"anthropic-version": VERSION, **({"x-api-key": key} if key else {})}


def request(ask: Ask, model: Model, how: str, *, limit: str = "") -> tuple[str, dict[str, object]]:
    """The path and the body of a question. There is no seed, and only one name for the bound of an answer."""
    del limit
    system = ask.system if ask.schema is None or how == "tool" else shown(ask.system, ask.schema)
    body: dict[str, object] = {
        "model": model.model,
        "max_tokens": ask.max_tokens,
        "messages": [{"role": turn.role, "content": turn.text} for turn in ask.turns],
    }
    if system:
        body["system"] = system
    if ask.temperature is not None:
        body["temperature"] = min(1.0, ask.temperature)
    if ask.schema is not None and how == "tool":
        body["tools"] = [{"name": NAME, "description": "Give the answer.", "input_schema": ask.schema}]
        body["tool_choice"] = {"type": "tool", "name": NAME}
    return "/messages", body


def read(status: int, data: bytes) -> Answer:
    """What an answer says. What was given to the tool goes before prose around it."""
    value = answer.opened(status, data)
    if isinstance(value, Answer):
        return value
    content = value.get("content")
    if not isinstance(content, list):
        return answer.odd(data)
    model = value.get("model")
    named = answer.one_line(model) if isinstance(model, str) else ""
    used = _used(value.get("usage"))
    given = [field(part, "input") for part in content if field(part, "type") == "tool_use"]
    said = json.dumps(given[0], ensure_ascii=False) if given and given[0] else answer.text(content)
    match value.get("stop_reason"):
        case "max_tokens" | "model_context_window_exceeded":
            return answer.cut(said, named, used)
        case "refusal":
            words = answer.one_line(said) or "without words"
            return Answer(model=named, used=used, problem=REFUSED, what=f"the model declined: {words}")
        case _ if said.strip():
            return Answer(text=said, model=named, used=used)
        case _:
            return Answer(model=named, used=used, problem=EMPTY, what="it answered with nothing")


def _used(usage: object) -> Tokens:
    sent = [foreign.count(field(usage, name)) for name in ("input_tokens", *_CACHED)]
    known = [each for each in sent if each is not None]
    return Tokens(
        sent=sum(known) if sent[0] is not None else None, answered=foreign.count(field(usage, "output_tokens"))
    )


_CACHED = ("cache_creation_input_tokens", "cache_read_input_tokens")
