"""What a service does not understand is asked in another way, and what it did understand is remembered."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from lab.llm import exchange
from tests.llm.asking import GOOD, asked
from tests.llm.faulty import Faulty, chat, error, proposes, reply

if TYPE_CHECKING:
    from tests.llm.faulty import Say

PYDANTIC = "body.response_format: Extra inputs are not permitted"


@pytest.mark.parametrize(
    "refusal", [error(400, "response_format json_schema is not supported"), error(422, PYDANTIC), reply(400, b"")]
)
def test_a_service_without_schemas_is_asked_more_plainly(refusal: Say) -> None:
    with Faulty(refusal, refusal, proposes(GOOD)) as server:
        told = asked(server.url)
        assert told.value is not None
        assert [each.structured for each in told.attempts] == ["json_schema", "json_object", "prompt"]
        again = asked(server.url)
    assert [each.structured for each in again.attempts] == ["prompt"]
    assert "seed" not in server.heard[-1].json


def test_a_service_that_takes_a_schema_and_passes_it_over_is_asked_more_plainly() -> None:
    with Faulty(chat("Well, I would try a smaller rate."), proposes(GOOD)) as server:
        told = asked(server.url)
    assert [each.structured for each in told.attempts] == ["json_schema", "json_object"]
    assert told.repairs == 1


def test_what_is_wrong_otherwise_is_not_asked_again() -> None:
    with Faulty(error(400, "This model's maximum context length is 4096 tokens")) as server:
        told = asked(server.url)
    assert (told.problem, len(server.heard)) == (exchange.REFUSED, 1)


@pytest.mark.parametrize("how", ["json_schema", "json_object", "prompt", "tool", "llguidance"])
def test_a_form_that_the_spec_names_is_kept_to(how: str) -> None:
    with Faulty(error(400, "response_format is not supported")) as server:
        told = asked(server.url, structured=how)
    assert (told.problem, len(server.heard)) == (exchange.REFUSED, 1)
    assert told.attempts[0].structured == how


def test_a_model_that_wants_the_limit_by_another_name_gets_it() -> None:
    wants = error(400, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.")
    with Faulty(wants, proposes(GOOD)) as server:
        told = asked(server.url)
        assert told.value is not None
        asked(server.url)
    assert [("max_tokens" in each.json, "max_completion_tokens" in each.json) for each in server.heard] == [
        (True, False),
        (False, True),
        (False, True),
    ]
    assert {each.structured for each in told.attempts} == {"json_schema"}


def test_each_way_that_is_tried_is_a_call() -> None:
    left = [True, True]
    with Faulty(error(400, "no response_format here")) as server:
        told = asked(server.url, spend=lambda _: bool(left) and left.pop())
    assert (told.problem, len(server.heard)) == (exchange.BUDGET, 2)


def test_a_messages_service_answers_through_its_tool() -> None:
    given = {"type": "tool_use", "name": "answer", "input": {"proposals": [GOOD]}}
    used = {"input_tokens": 9, "output_tokens": 3}
    body = json.dumps({"model": "c-1", "content": [given], "stop_reason": "tool_use", "usage": used}).encode()
    with Faulty(reply(200, body)) as server:
        told = asked(server.url, transport="anthropic")
    assert told.value is not None
    assert (told.attempts[0].structured, told.used.sent) == ("tool", 9)
    assert server.heard[0].path == "/v1/messages"
    assert server.heard[0].headers["x-api-key"]
    assert "authorization" not in server.heard[0].headers
