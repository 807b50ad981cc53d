"""What the SDK says while it waits, and what becomes of it. It is the real one: what it says is not ours."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from lab.core.errors import Unavailable
from lab.tinker.pauses import Pauses

pytest.importorskip("tinker")

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.tinker.rows import Pause

PLACE = "http://127.0.0.1:1/api/v1/optim_step"


class Heard:
    def __init__(self) -> None:
        self.told: list[Pause] = []
        self.said: list[str] = []
        self.pauses = Pauses(self.told.append, self.said.append)


@pytest.fixture
def heard() -> Iterator[Heard]:
    listening = Heard()
    listening.pauses.attach()
    yield listening
    listening.pauses.detach()


def answered(status: int, place: str = PLACE) -> None:
    """As the SDK's HTTP library says it."""
    logging.getLogger("httpx").info('HTTP Request: %s %s "%s %d %s"', "POST", place, "HTTP/1.1", status, "?")


def test_the_sdks_own_words_about_a_bill_are_a_billing_pause(heard: Heard) -> None:
    from tinker.lib.internal_client_holder import InternalClientHolder
    from tinker.types import ClientConfigResponse

    holder = InternalClientHolder.__new__(InternalClientHolder)  # what it says does not depend on a service
    holder._first_billing_exception_time = holder._last_logged_billing_exception_time = None
    holder._client_config = ClientConfigResponse()
    assert holder._should_pause_on_billing(402, "no card on file")
    (pause,) = heard.told
    assert pause.what == "billing"
    assert "no card on file" in pause.words
    assert heard.pauses.said_at_s is not None


def test_the_sdk_says_soon_that_it_stands_in_a_queue(heard: Heard, monkeypatch: pytest.MonkeyPatch) -> None:
    from tinker.lib import queue_state_logger
    from tinker.lib.api_future_impl import QueueState

    clock = [1000.0]
    monkeypatch.setattr(queue_state_logger.time, "monotonic", lambda: clock[0])  # type: ignore[attr-defined]
    speaker = queue_state_logger.QueueStateLogger("tiny", "Training")
    speaker.on_queue_state_change(QueueState.PAUSED_CAPACITY, None)
    assert heard.told == []
    clock[0] += 6
    speaker.on_queue_state_change(QueueState.PAUSED_CAPACITY, None)
    assert [pause.what for pause in heard.told] == ["capacity"]
    speaker = queue_state_logger.QueueStateLogger("tiny", "Training")
    speaker.on_queue_state_change(QueueState.PAUSED_RATE_LIMIT, None)
    clock[0] += 6
    speaker.on_queue_state_change(QueueState.PAUSED_RATE_LIMIT, None)
    assert [pause.what for pause in heard.told] == ["capacity", "rate limit"]
    heard.pauses.over()
    assert [pause.over is not None for pause in heard.told] == [False, False, True, True]


@pytest.mark.parametrize(("status", "what"), [(402, "billing"), (429, "rate limit"), (500, "errors"), (503, "errors")])
def test_answers_that_hold_up_are_pauses_until_a_good_one_from_the_same_place(
    status: int, what: str, heard: Heard
) -> None:
    answered(status)
    answered(status)
    answered(200, "http://127.0.0.1:1/api/v1/session_heartbeat")
    heard.pauses.over()
    assert [(pause.what, pause.over) for pause in heard.told] == [(what, None)]
    answered(200)
    begun, over = heard.told
    assert over.at == begun.at
    assert over.over is not None
    assert over.over >= over.at
    assert heard.pauses.words == ""


@pytest.mark.parametrize("status", [200, 202, 400, 404, 408, 409, 410])
def test_other_answers_are_no_pause(status: int, heard: Heard) -> None:
    answered(status)
    assert heard.told == []


def test_what_else_the_sdk_warns_of_is_passed_on_and_its_polling_is_not(heard: Heard) -> None:
    logger = logging.getLogger("tinker.lib.api_future_impl")
    logger.warning("Retrying request self.request_id='7' because of try_again")
    logger.warning("something odd\x1b[2J")
    assert heard.told == []
    assert heard.said == ["something odd [2J"]


def test_more_pauses_than_anybody_reads_are_not_written(heard: Heard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.tinker.pauses.MOST", 3)
    for _ in range(9):
        answered(429)
        answered(200)
    assert len(heard.told) == 6


def test_a_disk_that_is_full_does_not_reach_into_the_sdk() -> None:
    def full(_pause: Pause) -> None:
        raise Unavailable("no room")

    pauses = Pauses(full)
    pauses.attach()
    try:
        answered(429)
    finally:
        pauses.detach()


def test_afterwards_the_loggers_are_as_they_were() -> None:
    loggers = [logging.getLogger(name) for name in ("tinker", "httpx", "tinker._base_client")]
    before = [(logger.level, logger.propagate, list(logger.handlers)) for logger in loggers]
    pauses = Pauses(lambda _pause: None)
    pauses.attach()
    pauses.listen_closely(on=True)
    pauses.detach()
    assert [(logger.level, logger.propagate, list(logger.handlers)) for logger in loggers] == before


def test_a_client_that_was_closed_here_is_no_service_that_is_away(heard: Heard) -> None:
    from lab.tinker import pauses

    transport = logging.getLogger(pauses._TRANSPORT)
    heard.pauses.listen_closely(on=True)
    for failure in (RuntimeError("Cannot send a request, as the client has been closed."), ConnectionRefusedError()):
        transport.debug("a call failed", exc_info=failure)
    assert [(pause.what, "closed" in pause.words) for pause in heard.told] == [("away", False)]
