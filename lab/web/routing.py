"""Which route a path takes. A path is decoded once, segment by segment, and what could mean another path is refused."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from lab.web.trouble import Trouble

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.web.door import Route

MOST_FIELDS = 64
_ESCAPES = re.compile(r"%(?![0-9A-Fa-f]{2})")
_NEVER = re.compile(r"[\x00-\x1f\x7f/\\]")


def split(target: str) -> tuple[str, dict[str, str]]:
    """The path as it is, and the fields of the query."""
    path, _, query = target.partition("?")
    return path, fields(query)


def fields(encoded: str) -> dict[str, str]:
    """The fields of a query or a form; of a name that comes twice, the last."""
    parts = encoded.split("&") if encoded else []
    if len(parts) > MOST_FIELDS:
        raise Trouble(400, f"more than {MOST_FIELDS} fields", fix="ask for less at once")
    found: dict[str, str] = {}
    for part in parts:
        name, _, value = part.partition("=")
        found[_plain(name.replace("+", " "))] = _plain(value.replace("+", " "))
    return found


def segments(path: str) -> tuple[str, ...]:
    """The decoded segments of a path; of `/` there is none."""
    if path == "/":
        return ()
    found = tuple(_plain(segment) for segment in path[1:].split("/"))
    if not all(map(_can_be, found)):
        raise nowhere()
    return found


def can_name(rest: str) -> bool:
    """Whether an address can name this, segments with slashes between: what it cannot is not to be linked."""
    return all(map(_can_be, rest.split("/")))


def _can_be(segment: str) -> bool:
    return segment not in ("", ".", "..") and not _NEVER.search(segment)


def find(routes: Sequence[Route], method: str, path: str) -> tuple[Route, dict[str, str]]:
    """The first route that fits, and what its names stand for."""
    there = segments(path)
    wanted = "GET" if method == "HEAD" else method
    allowed: list[str] = []
    for route in routes:
        names = _match(route.path, there)
        if names is not None and route.method == wanted:
            return route, names
        if names is not None:
            allowed += ["GET", "HEAD"] if route.method == "GET" else [route.method]
    if not allowed:
        raise nowhere()
    allow = ", ".join(dict.fromkeys(allowed))
    raise Trouble(405, f"this page takes no {method}", fix=f"it takes: {allow}", headers=(("Allow", allow),))


def nowhere() -> Trouble:
    return Trouble(404, "there is no such page", fix="the first page links to all that there is: /")


def _match(pattern: str, there: Sequence[str]) -> dict[str, str] | None:
    wanted = [] if pattern == "/" else pattern[1:].split("/")
    names: dict[str, str] = {}
    for place, word in enumerate(wanted):
        if word.endswith("...}"):
            if place >= len(there):
                return None
            names[word[1:-4]] = "/".join(there[place:])
            return names
        if place >= len(there):
            return None
        if word.startswith("{"):
            names[word[1:-1]] = there[place]
        elif word != there[place]:
            return None
    return names if len(wanted) == len(there) else None


def _plain(encoded: str) -> str:
    if _ESCAPES.search(encoded):
        raise Trouble(400, "a % in the address is not followed by two hex digits", fix="write it as %25")
    try:
        decoded = unquote_to_bytes(encoded).decode()
    except UnicodeDecodeError:
        raise Trouble(400, "the address is not UTF-8", fix="follow a link of these pages") from None
    if "\0" in decoded:
        raise Trouble(400, "there is a NUL in the address or the form", fix="leave it out")
    return decoded
