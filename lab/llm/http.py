"""One request of JSON, and its answer: within a deadline, of bounded size, and never to where a redirect points."""

from __future__ import annotations

import http.client
import time
import zlib
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

import msgspec

from lab.llm import proxy, wire
from lab.llm.exchange import REFUSED, TOO_LARGE, UNCONFIGURED, UNREACHABLE
from lab.llm.wire import Broken, Patience

if TYPE_CHECKING:
    from collections.abc import Mapping
    from http.client import HTTPResponse

    from lab.llm.transport import Stop
    from lab.llm.wire import Wire

MAX_BYTES = 4 << 20  # an answer of some proposals has a few thousand
_PIECE = 1 << 16
_ANY_ZIP = zlib.MAX_WBITS | 32  # gzip or deflate, whichever it is
_MAX_WAIT_S = 86_400.0


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What a service answered, whatever the status."""

    status: int
    body: bytes
    retry_after_s: float | None = None


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """Where a service listens."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def place(self) -> str:
        """The host as a header names it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _default_port(self.scheme) else f"{host}:{self.port}"


def address(url: str) -> Address | str:
    """Read an address, or say what is wrong with it. No password may be in it: a SPEC is sealed."""
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname or "", parts.port
        url.encode()
    except ValueError:
        return "is no address"
    if parts.scheme not in ("http", "https") or not host:
        return "must be an address such as http://127.0.0.1:11434/v1"
    if parts.username is not None or parts.query or parts.fragment:
        return "may hold no password, no ? and no #: name the variable of a key in api_key_env"
    if not host.isascii() or any(each.isspace() for each in host):
        return "must have a host of plain letters"
    path = quote(parts.path.rstrip("/"), safe="/%:@!$&'()*+,;=~-._")
    return Address(scheme=parts.scheme, host=host, port=port or _default_port(parts.scheme), path=path)


def post(
    to: Address, headers: Mapping[str, str], body: bytes, *, environ: Mapping[str, str], until: float, stop: Stop
) -> Reply:
    """Send `body` and read the answer; `Broken` where there is none, for whatever reason."""
    return call("POST", to, headers, body, environ=environ, patience=Patience(until, stop))


def call(
    method: str, to: Address, headers: Mapping[str, str], body: bytes = b"", *,
    environ: Mapping[str, str], patience: Patience, most: int = MAX_BYTES,
) -> Reply:  # fmt: skip
    """The same with any method, and for an answer of at most so many bytes."""
    through = proxy.chosen(environ, to.scheme, to.host, to.port)
    if isinstance(through, str):
        raise Broken(UNCONFIGURED, through, unsent=True)
    line = wire.connect(through.host, through.port, patience) if through else wire.connect(to.host, to.port, patience)
    path = to.path
    sent = {**headers, "Host": to.place, "Content-Length": str(len(body)), "Connection": "close"}
    try:
        if to.scheme == "https":
            if through:
                _tunnel(line, to, through)
            _secure(line, to.host, environ)
        elif through:
            path = f"http://{to.place}{to.path}"
            sent |= {"Proxy-Authorization": through.authorization} if through.authorization else {}
        return _exchange(line, method, path, sent, body, most)
    except (OSError, http.client.HTTPException, ValueError) as error:
        # http.client raises ValueError too, for chunks whose length is no number.
        raise Broken(UNREACHABLE, f"the connection to {to.place} broke: {_worded(error)}", again=True) from error
    finally:
        line.hang_up()


def _exchange(line: Wire, method: str, path: str, headers: Mapping[str, str], body: bytes, most: int) -> Reply:
    connection = http.client.HTTPConnection("unused")
    connection.sock = line  # as much of a socket as it uses
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders(body)
    response = connection.getresponse()
    status = response.status
    if 300 <= status < 400:  # noqa: PLR2004  # whoever is named there was not meant to have the key
        where = (response.getheader("Location") or "nowhere")[:200]
        raise Broken(REFUSED, f"it answered {status} and sent us to {where}; is base_url right?")
    data = _body(response, most)
    return Reply(status=status, body=data, retry_after_s=_retry_after_s(response))


def _body(response: HTTPResponse, most: int) -> bytes:
    pieces: list[bytes] = []
    size = 0
    while piece := response.read(_PIECE):
        pieces.append(piece)
        size += len(piece)
        if size > most:
            raise Broken(TOO_LARGE, f"it answered with more than {most >> 20} MiB; the rest was not read")
    if response.length:  # read() in pieces tells a cut answer from a whole one so
        raise http.client.IncompleteRead(b"", response.length)
    data = b"".join(pieces)
    if response.getheader("Content-Encoding", "identity").strip().lower() in ("identity", ""):
        return data
    return _unzipped(data, most)


def _unzipped(data: bytes, most: int) -> bytes:
    """What a header calls compressed, though we asked for plain text. Where that is a lie, the data as they are."""
    unzip = zlib.decompressobj(_ANY_ZIP)
    try:
        plain = unzip.decompress(data, most)
    except zlib.error:
        return data
    if unzip.unconsumed_tail:
        raise Broken(TOO_LARGE, f"it answered with more than {most >> 20} MiB, compressed; the rest was not read")
    return plain


def _tunnel(line: Wire, to: Address, through: proxy.Proxy) -> None:
    """Ask a proxy to connect us, so that it sees nothing of what is said then."""
    place = f"[{to.host}]:{to.port}" if ":" in to.host else f"{to.host}:{to.port}"
    lines = [f"CONNECT {place} HTTP/1.1", f"Host: {place}"]
    if through.authorization:
        lines.append(f"Proxy-Authorization: {through.authorization}")
    line.sendall("\r\n".join([*lines, "", ""]).encode("ascii"))
    response = http.client.HTTPResponse(line, method="CONNECT")  # type: ignore[arg-type]  # it only reads
    response.begin()
    if response.status != http.client.OK:
        what = f"the proxy at {through.host}:{through.port} does not let us through: it answered {response.status}"
        raise Broken(UNREACHABLE, what, unsent=True)


def _secure(line: Wire, host: str, environ: Mapping[str, str]) -> None:
    import ssl  # noqa: PLC0415  # a model on this machine needs none

    context = wire.trusted(environ.get("SSL_CERT_FILE", ""), environ.get("SSL_CERT_DIR", ""))
    try:
        line.secure(host, context)
    except ssl.SSLCertVerificationError as error:
        what = f"the certificate of {host} cannot be trusted: {error.verify_message}"
        raise Broken(UNREACHABLE, what, unsent=True) from error


def _retry_after_s(response: HTTPResponse) -> float | None:
    """The seconds that a service asks us to wait, from either form of the header; by its own clock where it tells."""
    text = (response.getheader("Retry-After") or "").strip()
    if not text:
        return None
    if text.replace(".", "", 1).isdecimal() and text.isascii():
        return min(float(text), _MAX_WAIT_S)
    then, now = _moment(text), _moment(response.getheader("Date") or "")
    if then is None:
        return None
    return min(max(0.0, then - (time.time() if now is None else now)), _MAX_WAIT_S)


def _moment(text: str) -> float | None:
    from email.utils import mktime_tz, parsedate_tz  # noqa: PLC0415  # few services send a date

    try:
        parts = parsedate_tz(text)
        return None if parts is None else float(mktime_tz(parts))
    except (ValueError, OverflowError, TypeError):
        return None


def _worded(error: Exception) -> str:
    if isinstance(error, http.client.RemoteDisconnected):
        return "it closed without an answer"
    if isinstance(error, http.client.IncompleteRead):
        return "it closed in the middle of its answer"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return f"{type(error).__name__}: {str(error)[:200]}" if str(error) else type(error).__name__


def _default_port(scheme: str) -> int:
    return 443 if scheme == "https" else 80
