"""What is around every live page: where one is, who one is, and what its script needs to know."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

import msgspec

from lab.web import shelf, templating
from lab.web.door import Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lab.web.door import Request
    from lab.web.site import Site

_LATER = "\x00"  # what is shown is rid of such


class Shell(msgspec.Struct, frozen=True, kw_only=True):
    """For the template of that name. `crumbs` lead from the lab to this page, which is the last."""

    lab: str
    title: str
    here: str
    crumbs: tuple[tuple[str, str], ...] = ()
    events: str = ""
    may_write: bool = False
    csrf: str = ""
    style: str = ""
    live_style: str = ""
    script: str = ""
    is_wide: bool = False


def around(
    site: Site,
    request: Request,
    title: str,
    *,
    crumbs: tuple[tuple[str, str], ...] = (),
    news: str | None = None,
    is_wide: bool = False,
) -> Shell:
    """Made before anything is read for the page: `news` (of an experiment; empty: of all) begin where it was made."""
    events = ""
    if news is not None:
        events = "/events?" + urlencode({"experiment": news, "seen": site.live.feed.mark(news)})
    query = urlencode({name: value for name, value in request.query.items() if name != "part"})
    return Shell(
        lab=os.path.basename(site.root.layout.root) or "the lab",
        title=title,
        here=f"{request.path}?{query}" if query else request.path,
        crumbs=crumbs,
        events=events,
        may_write=request.may_write,
        csrf=request.csrf,
        style=shelf.href("lab.css"),
        live_style=shelf.href("live.css"),
        script=shelf.href("live.js"),
        is_wide=is_wide,
    )


def reply(template: str, shell: Shell, values: dict[str, object]) -> Reply:
    """A page, or the part of one."""
    return Reply(body=templating.render(f"live/{template}.html", {**values, "shell": shell}).encode(errors="replace"))


def reply_in_two(template: str, shell: Shell, values: dict[str, object], later: Callable[[], str]) -> Reply:
    """A page of which all that stands before `later` in the template is sent before that is made."""
    marked = {**values, "shell": shell, "later": templating.trusted(_LATER)}
    before, after = templating.render(f"live/{template}.html", marked).split(_LATER)

    def pieces() -> Iterator[bytes]:
        yield before.encode(errors="replace")
        yield f"{later()}{after}".encode(errors="replace")

    return Reply(stream=pieces(), ends=True)


def path(*segments: str) -> str:
    """An address of ours."""
    return "/" + "/".join(quote(segment, safe="") for segment in segments)
