"""A real model server, with a model made of chance: it obeys a grammar, and makes no sense."""

from __future__ import annotations

import pytest

from lab.core.space import parse
from lab.llm import exchange, openai, proposals
from lab.llm.exchange import Ask, Turn
from tests.llm.asking import SPACE, asked, question

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(autouse=True)
def short_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model of chance fills each text to its end, a token at a time."""
    monkeypatch.setattr(openai, "_TEXT_CHARS", 12)


@pytest.mark.heavy
def test_a_grammar_makes_even_chance_propose_what_can_be_run(local_model: str) -> None:
    told = asked(local_model, timeout_s=60, structured="llguidance", question=question(k=1, temperature=1.0))
    assert told.problem == "", told
    assert isinstance(told.value, tuple)
    assert all(SPACE.check(each.params) == () for each in told.value)
    assert told.attempts[0].status == 200
    assert told.used.answered is not None
    assert told.used.answered > 10
    assert told.attempts[0].model


@pytest.mark.heavy
def test_what_breaks_the_bounds_is_repaired_once_and_then_told(local_model: str) -> None:
    """The server is given a schema with other bounds than ours, which is what a server without bounds does."""
    wide = parse({"lr": {"low": 5.0, "high": 9.0}, "layers": {"low": 100, "high": 900, "type": "int"}})
    told = asked(local_model, timeout_s=60, structured="llguidance", question=question(wide, k=1))
    assert (told.problem, told.repairs, len(told.attempts)) == (exchange.INVALID, 1, 2), told
    assert "lr must be between 0.0001 and 0.1" in told.what
    assert "lr must be between 0.0001 and 0.1" in told.attempts[1].request


@pytest.mark.heavy
def test_a_model_without_a_grammar_babbles_and_is_told(local_model: str) -> None:
    told = asked(local_model, timeout_s=60, structured="prompt", question=question(k=1, max_tokens=64))
    assert told.value is None
    assert told.problem in (exchange.TRUNCATED, exchange.INVALID, exchange.EMPTY)
    assert told.repairs == 1


@pytest.mark.heavy
def test_a_schema_without_a_strict_grammar_ends_in_a_problem(local_model: str) -> None:
    """Numbers such as -1e782026, an answer cut off, or a 500 with which the server refuses its own model's words."""
    told = asked(
        local_model, timeout_s=60, structured="json_schema", question=question(k=1, max_tokens=200, temperature=1.0)
    )
    assert told.value is None
    assert told.problem in (exchange.FAILING, exchange.TRUNCATED, exchange.INVALID)
    assert {each.status for each in told.attempts} <= {200, 500}


@pytest.mark.heavy
def test_the_deadline_holds_while_a_model_thinks(local_model: str) -> None:
    told = asked(local_model, timeout_s=0.3, structured="prompt", question=question(max_tokens=30_000))
    assert told.problem == exchange.TIMEOUT


@pytest.mark.heavy
def test_the_messages_of_another_kind_are_answered_too(local_model: str) -> None:
    told = asked(
        local_model, timeout_s=60, transport="anthropic", structured="prompt", question=question(max_tokens=64)
    )
    assert told.attempts[0].status == 200
    assert told.attempts[0].used.answered
    assert told.value is None


@pytest.mark.heavy
def test_a_question_longer_than_the_model_can_hold_is_refused(local_model: str) -> None:
    turns = (Turn(role="user", text="why " * 20_000),)
    long = Ask(system="", turns=turns, schema=proposals.schema(SPACE, 1), max_tokens=64)
    told = asked(local_model, timeout_s=60, structured="prompt", question=long)
    assert (told.problem, len(told.attempts)) == (exchange.REFUSED, 1), told.what
    assert "context" in told.what
