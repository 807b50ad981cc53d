"""A request and its answer, as the parts of the server see them, and how bodies become values.

The two numbers that address a protobuf request are read here by hand: that way the door starts in a tenth of a second
and needs none of the SDK.
"""

from __future__ import annotations

import json
import traceback
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

T = TypeVar("T")
JSON, PROTOBUF, BYTES = "application/json", "application/x-protobuf", "application/octet-stream"
PROTOBUF_PATH = "/forward_backward"  # all that is sent to the others is JSON
LARGEST_BYTES = 64 << 20  # the SDK cuts a batch into requests of 5 MB
LARGEST_EXPANDED_BYTES = 256 << 20


class Refusal(Exception):
    """The request is not done; `detail` says why, and what to do."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """`arguments`: the parts of the path that the route left open. `headers`: names in lower case."""

    method: str
    path: str
    arguments: tuple[str, ...] = ()
    query: dict[str, str] = {}
    headers: dict[str, str] = {}
    body: bytes = b""

    def number(self, name: str, default: int, *, most: int) -> int:
        """A number of the query, no less than 0."""
        try:
            return min(max(int(self.query.get(name, default)), 0), most)
        except ValueError:
            raise Refusal(422, f"{name}: {self.query[name]!r} is no whole number") from None


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """`file`: its bytes follow instead of a body."""

    status: int = 200
    kind: str = JSON
    body: bytes = b"{}"
    file: str = ""


NOTHING = Reply(status=204, body=b"")


def pack(value: Mapping[str, object]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def answer(**fields: object) -> Reply:
    return Reply(body=pack(fields))


def refuse(status: int, detail: str) -> Reply:
    return Reply(status=status, body=pack({"detail": detail}))


def read(kind: type[T], body: bytes) -> T:
    """The body as this record. Fields that it does not have are left aside: a later SDK may send more.

    NaN is read, which JSON has not: whoever knows the field can say that it is wrong there.
    """
    try:
        return msgspec.convert(json.loads(body or b"{}"), kind)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise Refusal(422, f"the body cannot be read: {error}") from error


def expand(call: Call) -> bytes:
    """The body, uncompressed."""
    encoding = call.headers.get("content-encoding", "identity")
    if encoding == "identity":
        return call.body
    if encoding != "zstd":
        raise Refusal(415, f"content-encoding {encoding!r} is not known here: zstd or none")
    import zstandard  # noqa: PLC0415  # comes with the SDK; the door does without until a client compresses

    try:
        with zstandard.ZstdDecompressor().stream_reader(call.body) as stream:
            plain = stream.read(LARGEST_EXPANDED_BYTES + 1)
    except zstandard.ZstdError as error:
        raise Refusal(400, f"the body is no zstd: {error}") from error
    if len(plain) > LARGEST_EXPANDED_BYTES:
        raise Refusal(413, f"the body is more than {LARGEST_EXPANDED_BYTES >> 20} MiB when expanded")
    return plain


class _Address(msgspec.Struct):
    model_id: str
    seq_id: int | None = None


def address(call: Call) -> tuple[str, int | None]:
    """The model that a request names and its number there. Nothing else is looked at: the rest may be wrong."""
    if call.path == PROTOBUF_PATH:
        return _fields(expand(call))
    found = read(_Address, call.body)
    return found.model_id, found.seq_id


def _fields(request: bytes) -> tuple[str, int]:
    """Fields 1 and 2 of a `ForwardBackwardRequest`."""
    model, seq, at = "", 0, 0
    try:
        while not (model and seq):
            tag, at = _varint(request, at)
            field, form = tag >> 3, tag & 7
            if form == 0:
                value, at = _varint(request, at)
                seq = value if field == 2 else seq  # noqa: PLR2004  # the field's number
            elif form == 2:  # noqa: PLR2004  # length-delimited
                length, at = _varint(request, at)
                if field == 1:
                    model = request[at : at + length].decode()
                at += length
            else:
                at += {1: 8, 5: 4}[form]
    except (IndexError, KeyError, UnicodeDecodeError):
        raise Refusal(400, "the body is no ForwardBackwardRequest with a model and a number, from 1") from None
    return model, seq


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004  # the bit that says that more follows
            return value, at
    raise IndexError  # longer than any number: a body of such bytes would be added up for hours


def when(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).isoformat()


def worded(error: BaseException) -> str:
    """An error that nobody foresaw, with what was noted on its way."""
    what = f"{error.strerror} (OSError)" if isinstance(error, OSError) and error.strerror else ""
    return " ".join([what or f"{type(error).__name__}: {error}", *getattr(error, "__notes__", ())])


def complaint(what: str, error: BaseException, *, trace: bool) -> str:
    """For the terminal of whoever started the server."""
    words = f"{what} failed: {worded(error)}"
    return f"{words}\n{''.join(traceback.format_exception(error))}" if trace else f"{words} (--debug shows where)"
