"""Each request once, in the order of its number, however it arrives; and its answer for whoever asks again."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING

import pytest

from lab.tinker.local.calls import Call, Refusal
from lab.tinker.local.futures import Futures, Lane
from tests.tinker.local.asking import Asking, cut, request

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def test_a_request_that_is_sent_twice_is_done_once(ask: Asking) -> None:
    run = ask.train()
    assert run.forward("fb01", seq=1) == run.forward("fb01", seq=1)
    run.seq = 1
    assert run.step()["forwards"] == 1


def test_a_number_that_was_seen_is_not_done_again_with_another_body(ask: Asking) -> None:
    run = ask.train()
    run.forward("fb01", seq=1)
    assert b"fb02" not in run.forward("fb02", seq=1)


def test_requests_that_come_in_any_order_are_done_in_theirs(ask: Asking) -> None:
    run = ask.train()
    ids = {}
    for seq in (3, 5, 2, 4):
        ids[seq] = ask.ok("POST", "/forward_backward", request(run.id, seq, f"fb0{seq}"))["request_id"]
    assert run.forward("fb01", seq=1) == b'["fb01"]'
    assert ask.fetch(ids[5]) == b'["fb01","fb02","fb03","fb04","fb05"]'


WRONG = [
    ("/optim_step", b'"adam_params": {"learning_rate": NaN}', "nan"),
    ("/optim_step", b'"adam_params": {"momentum": 0.9}', "momentum"),
    ("/optim_step", b'"adam_params": {"schedule": "cosine"}', "schedule"),
    ("/optim_step", b'"adam_params": 3', "adam_params"),
    ("/optim_step", b'"optimizer_params": {"type": "dimuon"}', "dimuon"),
    ("/save_weights", b'"path": 3', "path"),
    ("/save_weights_for_sampler", b'"path": "a", "ttl_seconds": 1e400', "ttl_seconds"),
    ("/load_weights", b'"path": "tinker://no:train:0/weights/one"', "there is no checkpoint"),
    ("/load_weights", b'"path": ["a"]', "path"),
]


@pytest.mark.parametrize(("path", "rest", "said"), WRONG)
def test_what_is_wrong_with_a_request_holds_up_none_that_comes_after_it(
    ask: Asking, path: str, rest: bytes, said: str
) -> None:
    run = ask.train()
    wrong = ask.do(path, b'{"model_id": "%s", "seq_id": 1, %s}' % (run.id.encode(), rest))
    assert (wrong["category"], said in wrong["error"]) == ("user", True), wrong
    assert run.forward("fb02", seq=2) == b'["fb02"]'


@pytest.mark.parametrize("status", [400, 404, 422])
@pytest.mark.parametrize("path", ["/forward_backward", "/optim_step"])
def test_a_fault_that_a_client_takes_as_final_uses_its_number_up(ask: Asking, path: str, status: int) -> None:
    run = ask.train()
    ask.ok("POST", "/_fault", {"path": path, "status": status, "detail": "a bad day"})
    asked = request(run.id, 1, "fb01") if path == "/forward_backward" else {"model_id": run.id, "seq_id": 1}
    assert ask.send("POST", path, asked)[0] == status
    assert ask.fetch(f"{run.id}:1")["error"] == "a bad day"
    assert run.forward("fb02", seq=2) == b'["fb02"]'


@pytest.mark.parametrize("status", [402, 408, 409, 429, 500, 503])
def test_a_fault_after_which_it_is_sent_again_leaves_its_number_to_that(ask: Asking, status: int) -> None:
    run = ask.train()
    ask.ok("POST", "/_fault", {"path": "/forward_backward", "status": status})
    assert ask.send("POST", "/forward_backward", request(run.id, 1, "fb01"))[0] == status
    assert run.forward("fb01", seq=1) == b'["fb01"]'


def test_two_runs_do_not_wait_for_each_other(ask: Asking) -> None:
    early, other = ask.train(), ask.train()
    ask.ok("POST", "/forward_backward", request(early.id, 2, "fb02"))
    assert other.forward("fb01") == b'["fb01"]'


def test_an_answer_whose_connection_was_cut_is_there_for_the_next_try(ask: Asking) -> None:
    run = ask.train()
    ask.ok("POST", "/_fault", {"path": "/optim_step", "drop": "after"})
    asked = {"model_id": run.id, "seq_id": 1, "adam_params": {}}
    with cut():
        ask.send("POST", "/optim_step", asked)
    assert ask.do("/optim_step", asked)["metrics"]["steps"] == 1
    run.seq = 1
    assert run.step()["steps"] == 2


def test_an_answer_can_be_fetched_again_and_again(ask: Asking) -> None:
    run = ask.train()
    request_id = ask.ok("POST", "/forward_backward", request(run.id, 1, "fb01"))["request_id"]
    assert [ask.fetch(request_id) for _ in range(3)] == [b'["fb01"]'] * 3


def test_who_waits_is_told_when_it_is_done(ask: Asking, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    run = ask.train()
    request_id = ask.ok("POST", "/forward_backward", request(run.id, 1, f"wait={gate} fb01"))["request_id"]
    answers: list[object] = []
    waiting = threading.Thread(target=lambda: answers.append(ask.fetch(request_id)))
    waiting.start()
    with gate.open("wb"):  # opens when the double stands at it
        assert not answers
    waiting.join(5)
    assert answers == [b'["fb01"]']


def test_a_user_s_mistake_is_told_in_its_words_and_changes_nothing(ask: Asking) -> None:
    run = ask.train()
    assert run.forward("refuse") == {"error": "the double was told to refuse", "category": "user"}
    assert run.forward("fb02") == b'["fb02"]'


def test_what_nobody_foresaw_is_told_and_the_server_lives(ask: Asking) -> None:
    run = ask.train()
    assert run.forward("break") == {"error": "ZeroDivisionError: the double was told to break", "category": "server"}
    assert run.step()["steps"] == 1


def test_a_sample_that_is_asked_for_twice_is_drawn_once(ask: Asking) -> None:
    ask.open()
    made = {"session_id": ask.session, "sampling_session_seq_id": 0, "base_model": "double"}
    sampler = ask.ok("POST", "/create_sampling_session", made)["sampling_session_id"]
    asked = {"sampling_session_id": sampler, "seq_id": 0, "prompt": {"chunks": []}, "sampling_params": {}}
    assert ask.do("/asample", asked) == ask.do("/asample", asked)
    assert ask.do("/asample", asked) != ask.do("/asample", {**asked, "seq_id": 1})


def test_what_waits_when_its_session_ends_is_not_done(ask: Asking, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    run = ask.train()
    ids = [
        ask.ok("POST", "/forward_backward", request(run.id, seq, text))["request_id"]
        for seq, text in ((1, f"wait={gate} fb01"), (2, "fb02"))
    ]
    with gate.open("wb"):
        ask.ok("POST", f"/sessions/{ask.session}/finish", {"reason": {"type": "success"}})
    assert "its session has ended" in ask.fetch(ids[1])["error"]


def test_a_run_is_made_once_however_often_it_is_asked_for(ask: Asking) -> None:
    run = ask.train()
    run.step()
    asked = {"session_id": ask.session, "model_seq_id": 0, "base_model": "double", "lora_config": {"rank": 8}}
    assert ask.do("/create_model", asked)["model_id"] == run.id
    assert run.step()["steps"] == 2


def test_a_run_that_could_not_be_made_says_so_to_what_was_sent_after_it(ask: Asking) -> None:
    session = ask.open()
    asked = {"session_id": session, "model_seq_id": 0, "base_model": "nosuch", "lora_config": {"rank": 8}}
    made = ask.ok("POST", "/create_model", asked)
    later = ask.do("/forward_backward", request(made["model_id"], 1, "fb01"))
    assert ask.fetch(made["request_id"]) == {"error": "unknown base model 'nosuch'", "category": "user"}
    assert later["category"] == "user"
    assert "was not made" in later["error"]


def test_an_answer_that_is_long_ago_is_gone_as_the_service_says_it(ask: Asking) -> None:
    status, answer = ask.send("POST", "/retrieve_future", {"request_id": "none:train:0:7"})
    assert status == 410
    assert "none:train:0:7" in answer["detail"]


def test_a_request_without_a_number_is_refused(ask: Asking) -> None:
    run = ask.train()
    status, answer = ask.send("POST", "/optim_step", {"model_id": run.id, "adam_params": {}})
    assert (status, answer["detail"][:6]) == (422, "seq_id")


def test_a_metric_that_is_no_number_is_left_out(ask: Asking) -> None:
    assert sorted(ask.train().step(learning_rate=0.5)) == ["forwards", "rate", "steps"]


def test_a_sample_that_was_cancelled_before_its_turn_is_not_drawn(ask: Asking, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    run = ask.train()
    ask.ok("POST", "/forward_backward", request(run.id, 1, f"wait={gate} fb01"))
    made = {"session_id": ask.session, "sampling_session_seq_id": 0, "base_model": "double"}
    sampler = ask.ok("POST", "/create_sampling_session", made)["sampling_session_id"]
    sample = {"sampling_session_id": sampler, "seq_id": 0, "num_samples": 2, "prompt": {"chunks": []}}
    asked = ask.ok("POST", "/asample", {**sample, "sampling_params": {}})
    assert asked["sample_sequence_ids"] == [f"{sampler}:0:0", f"{sampler}:0:1"]
    ask.ok("POST", "/cancel_future", {"request_id": asked["request_id"]})
    with gate.open("wb"):
        pass
    assert ask.fetch(asked["request_id"])["error"] == "it was cancelled"


# -- bounds, on the parts themselves ---------------------------------------------------------------------------------


@pytest.fixture
def complaints() -> list[str]:
    return []


@pytest.fixture
def futures(complaints: list[str]) -> Iterator[Futures]:
    made = Futures(complaints.append, kept_bytes=1000, poll_s=0.01)
    yield made
    made.close(5)


def fetch(futures: Futures, request_id: str) -> bytes:
    return futures.retrieve(Call(method="POST", path="", body=f'{{"request_id":"{request_id}"}}'.encode())).body


def test_who_asks_too_early_is_told_to_try_again(futures: Futures) -> None:
    gate = threading.Event()
    futures.submit("a:1", lambda: {"opened": gate.wait(10)})
    assert b'"type":"try_again"' in fetch(futures, "a:1")
    gate.set()
    futures.submit("a:2", dict)
    while b"try_again" in (answer := fetch(futures, "a:1")):
        pass
    assert answer == b'{"opened":true}'


def test_answers_that_were_fetched_go_when_they_take_too_much_room(futures: Futures) -> None:
    for number in range(10):
        futures.submit(f"a:{number}", lambda: b"." * 150)
        while b"try_again" in fetch(futures, f"a:{number}"):
            pass
    with pytest.raises(Refusal) as gone:
        fetch(futures, "a:0")
    assert gone.value.status == 410
    assert fetch(futures, "a:9") == b"." * 150


def test_an_answer_that_nobody_fetched_outlives_those_that_were(futures: Futures) -> None:
    futures.submit("lost", lambda: b"." * 150)
    for number in range(10):
        futures.submit(f"a:{number}", lambda: b"." * 150)
        while b"try_again" in fetch(futures, f"a:{number}"):
            pass
    assert fetch(futures, "lost") == b"." * 150


def test_a_request_whose_answer_is_gone_is_still_not_done_again(futures: Futures) -> None:
    lane, done = Lane("a", futures), list[int]()

    def job() -> bytes:
        done.append(1)
        return b"." * 150

    for number in range(1, 11):
        lane.submit(number, job)
        while b"try_again" in fetch(futures, f"a:{number}"):
            pass
    assert lane.submit(1, job) == "a:1"
    with pytest.raises(Refusal) as gone:  # and nobody waits for it for ever
        fetch(futures, "a:1")
    assert gone.value.status == 410
    futures.submit("last", dict)
    while b"try_again" in fetch(futures, "last"):
        pass
    assert len(done) == 10


def test_what_waits_for_its_turn_is_bounded_but_the_turn_itself_always_comes(futures: Futures) -> None:
    lane = Lane("a", futures)
    lane.submit(2, dict, 400 << 20)
    with pytest.raises(Refusal) as refused:
        lane.submit(3, dict, 200 << 20)
    assert refused.value.status == 429  # the SDK waits and sends it again
    lane.submit(1, dict, 200 << 20)
    while b"try_again" in fetch(futures, "a:2"):
        pass
    lane.submit(3, dict, 200 << 20)
    while b"try_again" in fetch(futures, "a:3"):
        pass


def test_what_is_queued_is_bounded_and_counts_no_more_once_it_is_done(futures: Futures) -> None:
    lane, gate = Lane("a", futures), threading.Event()
    lane.submit(1, lambda: {"opened": gate.wait(10)}, 400 << 20)
    lane.submit(2, dict, 400 << 20)
    for submit in (lambda: lane.submit(3, dict), lambda: futures.submit("sample", dict)):
        with pytest.raises(Refusal) as refused:
            submit()
        assert refused.value.status == 429
    assert lane.submit(2, dict) == "a:2", "what is known is not refused"
    gate.set()
    while b"try_again" in fetch(futures, "a:2"):
        pass
    assert lane.submit(3, dict) == "a:3", "and what was refused has its number still"
    while b"try_again" in fetch(futures, "a:3"):
        pass


def test_what_came_too_early_is_let_go_with_its_model(futures: Futures) -> None:
    lane = Lane("a", futures)
    lane.submit(2, lambda: {"done": "and told that the run is gone"})
    lane.close()
    while b"try_again" in fetch(futures, "a:2"):
        pass
    with pytest.raises(Refusal) as refused:
        lane.submit(1, dict)
    assert refused.value.status == 404


def test_what_breaks_is_told_with_its_name_and_its_trace_only_to_who_wants_it(complaints: list[str]) -> None:
    for debug in (False, True):
        futures = Futures(complaints.append, poll_s=0.01, debug=debug)
        Lane("a", futures).submit(1, lambda: {"never": 1 // 0})
        while b"try_again" in fetch(futures, "a:1"):
            pass
        futures.close(5)
    short, long = complaints
    assert short.startswith("a:1 failed: ZeroDivisionError")
    assert "\n" not in short
    assert "Traceback" in long


def test_who_waits_is_let_go_when_the_server_ends(complaints: list[str]) -> None:
    futures, gate = Futures(complaints.append, poll_s=30), threading.Event()
    futures.submit("a:1", lambda: {"opened": gate.wait(10)})
    futures.submit("a:2", dict)
    refused: list[int] = []

    def wait() -> None:
        with pytest.raises(Refusal) as stopping:
            fetch(futures, "a:2")
        refused.append(stopping.value.status)

    waiting = threading.Thread(target=wait)
    waiting.start()
    closing = threading.Thread(target=futures.close, args=(10,))
    closing.start()
    while not futures._stopping:  # before, the second job would be done, and its answer given
        time.sleep(0.001)
    gate.set()
    closing.join(10)
    waiting.join(10)
    assert refused == [503]
