"""Files of a run, handed out to be kept and never to be shown: a run may have written any page into them.

Whatever a file is, it goes out as bytes and as an attachment, and a browser that opens it all the same opens it in a
sandbox where nothing runs. It is read in pieces: 400 MB take no more memory than one. No folder is listed here; the
page of a run names its files.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Self
from urllib.parse import quote

from lab.projections import text
from lab.web.door import BYTES, Reply, Route

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.web.door import Request
    from lab.web.site import Site

PIECE_BYTES = 1 << 18
_NAME_CHARS = 150
_ODD = re.compile(r"[^A-Za-z0-9._-]|^\.")


class Pieces:
    """The bytes of an open file, as many as were promised, and not one more should it grow. Closes it at the end."""

    def __init__(self, descriptor: int, size: int) -> None:
        self._descriptor, self._left = descriptor, size

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        piece = os.read(self._descriptor, min(PIECE_BYTES, self._left)) if self._left else b""
        if not piece:  # also when it shrank: the client sees that less came than was promised
            raise StopIteration
        self._left -= len(piece)
        return piece

    def close(self) -> None:
        """Let go of the file. Once is enough."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor, self._left = -1, 0


def answer(site: Site, request: Request, names: Mapping[str, str]) -> Reply:
    """One file, if it is one of this run."""
    from lab.scheduler.results import opened  # noqa: PLC0415  # most pages hand no file out

    del request
    descriptor, size = opened.fetch(site.root, names["run"], names["name"])
    headers = (
        ("Content-Length", str(size)),
        ("Content-Disposition", disposition(names["name"].rpartition("/")[2])),
        ("Content-Security-Policy", "default-src 'none'; sandbox"),
    )
    return Reply(kind=BYTES, stream=Pieces(descriptor, size), headers=headers)


def disposition(name: str) -> str:
    """How a browser is told to keep a file, and under which name (RFC 6266): without what turns or hides its end."""
    seen = text.line(name, _NAME_CHARS) or "file"
    plain = _ODD.sub("_", seen)
    if plain == seen:
        return f'attachment; filename="{plain}"'
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(seen, safe='')}"


ROUTES = (Route(method="GET", path="/runs/{run}/files/{name...}", answer=answer),)
