"""Why there is no page: what happened, where, and what to do; a status for programs."""

from __future__ import annotations

import msgspec

from lab.core.errors import BadInput, Busy, Corrupt, LabError, NotFound, Unavailable
from lab.projections import text

REASONS = {
    200: "OK", 204: "No Content", 206: "Partial Content", 303: "See Other", 304: "Not Modified", 400: "Bad Request",
    401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed", 408: "Request Timeout",
    409: "Conflict", 410: "Gone", 411: "Length Required", 413: "Content Too Large", 414: "URI Too Long",
    415: "Unsupported Media Type", 417: "Expectation Failed", 421: "Misdirected Request", 422: "Unprocessable Content",
    429: "Too Many Requests", 431: "Request Header Fields Too Large", 500: "Internal Server Error",
    501: "Not Implemented", 503: "Service Unavailable", 505: "HTTP Version Not Supported",
}  # fmt: skip
MOST_CHARS = 2000
_OF_KIND: tuple[tuple[type[LabError], int], ...] = (
    (NotFound, 404), (BadInput, 400), (Busy, 409), (Corrupt, 500), (Unavailable, 503),
)  # fmt: skip


class Trouble(Exception):  # named for what people see
    """A request that gets no page. Its words are ours or cleaned, and still have to be escaped."""

    def __init__(
        self, status: int, what: str, *, where: str = "", fix: str = "", headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        super().__init__(what)
        self.status = status
        self.what = text.block(what, MOST_CHARS)
        self.where = text.line(where, MOST_CHARS)
        self.fix = text.block(fix, MOST_CHARS)
        self.headers = headers

    @property
    def reason(self) -> str:
        return REASONS.get(self.status, "Error")


def of(error: LabError) -> Trouble:
    """An error of the lab, as the web says it."""
    status = next((status for kind, status in _OF_KIND if isinstance(error, kind)), 500)
    if error.kind == "already-decided":
        status = 409
    return Trouble(status, error.what, where=error.where, fix=error.fix)


def as_json(trouble: Trouble) -> bytes:
    """For a program."""
    said = {"status": trouble.status, "message": trouble.what, "where": trouble.where, "fix": trouble.fix}
    return msgspec.json.encode({"ok": False, "error": said})


def as_text(trouble: Trouble) -> bytes:
    """For a person without a browser."""
    lines = [trouble.what, *([f"  in {trouble.where}"] if trouble.where else [])]
    return "\n".join([*lines, *([f"  fix: {trouble.fix}"] if trouble.fix else []), ""]).encode()
