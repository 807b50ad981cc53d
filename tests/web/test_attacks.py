"""Who must not get in: other sites, other names, other servers' cookies, and requests that mean two things."""

from __future__ import annotations

import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest

from lab.web import places, sessions, wire
from lab.web.door import Reply, Route
from lab.web.server import Server
from lab.web.site import Site
from tests.scheduler.labs import a_lab, identities
from tests.web.raw import PAGES, Visitor, asked, csrf_of, heard, rest, serving, spoken

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lab.store.root import Root
    from lab.web.door import Request

FORM = "Content-Type: application/x-www-form-urlencoded"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Root:
    return a_lab(tmp_path_factory.mktemp("lab"), "a")


@pytest.fixture(scope="module")
def server(root: Root) -> Iterator[Server]:
    with serving(root) as (server, _):
        yield server


# -- names -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1:{port}", "localhost:{port}", "LocalHost:{port}", "[::1]:{port}"])
def test_its_own_names_are_answered(server: Server, host: str) -> None:
    assert asked(server, "GET /", host=host.format(port=server.port)).status == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "evil.example:{port}", "127.0.0.1", "localhost", "127.0.0.1:1", "127.0.0.1.evil.example:{port}",
        "localhost.evil.example:{port}", "127.0.0.1:1{port:.3}", "2130706433:{port}", "0x7f.1:{port}", "0.0.0.0:{port}",
        "localhost.:{port}", "[::]:{port}",
    ],
)  # fmt: skip
@pytest.mark.parametrize("line", ["GET /", "GET /login", "GET /nowhere", "POST /login"])
def test_a_name_that_is_not_its_own_gets_nothing(server: Server, host: str, line: str) -> None:
    length = ("Content-Length: 0",) if line.startswith("POST") else ()
    said = asked(server, line, *length, host=host.format(port=str(server.port)))
    assert said.status == 421
    assert "set-cookie" not in said.headers
    assert "--allow-host" in said.text


@pytest.mark.parametrize(
    "headers",
    [
        b"",
        b"Host:\r\n",
        b"Host: 127.0.0.1:{port}\r\nHost: 127.0.0.1:{port}\r\n",
        b"Host: 127.0.0.1:{port}\r\nHost: evil.example\r\n",
        b"Host: 127.0.0.1:{port}@evil.example\r\n",
        b"Host: evil.example, 127.0.0.1:{port}\r\n",
        b"Host : 127.0.0.1:{port}\r\n",
        b"X: 1\r\n Host: 127.0.0.1:{port}\r\n",
        b"Host: 127.0.0.1:{port}/x\r\n",
    ],
)
def test_a_host_that_is_said_twice_or_oddly_is_refused(server: Server, headers: bytes) -> None:
    request = b"GET / HTTP/1.1\r\n" + headers.replace(b"{port}", str(server.port).encode()) + b"\r\n"
    assert heard(spoken(server.port, request)).status == 400


def test_another_name_is_answered_where_it_is_allowed(root: Root) -> None:
    allowed = ("lab.example", "localhost:9000")
    with Server(Site(root, actor="ann"), PAGES, allow=allowed) as server:
        assert asked(server, "GET /", host=f"lab.example:{server.port}").status == 200
        assert asked(server, "GET /", host="localhost:9000").status == 200
        assert asked(server, "GET /", host="lab.example").status == 421
        assert asked(server, "GET /", host="lab.example:9000").status == 421


# -- other sites -------------------------------------------------------------------------------------------------------

FOREIGN = [
    "Origin: http://evil.example",
    "Origin: null",
    "Origin: http://127.0.0.1:1",
    "Origin: http://127.0.0.1",
    "Origin: http://127.0.0.1:{port}.evil.example",
    "Origin: http://localhost:{port}",
    "Sec-Fetch-Site: cross-site",
    "Sec-Fetch-Site: same-site",
    "Sec-Fetch-Site: none",
    "X-Nothing: said",
]


@pytest.mark.parametrize("header", FOREIGN)
@pytest.mark.parametrize("path", ["/login", "/experiments/a/pause", "/logout"])
def test_a_form_of_another_site_changes_nothing_and_is_no_guess(root: Root, header: str, path: str) -> None:
    with serving(root) as (server, site):
        visitor = Visitor(server)
        visitor.log_in(site.sessions.token)
        form = {"csrf": csrf_of(visitor), "token": "labctl-wrong", "reason": "x"}
        before = identities(root.layout.root)
        said = visitor.post(path, form, "Origin: ", header.format(port=server.port))
        assert said.status == 403
        assert identities(root.layout.root) == before
        assert site.sessions.enter("wrong").wrong == 1
        assert csrf_of(visitor) == form["csrf"]


def test_who_says_two_things_of_where_a_form_comes_from_is_not_believed(root: Root) -> None:
    with serving(root) as (server, site):
        visitor = Visitor(server)
        visitor.log_in(site.sessions.token)
        said = visitor.post("/experiments/a/pause", {"csrf": csrf_of(visitor)}, "Sec-Fetch-Site: same-site")
        assert said.status == 403


@pytest.mark.parametrize("kind", ["text/plain", "multipart/form-data; boundary=x", "application/json", ""])
def test_a_form_is_sent_in_one_way_only(root: Root, kind: str) -> None:
    with serving(root) as (server, site):
        visitor = Visitor(server)
        visitor.log_in(site.sessions.token)
        said = visitor.post("/experiments/a/pause", {"csrf": csrf_of(visitor)}, f"Content-Type: {kind}")
        assert said.status == 415


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_what_another_site_embeds_or_fetches_is_refused_and_a_link_from_it_is_followed(
    server: Server, site: str
) -> None:
    for mode, dest, status in (
        ("no-cors", "image", 403), ("no-cors", "script", 403), ("cors", "empty", 403), ("navigate", "iframe", 403),
        ("navigate", "document", 200),
    ):  # fmt: skip
        headers = (f"Sec-Fetch-Site: {site}", f"Sec-Fetch-Mode: {mode}", f"Sec-Fetch-Dest: {dest}")
        assert asked(server, "GET /", *headers).status == status


def test_no_answer_lets_another_site_read_it_or_frame_it(server: Server) -> None:
    for line in ("GET /", "GET /login", "GET /nowhere", "DELETE /"):
        said = asked(server, line, "Origin: http://evil.example")
        assert not any(name.startswith("access-control-") for name in said.headers)
        assert "frame-ancestors 'none'" in said.headers["content-security-policy"]
        assert said.headers["cross-origin-resource-policy"] == "same-origin"
        assert said.headers["x-content-type-options"] == "nosniff"
        assert said.headers["cache-control"] == "no-store"
        assert "server" not in said.headers


# -- sessions ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", ["", "wrong", "x" * 43])
def test_a_form_without_the_token_of_its_session_changes_nothing(root: Root, given: str) -> None:
    with serving(root) as (server, site):
        visitor, other = Visitor(server), Visitor(server)
        visitor.log_in(site.sessions.token)
        other.log_in(site.sessions.token)
        before = identities(root.layout.root)
        for csrf in (given, csrf_of(other)):
            assert visitor.post("/experiments/a/pause", {"csrf": csrf}).status == 403
        assert visitor.post("/experiments/a/pause?csrf=" + csrf_of(visitor), {}).status == 403
        assert identities(root.layout.root) == before


def test_a_cookie_of_another_server_or_of_nobody_opens_nothing(root: Root) -> None:
    with serving(root) as (first, site), serving(root) as (second, _):
        visitor, stranger = Visitor(first), Visitor(second)
        visitor.log_in(site.sessions.token)
        value = visitor.cookie.partition("=")[2]
        for cookie in (visitor.cookie, f"labctl_{second.port}={value}", f"labctl_{second.port}=", "=", ";;"):
            stranger.cookie = cookie
            assert stranger.get("/").text.split("\n")[3] == "False"
            assert stranger.post("/experiments/a/pause", {"csrf": csrf_of(visitor)}).status == 401


def test_cookies_of_other_servers_beside_it_do_not_close_the_door(root: Root) -> None:
    with serving(root) as (server, site):
        visitor = Visitor(server)
        visitor.log_in(site.sessions.token)
        ours = visitor.cookie
        for other in ("labctl_1=x", f"labctl_{server.port}=tossed", "a=b; c"):
            for cookie in (f"{other}; {ours}", f"{ours}; {other}"):
                visitor.cookie = cookie
                assert csrf_of(visitor)


def test_a_session_that_was_ended_is_over_also_for_who_kept_its_cookie(root: Root) -> None:
    with serving(root) as (server, site):
        visitor = Visitor(server)
        visitor.log_in(site.sessions.token)
        csrf = csrf_of(visitor)
        assert visitor.post("/logout", {"csrf": csrf}).headers["set-cookie"].endswith("Max-Age=0")
        assert visitor.post("/experiments/a/pause", {"csrf": csrf}).status == 401


def test_a_get_never_changes_anything(root: Root) -> None:
    with serving(root) as (server, site):
        visitor = Visitor(server)
        visitor.log_in(site.sessions.token)
        csrf = csrf_of(visitor)
        before = identities(root.layout.root)
        for path in ("/experiments/a/pause", "/experiments/a/resume", "/proposals/a-1/approve", "/logout"):
            said = visitor.get(f"{path}?csrf={csrf}&reason=x")
            assert (said.status, said.headers["allow"]) == (405, "POST")
        assert identities(root.layout.root) == before
        assert csrf_of(visitor) == csrf


def test_guessing_is_told_but_not_without_end_and_harms_no_session(root: Root) -> None:
    told: list[str] = []
    with serving(root, told=told) as (server, site):
        there, guesser = Visitor(server), Visitor(server)
        there.log_in(site.sessions.token)
        for _ in range(4):
            assert guesser.log_in("labctl-" + "0" * 32).status == 403
        locked = guesser.log_in("labctl-" + "1" * 32)
        assert (locked.status, locked.headers["retry-after"]) == (403, "1")
        refused = guesser.log_in("labctl-" + "2" * 32)
        assert (refused.status, refused.headers["retry-after"]) == (429, "1")
        assert csrf_of(there)
        assert len(told) == 5
        assert "(5 since" in told[-1]


def test_who_guesses_keeps_nobody_out(root: Root) -> None:
    told: list[str] = []
    with serving(root, told=told) as (server, site):
        is_over = threading.Event()

        def guess() -> None:
            while not is_over.is_set():
                Visitor(server).log_in("labctl-" + "0" * 32)

        guessers = [threading.Thread(target=guess) for _ in range(2)]
        for each in guessers:
            each.start()
        said = [Visitor(server).log_in(site.sessions.token).status for _ in range(20)]
        is_over.set()
        for each in guessers:
            each.join()
        assert said == [303] * 20


def test_of_a_flood_of_guesses_a_few_are_told_at_the_terminal() -> None:
    now_s = [0.0]
    there = sessions.Sessions(lambda: now_s[0])
    told = []
    for _ in range(3000):  # ten minutes, five a second
        told.append(there.enter("wrong").is_news)
        now_s[0] += 0.2
    assert sum(told) < 25
    assert told[:5] == [True] * 5
    assert there.enter(there.token).cookie


def test_nobody_is_sent_to_another_site(root: Root) -> None:
    with serving(root) as (server, site):
        for then in (
            "//evil.example",
            "https://evil.example",
            "/\\evil.example",
            "/x\r\nX: y",
            "javascript:x",
            "/\t/e",
        ):
            assert Visitor(server).log_in(site.sessions.token, then).headers["location"] == "/"
        assert Visitor(server).log_in(site.sessions.token, "/runs/x?a=b").headers["location"] == "/runs/x?a=b"


def test_a_cookie_is_for_this_server_alone_and_no_script_sees_it(root: Root) -> None:
    with serving(root) as (server, site):
        cookie = Visitor(server).log_in(site.sessions.token).headers["set-cookie"]
        name, *rules = cookie.split("; ")
        assert name.startswith(f"labctl_{server.port}=")
        assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(rules)
        assert site.sessions.token not in cookie


def test_a_private_server_shows_nothing_without_the_token(root: Root) -> None:
    with serving(root, private=True) as (server, site):
        stranger = Visitor(server)
        sent = stranger.get("/any/x?y=1")
        assert (sent.status, sent.headers["location"]) == (303, "/login?next=%2Fany%2Fx%3Fy%3D1")
        assert "'y'" not in sent.text
        assert asked(server, "GET /any/x").status == 401
        assert asked(server, "HEAD /any/x").status == 401
        assert asked(server, "GET /runs/x/files/y").status == 401
        style = stranger.get("/login").text.partition('rel="stylesheet" href="')[2].partition('"')[0]
        assert stranger.get(style).status == 200
        assert stranger.log_in(site.sessions.token, "/any/x").headers["location"] == "/any/x"
        assert stranger.get("/any/x").status == 200


# -- the wire ----------------------------------------------------------------------------------------------------------


def _one(server: Server, text: str, body: bytes = b"") -> tuple[int, bytes]:
    raw = spoken(server.port, text.format(host=f"127.0.0.1:{server.port}").encode("latin-1") + body)
    assert raw.count(b"HTTP/1.1 ") == 1  # a second answer would be to a request that nobody made
    return heard(raw).status, raw


@pytest.mark.parametrize(
    ("request_text", "status"),
    [
        ("POST /login HTTP/1.1\r\nHost: {host}\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        ("POST /login HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411),
        ("POST /login HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: xchunked\r\n\r\n", 411),
        ("POST /login HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding : chunked\r\nContent-Length: 0\r\n\r\n", 400),
        ("POST /login HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n", 400),
        ("POST /login HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0, 0\r\n\r\n", 400),
        ("POST /login HTTP/1.1\r\nHost: {host}\r\nContent-Length: +4\r\n\r\n", 400),
        ("POST /login HTTP/1.1\r\nHost: {host}\r\nContent-Length: -1\r\n\r\n", 400),
        ("POST /login HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0x4\r\n\r\n", 400),
        ("POST /login HTTP/1.1\r\nHost: {host}\r\nContent-Length: 4_0\r\n\r\n", 400),
        ("POST /login HTTP/1.1\r\nHost: {host}\r\nContent-Length: \xb2\r\n\r\n", 400),
        ("POST /login HTTP/1.1\r\nHost: {host}\r\nContent-Length:\r\n\r\n", 400),
        ("POST /login HTTP/1.1\r\nHost: {host}\r\n\r\n", 411),
        ("GET / HTTP/1.1\r\nHost: {host}\r\nContent-Length: 4\r\n\r\nGET /", 400),
        ("GET / HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\nOrigin: http://{host}\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: {host}\r\nCookie: a=b\r\nCookie: a=b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: {host}\r\nSec-Fetch-Site: same-origin\r\nSec-Fetch-Site: same-origin\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: {host}\r\nContent-Type: text/plain\r\nContent-Type: text/plain\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: {host}\r\nAccept: text/html\r\nAccept: */*\r\n\r\n", 200),
        ("GET / HTTP/1.1\r\nHost: {host}\r\nExpect: 100-continue\r\n\r\n", 417),
        ("GET / HTTP/1.1\nHost: {host}\n\n\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: {host}\nX: y\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: {host}\rX: y\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: {host}\r\nX: a\r\n b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: {host}\r\nX\x00: a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: {host}\r\nX: a\x00b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: {host}\r\nno colon\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: {host}\r\n: nameless\r\n\r\n", 400),
        ("\r\nGET / HTTP/1.1\r\nHost: {host}\r\n\r\n", 400),
        ("GET  / HTTP/1.1\r\nHost: {host}\r\n\r\n", 400),
        ("GET\t/ HTTP/1.1\r\nHost: {host}\r\n\r\n", 400),
        ("GET / \r\nHost: {host}\r\n\r\n", 400),
        ("GET /\r\n\r\n", 400),
        ("GET / HTTP/2.0\r\nHost: {host}\r\n\r\n", 505),
        ("GET / HTTP/0.9\r\nHost: {host}\r\n\r\n", 505),
        ("get / HTTP/1.1\r\nHost: {host}\r\n\r\n", 400),
        ("BREW / HTTP/1.1\r\nHost: {host}\r\n\r\n", 405),
        ("OPTIONS / HTTP/1.1\r\nHost: {host}\r\n\r\n", 405),
        ("TRACE / HTTP/1.1\r\nHost: {host}\r\n\r\n", 405),
        ("OPTIONS * HTTP/1.1\r\nHost: {host}\r\n\r\n", 400),
        ("CONNECT {host} HTTP/1.1\r\nHost: {host}\r\n\r\n", 400),
        ("GET http://{host}/any/x HTTP/1.1\r\nHost: {host}\r\n\r\n", 200),
        ("GET http://{host} HTTP/1.1\r\nHost: {host}\r\n\r\n", 200),
        ("GET http://evil.example/ HTTP/1.1\r\nHost: {host}\r\n\r\n", 400),
        ("GET http://{host}@evil.example/ HTTP/1.1\r\nHost: {host}\r\n\r\n", 400),
        ("GET https://{host}/ HTTP/1.1\r\nHost: {host}\r\n\r\n", 400),
        ("GET / HTTP/1.0\r\nHost: {host}\r\n\r\n", 200),
        ("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(server: Server, request_text: str, status: int) -> None:
    assert _one(server, request_text)[0] == status


def test_what_follows_a_request_is_never_another_one(server: Server) -> None:
    second = f"GET /any/x HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n\r\n".encode()
    assert _one(server, "GET / HTTP/1.1\r\nHost: {host}\r\n\r\n", second)[0] == 200
    form = "POST /login HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\n" + FORM + "\r\nContent-Length: 7\r\n\r\n"
    assert _one(server, form, b"token=x" + second)[0] == 403


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: {host}\r\n\r\n", 414),
        (b"GET /" + b"x" * 9000, 414),
        (b"x" * 100_000, 414),
        (b"GET / HTTP/1.1\r\nHost: {host}\r\nX: " + b"y" * 40_000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: {host}\r\nX: " + b"y" * 5_000_000, 431),
        (b"GET / HTTP/1.1\r\nHost: {host}\r\n" + b"X: y\r\n" * 101 + b"\r\n", 431),
        (b"POST /login HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\n" + FORM.encode() +
         b"\r\nContent-Length: 999999999999\r\n\r\n" + b"x" * 2_000_000, 413),
        (b"POST /login HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\n" + FORM.encode() +
         b"\r\nContent-Length: 700\r\n\r\n" + b"a=b&" * 175, 400),
        (b"POST /login HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\n" + FORM.encode() +
         b"\r\nContent-Length: 9\r\n\r\ntoken=%ff", 400),
        (b"POST /login HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\n" + FORM.encode() +
         b"\r\nContent-Length: 7\r\n\r\ntoken=\xe9", 400),
    ],
)  # fmt: skip
def test_what_is_too_large_is_refused_before_it_is_taken(server: Server, data: bytes, status: int) -> None:
    said = heard(spoken(server.port, data.replace(b"{host}", f"127.0.0.1:{server.port}".encode())))
    assert said.status == status


@pytest.mark.parametrize(
    "path",
    [
        "/any/..", "/any/%2e%2e", "/any/.%2E", "/any/.", "/any/%2e", "/any/", "//any/x", "/any//x", "/any/x/",
        "/any/%2f", "/any/..%2fx", "/any/..%5cx", "/any/a%5Cb", "/any/a%00", "/any/a%0ab", "/any/a%7f", "/any/\\",
        "/rest/a/../b", "/rest/a/%2e%2e/b", "/rest/../../etc/passwd", "/rest/a%2F..%2Fb", "/rest/a//b", "/rest/",
        "/rest/a/%252e%252e%2fb", "/./any/x", "/any/..;/x", "/static/../any/x", "/any/x;/../y", "//evil.example/%2e%2e",
    ],
)  # fmt: skip
def test_a_path_that_goes_elsewhere_in_any_spelling_is_no_page(server: Server, path: str) -> None:
    assert asked(server, f"GET {path}").status in (400, 404)


@pytest.mark.parametrize(
    "path", ["/any/%", "/any/%2", "/any/%zz", "/any/%ff", "/any/%c0%af", "/any/%ed%a0%80", "/?a=%f"]
)
def test_an_address_that_is_no_utf8_is_refused(server: Server, path: str) -> None:
    assert asked(server, f"GET {path}").status == 400


def test_a_path_is_decoded_once(server: Server) -> None:
    assert repr({"one": "%2e%2e"}) in asked(server, "GET /any/%252e%252e").text
    assert repr({"all": "a b/ü+c"}) in asked(server, "GET /rest/a%20b/%c3%bc+c").text
    assert repr({"a": "2 x", "b": ""}) in asked(server, "GET /?a=1&b&a=2+%78").text


def test_a_name_in_the_address_reaches_no_header_and_no_page_raw(server: Server) -> None:
    said = Visitor(server).get("/any/%3Cscript%3E/%1b%5B31m")
    assert said.status == 404
    assert b"<script>" not in said.raw
    assert b"\x1b" not in said.raw
    assert Visitor(server).get("/login?next=%0d%0aSet-Cookie:%20x").status == 200
    trick = Visitor(server).get("/login?next=/%22%3E%3Cscript%3E")
    assert b"<script>" not in trick.raw


# -- those who only take a place ---------------------------------------------------------------------------------------


def test_who_drips_a_request_is_let_go_and_who_says_nothing_too(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire.Incoming.__init__, "__defaults__", (0.3,))
    with serving(root) as (server, _):
        silent = socket.create_connection(("127.0.0.1", server.port), timeout=10)
        slow = socket.create_connection(("127.0.0.1", server.port), timeout=10)
        began_s = time.monotonic()
        answer = b""
        while not answer and time.monotonic() - began_s < 5:
            slow.sendall(b"G")  # each byte in time, and the whole of it never
            slow.settimeout(0.05)
            try:
                answer = slow.recv(100)
            except TimeoutError:
                continue
        slow.settimeout(10)
        assert heard(answer + rest(slow)).status == 408
        assert rest(silent) == b""
        silent.close()
        slow.close()


def test_who_says_nothing_gives_way_to_who_asks(root: Root) -> None:
    with serving(root) as (server, _):
        silent = [
            socket.create_connection(("127.0.0.1", server.port), timeout=10) for _ in range(places.MOST_PLACES * 2)
        ]
        try:
            for connection in silent[:10]:
                connection.sendall(b"GET / HTTP/1.1\r\nX: ")
            for _ in range(20):
                assert asked(server, "GET /").status == 200
        finally:
            for connection in silent:
                connection.close()


def endless(site: Site, request: Request, names: Mapping[str, str]) -> Reply:
    del request, names

    def pieces() -> Iterator[bytes]:
        yield b"begun\n"
        while not site.stopping.wait(0.05):
            yield b""

    return Reply(kind="text/event-stream", stream=pieces())


STREAM = (Route(method="GET", path="/stream", answer=endless),)


def opened(server: Server) -> socket.socket:
    """A stream that has begun."""
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=10)
    connection.sendall(f"GET /stream HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n\r\n".encode())
    while not (got := connection.recv(4096)).endswith(b"begun\n"):
        assert got
    return connection


def test_who_comes_when_all_places_are_taken_waits_for_one_and_not_for_ever(
    root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(root, STREAM) as (server, _):
        server._places = places.Places(most=2, streams=2)
        first, second = opened(server), opened(server)
        threading.Timer(0.2, first.close).start()
        assert asked(server, "GET /").status == 200
        monkeypatch.setattr(places, "WAITS_S", 0.1)
        first = opened(server)
        assert asked(server, "GET /").status == 503
        first.close()
        second.close()


def test_streams_leave_places_for_pages(root: Root) -> None:
    pages = (*PAGES, *STREAM)
    server = Server(Site(root, actor="ann"), pages).__enter__()
    open_ones: list[socket.socket] = []
    try:
        open_ones += [opened(server) for _ in range(places.MOST_STREAMS)]
        assert asked(server, "GET /stream").status == 503
        assert asked(server, "GET /").status == 200
        open_ones.pop().close()
        until_s = time.monotonic() + 10
        while server._places.count() > places.MOST_STREAMS - 1 and time.monotonic() < until_s:
            time.sleep(0.01)
        open_ones.append(opened(server))
    finally:
        began_s = time.monotonic()
        server.close()
        assert time.monotonic() - began_s < 5  # whoever stops it does not wait for those who look
        for connection in open_ones:
            rest(connection)
            connection.close()
