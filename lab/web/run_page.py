"""The page of a run, its log while it is written, and two runs beside each other."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

import msgspec

from lab.core.errors import BadInput, LabError, NotFound
from lab.projections import text
from lab.scheduler.results import compared, logged, opened, tailed
from lab.web import logs, routing, shell
from lab.web.door import JSON, STREAM, Reply, Route

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.web.door import Request
    from lab.web.site import Site

_MOST_DIGITS = 18


class ShownLog(msgspec.Struct, frozen=True, kw_only=True):
    """A log as the page is loaded, and where its script goes on."""

    stream: str
    lines: tuple[str, ...] = ()
    unfinished: str = ""
    size: int = 0
    offset: int = 0
    skipped_bytes: int = 0
    says: str = ""
    follow: str = ""  # where what comes is told; empty where nothing more comes


def answer(site: Site, request: Request, names: Mapping[str, str]) -> Reply:
    """The page, or a part of it."""
    run_id, part = names["run"], request.query.get("part", "")
    stream = request.query.get("stream", tailed.FIRST)
    if stream not in tailed.STREAMS:
        raise BadInput(f"a run has no log {text.line(stream, 40)!r}", fix=f"one of: {', '.join(tailed.STREAMS)}")
    run = opened.read(site.root, run_id, log_lines=0)
    above = shell.path("experiments", run.experiment)
    crumbs = ((run.experiment, above), ("runs", f"{above}/runs"), (run.run_id, ""))
    around = shell.around(site, request, run.run_id, crumbs=crumbs)
    # The files and the logs have sections of their own, with links.
    told = msgspec.structs.replace(run, logs={}, files=(), files_left_out=0)
    values: dict[str, object] = {
        "run": told, "files": run.files, "left_out": run.files_left_out, "can_name": routing.can_name, "why": "",
        "lines": 1,
    }  # fmt: skip
    if part not in ("about", "files"):
        values |= {"log": _opened(site, run_id, request.query.get("stream", "")), "streams": tuple(tailed.STREAMS)}
    template = {"about": "run_about", "files": "run_files"}.get(part, "run")
    return shell.reply(template, around, values)


def _opened(site: Site, run_id: str, wanted: str) -> ShownLog:
    """The log that was asked for; else the first that has something, for why a run failed is often in the other."""
    first = _log(site, run_id, wanted or tailed.FIRST)
    if wanted or first.size or first.follow:
        return first
    others = (_log(site, run_id, stream) for stream in tailed.STREAMS if stream != tailed.FIRST)
    return next((each for each in others if each.size), first)


def _log(site: Site, run_id: str, stream: str) -> ShownLog:
    """Its end, or why there is none."""
    try:
        piece = logged.Logged(site.root, run_id, stream).end_of_it()
    except LabError as error:
        return ShownLog(stream=stream, says=error.what)
    follow = "" if piece.ended else f"{shell.path('runs', run_id, 'log', 'events')}?{urlencode({'stream': stream})}"
    return ShownLog(
        stream=stream,
        lines=piece.lines,
        unfinished=piece.unfinished,
        size=piece.size,
        offset=piece.offset,
        skipped_bytes=piece.skipped_bytes,
        says=f"ended: {piece.ended}" if piece.ended else "",
        follow=follow,
    )


def log(site: Site, request: Request, names: Mapping[str, str]) -> Reply:
    """What came after an offset, as JSON; without an offset its end."""
    found = logged.Logged(site.root, names["run"], request.query.get("stream", tailed.FIRST))
    after = _offset(request.query.get("offset", ""))
    piece = found.end_of_it() if after is None else found.since(after)
    return Reply(body=msgspec.json.encode(piece) + b"\n", kind=JSON)


def log_events(site: Site, request: Request, names: Mapping[str, str]) -> Reply:
    """The same as it comes."""
    found = logged.Logged(site.root, names["run"], request.query.get("stream", tailed.FIRST))
    after = _offset(request.headers.get("last-event-id", "") or request.query.get("offset", ""))
    return Reply(kind=STREAM, stream=logs.follow(found, after or 0, site.stopping))


def events(site: Site, request: Request, names: Mapping[str, str]) -> Reply:
    """The news of the lab, or of one experiment."""
    del names
    seen = request.headers.get("last-event-id", "") or request.query.get("seen", "")
    return Reply(kind=STREAM, stream=site.live.feed.stream(request.query.get("experiment", ""), seen))


def _offset(given: str) -> int | None:
    return int(given) if given.isascii() and given.isdigit() and len(given) <= _MOST_DIGITS else None


def compare(site: Site, request: Request, names: Mapping[str, str]) -> Reply:
    """Two runs beside each other; before both are named, a form that asks for them."""
    del names
    first, second = request.query.get("a", ""), request.query.get("b", "")
    around = shell.around(site, request, "Two runs beside each other", crumbs=(("compare", ""),))
    found, problem = None, ""
    if first and second:
        try:
            found = compared.compare(site.root, first, second)
        except NotFound:
            raise
        except LabError as error:
            problem = f"{error.what} {error.fix}"
    return shell.reply("compare", around, {"a": first, "b": second, "found": found, "problem": problem})


ROUTES = (
    Route(method="GET", path="/events", answer=events),
    Route(method="GET", path="/compare", answer=compare),
    Route(method="GET", path="/runs/{run}", answer=answer),
    Route(method="GET", path="/runs/{run}/log", answer=log),
    Route(method="GET", path="/runs/{run}/log/events", answer=log_events),
)
