"""Who may ask, and for what: host, origin, session and CSRF token, looked at before a page is.

- **Host**: only names that this server is meant to have. A page of another site that made its own name point to this
  machine (DNS rebinding) asks with that name, and is told 421.
- **Where it comes from**: a browser says which site asks. What another site embeds or fetches is refused, a link from
  there is followed; a POST must come from a page of this very server.
- **Who**: what changes something needs a session, and a form of that session. Reading needs a session only where the
  server is private, or reachable from other machines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from lab.web.sessions import agrees
from lab.web.trouble import Trouble

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lab.web.door import Route
    from lab.web.sessions import Session, Sessions
    from lab.web.wire import Head

FORM = "application/x-www-form-urlencoded"
_ELSEWHERE = frozenset({"cross-site", "same-site"})  # another port of this machine is the same site
_PLAIN_PORT = 80


class Guard:
    """What one server lets through."""

    def __init__(self, hosts: Iterable[str], port: int, sessions: Sessions, *, private: bool) -> None:
        """`hosts` as they stand in an address (`[::1]`), each with a port of its own or with that of the server."""
        self._hosts = frozenset(spelt for host in hosts for spelt in _spellings(host.lower(), port))
        self._port = port
        self._sessions = sessions
        self.private = private
        # A cookie is sent to every port of its host, so another server's cookie must not have the same name.
        self.cookie = f"labctl_{port}"

    def host(self, head: Head, at: str) -> None:
        """Refuse a name that this server does not have. Nothing else of the request is looked at before.

        `at` is the address that the connection came to: that it may be called by, for nobody's page has it for a name.
        """
        address = at.partition("%")[0].removeprefix("::ffff:")
        spelt = f"[{address}]" if ":" in address else address
        if head.host in self._hosts or head.host in _spellings(spelt, self._port):
            return
        what = f"this server is not {head.host}"
        known = sorted(self._hosts)
        fix = f"it is {' or '.join(known[:3])}; for another name or port: labctl serve --allow-host {head.host}"
        raise Trouble(421, what, fix=fix)

    def origin(self, head: Head) -> None:
        """Refuse what another site asks for without a person having followed a link."""
        site = head.headers.get("sec-fetch-site", "")
        if head.method != "POST":
            followed = head.headers.get("sec-fetch-mode", "") == "navigate"
            framed = head.headers.get("sec-fetch-dest", "document") != "document"
            if site in _ELSEWHERE and (framed or not followed):
                raise Trouble(403, "a page of another site asked for this", fix="open it in a window of its own")
            return
        origin = head.headers.get("origin", "")
        ours = origin.lower() in (f"http://{head.host}", f"https://{head.host}")  # https: by a proxy before it
        if (origin and not ours) or site in _ELSEWHERE or not (origin or site == "same-origin"):
            what = "this did not come from a page of this server"
            raise Trouble(403, what, fix="open the page here, and use the form on it; a program sends Origin")

    def form(self, head: Head) -> None:
        """A form is sent in one way: the other ways are those that a page of another site could use unasked."""
        kind, _, more = head.headers.get("content-type", "").partition(";")
        charset = more.strip().lower().replace('"', "")
        if kind.strip().lower() != FORM or charset not in ("", "charset=utf-8"):
            raise Trouble(415, "this takes forms only", fix=f"send Content-Type: {FORM}")

    def session(self, head: Head) -> Session | None:
        """Whose request it is. None also for a cookie of another server, or of one that has ended.

        Another server of this host can set a cookie of our name beside ours: the one that opens something counts.
        """
        for part in head.headers.get("cookie", "").split(";"):
            name, _, value = part.strip().partition("=")
            found = self._sessions.find(value) if name == self.cookie else None
            if found is not None:
                return found
        return None

    def reading(self, head: Head, route: Route, session: Session | None) -> None:
        """Refuse to show anything without a session, where that is asked for."""
        if not self.private or session is not None or route.open:
            return
        if "text/html" in head.headers.get("accept", "") and head.method in ("GET", "HEAD"):
            to = f"/login?next={quote(head.target, safe='')}"
            raise Trouble(303, "log in first", fix="labctl serve printed the token", headers=(("Location", to),))
        raise Trouble(401, "log in first", fix="labctl serve printed the token; send it to /login")

    def writing(self, route: Route, session: Session | None, form: Mapping[str, str]) -> None:
        """Refuse to change anything without a session, and without a form that was made for it."""
        if not route.writes:
            return
        if session is None:
            raise Trouble(401, "only who knows the token may change something", fix="log in, and do it again: /login")
        if not agrees(session, form.get("csrf", "")):
            raise Trouble(403, "this form was made for another session", fix="go back, load the page again, send it")


def _spellings(host: str, port: int) -> tuple[str, ...]:
    """How a host is named in a request: the port is left out where it is that of http."""
    name, colon, own = host.rpartition(":")
    if colon and own.isdecimal() and not name.endswith(":"):
        return (host, name) if int(own) == _PLAIN_PORT else (host,)
    return (f"{host}:{port}", host) if port == _PLAIN_PORT else (f"{host}:{port}",)
