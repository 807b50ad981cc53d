"""One line, one message: JSON-RPC 2.0 as the Model Context Protocol uses it, in both of its eras.

Up to 2025-11-25 a client opens with `initialize`, and the version agreed on holds for the process. From 2026-07-28 on
each request says in `_meta` which version it speaks, and nothing is remembered. We speak both, at the same time.
"""

from __future__ import annotations

import json

from lab.core import json_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LEGACY = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
MODERN = ("2026-07-28",)
BATCHES = "2025-03-26"  # the one revision in which several messages may share a line

PARSE_ERROR, INVALID_REQUEST, NO_METHOD, INVALID_PARAMS, INTERNAL = -32700, -32600, -32601, -32602, -32603
NOT_FOUND = -32002  # a resource, up to 2025-11-25; since then it is INVALID_PARAMS
UNSUPPORTED_VERSION = -32022

MOST_LINE_BYTES = 4 << 20
_RESERVED = "io.modelcontextprotocol/"
VERSION_KEY, CAPABILITIES_KEY = f"{_RESERVED}protocolVersion", f"{_RESERVED}clientCapabilities"
SERVER_KEY, SUBSCRIPTION_KEY = f"{_RESERVED}serverInfo", f"{_RESERVED}subscriptionId"


class Refusal(Exception):
    """A message that gets an error of the protocol for an answer."""

    def __init__(self, code: int, what: str, data: Mapping[str, object] | None = None) -> None:
        super().__init__(what)
        self.code = code
        self.what = what
        self.data = data


class Request:
    """What a client asks. Without an `id` it is a notification, and nothing is ever said to it."""

    __slots__ = ("id", "meta", "method", "modern", "params")

    def __init__(self, number: int | str | None, method: str, params: Mapping[str, object]) -> None:
        self.id = number
        self.method = method
        self.params = params
        meta = params.get("_meta")
        self.meta: Mapping[str, object] = meta if isinstance(meta, dict) else {}
        self.modern = VERSION_KEY in self.meta


class Lines:
    """Bytes in, lines out. A line that never ends is dropped as it comes: it must not fill the memory."""

    def __init__(self) -> None:
        self._begun = bytearray()
        self._too_long = False

    def feed(self, data: bytes) -> Iterator[bytes | None]:
        """The lines that are complete now; None for one that was too long."""
        *ends, rest = data.split(b"\n")
        for end in ends:
            self._add(end)
            line = None if self._too_long else bytes(self._begun)
            self._begun.clear()
            self._too_long = False
            yield line
        self._add(rest)

    def _add(self, piece: bytes) -> None:
        if self._too_long or len(self._begun) + len(piece) > MOST_LINE_BYTES:
            self._too_long = True
            self._begun.clear()
        else:
            self._begun += piece


def decode(line: bytes) -> object:
    """The value of a line. Constants that are no JSON, as NaN, are refused like any other garbage."""
    try:
        return json_text.parse(line.decode())
    except (ValueError, RecursionError) as error:
        raise Refusal(PARSE_ERROR, f"this line is not JSON in UTF-8: {_short(error)}") from None


def read(value: object) -> Request | None:
    """The request in a value; None for a response, which answers nothing of ours."""
    if not isinstance(value, dict):
        raise Refusal(INVALID_REQUEST, f"a message is an object, one a line (but for batches, in {BATCHES} alone)")
    if value.get("jsonrpc") != "2.0":
        raise Refusal(INVALID_REQUEST, 'a message says "jsonrpc": "2.0"')
    method, params = value.get("method"), value.get("params", {})
    if "method" not in value and ("result" in value or "error" in value):
        return None
    if not isinstance(method, str):
        raise Refusal(INVALID_REQUEST, "a message names its method")
    if "id" in value and id_of(value) is None:
        raise Refusal(INVALID_REQUEST, "the id of a request is a text or a whole number")
    if not isinstance(params, dict):
        raise Refusal(INVALID_PARAMS, "params is an object")
    return Request(id_of(value), method, params)


def id_of(value: object) -> int | str | None:
    """The id that an answer to this value carries; None where it has none that can be used."""
    found = value.get("id") if isinstance(value, dict) else None
    return found if isinstance(found, int | str) and not isinstance(found, bool) else None


def check_version(request: Request) -> None:
    """Refuse a request of a version that is not spoken here, or that leaves out what such a request must say."""
    wanted = request.meta.get(VERSION_KEY)
    if wanted not in MODERN:
        known = [*MODERN, *LEGACY]
        data = {"supported": known, "requested": wanted if isinstance(wanted, str) else ""}
        raise Refusal(UNSUPPORTED_VERSION, "Unsupported protocol version", data)
    if not isinstance(request.meta.get(CAPABILITIES_KEY), dict):
        raise Refusal(INVALID_PARAMS, f"_meta lacks {CAPABILITIES_KEY}")


def result(number: int | str | None, body: Mapping[str, object]) -> dict[str, object]:
    """An answer."""
    return {"jsonrpc": "2.0", "id": number, "result": body}


def failure(number: int | str | None, refusal: Refusal) -> dict[str, object]:
    """An answer that says why there is none."""
    error: dict[str, object] = {"code": refusal.code, "message": refusal.what}
    if refusal.data is not None:
        error["data"] = refusal.data
    return {"jsonrpc": "2.0", "id": number, "error": error}


def notice(method: str, params: Mapping[str, object]) -> dict[str, object]:
    """Something that wants no answer."""
    return {"jsonrpc": "2.0", "method": method, "params": params}


def encode(message: object) -> bytes:
    """A message as the one line that it must be. In ASCII: half a character from a log could not be written at all."""
    return write(message, ascii_only=True).encode() + b"\n"


def write(value: object, *, ascii_only: bool = False) -> str:
    """A value as JSON. `Refusal` where that fails: 1e400 is read as infinite, and what was read may nest too deeply."""
    try:
        return json.dumps(value, allow_nan=False, ensure_ascii=ascii_only, separators=(",", ":"))
    except (ValueError, RecursionError) as error:
        raise Refusal(INTERNAL, f"this cannot be written as JSON: {_short(error)}") from None


def _short(error: Exception) -> str:
    return str(error).partition("\n")[0][:120]
