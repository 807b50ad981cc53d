"""Who is let in, what is read of what they send, and how the server comes and goes."""

from __future__ import annotations

import http.client
import json
import socket
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

from lab.core.errors import BadInput, Busy, Unavailable
from lab.tinker.local import calls
from lab.tinker.local.serve import Terms, keep, serve
from tests.tinker.local.asking import KEY, Asking, request
from tests.tinker.local.double import DoubleModels

if TYPE_CHECKING:
    from pathlib import Path

    from tests.tinker.conftest import Fresh

# -- who is let in ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("headers", [{}, {"X-API-Key": ""}, {"X-API-Key": "sk-1"}, {"Authorization": "Bearer tml-1"}])
def test_without_a_key_of_the_right_kind_nothing_is_done(ask: Asking, headers: dict[str, str]) -> None:
    status, answer = ask.send("GET", "/training_runs", headers=headers)
    assert (status, "tml-" in answer["detail"]) == (401, True)


def test_faults_and_counts_need_the_key_too(ask: Asking) -> None:
    assert ask.send("POST", "/_fault", {"path": "*"}, headers={})[0] == 401
    assert ask.send("GET", "/_calls", headers={})[0] == 401


def test_whether_anybody_is_there_needs_no_key(ask: Asking) -> None:
    assert ask.send("GET", "/healthz", headers={}) == (200, {"status": "ok"})


@pytest.mark.parametrize("name", ["evil.example:8765", "127.evil.example", "localhost.evil.example", "", "10.0.0.1"])
def test_a_page_of_a_browser_whose_name_points_here_is_refused(ask: Asking, name: str) -> None:
    assert ask.send("GET", "/training_runs", headers={**KEY, "Host": name})[0] == 403


@pytest.mark.parametrize("name", ["localhost", "localhost:8765", "127.0.0.1", "127.0.0.2:1"])
def test_a_tunnel_may_give_it_another_port(ask: Asking, name: str) -> None:
    assert ask.send("GET", "/training_runs", headers={**KEY, "Host": name})[0] == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "10.0.0.1", "::", "example.org", ""])  # noqa: S104  # refused
def test_it_listens_on_this_machine_alone(tmp_path: Path, host: str) -> None:
    with pytest.raises(BadInput, match="this machine alone"):
        keep(DoubleModels(), str(tmp_path), Terms(host=host, port=0), interrupted=lambda: True)


# -- what is read ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "status", "said"),
    [
        ("POST", "/no_such_thing", 404, "no POST /no_such_thing"),
        ("POST", "/sessions/search", 405, "GET"),
        ("GET", "/create_model", 405, "POST"),
        ("GET", "/api/v2/training_runs", 404, "/api/v1"),
    ],
)
def test_what_it_does_not_have_it_says(ask: Asking, method: str, path: str, status: int, said: str) -> None:
    got, answer = ask.send(method, path)
    assert (got, said in answer["detail"]) == (status, True)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b'{"session_id": 3}', b"[" * 100_000])
def test_a_body_that_cannot_be_read_is_refused_in_words(ask: Asking, body: bytes) -> None:
    status, answer = ask.send("POST", "/session_heartbeat", body)
    assert (status, "cannot be read" in answer["detail"]) == (422, True)


def test_fields_of_a_later_sdk_are_left_aside(ask: Asking) -> None:
    asked = {"tags": [], "user_metadata": {}, "sdk_version": "9", "mood": "good"}
    assert ask.ok("POST", "/create_session", asked)["session_id"]


def address(body: bytes) -> tuple[str, int | None]:
    return calls.address(calls.Call(method="POST", path="/forward_backward", body=body))


@pytest.mark.parametrize("cut", [0, 1, 2, 10, 30])
def test_a_protobuf_that_does_not_say_whose_it_is_is_refused(ask: Asking, cut: int) -> None:
    run = ask.train()
    status, answer = ask.send("POST", "/forward_backward", request(run.id, 1, "fb01")[:cut])
    assert (status, "ForwardBackwardRequest" in answer["detail"]) == (400, True)


def test_the_address_is_found_wherever_its_fields_stand() -> None:
    body = request("run", 300, "data")
    assert address(body) == ("run", 300)
    head, data = body[:-6], body[-6:]
    assert address(data + b"\x35\x01\x02\x03\x04" + b"\x41" + b"\0" * 8 + head) == ("run", 300)


def test_a_number_without_an_end_is_refused_and_not_added_up() -> None:
    with pytest.raises(calls.Refusal, match="no ForwardBackwardRequest"):
        address(b"\x0a\x01r\x10" + b"\xff" * 10 + b"\x01")


@pytest.mark.skipif(find_spec("zstandard") is None, reason="zstandard is not installed")
def test_a_compressed_body_is_read_and_one_that_is_too_large_inside_is_not(
    ask: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    import zstandard

    run = ask.train()
    zipped = zstandard.ZstdCompressor().compress(request(run.id, 1, "fb01"))
    headers = {**KEY, "Content-Encoding": "zstd", "Content-Type": "application/x-protobuf"}
    status, answer = ask.send("POST", "/forward_backward", zipped, headers)
    assert status == 200
    assert ask.fetch(answer["request_id"]) == b'["fb01"]'
    assert ask.send("POST", "/forward_backward", b"no zstd", headers)[0] == 400
    assert ask.send("POST", "/forward_backward", zipped, {**headers, "Content-Encoding": "br"})[0] == 415
    monkeypatch.setattr(calls, "LARGEST_EXPANDED_BYTES", 1000)
    bomb = zstandard.ZstdCompressor().compress(b"\0" * 10_000)
    with pytest.raises(calls.Refusal) as refused:
        calls.expand(calls.Call(method="POST", path="", headers={"content-encoding": "zstd"}, body=bomb))
    assert refused.value.status == 413


def test_a_body_that_is_too_large_is_refused_unread(ask: Asking) -> None:
    connection = http.client.HTTPConnection(ask.host, timeout=20)
    connection.request("POST", "/api/v1/forward_backward", b"\0" * (calls.LARGEST_BYTES + 1), KEY)
    reply = connection.getresponse()
    assert (reply.status, "in parts" in json.loads(reply.read())["detail"]) == (413, True)
    connection.close()


def test_a_body_without_a_length_is_refused(ask: Asking) -> None:
    connection = http.client.HTTPConnection(ask.host, timeout=20)
    connection.request("POST", "/api/v1/create_session", iter([b"{}"]), KEY, encode_chunked=True)
    reply = connection.getresponse()
    assert (reply.status, "Content-Length" in json.loads(reply.read())["detail"]) == (411, True)
    connection.close()


def test_one_connection_serves_many_requests(ask: Asking) -> None:
    connection = http.client.HTTPConnection(ask.host, timeout=20)
    connection.connect()
    mine = connection.sock.getsockname()
    for path in ("training_runs", "no_such_thing", "checkpoints"):
        connection.request("GET", f"/api/v1/{path}", headers=KEY)
        connection.getresponse().read()
        assert connection.sock.getsockname() == mine
    connection.close()


def test_a_client_that_goes_away_in_the_middle_harms_nobody(ask: Asking) -> None:
    host, _, port = ask.host.partition(":")
    for sent in (b"POST /api/v1/create_session HTTP/1.1\r\nContent-Length: 100\r\n\r\n{", b"\0\0\0\r\n\r\n", b"GET"):
        with socket.create_connection((host, int(port)), timeout=20) as raw:
            raw.sendall(sent)
    assert ask.send("GET", "/healthz")[0] == 200


# -- how it comes and goes -------------------------------------------------------------------------------------------


def test_it_ends_when_it_is_told_to_and_leaves_its_folder_to_the_next(fresh_server: Fresh) -> None:
    first = fresh_server(double=True)
    assert first.stop() == 0
    assert first.log == ""
    second = fresh_server(first.folder, double=True)
    assert Asking(second.url).send("GET", "/healthz")[0] == 200


def test_two_servers_do_not_share_a_folder(fresh_server: Fresh) -> None:
    first = fresh_server(double=True)
    with pytest.raises(Busy, match="another server"):
        keep(DoubleModels(), str(first.folder), Terms(port=0), interrupted=lambda: True)


def test_a_port_that_is_taken_is_told(fresh_server: Fresh, tmp_path: Path) -> None:
    port = int(fresh_server(double=True).url.rpartition(":")[2])
    with pytest.raises(Unavailable, match=f"port {port}"):
        keep(DoubleModels(), str(tmp_path / "other"), Terms(port=port), interrupted=lambda: True)


def test_it_says_where_it_listens_and_notes_the_port(tmp_path: Path) -> None:
    told: list[str] = []
    noted = tmp_path / "run" / "port"
    keep(
        DoubleModels(), str(tmp_path / "f"), Terms(port=0, port_file=str(noted)), interrupted=lambda: bool(told),
        ready=told.append,
    )  # fmt: skip
    assert told == [f"http://127.0.0.1:{noted.read_text().strip()}"]


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match="cannot be used"):
        keep(DoubleModels(), str(tmp_path / "file" / "folder"), Terms(port=0), interrupted=lambda: True)


def test_a_model_whose_path_the_sdk_would_cut_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="colon"):
        serve({"m": str(tmp_path / "a:b")}, str(tmp_path / "f"))
