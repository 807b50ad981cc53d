"""The page of a request that gets none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.web import shelf, templating, trouble
from lab.web.door import HTML, JSON, Reply
from lab.web.entrance import inside

if TYPE_CHECKING:
    from lab.web.trouble import Trouble
    from lab.web.wire import Head

_TEXT = "text/plain; charset=utf-8"
_LOGIN = 401


def reply(refusal: Trouble, head: Head | None) -> Reply:
    """In the form that was asked for: a page, JSON, or plain text."""
    accept = head.headers.get("accept", "") if head else ""
    if "text/html" in accept:
        values: dict[str, object] = {
            "trouble": refusal, "styles": shelf.styles(), "login": refusal.status == _LOGIN, "back": _came_from(head),
        }  # fmt: skip
        body, kind = templating.render("entrance/trouble.html", values).encode(), HTML
    elif "application/json" in accept:
        body, kind = trouble.as_json(refusal), JSON
    else:
        body, kind = trouble.as_text(refusal), _TEXT
    return Reply(body=body, status=refusal.status, kind=kind, headers=refusal.headers)


def _came_from(head: Head | None) -> str:
    """The page of ours that a form was sent from; empty for a request that was none."""
    if head is None or head.method != "POST":
        return ""
    _, _, address = head.headers.get("referer", "").partition("://")
    host, slash, path = address.partition("/")
    return inside(slash + path) if host == head.headers.get("host") else ""
