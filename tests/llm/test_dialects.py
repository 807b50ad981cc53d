"""What is sent to each kind of service, letter by letter; and that whatever comes back is read without a fall."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.core.model import Model
from lab.llm import anthropic, exchange, openai, price
from lab.llm.agents import events
from lab.llm.answer import Answer
from lab.llm.exchange import USER, Ask, Tokens, Turn

SCHEMA: dict[str, object] = {"type": "object", "properties": {"note": {"type": "string"}}, "required": ["note"]}
ASK = Ask(system="Be brief.", turns=(Turn(role="user", text="Why?"),), schema=SCHEMA, max_tokens=300, seed=7)
LOCAL = Model(base_url="http://127.0.0.1:11434/v1", model="qwen3:8b")
IN_WORDS = (
    "Be brief.\n\nAnswer with one JSON object that fits this JSON Schema, and nothing else:\n"
    '{"type":"object","properties":{"note":{"type":"string"}},"required":["note"]}'
)
PLAIN = {"model": "qwen3:8b", "stream": False, "max_tokens": 300}


def messages(system: str) -> list[dict[str, str]]:
    return [{"role": "system", "content": system}, {"role": "user", "content": "Why?"}]


@pytest.mark.parametrize(
    ("how", "body"),
    [
        (
            "json_schema",
            PLAIN | {"messages": messages("Be brief."), "seed": 7, "response_format": {
                "type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": SCHEMA}}},
        ),
        (
            "json_object",
            PLAIN | {"messages": messages(IN_WORDS), "seed": 7, "response_format": {"type": "json_object"}},
        ),
        ("prompt", PLAIN | {"messages": messages(IN_WORDS)}),
        (
            "tool",
            PLAIN | {"messages": messages("Be brief."), "seed": 7, "tools": [{"type": "function", "function": {
                "name": "answer", "description": "Give the answer.", "parameters": SCHEMA}}],
                "tool_choice": {"type": "function", "function": {"name": "answer"}}},
        ),
        (
            "llguidance",
            PLAIN | {"messages": messages(IN_WORDS), "seed": 7, "grammar": "%llguidance {}\nstart: %json "
                '{"type": "object", "properties": {"note": {"type": "string", "maxLength": 160}}, "required": ["note"],'
                ' "x-guidance": {"whitespace_flexible": false}}'},
        ),
    ],
)  # fmt: skip
def test_what_a_chat_service_is_sent(how: str, body: dict[str, object]) -> None:
    assert openai.request(ASK, LOCAL, how) == ("/chat/completions", body)


def test_a_grammar_gets_an_end_for_every_text_and_number() -> None:
    delta: dict[str, object] = {"type": ["number", "null"]}
    bounded = {"type": "number", "minimum": 0, "maximum": 1}
    properties = {"delta": delta, "bounded": bounded, "listed": {"enum": ["a"]}, "count": {"type": "integer"}}
    ask = Ask(system="", turns=(), schema={"type": "object", "properties": properties})
    grammar = str(openai.request(ask, LOCAL, "llguidance")[1]["grammar"])
    sent = json.loads(grammar.partition("%json ")[2])["properties"]
    assert sent == properties | {"delta": {"minimum": -1_000_000_000, "maximum": 1_000_000_000, **delta}}
    assert delta == {"type": ["number", "null"]}


def test_openai_itself_is_told_the_limit_by_its_new_name() -> None:
    _, body = openai.request(ASK, Model(model="gpt-5"), "json_schema")
    assert body["max_completion_tokens"] == 300
    assert "max_tokens" not in body
    assert "temperature" not in body  # its newer models refuse any


@pytest.mark.parametrize(
    ("how", "body"),
    [
        (
            "tool",
            {"model": "claude", "max_tokens": 300, "system": "Be brief.", "temperature": 1.0,
             "messages": [{"role": "user", "content": "Why?"}],
             "tools": [{"name": "answer", "description": "Give the answer.", "input_schema": SCHEMA}],
             "tool_choice": {"type": "tool", "name": "answer"}},
        ),
        (
            "prompt",
            {"model": "claude", "max_tokens": 300, "system": IN_WORDS, "temperature": 1.0,
             "messages": [{"role": "user", "content": "Why?"}]},
        ),
    ],
)  # fmt: skip
def test_what_a_messages_service_is_sent(how: str, body: dict[str, object]) -> None:
    warm = Ask(system=ASK.system, turns=ASK.turns, schema=SCHEMA, max_tokens=300, temperature=1.5)
    assert anthropic.request(warm, Model(transport="anthropic", model="claude"), how) == ("/messages", body)


def test_the_key_is_in_a_header_and_nowhere_else() -> None:
    assert openai.headers("k") == {"Authorization": "Bearer k"}
    assert anthropic.headers("k") == {"anthropic-version": "2023-06-01", "x-api-key": "k"}
    assert openai.headers("") == {}
    assert anthropic.headers("") == {"anthropic-version": "2023-06-01"}


def said(message: object, finish: str | None = "stop", **more: object) -> bytes:
    return json.dumps({"choices": [{"message": message, "finish_reason": finish}], **more}).encode()


@pytest.mark.parametrize(
    ("data", "reading"),
    [
        (said({"content": "a"}), Answer(text="a")),
        (said({"content": [{"type": "thinking", "thinking": "x"}, {"type": "text", "text": "a"}]}), Answer(text="a")),
        (said({"content": "a", "reasoning_content": "long thoughts"}), Answer(text="a")),
        (said({"content": "a"}, finish=None), Answer(text="a")),
        (said({"content": None, "tool_calls": [{"function": {"arguments": '{"a": 1}'}}]}), Answer(text='{"a": 1}')),
        (said({"content": "", "tool_calls": [{"function": {"arguments": {"a": 1}}}]}), Answer(text='{"a": 1}')),
        (
            said({"content": "a"}, model="m", usage={"prompt_tokens": 5, "completion_tokens": 2, "cost": 0.25}),
            Answer(text="a", model="m", used=Tokens(sent=5, answered=2, usd=0.25)),
        ),
        (
            said({"content": "a"}, usage={"prompt_tokens": -5, "completion_tokens": 2.5, "cost": "free"}),
            Answer(text="a"),
        ),
        (said({"content": "a"}, usage={"prompt_tokens": 5, "cost": -1}), Answer(text="a", used=Tokens(sent=5))),
        (
            said({"content": None, "refusal": "I will not."}),
            Answer(problem=exchange.REFUSED, what="the model declined: I will not."),
        ),
        (
            said({"content": "half"}, finish="content_filter"),
            Answer(problem=exchange.REFUSED, what="its filter held the answer back"),
        ),
        (
            said({"content": ""}, finish="length", usage={"completion_tokens": 1000}),
            Answer(
                problem=exchange.TRUNCATED,
                what="the answer was cut off at the limit of 1,000 tokens, before it had begun",
                used=Tokens(answered=1000),
            ),
        ),
        (said({"content": "  "}), Answer(problem=exchange.EMPTY, what="it answered with nothing")),
        (b'{"choices": []}', Answer(problem=exchange.EMPTY, what="it answered with nothing")),
    ],
)
def test_how_a_chat_completion_is_read(data: bytes, reading: Answer) -> None:
    assert openai.read(200, data) == reading


@pytest.mark.parametrize(
    ("body", "reading"),
    [
        (
            {"content": [{"type": "text", "text": "Here:"}, {"type": "tool_use", "input": {"a": 1}}], "model": "c"},
            Answer(text='{"a": 1}', model="c"),
        ),
        ({"content": [{"type": "text", "text": "a"}], "stop_reason": "end_turn"}, Answer(text="a")),
        (
            {"content": [{"type": "text", "text": "a"}], "usage": {
                "input_tokens": 5, "cache_read_input_tokens": 100, "output_tokens": 2}},
            Answer(text="a", used=Tokens(sent=105, answered=2)),
        ),
        (
            {"content": [{"type": "tool_use", "input": {}}], "stop_reason": "max_tokens"},
            Answer(
                problem=exchange.TRUNCATED, what="the answer was cut off at the limit, before it had begun"),
        ),
        (
            {"content": [{"type": "text", "text": "No."}], "stop_reason": "refusal"},
            Answer(problem=exchange.REFUSED, what="the model declined: No."),
        ),
        ({"content": []}, Answer(problem=exchange.EMPTY, what="it answered with nothing")),
        (
            {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
            Answer(problem=exchange.FAILING, what="it answered with an error: Overloaded"),
        ),
    ],
)  # fmt: skip
def test_how_a_message_is_read(body: dict[str, object], reading: Answer) -> None:
    assert anthropic.read(200, json.dumps(body).encode()) == reading


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b'{"error": {"message": "no such model", "code": 404}}', "it answered 404: no such model"),
        (b'{"error": "model not found, try pulling it"}', "it answered 404: model not found, try pulling it"),
        (b'{"detail": [{"loc": ["body", "x"], "msg": "extra"}]}', '{"loc":["body","x"],"msg":"extra"}'),
        (b'{"message": "nope"}', "it answered 404: nope"),
        (b"<h1>Not Found</h1>", "it answered 404: <h1>Not Found</h1>"),
        (b"", "it answered 404"),
        (b"a\x1b[2Jb\n\nc", "it answered 404: a [2Jb c"),
    ],
)
def test_the_words_of_an_error_are_found_in_any_form(data: bytes, what: str) -> None:
    reading = openai.read(404, data)
    assert reading.problem == exchange.REFUSED
    assert what in reading.what
    assert reading.what.isprintable()


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["choices", "message", "content", "text", "type", "usage", "prompt_tokens", "error", "code",
                         "input_tokens", "model", "finish_reason", "tool_calls", "function", "arguments", "input",
                         "stop_reason", "cost", "refusal"]), inner, max_size=5),
    max_leaves=25,
)  # fmt: skip


@given(status=st.sampled_from([200, 201, 204, 400, 429, 500, 999, 100]), value=ANY)
def test_whatever_comes_back_is_read(status: int, value: object) -> None:
    data = json.dumps(value).encode()
    for dialect in (openai, anthropic):
        reading = dialect.read(status, data)
        assert reading.problem or reading.text.strip()
        assert bool(reading.problem) == bool(reading.what)


@given(data=st.binary(max_size=200))
def test_whatever_bytes_come_back_are_read(data: bytes) -> None:
    for dialect in (openai, anthropic):
        assert dialect.read(200, data).problem or dialect.read(200, data).text


def test_the_worst_that_a_call_may_cost_is_more_than_it_costs() -> None:
    priced = Model(model="m", usd_per_mtok_in=3.0, usd_per_mtok_out=15.0)
    worst = price.worst(ASK, priced)
    assert worst is not None
    # 300 tokens of answer, and a question of some 170 characters with its schema sent twice.
    assert 0.0045 < worst < 0.01
    digits = msgspec.structs.replace(ASK, turns=(Turn(role=USER, text="7" * 100_000),))
    more = price.worst(digits, priced)
    assert more is not None
    assert more >= 100_000 * 3.0 / 1e6  # to some models each digit is a token
    assert price.worst(ASK, LOCAL) is None
    paid = price.paid(Tokens(sent=60, answered=300), priced)
    assert paid.usd == 0.00468
    assert price.paid(Tokens(sent=60), priced).usd is None
    assert price.paid(Tokens(sent=60, answered=1, usd=0.5), priced).usd == 0.5
    assert price.paid(Tokens(sent=60, answered=300, usd=0.0), priced).usd == 0.00468  # a gateway that knows no prices
    assert price.paid(Tokens(usd=0.0), priced).usd is None  # what was set aside stays spent
    assert price.paid(Tokens(sent=60, answered=300, usd=0.0), LOCAL).usd == 0.0


@pytest.mark.parametrize("cost", [1e300, -1.0, 1e9, True, None, "a lot", [1]])
def test_a_cost_that_is_none_is_not_believed(cost: object) -> None:
    body = {"choices": [{"message": {"content": "x"}}], "usage": {"prompt_tokens": 1, "cost": cost}}
    assert openai.read(200, json.dumps(body).encode()).used.usd is None


def test_services_and_agents_are_read_with_the_same_bounds() -> None:
    for told, meant in (
        (3, 3),
        ("3", 3),
        (3.0, 3),
        (3.5, None),
        (-1, None),
        (1e300, None),
        (10**30, None),
        (True, None),
    ):
        body = {"choices": [{"message": {"content": "x"}}], "usage": {"prompt_tokens": told}}
        assert openai.read(200, json.dumps(body).encode()).used.sent == meant
        assert events.count({"input_tokens": told}, "input_tokens") == meant
