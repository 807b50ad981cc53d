"""What a service keeps, asked through the SDK: the list of all that it saved, and the files of what can be downloaded.

Nothing here trains, and nothing is changed at the service. A path or a name of a file counts only if it is one.
"""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

import msgspec

from lab.core.errors import Corrupt, Unavailable
from lab.tinker import credentials, paths
from lab.tinker.reaching import reach

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tinker import APIFuture, RestClient
    from tinker.types import Checkpoint

    from lab.tinker.failures import Doing
    from lab.tinker.waiting import Waiting

T = TypeVar("T")
_PAGE = 100
_MOST = 100_000  # of a list that does not end
_PIECE_BYTES = 1 << 20
LARGEST_BYTES = 1 << 38  # of one file: weights of a model that is larger come in several
_SHOWN_CHARS = 300


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """Something that the service keeps. Without `expires_at` it has no end; `bytes` is None where it does not say."""

    path: str
    kind: str
    at: str
    bytes: int | None = None
    expires_at: str = ""


def listed(url: str, environ: Mapping[str, str], *, limit_s: float) -> list[Stored]:
    """All that belongs to the key, the newest first."""
    with asking(url, environ, limit_s, "listing what was saved") as ask:
        found: list[Stored] = []
        offset = 0
        while offset < _MOST:
            page = ask.answer(ask.client.list_user_checkpoints(_PAGE, offset))
            found += [_stored(each) for each in page.checkpoints if paths.is_path(each.tinker_path)]
            offset += len(page.checkpoints)
            if not page.checkpoints or page.cursor is None or offset >= page.cursor.total_count:
                break
        return found


def _stored(each: Checkpoint) -> Stored:
    return Stored(
        path=each.tinker_path,
        kind=each.checkpoint_type,
        at=each.time.isoformat(timespec="seconds"),
        bytes=each.size_bytes,
        expires_at=each.expires_at.isoformat(timespec="seconds") if each.expires_at else "",
    )


def addresses(path: str, url: str, environ: Mapping[str, str], *, limit_s: float) -> dict[str, str]:
    """Where each file of these external weights can be fetched for a while, by its name below their folder."""
    with asking(url, environ, limit_s, "finding the files", path) as ask:
        found = ask.answer(ask.client.get_external_weights_urls(path))
    for name, address in found.urls.items():
        if any(part in ("", ".", "..") for part in name.split("/")) or "\0" in name or "\\" in name:
            raise Corrupt(f"the service names a file {name[:_SHOWN_CHARS]!r}, which would lead elsewhere", where=path)
        if urlsplit(address).scheme not in ("http", "https"):
            raise Corrupt(f"the service gives {name[:_SHOWN_CHARS]!r} an address that is none", where=path)
    if not found.urls:
        raise Corrupt("there are no files in it", where=path, fix="save it again: the last chunk of a training does")
    return dict(sorted(found.urls.items()))


def pieces(address: str, *, limit_s: float, told: Callable[[int, int], None] | None = None) -> Iterator[bytes]:
    """The bytes of a file; `Unavailable` where they end before they should, or do not end.

    A piece that drips is given up after the limit and one wait for more, which is no longer than the limit either.
    """
    with _opened(address, limit_s) as reply:
        said = reply.headers.get("Content-Length", "")
        most = min(int(said), LARGEST_BYTES) if said.isdecimal() else LARGEST_BYTES
        count = 0
        try:
            while piece := _piece(reply, limit_s):
                count += len(piece)
                if count > most:
                    break
                yield piece
                if told is not None and said.isdecimal():
                    told(count, int(said))
        except (OSError, http.client.HTTPException) as error:
            raise _cut(address, f"after {count:,} bytes: {error}") from error
        if count > most:
            raise _cut(address, f"after {most:,} bytes, where there should be none, or not so many")
        if said.isdecimal() and int(said) != count:
            raise _cut(address, f"after {count:,} of {int(said):,} bytes")


def _piece(reply: http.client.HTTPResponse, limit_s: float) -> bytes:
    """What comes next: a whole piece, or what is left. Empty at the end."""
    end_s, parts, size = time.monotonic() + limit_s, [], 0
    while size < _PIECE_BYTES and (part := reply.read1(_PIECE_BYTES - size)):
        parts.append(part)
        size += len(part)
        if size < _PIECE_BYTES and time.monotonic() > end_s:
            raise TimeoutError(f"{size:,} bytes in {limit_s:g} s are too slow")
    return b"".join(parts)


@contextmanager
def _opened(address: str, limit_s: float) -> Iterator[http.client.HTTPResponse]:
    try:
        reply = urllib.request.urlopen(address, timeout=limit_s)  # noqa: S310  # its scheme was looked at
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _cut(address, f"before it began: {error}") from error
    with reply:
        yield reply


def _cut(address: str, when: str) -> Unavailable:
    """The address is signed, so only its host is shown: whoever has the rest can fetch the file."""
    what = f"a file of the weights came to an end {when}"
    return Unavailable(what, where=urlsplit(address).hostname or "", fix="try again; nothing was kept of it")


class Asking:
    """A client, and how it is waited for."""

    def __init__(self, client: RestClient, waiting: Waiting, doing: Doing) -> None:
        self.client, self.waiting = client, waiting
        self._doing = doing

    def answer(self, future: APIFuture[T]) -> T:
        """What the service answers, within the limit."""
        return self.waiting.answer(future, self._doing)


@contextmanager
def asking(url: str, environ: Mapping[str, str], limit_s: float, words: str, path: str = "") -> Iterator[Asking]:
    """The SDK's client, made and asked within a limit: of a service that is away it says nothing by itself."""
    key = credentials.shown(url, environ)
    try:
        import tinker  # noqa: PLC0415  # takes a second, and is an extra
    except ImportError:
        raise Unavailable(
            "the SDK of the Tinker API is not installed here", fix="pip install 'labctl[tinker]'"
        ) from None
    from lab.tinker.failures import Doing  # noqa: PLC0415  # loads the SDK too
    from lab.tinker.pauses import Pauses  # noqa: PLC0415  # as above
    from lab.tinker.waiting import Waiting  # noqa: PLC0415  # as above

    reach(url, limit_s)
    pauses = Pauses(lambda _pause: None)
    waiting, doing = Waiting(limit_s, pauses), Doing(words, url=url, path=path)
    pauses.attach()
    try:
        client = waiting.aside(lambda: tinker.RestClient(base_url=url, api_key=key), doing)
        yield Asking(client, waiting, doing)
    finally:
        pauses.detach()
