"""A client of the server with the standard library alone: it sees every byte, and can misbehave."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

from tests.scheduler.labs import a_lab, an_experiment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.store.root import Root


SHIM = str(Path(__file__).resolve().parents[2] / "scripts" / "labctl.py")
PATIENCE_S = 15.0
MODERN = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": {"name": "wire", "version": "1"},
}
COMMAND = "executor: command\nexecutor_command: {}\n"


def a_lab_that_runs(place: Path, program: str = "/bin/echo 0.5", **experiments: str) -> Root:
    """A lab with an experiment `alpha`, and others by name, each with the program that is its run."""
    root = a_lab(place, "alpha", more=COMMAND.format(program))
    for name, other in experiments.items():
        an_experiment(root, name, COMMAND.format(other))
    return root


class Waiting(NamedTuple):
    """A lab whose run goes on until it is ended; the file that says that it has begun; a word on its command line."""

    root: Root
    begun: Path
    mark: str

    def is_alive(self) -> bool:
        """Whether the run is there. By a word of its own, for its number is another one in its namespace."""
        for name in filter(str.isdigit, os.listdir("/proc")):
            try:
                if self.mark.encode() in Path("/proc", name, "cmdline").read_bytes().split(b"\0"):
                    return True
            except OSError:
                continue
        return False


def a_lab_that_waits(place: Path) -> Waiting:
    begun, mark = place.parent / "begun", f"600.{uuid.uuid4().int}"
    root = a_lab_that_runs(place, f'/bin/sh -c "echo working; touch {begun}; exec sleep {mark}"')
    return Waiting(root, begun, mark)


class Server:
    """`labctl mcp serve` on a data root, and what it said. Each answer is read under a deadline."""

    def __init__(self, place: Path | str, *, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> None:
        settings = {**os.environ, "LAB_DATA_ROOT": str(place), "LABCTL_ACTOR": "agent", **(env or {})}
        self.process = subprocess.Popen(
            [sys.executable, SHIM, "mcp", "serve"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=settings,
            cwd=cwd,
        )
        self._rest = b""
        self._count = 0
        self.seen: list[dict[str, object]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                raise
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert stream is not None
            with contextlib.suppress(BrokenPipeError):
                stream.close()

    # -- sending -------------------------------------------------------------------------------------------------

    def send(self, *messages: object) -> None:
        self.raw(b"".join(json.dumps(message).encode() + b"\n" for message in messages))

    def raw(self, data: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def begin(self, method: str, params: Mapping[str, object] | None = None, **more: object) -> int:
        """Ask, and do not wait. Returns the id."""
        self._count += 1
        self.send({"jsonrpc": "2.0", "id": self._count, "method": method, "params": params or {}, **more})
        return self._count

    def notify(self, method: str, **params: object) -> None:
        self.send({"jsonrpc": "2.0", "method": method, "params": params})

    # -- hearing -------------------------------------------------------------------------------------------------

    def next(self) -> dict[str, object]:
        """The next message, whatever it is. A line that is no JSON object fails the test."""
        found = json.loads(self.line())
        assert isinstance(found, dict), found
        self.seen.append(found)
        return found

    def line(self) -> bytes:
        assert self.process.stdout is not None
        until = time.monotonic() + PATIENCE_S
        while b"\n" not in self._rest:
            left = until - time.monotonic()
            ready = select.select([self.process.stdout], [], [], max(left, 0))[0]
            assert ready, f"no answer within {PATIENCE_S} s"
            piece = os.read(self.process.stdout.fileno(), 1 << 16)
            assert piece, f"the server ended: {self.log()}"
            self._rest += piece
        line, _, self._rest = self._rest.partition(b"\n")
        return line

    def answer(self, number: object) -> dict[str, object]:
        """The answer to a request; what comes before it is kept in `seen`."""
        for message in self.seen:
            if message.get("id") == number and "method" not in message:
                return message
        while (message := self.next()).get("id") != number or "method" in message:
            pass
        return message

    def ask(self, method: str, params: Mapping[str, object] | None = None) -> dict[str, object]:
        return self.answer(self.begin(method, params))

    def result(self, method: str, params: Mapping[str, object] | None = None) -> dict[str, object]:
        found = self.ask(method, params)
        result = found.get("result")
        assert isinstance(result, dict), found
        return result

    def error(self, method: str, params: Mapping[str, object] | None = None) -> dict[str, object]:
        found = self.ask(method, params)
        error = found.get("error")
        assert isinstance(error, dict), found
        return error

    def shake_hands(self, version: str = "2025-11-25") -> Server:
        about = {"name": "wire", "version": "1"}
        self.result("initialize", {"protocolVersion": version, "capabilities": {}, "clientInfo": about})
        self.notify("notifications/initialized")
        return self

    def call(self, tool: str, **arguments: object) -> dict[str, object]:
        return self.result("tools/call", {"name": tool, "arguments": arguments})

    def done(self, tool: str, **arguments: object) -> dict[str, object]:
        """The data of a call that worked."""
        found = self.call(tool, **arguments)
        assert found["isError"] is False, found
        data = envelope(found)["data"]
        assert isinstance(data, dict)
        return data

    def refusal(self, tool: str, **arguments: object) -> dict[str, object]:
        """The error of a call that did not."""
        return refusal(self.call(tool, **arguments))

    # -- the end -------------------------------------------------------------------------------------------------

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()

    def ended(self) -> int:
        return self.process.wait(PATIENCE_S)

    def log(self) -> str:
        """All that it said on stderr, once it has ended."""
        assert self.process.stderr is not None
        return self.process.stderr.read().decode()


def envelope(result: Mapping[str, object]) -> dict[str, object]:
    """What labctl said; the text says the same."""
    found, content = result["structuredContent"], result["content"]
    assert isinstance(found, dict)
    assert isinstance(content, list)
    assert json.loads(content[0]["text"]) == found
    return found


def refusal(result: Mapping[str, object]) -> dict[str, object]:
    assert result["isError"] is True, result
    error = envelope(result)["error"]
    assert isinstance(error, dict)
    return error


def until(condition: object, what: str = "it") -> None:
    """Wait until a condition holds."""
    assert callable(condition)
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come about within {PATIENCE_S} s"
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
