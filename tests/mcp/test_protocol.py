"""The protocol, byte for byte: both eras, every kind of garbage, and nothing on stdout but messages."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.core.version import __version__
from lab.mcp import messages
from lab.mcp.messages import Lines
from tests.mcp.wire import MODERN, SHIM, Server, refusal

if TYPE_CHECKING:
    from collections.abc import Iterator

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture
def nowhere(tmp_path: Path) -> Iterator[Server]:
    """A server of a lab that does not exist, before any handshake."""
    with Server(tmp_path / "none") as server:
        yield server


@pytest.fixture
def server(nowhere: Server) -> Server:
    return nowhere.shake_hands()


@pytest.mark.parametrize("version", messages.LEGACY)
def test_a_version_that_is_spoken_here_is_agreed_to(version: str, nowhere: Server) -> None:
    told = nowhere.result("initialize", {"protocolVersion": version, "capabilities": {}})
    assert told["protocolVersion"] == version
    assert told["serverInfo"] == {
        "name": "labctl",
        "title": "labctl, a file-first research lab",
        "version": __version__,
    }
    assert told["capabilities"] == {"tools": {}, "resources": {}}
    assert "approves" in str(told["instructions"])


@pytest.mark.parametrize("version", ["2026-07-28", "1999-01-01", "2999-01-01", ""])
def test_another_version_is_answered_with_the_newest_that_has_a_handshake(version: str, nowhere: Server) -> None:
    told = nowhere.result("initialize", {"protocolVersion": version, "capabilities": {}})
    assert told["protocolVersion"] == "2025-11-25"


def test_nothing_but_ping_is_answered_before_the_handshake(nowhere: Server) -> None:
    assert nowhere.result("ping") == {}
    assert nowhere.error("tools/list")["code"] == -32602
    assert nowhere.error("initialize", {"protocolVersion": 7})["code"] == -32602
    nowhere.shake_hands()
    assert nowhere.result("tools/list")["tools"]


def test_a_modern_client_shakes_no_hands(nowhere: Server) -> None:
    told = nowhere.result("server/discover", {"_meta": MODERN})
    assert told["supportedVersions"] == ["2026-07-28", *messages.LEGACY]
    assert (told["resultType"], told["cacheScope"]) == ("complete", "public")
    listed = nowhere.result("tools/list", {"_meta": MODERN})
    assert listed["resultType"] == "complete"
    assert listed["ttlMs"] == 3_600_000
    about = listed["_meta"]
    assert isinstance(about, dict)
    assert about["io.modelcontextprotocol/serverInfo"]["name"] == "labctl"
    called = nowhere.result("tools/call", {"_meta": MODERN, "name": "lab_status"})
    assert called["resultType"] == "complete"
    assert refusal(called)["kind"] == "unavailable"
    assert nowhere.error("ping", {"_meta": MODERN})["code"] == -32601
    assert nowhere.error("initialize", {"_meta": MODERN, "protocolVersion": "2025-11-25"})["code"] == -32601


def test_a_version_of_the_future_is_told_what_is_spoken_here(nowhere: Server) -> None:
    error = nowhere.error("tools/list", {"_meta": {**MODERN, messages.VERSION_KEY: "2999-01-01"}})
    assert error["code"] == -32022
    assert error["data"] == {"supported": ["2026-07-28", *messages.LEGACY], "requested": "2999-01-01"}
    assert nowhere.error("tools/list", {"_meta": {messages.VERSION_KEY: "2026-07-28"}})["code"] == -32602


def test_both_eras_are_served_at_once(server: Server) -> None:
    assert "resultType" not in server.result("tools/list")
    assert server.result("tools/list", {"_meta": MODERN})["resultType"] == "complete"
    assert "resultType" not in server.result("tools/list")


def test_a_subscription_is_acknowledged_with_nothing_and_ends_with_the_server(nowhere: Server) -> None:
    number = nowhere.begin("subscriptions/listen", {"_meta": MODERN, "notifications": {"toolsListChanged": True}})
    told = nowhere.next()
    assert told["method"] == "notifications/subscriptions/acknowledged"
    assert told["params"] == {"_meta": {"io.modelcontextprotocol/subscriptionId": number}, "notifications": {}}
    other = nowhere.begin("subscriptions/listen", {"_meta": MODERN, "notifications": {}})
    nowhere.next()
    nowhere.notify("notifications/cancelled", requestId=other)
    nowhere.close()
    result = nowhere.answer(number)["result"]
    assert isinstance(result, dict)
    assert result["_meta"]["io.modelcontextprotocol/subscriptionId"] == number
    assert nowhere.ended() == 0
    assert all(message.get("id") != other for message in nowhere.seen)


def test_a_lab_that_does_not_exist_is_said_by_the_tools(server: Server, tmp_path: Path) -> None:
    assert server.result("resources/list") == {"resources": []}
    error = server.refusal("lab_status")
    assert (error["kind"], error["message"]) == ("unavailable", "there is no lab here")
    assert "labctl init" in str(error["fix"])
    assert server.refusal("lab_run_once")["kind"] == "unavailable"
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"garbage", -32700),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "ping"', -32700),
        (b"\xff\xfe\x00", -32700),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "ping", "params": {"x": NaN}}', -32700),
        (b"[" * 100_000, -32700),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "ping", "params": {"x": ' + b"1" * 5000 + b"}}", -32700),
        (b'"text"', -32600),
        (b"null", -32600),
        (b"[]", -32600),
        (b'[{"jsonrpc": "2.0", "id": 1, "method": "ping"}]', -32600),
        (b'{"id": 1, "method": "ping"}', -32600),
        (b'{"jsonrpc": "1.0", "id": 1, "method": "ping"}', -32600),
        (b'{"jsonrpc": "2.0", "id": 1}', -32600),
        (b'{"jsonrpc": "2.0", "id": 1, "method": 7}', -32600),
        (b'{"jsonrpc": "2.0", "id": null, "method": "ping"}', -32600),
        (b'{"jsonrpc": "2.0", "id": true, "method": "ping"}', -32600),
        (b'{"jsonrpc": "2.0", "id": {"a": 1}, "method": "ping"}', -32600),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "ping", "params": [1]}', -32602),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "no/such"}', -32601),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "resources/subscribe", "params": {"uri": "lab://status"}}', -32601),
    ],
    ids=lambda value: str(value)[:60],
)
def test_what_is_no_request_is_answered_with_an_error_and_served_on(line: bytes, code: int, server: Server) -> None:
    server.raw(line + b"\n")
    told = server.next()
    error = told["error"]
    assert isinstance(error, dict)
    assert error["code"] == code
    assert told["id"] == (1 if b'"id": 1' in line and code != -32700 and line[:1] != b"[" else None)
    assert server.result("ping") == {}


def test_a_last_line_without_its_end_is_answered_too(server: Server) -> None:
    server.raw(b'{"jsonrpc": "2.0", "id": "last", "method": "ping"}')
    server.close()
    assert server.next() == {"jsonrpc": "2.0", "id": "last", "result": {}}
    assert server.ended() == 0


def test_ten_megabytes_in_a_line_are_passed_over(server: Server) -> None:
    server.raw(b'{"jsonrpc": "2.0", "id": 9, "method": "ping", "params": {"x": "' + b"x" * 10_000_000 + b'"}}\n')
    error = server.next()["error"]
    assert isinstance(error, dict)
    assert error["code"] == -32700
    assert "4,194,304 bytes" in str(error["message"])
    assert server.result("ping") == {}


def test_lines_come_out_as_they_went_in_wherever_they_were_cut() -> None:
    text = (
        b"one\n\ntwo\r\n"
        + b"x" * messages.MOST_LINE_BYTES
        + b"\n"
        + b"y" * (messages.MOST_LINE_BYTES + 1)
        + b"\nlast\n"
    )
    for step in (1 << 16, 999_983, len(text)):
        lines = Lines()
        found = [line for at in range(0, len(text), step) for line in lines.feed(text[at : at + step])]
        assert found == [b"one", b"", b"two\r", b"x" * messages.MOST_LINE_BYTES, None, b"last"]


def test_notifications_and_responses_are_never_answered(server: Server) -> None:
    server.send(
        {"jsonrpc": "2.0", "method": "no/such"},
        {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 12345}},
        {"jsonrpc": "2.0", "method": "notifications/cancelled"},
        {"jsonrpc": "2.0", "id": 3, "result": {}},
        {"jsonrpc": "2.0", "id": 4, "error": {"code": 1, "message": "x"}},
    )
    server.raw(b"\n  \n")
    number = server.begin("ping")
    assert server.next() == {"jsonrpc": "2.0", "id": number, "result": {}}


def test_the_id_comes_back_as_it_was(server: Server) -> None:
    for number in ("text", "", 0, -1, 2**60, "\u2028\n"):
        server.send({"jsonrpc": "2.0", "id": number, "method": "ping"})
        assert server.next() == {"jsonrpc": "2.0", "id": number, "result": {}}


def test_a_batch_is_answered_as_one_where_batches_are_spoken(nowhere: Server) -> None:
    nowhere.shake_hands("2025-03-26")
    nowhere.send(
        [
            {"jsonrpc": "2.0", "id": "a", "method": "ping"},
            {"jsonrpc": "2.0", "method": "notifications/x"},
            {"jsonrpc": "2.0", "id": "b", "method": "tools/call", "params": {"name": "lab_status"}},
            {"jsonrpc": "2.0", "id": "c", "method": "no/such"},
            7,
        ],
        [{"jsonrpc": "2.0", "method": "notifications/x"}],
        [],
    )
    empty, whole = json.loads(nowhere.line()), json.loads(nowhere.line())
    assert empty["error"]["code"] == -32600
    assert sorted(str(each["id"]) for each in whole) == ["None", "a", "b", "c"]
    assert nowhere.result("ping") == {}


@pytest.mark.parametrize("method", ["tools/list", "resources/templates/list", "resources/list"])
def test_a_cursor_of_somebody_else_is_refused(method: str, server: Server) -> None:
    for cursor in ("../x", "", 7):
        assert server.error(method, {"cursor": cursor})["code"] == -32602


def test_a_stray_line_of_stdout_never_reaches_the_client(tmp_path: Path) -> None:
    """A library that prints would end the session; what is printed belongs to stderr."""
    program = (
        "import os, sys; sys.path.insert(0, sys.argv.pop(1))\n"
        "from lab.mcp import answers\n"
        "from lab.cli.main import main\n"
        "before = answers.at_once\n"
        "def loud(*given):\n    print('stray'); sys.stdout.flush(); os.system('echo stray'); return before(*given)\n"
        "answers.at_once = loud\n"
        "main(['--data-root', sys.argv[1], 'mcp', 'serve'])\n"
    )
    command = [sys.executable, "-c", program, str(CHECKOUT), str(tmp_path)]
    asked = b'{"jsonrpc": "2.0", "id": 1, "method": "ping"}\n'
    done = subprocess.run(command, input=asked, capture_output=True, timeout=15, check=True)
    assert json.loads(done.stdout) == {"jsonrpc": "2.0", "id": 1, "result": {}}
    assert done.stderr.splitlines().count(b"stray") == 2


def test_the_server_starts_on_the_standard_library_alone(tmp_path: Path) -> None:
    """It is started by every session of an agent; `-S` takes every installed package away."""
    opening = {"protocolVersion": "2025-11-25", "capabilities": {}}
    asked = [
        {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": opening},
        {"jsonrpc": "2.0", "id": 2, "method": "tools/list"},
        {"jsonrpc": "2.0", "id": 3, "method": "server/discover", "params": {"_meta": MODERN}},
        {"jsonrpc": "2.0", "id": 4, "method": "resources/read", "params": {"uri": "lab://status"}},
    ]
    done = subprocess.run(
        [sys.executable, "-I", "-S", SHIM, "--data-root", str(tmp_path), "mcp", "serve"],
        input="".join(json.dumps(each) + "\n" for each in asked).encode(),
        capture_output=True,
        timeout=15,
        check=True,
    )
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert [each["id"] for each in told] == [1, 2, 3, 4]
    assert ["result" in each for each in told] == [True, True, True, False]
    assert done.stderr == f"labctl mcp: serving {tmp_path}\n".encode()
