"""Whatever a service does, a consultation comes back in time, says what happened, and holds no secret."""

from __future__ import annotations

import base64
import gzip
import json
import re
import socket
import threading
import time
from email.utils import formatdate

import pytest

from lab.llm import exchange
from tests.llm import faulty
from tests.llm.asking import GOOD, KEY, asked
from tests.llm.faulty import Faulty, chat, error, proposes, raw, reply


def test_a_good_answer_is_told_with_what_it_took() -> None:
    with Faulty(proposes(GOOD, model="double-1-0613")) as server:
        told = asked(server.url, usd_per_mtok_in=1.0, usd_per_mtok_out=5.0)
    assert [each.params for each in told.value] == [{"lr": 0.01, "layers": 3}]  # type: ignore[attr-defined]
    assert (told.problem, told.repairs, len(told.attempts)) == ("", 0, 1)
    assert told.used == exchange.Tokens(sent=100, answered=20, usd=0.0002)
    assert (told.attempts[0].model, told.attempts[0].status) == ("double-1-0613", 200)
    assert server.heard[0].path == "/v1/chat/completions"
    assert server.heard[0].headers["authorization"] == f"Bearer {KEY}"
    assert json.loads(told.attempts[0].request) == server.heard[0].json


@pytest.mark.parametrize("say", [faulty.hang, faulty.drip, faulty.drip_headers])
def test_a_service_that_never_ends_is_left_at_the_deadline(say: faulty.Say) -> None:
    with Faulty(say) as server:
        told = asked(server.url, timeout_s=0.4)
    assert (told.problem, told.value, len(told.attempts)) == (exchange.TIMEOUT, None, 1)
    assert re.search(r"within the 0\.(4|3\d+)s", told.what)
    assert told.used.sent is None  # it may have cost something: that is not 0


@pytest.mark.parametrize("say", [faulty.hang, faulty.drip])
def test_a_person_who_stops_it_is_heard_while_it_hangs(say: faulty.Say) -> None:
    with Faulty(say) as server:
        told = asked(server.url, timeout_s=15, stop=lambda: len(server.heard) > 0)
    assert told.problem == exchange.STOPPED


def test_a_person_who_stops_it_is_heard_between_two_tries() -> None:
    with Faulty(error(503, "later")) as server:
        told = asked(server.url, timeout_s=15, waits_s=(10.0,), stop=lambda: len(server.heard) > 0)
    assert told.problem in (exchange.STOPPED, exchange.FAILING)
    assert len(server.heard) == 1


def test_nobody_at_the_address_is_told_at_once_and_costs_nothing() -> None:
    told = asked(f"http://127.0.0.1:{faulty.free_port()}/v1")
    assert told.problem == exchange.UNREACHABLE
    assert "Connection refused" in told.what
    assert [each.unsent for each in told.attempts] == [True]
    assert told.used == exchange.Tokens(sent=0, answered=0, usd=0.0)


def test_a_name_that_nobody_knows_is_told() -> None:
    told = asked("http://nobody.invalid/v1")
    assert told.problem == exchange.UNREACHABLE
    assert "nobody.invalid" in told.what


def test_a_resolver_that_hangs_is_left_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    asked_for, ended, resolve = [], threading.Event(), socket.getaddrinfo

    def hang(host: str, *given: object, flags: int = 0, **more: object) -> object:
        if flags & socket.AI_NUMERICHOST:
            return resolve(host, *given, flags=flags, **more)  # type: ignore[arg-type, misc]
        asked_for.append(host)
        ended.wait(10)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    told = asked("http://slow.invalid/v1", timeout_s=0.3)
    ended.set()
    assert (told.problem, asked_for) == (exchange.TIMEOUT, ["slow.invalid"])


def test_a_name_with_a_dead_address_before_the_living_one_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    with Faulty(proposes(GOOD)) as server:
        resolve, port = socket.getaddrinfo, faulty.free_port()

        def two(host: str, *given: object, flags: int = 0, **more: object) -> object:
            if flags & socket.AI_NUMERICHOST:
                return resolve(host, *given, flags=flags, **more)  # type: ignore[arg-type, misc]
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", each)) for each in (port, server.port)]

        monkeypatch.setattr(socket, "getaddrinfo", two)
        assert asked("http://two.invalid/v1").value is not None


@pytest.mark.parametrize("say", [faulty.slam, faulty.short, faulty.bad_chunks, raw(b"\x16\x03\x01 what\r\n\r\n")])
def test_a_connection_that_breaks_is_tried_again(say: faulty.Say) -> None:
    with Faulty(say, proposes(GOOD)) as server:
        told = asked(server.url)
        assert told.value is not None
        assert [each.problem for each in told.attempts] == [exchange.UNREACHABLE, ""]
    with Faulty(say) as server:
        told = asked(server.url)
    assert (told.problem, len(told.attempts)) == (exchange.UNREACHABLE, 3)
    assert "broke" in told.what


def test_a_request_that_is_refused_is_not_repeated() -> None:
    with Faulty(error(401, "Incorrect API key provided")) as server:
        told = asked(server.url)
    assert (told.problem, len(server.heard)) == (exchange.REFUSED, 1)
    assert told.what == "it answered 401: Incorrect API key provided"


def test_a_server_that_fails_is_tried_three_times() -> None:
    with Faulty(error(500, "boom")) as server:
        told = asked(server.url)
    assert (told.problem, told.what, len(server.heard)) == (exchange.FAILING, "it answered 500: boom", 3)


@pytest.mark.parametrize("after", ["0", "0.02", formatdate(time.time(), usegmt=True)], ids=["0", "0.02", "date"])
def test_a_service_that_is_busy_is_asked_again_when_it_says(after: str) -> None:
    headers = {"Retry-After": after, "Date": formatdate(time.time(), usegmt=True)}
    with Faulty(error(429, "slow down", headers), proposes(GOOD)) as server:
        told = asked(server.url)
    assert told.value is not None
    assert told.attempts[0].problem == exchange.LIMITED


@pytest.mark.parametrize("after", ["60", formatdate(time.time() + 90_000, usegmt=True)], ids=["60", "date"])
def test_a_wait_that_does_not_fit_is_told_at_once(after: str) -> None:
    with Faulty(error(429, "slow down", {"Retry-After": after, "Date": formatdate(usegmt=True)})) as server:
        told = asked(server.url)
    assert (told.problem, len(server.heard)) == (exchange.LIMITED, 1)
    assert told.attempts[0].retry_after_s is not None
    assert told.attempts[0].retry_after_s >= 60


@pytest.mark.parametrize("after", ["", "soon", "-5", "nan", "1e400", "Fri, 99 Foo 2026 00:00:00 GMT", "9" * 400])
def test_a_retry_after_that_says_nothing_is_passed_over(after: str) -> None:
    with Faulty(error(429, "slow down", {"Retry-After": after}), proposes(GOOD)) as server:
        told = asked(server.url, timeout_s=5)
    assert told.value is not None or after == "9" * 400


def test_a_flood_is_cut_off() -> None:
    with Faulty(faulty.flood) as server:
        told = asked(server.url)
    assert (told.problem, len(told.attempts)) == (exchange.TOO_LARGE, 1)


def test_ten_megabytes_that_are_announced_are_not_read() -> None:
    with Faulty(reply(200, b'{"choices": "' + b"a" * (10 << 20) + b'"}')) as server:
        told = asked(server.url)
    assert told.problem == exchange.TOO_LARGE
    assert len(told.attempts[0].response) < 100_000


def test_a_bomb_that_is_small_when_packed_is_cut_off() -> None:
    with Faulty(reply(200, gzip.compress(b" " * (50 << 20)), {"Content-Encoding": "gzip"})) as server:
        told = asked(server.url)
    assert told.problem == exchange.TOO_LARGE


def test_a_packed_answer_is_read_and_so_is_one_that_only_says_so() -> None:
    good = json.dumps({"choices": [{"message": {"content": json.dumps({"proposals": [GOOD]})}}]}).encode()
    for body in (gzip.compress(good), good):
        with Faulty(reply(200, body, {"Content-Encoding": "gzip"})) as server:
            assert asked(server.url).value is not None


def test_a_redirect_is_told_and_nobody_there_gets_the_key() -> None:
    with Faulty(proposes(GOOD)) as other, Faulty(reply(307, b"", {"Location": other.url})) as server:
        told = asked(server.url)
        assert (told.problem, other.heard) == (exchange.REFUSED, [])
    assert "base_url" in told.what


@pytest.mark.parametrize(
    "body", [b"<html>It works!</html>", b"", b"[]", b'{"choices": 3}', b'{"object": "list"}', b"\xff\xfe", b"[" * 9000]
)
def test_what_is_no_answer_of_a_service_is_told(body: bytes) -> None:
    with Faulty(reply(200, body)) as server:
        told = asked(server.url)
    assert (told.problem, len(told.attempts)) == (exchange.MALFORMED, 1)


def test_an_error_in_a_good_status_is_an_error() -> None:
    with Faulty(reply(200, b'{"error": {"code": 402, "message": "Insufficient credits"}}')) as server:
        told = asked(server.url)
    assert (told.problem, told.what) == (exchange.REFUSED, "it answered with an error: Insufficient credits")


@pytest.mark.parametrize(
    ("say", "problem"),
    [
        (chat('{"proposals": [{"params": {"lr": 0.0', finish="length"), exchange.TRUNCATED),
        (chat(""), exchange.EMPTY),
        (chat(None), exchange.EMPTY),
        (chat("I would rather not say."), exchange.INVALID),
        (chat('{"proposals": [{"params": {"lr": 0.01, "lay'), exchange.INVALID),
        (chat('{"proposals": [{"params": {"lr": NaN, "layers": 3}}]}'), exchange.INVALID),
        (chat('{"proposals": [{"params": {"lr": 1e999, "layers": 3}}]}'), exchange.INVALID),
        (proposes({"params": {"lr": 5.0, "layers": 3}}), exchange.INVALID),
    ],
)
def test_an_answer_that_will_not_do_is_repaired_once(say: faulty.Say, problem: str) -> None:
    with Faulty(say, proposes(GOOD)) as server:
        told = asked(server.url)
        assert (told.repairs, told.problem) == (1, "")
        assert told.value is not None
        assert [each.problem for each in told.attempts] == [problem, ""]
    with Faulty(say) as server:
        told = asked(server.url)
    assert (told.repairs, told.problem, len(server.heard)) == (1, problem, 2)


def test_the_repair_quotes_what_was_wrong() -> None:
    with Faulty(proposes({"params": {"lr": 5.0, "layers": 3}}), proposes(GOOD)) as server:
        asked(server.url)
    turns = server.heard[1].json["messages"]
    assert isinstance(turns, list)
    assert [turn["role"] for turn in turns] == ["system", "user", "assistant", "user"]
    assert "lr must be between 0.0001 and 0.1, not 5.0" in turns[-1]["content"]


def test_the_deadline_holds_for_the_question_and_its_repair_together() -> None:
    with Faulty(chat("nothing useful"), faulty.hang) as server:
        told = asked(server.url, timeout_s=0.4)
    assert (told.problem, told.repairs) == (exchange.TIMEOUT, 1)


@pytest.mark.parametrize("allowed", [0, 1, 2])
def test_when_the_calls_are_used_up_nothing_is_sent(allowed: int) -> None:
    left = [True] * allowed
    with Faulty(chat("prose")) as server:
        told = asked(server.url, spend=lambda _: bool(left) and left.pop())
        assert len(server.heard) == allowed
    assert told.problem == (exchange.INVALID if allowed == 2 else exchange.BUDGET)
    assert len(told.attempts) == allowed


def test_each_try_of_a_failing_service_is_a_call() -> None:
    left = [True, True]
    with Faulty(error(503, "busy")) as server:
        told = asked(server.url, spend=lambda _: bool(left) and left.pop())
    assert (told.problem, len(server.heard)) == (exchange.BUDGET, 2)
    assert "it answered 503: busy" in told.what


@pytest.mark.parametrize(
    "form",
    [KEY, base64.b64encode(KEY.encode()).decode(), "sk-secret%2F9%2Bkey", KEY.replace("/", "\\/")],
)
def test_a_service_that_quotes_the_key_back_leaves_no_trace_of_it(form: str) -> None:
    said = json.dumps({"proposals": [GOOD | {"hypothesis": f"because {form}"}]})
    shown = [chat(said), error(401, f"bad key {form}"), reply(200, f"<{form}>".encode()), error(500, form)]
    for say in shown:
        with Faulty(say) as server:
            told = asked(server.url)
        text = repr(told)
        assert form not in text
        assert KEY not in text
        assert "Bearer" not in text


ESCAPED = "".join(f"\\u{ord(each):04X}" for each in KEY)


@pytest.mark.parametrize(
    "form", [KEY, KEY.replace("-", "\\u002d"), KEY.replace("/", "\\/").replace("s", "\\u0073"), ESCAPED]
)
def test_a_key_that_comes_back_in_the_escapes_of_json_is_nowhere_once_they_are_read(form: str) -> None:
    """In the model's name, and in every text of an answer: there the escapes are read twice, and show only then."""
    told = '{"hypothesis": "%s", "change": "%s", "params": {"lr": 0.01, "layers": 3}, "parent": "%s"}'
    wrong = '{"hypothesis": "", "params": {"lr": "%s", "layers": 3, "%s": 1}}'
    said = '{"proposals": [%s, %s]}' % (told % (form, form, form), wrong % (form, form))  # noqa: UP031  # braces
    body = json.dumps({"model": "MODEL", "choices": [{"message": {"content": said}}], "usage": {"note": "MODEL"}})
    with Faulty(reply(200, body.replace("MODEL", form).encode())) as server:
        told_us = asked(server.url)
    assert told_us.value is not None
    assert told_us.complaints
    (attempt,) = told_us.attempts
    assert attempt.model == "[redacted]"
    kept = repr(told_us) + repr(json.loads(attempt.response)) + repr(json.loads(attempt.text))
    kept += repr(json.loads(json.loads(attempt.response)["choices"][0]["message"]["content"]))
    assert KEY not in kept
    assert form not in kept


def test_a_key_at_the_place_where_its_words_are_cut_leaves_no_beginning() -> None:
    with Faulty(error(401, "x" * 292 + KEY)) as server:
        told = asked(server.url)
    assert KEY[:6] not in told.what


def test_a_key_that_is_a_word_of_the_protocol_breaks_no_answer() -> None:
    with Faulty(proposes(GOOD)) as server:
        for word in ("content", "choices", "stop", "1234"):
            assert asked(server.url, environ={"KEY": word}).value is not None
    with Faulty(chat("Two\none.\n" + json.dumps({"proposals": [GOOD]}))) as server:
        assert asked(server.url, environ={"KEY": "none"}).value is not None


def test_a_proxy_is_gone_through_and_its_password_kept() -> None:
    with Faulty(proposes(GOOD), error(401, "who is pass%2Fword or pass/word?")) as proxy:
        environ = {"http_proxy": f"http://me:pass%2Fword@127.0.0.1:{proxy.port}"}
        assert asked("http://model.invalid/v1", environ=environ).value is not None
        told = asked("http://model.invalid/v1", environ=environ)
    assert proxy.heard[0].path == "http://model.invalid/v1/chat/completions"
    assert proxy.heard[0].headers["host"] == "model.invalid"
    assert proxy.heard[0].headers["proxy-authorization"] == "Basic " + base64.b64encode(b"me:pass/word").decode()
    assert "word" not in repr(told)


def test_what_runs_here_is_not_asked_through_a_proxy() -> None:
    with Faulty(proposes(GOOD)) as server:
        dead = f"http://127.0.0.1:{faulty.free_port()}"
        assert asked(server.url, environ={"http_proxy": dead, "all_proxy": dead}).value is not None


def test_two_at_once_do_not_disturb_each_other() -> None:
    found: list[str] = []
    with Faulty(faulty.hang) as slow, Faulty(proposes(GOOD)) as quick:
        threads = [threading.Thread(target=lambda: found.append(asked(slow.url, timeout_s=0.5).problem))]
        threads += [threading.Thread(target=lambda: found.append(asked(quick.url).problem)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(found) == ["", "", "", exchange.TIMEOUT]
