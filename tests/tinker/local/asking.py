"""A client of a Tinker server that sends exactly what it is told, as often as it is told."""

from __future__ import annotations

import contextlib
import http.client
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

KEY = {"X-API-Key": "tml-test"}


class Asking:
    """`session` is open from the start; `train` makes a run in it."""

    def __init__(self, url: str) -> None:
        self.host = urlsplit(url).netloc
        self.session = ""
        self._runs = 0

    def send(
        self, method: str, path: str, body: bytes | Mapping[str, object] | None = None, headers: Mapping[str, str] = KEY
    ) -> tuple[int, Any]:
        """The status, and the answer: parsed where it is JSON, else its bytes."""
        connection = http.client.HTTPConnection(self.host, timeout=40)
        try:
            sent = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
            connection.request(method, path if path[:5] == "/api/" else f"/api/v1{path}", sent, dict(headers))
            reply = connection.getresponse()
            data = reply.read()
            is_json = reply.headers.get("Content-Type") == "application/json"
            return reply.status, json.loads(data) if is_json and data else data
        finally:
            connection.close()

    def ok(self, method: str, path: str, body: bytes | Mapping[str, object] | None = None) -> Any:  # noqa: ANN401
        status, answer = self.send(method, path, body)
        assert status in (200, 204), f"{method} {path}: {status} {answer}"
        return answer

    def fetch(self, request_id: str) -> Any:  # noqa: ANN401
        return self.ok("POST", "/retrieve_future", {"request_id": request_id})

    def do(self, path: str, body: bytes | Mapping[str, object]) -> Any:  # noqa: ANN401
        """Ask, and wait for what comes of it."""
        return self.fetch(self.ok("POST", path, body)["request_id"])

    def open(self) -> str:
        asked = {"tags": [], "user_metadata": {"who": "a test"}, "sdk_version": "0.38.0"}
        self.session = str(self.ok("POST", "/create_session", asked)["session_id"])
        return self.session

    def train(self, base: str = "double", **lora: object) -> Run:
        self.session = self.session or self.open()
        seq, self._runs = self._runs, self._runs + 1
        made = self.do(
            "/create_model",
            {"session_id": self.session, "model_seq_id": seq, "base_model": base, "lora_config": {"rank": 8, **lora}},
        )
        return Run(self, str(made["model_id"]))

    def load(self, path: str, *, optimizer: bool = True) -> Run:
        self.session = self.session or self.open()
        seq, self._runs = self._runs, self._runs + 1
        asked = {"session_id": self.session, "model_seq_id": seq, "path": path, "optimizer": optimizer}
        return Run(self, str(self.do("/load_weights", asked)["model_id"]))


class Run:
    """A training; it numbers its requests unless it is told how."""

    def __init__(self, asking: Asking, run_id: str) -> None:
        self.asking = asking
        self.id = run_id
        self.seq = 0

    def next(self) -> int:
        self.seq += 1
        return self.seq

    def forward(self, data: str = "", seq: int | None = None) -> Any:  # noqa: ANN401
        return self.asking.do("/forward_backward", request(self.id, seq or self.next(), data))

    def step(self, **adam: float) -> Any:  # noqa: ANN401
        asked = {"model_id": self.id, "seq_id": self.next(), "adam_params": adam}
        return self.asking.do("/optim_step", asked)["metrics"]

    def save(self, name: str | None, verb: str = "save_weights", **more: object) -> Any:  # noqa: ANN401
        asked = {"model_id": self.id, "seq_id": self.next(), "path": name, **more}
        return self.asking.do(f"/{verb}", asked)


def request(run_id: str, seq: int, data: str = "") -> bytes:
    """A `ForwardBackwardRequest` with a model, a number, and bytes where its data would be."""
    named, carried = run_id.encode(), data.encode()
    return b"\x0a" + _varint(len(named)) + named + b"\x10" + _varint(seq) + b"\x1a" + _varint(len(carried)) + carried


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


@contextlib.contextmanager
def cut() -> Iterator[None]:
    """The server hung up without an answer."""
    try:
        yield
    except (http.client.RemoteDisconnected, ConnectionError):
        return
    raise AssertionError("the server answered")
