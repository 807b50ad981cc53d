"""Chat completions, as OpenAI, Ollama, llama.cpp, vLLM, LM Studio, OpenRouter and many others speak them. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from lab.llm import answer, foreign
from lab.llm.answer import Answer
from lab.llm.exchange import EMPTY, FAILING, REFUSED, Tokens
from lab.llm.foreign import field

if TYPE_CHECKING:
    from lab.core.model import Model
    from lab.llm.exchange import Ask

BASE_URL = "https://api.openai.com/v1"
KEY_ENV = "OPENAI_API_KEY"
MODES: tuple[str, ...] = ("json_schema", "json_object", "prompt", "tool", "llguidance")
LADDER: tuple[str, ...] = ("json_schema", "json_object", "prompt")  # what `auto` tries, the strictest first
NAME = "answer"
_TEXT_CHARS = 160
_MOST = 1_000_000_000


def headers(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"} if key else {}


def request(ask: Ask, model: Model, how: str, *, limit: str = "") -> tuple[str, dict[str, object]]:
    """The path and the body of a question. `how` is one of MODES, `limit` the field that bounds the answer."""
    system = ask.system if ask.schema is None or how in ("json_schema", "tool") else shown(ask.system, ask.schema)
    messages = [{"role": "system", "content": system}] if system else []
    messages += [{"role": turn.role, "content": turn.text} for turn in ask.turns]
    body: dict[str, object] = {"model": model.model, "messages": messages, "stream": False}
    body[limit or limit_field(model)] = ask.max_tokens
    if ask.temperature is not None:
        body["temperature"] = ask.temperature
    if ask.seed is not None and how != "prompt":  # the plainest form is for services that refuse what they do not know
        body["seed"] = ask.seed
    if ask.schema is not None:
        body.update(_shape(ask.schema, how))
    return "/chat/completions", body


def limit_field(model: Model) -> str:
    """OpenAI refuses the old name for its newer models; most others know no other."""
    ours = not model.base_url or model.base_url.startswith("https://api.openai.com/")
    return "max_completion_tokens" if ours else "max_tokens"


def shown(system: str, schema: dict[str, object]) -> str:
    """The system text with the schema in it, for a service that is not given it otherwise."""
    asked = "Answer with one JSON object that fits this JSON Schema, and nothing else:"
    return f"{system}\n\n{asked}\n{json.dumps(schema, separators=(',', ':'), ensure_ascii=False)}".lstrip()


def _shape(schema: dict[str, object], how: str) -> dict[str, object]:
    match how:
        case "json_schema":
            wanted = {"name": NAME, "strict": True, "schema": schema}
            return {"response_format": {"type": "json_schema", "json_schema": wanted}}
        case "json_object":
            return {"response_format": {"type": "json_object"}}
        case "tool":
            tool = {"name": NAME, "description": "Give the answer.", "parameters": schema}
            choice = {"type": "function", "function": {"name": NAME}}
            return {"tools": [{"type": "function", "function": tool}], "tool_choice": choice}
        case "llguidance":
            # Without spaces to choose from, and with an end to every text, a small model cannot lose itself in them.
            bound = {**schema, "x-guidance": {"whitespace_flexible": False}}
            return {"grammar": f"%llguidance {{}}\nstart: %json {json.dumps(_ended(bound), ensure_ascii=False)}"}
        case _:
            return {}


def _ended(schema: object) -> object:
    """A schema in which every text and number ends. Strict services refuse such words, so that they stand here."""
    if isinstance(schema, list):
        return [_ended(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    ended = {name: _ended(value) if name != "enum" else value for name, value in schema.items()}
    kinds = schema.get("type")
    named = kinds if isinstance(kinds, list) else [kinds]
    if "enum" in schema:
        return ended
    if "string" in named:
        ended.setdefault("maxLength", _TEXT_CHARS)
    if "number" in named:  # 5E57974 is a number to a grammar, and overflows
        ended = {"minimum": -_MOST, "maximum": _MOST} | ended
    return ended


def read(status: int, data: bytes) -> Answer:
    """What an answer says."""
    value = answer.opened(status, data)
    if isinstance(value, Answer):
        return value
    if not isinstance(value.get("choices"), list):
        return answer.odd(data)
    choice = field(value, "choices", 0)
    if error := field(choice, "error"):
        return answer.refused(error)
    model = value.get("model")
    return _chosen(choice, answer.one_line(model) if isinstance(model, str) else "", _used(value.get("usage")))


def _chosen(choice: object, model: str, used: Tokens) -> Answer:
    """What the first of the choices says. What was given to a tool goes before prose around it."""
    message = field(choice, "message")
    said = answer.text(field(message, "content"))
    called = field(message, "tool_calls", 0, "function", "arguments")
    if isinstance(called, (dict, list)):
        called = json.dumps(called)
    if isinstance(called, str) and called.strip():
        said = called
    refusal = field(message, "refusal")
    match field(choice, "finish_reason"):
        case "length":
            return answer.cut(said, model, used)
        case "error":
            return Answer(model=model, used=used, problem=FAILING, what="it broke off while it answered")
        case "content_filter":
            return Answer(model=model, used=used, problem=REFUSED, what="its filter held the answer back")
        case _ if said.strip():
            return Answer(text=said, model=model, used=used)
        case _ if isinstance(refusal, str) and refusal:
            what = f"the model declined: {answer.one_line(refusal)}"
            return Answer(model=model, used=used, problem=REFUSED, what=what)
        case _:
            return Answer(model=model, used=used, problem=EMPTY, what="it answered with nothing")


def _used(usage: object) -> Tokens:
    return Tokens(
        sent=foreign.count(field(usage, "prompt_tokens")),
        answered=foreign.count(field(usage, "completion_tokens")),
        usd=foreign.money(field(usage, "cost")),
    )
