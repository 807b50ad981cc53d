"""However a call or the server ends, nothing goes on behind it and nothing stays held."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.cli.labs import process, runs_of
from tests.mcp.wire import SHIM, Server, Waiting, a_lab_that_waits, envelope, is_alive, refusal, until

if TYPE_CHECKING:
    from pathlib import Path

    from lab.store.root import Root

pytestmark = pytest.mark.heavy


@pytest.fixture
def waiting(tmp_path: Path) -> Waiting:
    return a_lab_that_waits(tmp_path / "lab")


def begin(server: Server, waiting: Waiting, **arguments: object) -> int:
    """Start the run that waits. Returns the id of the call."""
    given = {"experiment": "alpha", "now": True, **arguments}
    number = server.begin("tools/call", {"name": "lab_run_once", "arguments": given, "_meta": {"progressToken": "p"}})
    until(waiting.begun.exists, "the run")
    until(waiting.is_alive, "the run")
    return number


def is_free(root: Root) -> bool:
    claims = process("lease", "show", "--json", root=root.layout.root).data["claims"]
    return bool(claims == [])


def outcome(root: Root) -> object:
    """How the only run ended."""
    (run,) = runs_of(root, "alpha")
    return process("show", run, "--json", root=root.layout.root).data.get("outcome")


def test_a_turn_holds_up_nothing_and_its_progress_is_told(waiting: Waiting) -> None:
    root = waiting.root
    with Server(root.layout.root) as server:
        number = begin(server.shake_hands(), waiting)
        until(lambda: server.done("lab_tail", name="alpha")["lines"] == ["working"], "the line of the run")
        assert server.done("lab_status")["claims"] == {"alpha": 1}
        assert server.refusal("lab_run_once")["kind"] == "busy"
        server.send({"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": {"name": "lab_status"}})
        told = [each["params"] for each in server.seen if each.get("method") == "notifications/progress"]
        assert told[0] == {
            "progressToken": "p", "progress": 0.0, "total": 600.0, "message": "lab_run_once: 0 s of at most 600 s",
        }  # fmt: skip
        assert server.result("ping") == {}
        assert "is under way" in json.dumps([each for each in server.seen if each.get("id") == number])
        server.notify("notifications/cancelled", requestId=number)
        until(lambda: server.done("lab_status")["claims"] == {}, "the release")


def test_a_cancelled_turn_seals_its_run_and_is_never_answered(waiting: Waiting) -> None:
    root = waiting.root
    with Server(root.layout.root) as server:
        number = begin(server.shake_hands(), waiting)
        server.notify("notifications/cancelled", requestId=number, reason="changed my mind")
        until(lambda: not waiting.is_alive(), "the end of the run")
        until(lambda: is_free(root), "the release")
        assert outcome(root) == "cancelled"
        assert server.result("ping") == {}
        assert all(each.get("id") != number for each in server.seen)
        server.close()
        assert server.ended() == 0


def test_a_turn_that_passes_its_deadline_is_ended_and_says_so(waiting: Waiting) -> None:
    root = waiting.root
    with Server(root.layout.root) as server:
        number = begin(server.shake_hands(), waiting, deadline_s=5)
        result = server.answer(number)["result"]
        assert isinstance(result, dict)
        error = refusal(result)
        assert error["kind"] == "timeout"
        assert "longer than 5 s" in str(error["message"])
        assert "sealed as cancelled" in str(error["message"])
        assert not waiting.is_alive()
        assert is_free(root)
        assert outcome(root) == "cancelled"


@pytest.mark.parametrize("how", ["end of file", "TERM", "INT", "HUP"])
def test_when_the_server_is_told_to_go_its_turn_is_sealed_first(how: str, waiting: Waiting) -> None:
    root = waiting.root
    with Server(root.layout.root) as server:
        number = begin(server.shake_hands(), waiting)
        if how == "end of file":
            server.close()
        else:
            server.process.send_signal(getattr(signal, f"SIG{how}"))
        result = server.answer(number)["result"]
        assert isinstance(result, dict)
        assert refusal(result)["kind"] == "interrupted"
        assert server.ended() == 0
        assert "waiting for lab_run_once" in server.log()
        assert not waiting.is_alive()
        assert is_free(root)
        assert outcome(root) == "cancelled"


def test_a_server_that_is_killed_leaves_no_run_behind(waiting: Waiting) -> None:
    root = waiting.root
    with Server(root.layout.root) as server:
        begin(server.shake_hands(), waiting)
        server.process.kill()
        server.ended()
        until(lambda: not waiting.is_alive(), "the end of the run")
        until(lambda: is_free(root), "the release")
        assert outcome(root) == "cancelled"


CLIENT = """
import json, subprocess, sys, time
server = subprocess.Popen([sys.executable, sys.argv[1], "mcp", "serve"], stdin=subprocess.PIPE)
def say(**message):
    server.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\\n")
    server.stdin.flush()
say(id=1, method="initialize", params={"protocolVersion": "2025-11-25", "capabilities": {}})
with open(sys.argv[2], "w") as file:
    file.write(str(server.pid))
given = {"experiment": "alpha", "now": True}
say(id=2, method="tools/call", params={"name": "lab_run_once", "arguments": given})
time.sleep(600)
"""


def test_a_client_that_is_killed_leaves_no_server_no_run_and_no_lease(waiting: Waiting, tmp_path: Path) -> None:
    root = waiting.root
    command = [sys.executable, "-c", CLIENT, SHIM, str(tmp_path / "pid")]
    settings = {**os.environ, "LAB_DATA_ROOT": root.layout.root}
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, env=settings, stdout=subprocess.PIPE, stderr=quiet) as client:
        until(waiting.begun.exists, "the run")
        server = int((tmp_path / "pid").read_text())
        client.kill()
        client.wait()
        until(lambda: not waiting.is_alive(), "the end of the run")
        until(lambda: not is_alive(server), "the end of the server")
        assert is_free(root)
        assert outcome(root) == "cancelled"


def test_what_was_asked_before_the_end_of_the_input_is_answered(waiting: Waiting) -> None:
    """`printf ... | labctl mcp serve` is how a person tries it."""
    root = waiting.root
    with Server(root.layout.root) as server:
        numbers = [server.begin("initialize", {"protocolVersion": "2025-11-25"})]
        numbers += [server.begin("tools/call", {"name": "lab_status"}) for _ in range(6)]
        server.close()
        for number in numbers[1:]:
            result = server.answer(number)["result"]
            assert isinstance(result, dict)
            assert envelope(result)["ok"] is True
        assert server.ended() == 0


def test_a_client_that_does_not_read_is_still_heard(waiting: Waiting) -> None:
    root = waiting.root
    with Server(root.layout.root) as server:
        number = begin(server.shake_hands(), waiting)
        for _ in range(40):  # more than a pipe holds
            server.begin("tools/list")
        server.notify("notifications/cancelled", requestId=number)
        until(lambda: not waiting.is_alive(), "the end of the run")
        last = server.begin("ping")
        assert server.answer(last)["result"] == {}


def test_a_client_that_never_reads_cannot_keep_the_server_from_ending(tmp_path: Path) -> None:
    with Server(tmp_path / "none") as server:
        server.shake_hands()
        for _ in range(40):  # more than a pipe holds
            server.begin("tools/list")
        heard = server.process.stdout
        assert heard is not None
        until(lambda: select.select([heard], [], [], 0)[0], "an answer")
        server.process.terminate()
        assert server.ended() == 0


def test_a_client_that_stops_reading_for_good_ends_the_server(waiting: Waiting) -> None:
    root = waiting.root
    with Server(root.layout.root) as server:
        begin(server.shake_hands(), waiting)
        assert server.process.stdout is not None
        server.process.stdout.close()
        server.begin("ping")
        assert server.ended() == 0
        assert not waiting.is_alive()
        assert is_free(root)


STUBBORN = """
import os, sys
from lab.mcp import call, calls, server, tools
call.ENDING_S, tools.QUICK_S = 1.0, 0.5
turns, settle = [], calls.Calls.settle
calls.Calls.settle = lambda self: (turns.append(1), settle(self))[1]
flood = "trap '' TERM; head -c 5000000 /dev/zero; while :; do sleep 600; done"
server.Server(
    sys.argv[1], program=["/bin/sh", "-c", flood], environ=os.environ, listen=0, speak=1, say=lambda said: None
).serve()
print(len(turns), file=sys.stderr)
"""


def test_an_answer_without_end_from_a_verb_that_ignores_the_signal_costs_no_processor(tmp_path: Path) -> None:
    asked = [
        {"id": 1, "method": "initialize", "params": {"protocolVersion": "2025-11-25"}},
        {"id": 2, "method": "tools/call", "params": {"name": "lab_status"}},
    ]
    command = [sys.executable, "-c", STUBBORN, str(tmp_path)]
    lines = "".join(json.dumps({"jsonrpc": "2.0", **each}) + "\n" for each in asked)
    done = subprocess.run(command, input=lines, capture_output=True, text=True, timeout=15, check=True)
    error = refusal(json.loads(done.stdout.splitlines()[-1])["result"])
    assert error["kind"] == "too-large"
    assert "had to be killed" in str(error["message"])
    assert int(done.stderr) < 1000, "it asked again and again while it waited"
