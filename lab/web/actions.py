"""What may be changed from a page: yes or no to what waits, and whether an experiment goes on.

Each is done as the verb of that name does it, with the same refusals, and is written down for whoever started the
server, as done by the web. A form sends `csrf` (of its session), `reason`, `next` (the page to go back to), and with
approve and reject the `sha256` of the proposal that the page showed: what is approved is what was seen, or nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.core.errors import BadInput
from lab.web import entrance, shelf, templating
from lab.web.door import Reply, Route

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.web.door import Request
    from lab.web.site import Site

_DIGEST_CHARS = 64


def approve(site: Site, request: Request, names: Mapping[str, str]) -> Reply:
    """Yes, to exactly what was shown."""
    from lab.scheduler.control import approvals  # noqa: PLC0415  # most requests decide nothing

    with site.deciding:
        approvals.approve(
            site.root, names["proposal"], actor=_actor(site), reason=_reason(request), sha256=_seen(request)
        )
    return _back(request)


def reject(site: Site, request: Request, names: Mapping[str, str]) -> Reply:
    """No, and why. What cannot be read any more has no digest that could be shown, and can be rejected all the same."""
    from lab.scheduler.control import approvals  # noqa: PLC0415  # as above

    reason = _reason(request)
    if not reason.strip():
        return _unsaid(request)
    with site.deciding:
        approvals.reject(site.root, names["proposal"], why=reason, actor=_actor(site))
    return _back(request)


def pause(site: Site, request: Request, names: Mapping[str, str]) -> Reply:
    """No more runs, until it is resumed."""
    from lab.scheduler import decisions  # noqa: PLC0415  # as above

    with site.deciding:
        made = decisions.pause(site.root, names["experiment"], reason=_reason(request), actor=_actor(site))
    return _back(request) if made.changed else _told(request, f"{made.experiment} is {made.phase} already.")


def resume(site: Site, request: Request, names: Mapping[str, str]) -> Reply:
    """Let runs start again; where the next turn would stop it at once, that is said."""
    from lab.scheduler import decisions  # noqa: PLC0415  # as above

    with site.deciding:
        made = decisions.resume(site.root, names["experiment"], reason=_reason(request), actor=_actor(site))
        foreseen = decisions.foreseen(site.root, made.experiment)
    if made.changed and not foreseen:
        return _back(request)
    said = f"{made.experiment} is resumed." if made.changed else f"{made.experiment} is {made.phase} already."
    return _told(request, said, foreseen)


def _actor(site: Site) -> str:
    return f"{site.actor} (web)"


def _reason(request: Request) -> str:
    return request.form.get("reason", "").replace("\r\n", "\n")


def _seen(request: Request) -> str:
    """The digest of what the page showed. Whole: the beginning of one is for people who type."""
    given = request.form.get("sha256", "")
    if len(given) != _DIGEST_CHARS:
        raise BadInput("the form does not say what was approved", fix="go back, load the page again, send it")
    return given


def _back(request: Request) -> Reply:
    """To the page it came from, so that loading that again does not send the form again."""
    return Reply(status=303, headers=(("Location", entrance.inside(request.form.get("next", ""))),))


def _unsaid(request: Request) -> Reply:
    """Asked for here and now, with the rest of the form as it was sent."""
    refusal = BadInput("a rejection needs a reason", fix="say why; who proposed it may learn from it")
    if "text/html" not in request.headers.get("accept", ""):
        raise refusal
    values: dict[str, object] = {
        "styles": shelf.styles(), "refusal": refusal, "csrf": request.csrf, "here": request.path,
        "next": entrance.inside(request.form.get("next", "")),
    }  # fmt: skip
    return Reply(body=templating.render("entrance/reason.html", values).encode(), status=400)


def _told(request: Request, said: str, warning: str = "") -> Reply:
    values: dict[str, object] = {
        "styles": shelf.styles(), "said": said, "warning": warning,
        "next": entrance.inside(request.form.get("next", "")),
    }  # fmt: skip
    return Reply(body=templating.render("entrance/told.html", values).encode())


ROUTES = (
    Route(method="POST", path="/proposals/{proposal}/approve", answer=approve, writes=True),
    Route(method="POST", path="/proposals/{proposal}/reject", answer=reject, writes=True),
    Route(method="POST", path="/experiments/{experiment}/pause", answer=pause, writes=True),
    Route(method="POST", path="/experiments/{experiment}/resume", answer=resume, writes=True),
)
