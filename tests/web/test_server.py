"""The server at work: errors become words, streams end when nobody listens, and nothing a page does ends it."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.core.errors import BadInput, Busy, Corrupt, LabError, NotFound, Unavailable
from lab.core.proposal import Ruling
from lab.scheduler.control.proposals import AlreadyRuled
from lab.web import routing, sending, shelf, wire
from lab.web.door import JSON, STREAM, Reply, Route
from lab.web.guard import Guard
from lab.web.server import Server
from lab.web.sessions import FREE_GUESSES, LASTS_S, LONGEST_WAIT_S, MOST_SESSIONS, Sessions
from lab.web.site import Site
from lab.web.trouble import Trouble
from lab.web.wire import Head
from tests.scheduler.labs import a_lab
from tests.web.raw import PAGES, Visitor, asked, serving, spoken

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lab.store.root import Root
    from lab.web.door import Answering, Request

RULED = Ruling(
    proposal_id="a-1", kind="run", experiment="a", verdict="approved", proposed="", ruled_by="bob", ruled_at="noon"
)
HOSTILE = "<script>alert(1)</script>\x1b[31m\u202egnp.exe"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Root:
    return a_lab(tmp_path_factory.mktemp("lab"), "a")


def failing(error: Exception) -> Answering:
    def answer(site: Site, request: Request, names: Mapping[str, str]) -> Reply:
        del site, request, names
        raise error

    return answer


def at(path: str, answer: Answering) -> tuple[Route, ...]:
    return (Route(method="GET", path=path, answer=answer),)


# -- what went wrong ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (NotFound("there is no run", fix="look again"), 404),
        (BadInput("no", fix="yes"), 400),
        (Busy("held"), 409),
        (Corrupt("torn", where="x.json"), 500),
        (Unavailable("no disk"), 503),
        (LabError("it failed"), 500),
        (AlreadyRuled(RULED), 409),
        (FileNotFoundError(2, "No such file", "/secret/place"), 404),
        (PermissionError(13, "Permission denied", "/lab/x"), 503),
        (OSError(28, "No space left on device"), 503),
        (Trouble(410, "gone"), 410),
    ],
)
def test_an_error_is_a_page_that_says_what_and_what_to_do(root: Root, error: Exception, status: int) -> None:
    with serving(root, at("/x", failing(error))) as (server, _):
        page = Visitor(server).get("/x")
        assert page.status == status
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert "/secret/place" not in page.text
        if isinstance(error, LabError):
            assert error.what in page.text
            assert error.fix in page.text
        found = asked(server, "GET /x", f"Accept: {JSON}")
        assert found.headers["content-type"] == JSON
        assert f'"status":{status}' in found.text
        assert asked(server, "GET /x").headers["content-type"] == "text/plain; charset=utf-8"


def test_words_that_a_run_wrote_are_cleaned_and_escaped_in_an_error(root: Root) -> None:
    with serving(root, at("/x", failing(BadInput(HOSTILE, where=HOSTILE, fix=HOSTILE)))) as (server, _):
        for accept in ("text/html", JSON, "*/*"):
            said = asked(server, "GET /x", f"Accept: {accept}")
            assert b"\x1b" not in said.raw
            assert "\u202e" not in said.text
            assert accept != "text/html" or "<script>" not in said.text


@pytest.mark.parametrize("debug", [False, True])
def test_a_fault_of_ours_is_told_at_the_terminal_and_never_on_the_page(root: Root, debug: bool) -> None:
    told: list[str] = []
    with serving(root, at("/x/{y}", failing(ZeroDivisionError(HOSTILE))), told=told, debug=debug) as (server, _):
        page = Visitor(server).get("/x/%3Cb%3E")
        assert page.status == 500
        for secret in ("Zero", "Traceback", "script", ".py", "alert"):
            assert secret not in page.text
        assert "labctl itself failed at GET /x/%3Cb%3E: ZeroDivisionError" in told[0]
        assert "\x1b" not in "".join(told)
        assert any("Traceback" in each for each in told) is debug
        assert asked(server, "GET /").status == 200


def test_a_stream_that_fails_ends_and_is_told(root: Root) -> None:
    told: list[str] = []

    def breaking(site: Site, request: Request, names: Mapping[str, str]) -> Reply:
        del site, request, names

        def pieces() -> Iterator[bytes]:
            yield b"one\n"
            raise ZeroDivisionError

        return Reply(kind=STREAM, stream=pieces())

    with serving(root, at("/x", breaking), told=told) as (server, _):
        said = asked(server, "GET /x")
        assert (said.status, said.body, "content-length" in said.headers) == (200, b"one\n", False)
        assert told == ["labctl itself failed at a stream: ZeroDivisionError:"]
        assert asked(server, "GET /").status == 200


def test_a_header_that_would_begin_another_one_is_never_sent(root: Root) -> None:
    def tricked(site: Site, request: Request, names: Mapping[str, str]) -> Reply:
        del site, names
        return Reply(headers=(("X-Name", request.query["x"]),))

    with serving(root, at("/x", tricked)) as (server, _):
        raw = spoken(
            server.port, f"GET /x?x=%0d%0aSet-Cookie:a HTTP/1.1\r\nHost: localhost:{server.port}\r\n\r\n".encode()
        )
        assert b"Set-Cookie" not in raw


# -- what is sent ------------------------------------------------------------------------------------------------------


def test_head_says_what_get_says_without_the_body(root: Root) -> None:
    with serving(root) as (server, _):
        for path in ("/", "/login", "/nowhere", shelf.href("lab.css")):
            whole, head = asked(server, f"GET {path}"), asked(server, f"HEAD {path}")
            assert (head.status, head.headers, head.body) == (whole.status, whole.headers, b"")
            assert int(head.headers["content-length"]) == len(whole.body)


def test_head_of_a_stream_begins_none(root: Root) -> None:
    closed = threading.Event()

    class Endless:
        def __iter__(self) -> Iterator[bytes]:
            return self

        def __next__(self) -> bytes:
            raise AssertionError

        def close(self) -> None:
            closed.set()

    def answer(site: Site, request: Request, names: Mapping[str, str]) -> Reply:
        del site, request, names
        return Reply(kind=STREAM, stream=Endless())

    with serving(root, at("/x", answer)) as (server, _):
        assert asked(server, "HEAD /x").body == b""
        assert closed.wait(5)


def test_a_method_that_a_page_does_not_take_is_told_which_it_takes(root: Root) -> None:
    with serving(root) as (server, _):
        for line, allow in (("DELETE /", "GET, HEAD"), ("PUT /login", "GET, HEAD, POST"), ("GET /logout", "POST")):
            said = asked(server, line)
            assert (said.status, said.headers["allow"]) == (405, allow)


def test_a_style_sheet_is_kept_for_ever_under_a_name_of_its_bytes_alone(root: Root) -> None:
    with serving(root) as (server, _):
        said = asked(server, f"GET {shelf.href('lab.css')}")
        assert said.headers["content-type"] == "text/css; charset=utf-8"
        assert "immutable" in said.headers["cache-control"]
        for path in ("/static/0000000000000000/lab.css", "/static/x/server.py", "/static/lab.css", "/static"):
            assert asked(server, f"GET {path}").status == 404


@pytest.mark.parametrize("waits", [False, True])
def test_a_stream_ends_when_its_reader_is_gone(root: Root, waits: bool) -> None:
    ended = threading.Event()

    def answer(site: Site, request: Request, names: Mapping[str, str]) -> Reply:
        del site, request, names

        def pieces() -> Iterator[bytes]:
            try:
                while True:
                    yield b"" if waits else b": here\n\n"
                    time.sleep(0.01)
            finally:
                ended.set()

        return Reply(kind=STREAM, stream=pieces())

    with serving(root, at("/x", answer)) as (server, _):
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
            connection.sendall(f"GET /x HTTP/1.1\r\nHost: localhost:{server.port}\r\n\r\n".encode())
            assert connection.recv(4096).startswith(b"HTTP/1.1 200 OK")
            assert not ended.is_set()
        assert ended.wait(5)


def test_a_reader_who_does_not_read_is_let_go(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "TAKEN_WITHIN_S", 0.2)
    ended = threading.Event()

    def answer(site: Site, request: Request, names: Mapping[str, str]) -> Reply:
        del site, request, names

        def pieces() -> Iterator[bytes]:
            try:
                while True:
                    yield b"x" * 100_000
            finally:
                ended.set()

        return Reply(kind=STREAM, stream=pieces())

    with (
        serving(root, at("/x", answer)) as (server, _),
        socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection,
    ):
        connection.sendall(f"GET /x HTTP/1.1\r\nHost: localhost:{server.port}\r\n\r\n".encode())
        assert ended.wait(10)


def test_many_ask_at_once_and_all_are_answered(root: Root) -> None:
    statuses: list[int] = []

    def ask() -> None:
        for _ in range(10):
            statuses.append(asked(server, "GET /").status)  # noqa: PERF401  # appended as they come

    with serving(root) as (server, _):
        threads = [threading.Thread(target=ask) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert statuses == [200] * 160


def test_a_port_that_is_taken_is_told_with_what_to_do(root: Root) -> None:
    with serving(root) as (server, _), pytest.raises(Unavailable, match=f"port {server.port} of 127.0.0.1") as refused:
        Server(Site(root, actor="ann"), PAGES, port=server.port)
    assert "--port 0" in refused.value.fix


@pytest.mark.parametrize(
    ("host", "port"), [("no.such.host.invalid", 0), ("\udcff", 0), ("127.0.0.1", 70_000), ("", -1)]
)
def test_a_place_where_nobody_can_listen_is_refused(root: Root, host: str, port: int) -> None:
    with pytest.raises(BadInput):
        Server(Site(root, actor="ann"), PAGES, host=host, port=port)


def test_what_other_machines_can_reach_asks_for_the_token_to_look(root: Root) -> None:
    with Server(Site(root, actor="ann"), PAGES, host="0.0.0.0") as server:  # noqa: S104  # what the test is about
        assert server.is_open
        assert server.is_private
        assert "0.0.0.0" not in server.url  # noqa: S104  # an address that leads nowhere
        assert asked(server, "GET /").status == 401
        assert asked(server, "GET /login").status == 200
    with Server(Site(root, actor="ann"), PAGES) as server:
        assert not server.is_open


def test_it_ends_once_nobody_was_there_for_a_while(root: Root) -> None:
    server = Server(Site(root, actor="ann"), PAGES)
    began_s = time.monotonic()
    runs = threading.Thread(target=server.run, kwargs={"idle_s": 1.0})
    runs.start()
    time.sleep(0.2)  # far less than that, also where this machine is slow
    assert asked(server, "GET /").status == 200
    runs.join(20)
    assert not runs.is_alive()
    assert time.monotonic() - began_s >= 1.2
    server.close()


# -- the parts, by themselves ------------------------------------------------------------------------------------------


@given(st.binary(max_size=300))
def test_no_bytes_at_all_make_more_than_a_refusal(data: bytes) -> None:
    with suppress(Trouble):
        assert wire.parse(data).target.startswith("/")


@given(st.text(st.sampled_from("GET /:%2e.\\\r\nHost x10"), max_size=60))
def test_a_request_that_is_understood_is_understood_in_one_way(middle: str) -> None:
    data = f"GET /{middle} HTTP/1.1\r\nHost: x".encode()
    try:
        head = wire.parse(data)
    except Trouble:
        return
    assert "\r" not in head.target
    assert "\n" not in head.target
    assert " " not in head.target


@given(st.lists(st.sampled_from(["..", ".", "%2e", "%2F", "%5c", "\\", "a", "%00", "%252e", ";", "/", "ü", "%c3%bc"])))
def test_what_a_path_becomes_can_lead_nowhere_else(parts: list[str]) -> None:
    try:
        found = routing.segments("/" + "".join(parts))
    except Trouble:
        return
    for segment in found:
        assert segment not in ("", ".", "..")
        assert not set("/\\\0\r\n") & set(segment)


@given(st.dictionaries(st.text(max_size=9), st.text(max_size=9), max_size=9))
def test_a_form_arrives_as_it_was_sent(form: dict[str, str]) -> None:
    from urllib.parse import urlencode  # what browsers do

    clean = {name.replace("\0", ""): value.replace("\0", "") for name, value in form.items()}
    assert routing.fields(urlencode(clean)) == clean


class Clock:
    """A time that passes when a test says so."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def test_each_wrong_guess_is_asked_to_wait_longer_up_to_a_minute_and_a_right_one_ends_it() -> None:
    clock = Clock()
    sessions = Sessions(clock)
    waits = []
    for _ in range(FREE_GUESSES + 10):
        waits.append(sessions.enter("labctl-guess").wait_s)
        clock.now_s += waits[-1]
    assert waits[:FREE_GUESSES] == [0.0] * FREE_GUESSES
    assert waits[FREE_GUESSES : FREE_GUESSES + 4] == [1.0, 2.0, 4.0, 8.0]
    assert waits[-1] == LONGEST_WAIT_S
    assert sessions.enter(f" {sessions.token}\n").cookie
    assert sessions.enter("labctl-guess").wait_s == 0.0


def test_a_wrong_guess_before_its_time_is_no_news_and_makes_nobody_wait_longer_nor_at_all_who_is_right() -> None:
    clock = Clock()
    sessions = Sessions(clock)
    for _ in range(FREE_GUESSES + 2):
        sessions.enter("x")
        clock.now_s += 1.0
    first = sessions.enter("x")
    clock.now_s += first.wait_s / 2
    second = sessions.enter("x")
    assert not second.is_news
    assert second.wait_s == pytest.approx(first.wait_s / 2)
    assert sessions.enter(sessions.token).cookie


def test_a_session_ends_by_itself_and_there_are_only_so_many() -> None:
    clock = Clock()
    sessions = Sessions(clock)
    cookies = [sessions.enter(sessions.token).cookie for _ in range(MOST_SESSIONS + 1)]
    assert sessions.find(cookies[0]) is None
    assert sessions.find(cookies[1]) is not None
    assert len(set(cookies)) == len(cookies)
    clock.now_s += LASTS_S
    assert all(sessions.find(cookie) is None for cookie in cookies)


def test_a_server_on_the_port_of_http_is_known_by_its_bare_name() -> None:
    guard = Guard(("localhost", "[::1]", "lab:9000"), 80, Sessions(), private=False)
    for host in ("localhost", "localhost:80", "[::1]", "lab:9000", "127.0.0.1"):
        guard.host(Head(method="GET", target="/", headers={"host": host}), "127.0.0.1")
    with pytest.raises(Trouble):
        guard.host(Head(method="GET", target="/", headers={"host": "lab"}), "127.0.0.1")


def test_the_address_that_a_connection_came_to_is_one_of_its_names() -> None:
    guard = Guard((), 8765, Sessions(), private=True)
    for host, address in (
        ("10.0.0.7:8765", "10.0.0.7"),
        ("10.0.0.7:8765", "::ffff:10.0.0.7"),
        ("[fe80::1]:8765", "fe80::1%eth0"),
    ):
        guard.host(Head(method="GET", target="/", headers={"host": host}), address)
        with pytest.raises(Trouble):
            guard.host(Head(method="GET", target="/", headers={"host": host}), "10.0.0.8")


def test_a_token_is_long_and_new_each_time() -> None:
    tokens = {Sessions().token for _ in range(50)}
    assert len(tokens) == 50
    assert all(token.startswith("labctl-") and len(token) == 39 for token in tokens)
