"""Logging in with the token that the terminal showed, and out again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.web import sessions, shelf, templating
from lab.web.door import Reply, Route

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.web.door import Request
    from lab.web.sessions import Guess
    from lab.web.site import Site

_MOST_NEXT_CHARS = 2000


def page(site: Site, request: Request, names: Mapping[str, str]) -> Reply:
    """The form."""
    del site, names
    return _form(request, request.query.get("next", ""))


def login(site: Site, request: Request, names: Mapping[str, str]) -> Reply:
    """A session for who knows the token; a wrong one is told, also to who started the server."""
    del names
    guess = site.sessions.enter(request.form.get("token", ""))
    if not guess.cookie:
        if guess.is_news:
            site.tell(f"labctl serve: a wrong token was tried ({guess.wrong} since the last right one)")
        return _form(request, request.form.get("next", ""), guess)
    site.sessions.leave(request.session)
    where = inside(request.form.get("next", ""))
    kept = f"{site.cookie}={guess.cookie}; Path=/; HttpOnly; SameSite=Strict; Max-Age={int(sessions.LASTS_S)}"
    return Reply(status=303, headers=(("Location", where), ("Set-Cookie", kept)))


def logout(site: Site, request: Request, names: Mapping[str, str]) -> Reply:
    """End the session, here and in the browser."""
    del names
    site.sessions.leave(request.session)
    gone = f"{site.cookie}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0"
    return Reply(status=303, headers=(("Location", "/"), ("Set-Cookie", gone)))


def inside(address: str) -> str:
    """A page of ours to go on to; the first one for anything else, so that nobody is sent to another site from here."""
    plain = address.isascii() and address.isprintable() and " " not in address and "\\" not in address
    ours = address.startswith("/") and not address.startswith("//") and len(address) <= _MOST_NEXT_CHARS
    return address if plain and ours else "/"


def _form(request: Request, then: str, guess: Guess | None = None) -> Reply:
    status, problem = 200, ""
    headers: tuple[tuple[str, str], ...] = ()
    if guess is not None:
        wait_s = int(guess.wait_s) + (guess.wait_s > int(guess.wait_s))
        problem = "That is not the token."
        if not guess.is_news:
            problem += f" {guess.wrong} wrong ones were tried; the right one is let in at any time."
        status = 403 if guess.is_news else 429
        headers = (("Retry-After", str(wait_s)),) if wait_s else ()
    values: dict[str, object] = {
        "styles": shelf.styles(), "problem": problem, "next": inside(then), "is_in": request.may_write,
    }  # fmt: skip
    body = templating.render("entrance/login.html", values).encode()
    return Reply(body=body, status=status, headers=headers)


ROUTES = (
    Route(method="GET", path="/login", answer=page, open=True),
    Route(method="POST", path="/login", answer=login, open=True),
    Route(method="POST", path="/logout", answer=logout, writes=True),
)
