"""What a page needs beside itself: its style and its script, under a name that changes with every byte of them.

So a browser may keep them for ever, and never has those of another version.
"""

from __future__ import annotations

import hashlib
from functools import cache
from typing import TYPE_CHECKING

from lab.web import assets, routing
from lab.web.door import Reply, Route

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lab.web.door import Request
    from lab.web.site import Site

_KEPT = "public, max-age=31536000, immutable"
# name -> its kind, and where its text comes from. Nothing else is served from the package.
_SHELF: dict[str, tuple[str, Callable[[], str]]] = {
    "lab.css": ("text/css; charset=utf-8", assets.style),
    "live.css": ("text/css; charset=utf-8", lambda: assets.read("static/live.css")),
    "live.js": ("text/javascript; charset=utf-8", lambda: assets.read("static/live.js")),
}


@cache
def href(name: str) -> str:
    """Where a page finds it."""
    return f"/static/{hashlib.sha256(_SHELF[name][1]().encode()).hexdigest()[:16]}/{name}"


def styles() -> tuple[str, ...]:
    """Those of a live page."""
    return href("lab.css"), href("live.css")


def answer(site: Site, request: Request, names: Mapping[str, str]) -> Reply:
    """The bytes, if they are those that the address means."""
    del site
    name = names["name"]
    if name not in _SHELF or href(name) != request.path:
        raise routing.nowhere()
    kind, text = _SHELF[name]
    return Reply(body=text().encode(), kind=kind, headers=(("Cache-Control", _KEPT),))


ROUTES = (Route(method="GET", path="/static/{digest}/{name}", answer=answer, open=True),)
