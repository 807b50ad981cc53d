"""Faults on demand: each kind strikes as often as it was asked to, and then the server is as it was."""

from __future__ import annotations

import time

import pytest

from lab.tinker.local.calls import Call, Refusal
from lab.tinker.local.faults import Faults
from tests.tinker.local.asking import Asking, cut


def test_a_status_is_given_as_often_as_was_asked_and_nothing_is_done_meanwhile(ask: Asking) -> None:
    run = ask.train()
    ask.ok("POST", "/_fault", {"path": "/api/v1/optim_step", "status": 503, "times": 2, "detail": "a bad day"})
    asked = {"model_id": run.id, "seq_id": 1, "adam_params": {}}
    assert [ask.send("POST", "/optim_step", asked) for _ in range(2)] == [(503, {"detail": "a bad day"})] * 2
    assert ask.do("/optim_step", asked)["metrics"]["steps"] == 1


def test_a_pause_for_billing_says_what_it_is(ask: Asking) -> None:
    ask.ok("POST", "/_fault", {"path": "/session_heartbeat", "status": 402})
    status, answer = ask.send("POST", "/session_heartbeat", {"session_id": "x"})
    assert (status, "billing" in answer["detail"]) == (402, True)


def test_a_connection_is_cut_before_anything_is_done(ask: Asking) -> None:
    run = ask.train()
    ask.ok("POST", "/_fault", {"path": "/optim_step", "drop": "before"})
    with cut():
        ask.send("POST", "/optim_step", {"model_id": run.id, "seq_id": 1, "adam_params": {}})
    assert run.forward("fb01") == b'["fb01"]', "number 1 was never taken"


def test_an_answer_comes_late(monkeypatch: pytest.MonkeyPatch) -> None:
    slept_s: list[float] = []
    monkeypatch.setattr(time, "sleep", slept_s.append)
    faults = Faults()
    faults.add(Call(method="POST", path="", body=b'{"path":"/healthz","delay_s":0.3}'))
    for _ in range(2):
        faults.strike("/healthz")
    assert slept_s == [0.3]


def test_faults_of_one_address_strike_in_the_order_they_were_asked_for(ask: Asking) -> None:
    for status in (500, 429):
        ask.ok("POST", "/_fault", {"path": "/healthz", "status": status})
    assert [ask.send("GET", "/healthz")[0] for _ in range(3)] == [500, 429, 200]


def test_faults_can_be_taken_back(ask: Asking) -> None:
    ask.ok("POST", "/_fault", {"path": "*", "status": 500, "times": 1000})
    assert ask.send("GET", "/training_runs")[0] == 500
    ask.ok("DELETE", "/_fault")
    assert ask.send("GET", "/training_runs")[0] == 200


def test_a_fault_for_some_time_strikes_every_call_until_it_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now_s[0])
    faults = Faults()
    faults.add(Call(method="POST", path="", body=b'{"path":"*","status":402,"for_s":10}'))
    for now_s[0] in (100.0, 105.0, 109.9):
        with pytest.raises(Refusal):
            faults.strike("/asample")
    now_s[0] = 110.0
    assert faults.strike("/asample") is None


def test_calls_are_counted_by_their_address(ask: Asking) -> None:
    before = ask.ok("GET", "/_calls")["counts"].get("/checkpoints", 0)
    for _ in range(3):
        ask.ok("GET", "/checkpoints?limit=1")
    assert ask.ok("GET", "/_calls")["counts"]["/checkpoints"] == before + 3


def test_a_fault_that_says_nothing_is_refused(ask: Asking) -> None:
    assert ask.send("POST", "/_fault", {"status": 500})[0] == 422
    assert ask.send("POST", "/_fault", {"path": "/x", "drop": "sometimes"})[0] == 422
