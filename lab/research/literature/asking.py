"""Asking a host: from the cache where it can be, else over the network, in turn, with patience that has an end.

A key is added where the request is sent. It is in no address that is told or kept, and blotted out of what comes back.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import msgspec

from lab.core import canonical
from lab.core.errors import Interrupted
from lab.core.version import __version__
from lab.llm import http
from lab.llm.exchange import STOPPED
from lab.llm.redact import Redact
from lab.llm.wire import Broken, Patience
from lab.research.literature import pacing, phrase
from lab.research.literature.caching import Answer, Cache
from lab.research.literature.entry import Unanswered

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.llm.http import Address, Reply
    from lab.research.literature.entry import Host, Page, Route
    from lab.research.project import Literature
    from lab.store.root import Root

MOST_BYTES = 16 << 20  # of one answer; two hundred papers with their abstracts are half a megabyte
TRIES = 5
LIMIT_S = 60.0  # of one request
_FIRST_WAIT_S = 0.5
_OK, _TOO_MANY, _THEIR_FAULT = 200, 429, 500
_HERE = ("127.0.0.1", "localhost", "::1")


class Asker:
    """Asks one host. `asked` counts what went over the network, `kept` what was in the cache."""

    def __init__(
        self, root: Root, host: Host, settings: Literature, interrupted: Callable[[], str], gap_s: float | None = None
    ) -> None:
        found = http.address(settings.urls.get(host.NAME, host.ADDRESS))
        if isinstance(found, str):
            raise Unanswered(f"its address in literature.urls {_ours(found)}")
        self.host = host
        self.asked = self.kept = 0
        self._root = root
        self._address: Address = found
        self._interrupted = interrupted
        variable = settings.keys.get(host.NAME, "")
        self._key = root.world.environ.get(variable, "").strip()
        # A run sees of the surroundings what its SPEC names, and nothing else.
        self.lack = f"asked without a key: the run does not see {variable}" if variable and not self._key else ""
        self._agent = _agent(settings.contact)
        self._redact = Redact([self._key] if self._key else [])
        self._cache = Cache(root)
        if gap_s is None:  # nobody else asks a server on this machine
            gap_s = 0.0 if found.host in _HERE else host.GAP_S
        self._pace = pacing.Pace(root, found.place, gap_s, self._check)

    def ask(self, route: Route, at: str, until_s: float) -> tuple[Page, Answer, bytes]:
        """What it says, read; `Unanswered` where it says nothing that can be used, in words, with the address."""
        url = f"{self._address.scheme}://{self._address.place}{self._path(route)}"
        found = self._cache.find(url)
        try:
            if found is not None:
                self.kept += 1
                return self.host.read(found[1], at), *found
            body = self._fetched(route, until_s)
            page = self.host.read(body, at)
        except Unanswered as wrong:
            raise Unanswered(f"{self.host.NAME}: {self._redact(wrong.what)}", where=url, fix=FIX) from None
        answer = Answer(host=self.host.NAME, url=url, fetched_at=self._root.now(), sha256=canonical.digest(body))
        self._cache.keep(answer, body)
        return page, answer, body

    def _fetched(self, route: Route, until_s: float) -> bytes:
        """The answer over the network. Tried again where that may help, as long as there is time for it."""
        for left in reversed(range(TRIES)):
            # Of our own: a host that says "0 s" with every refusal would be asked five times in a blink.
            wait_s = _FIRST_WAIT_S * 2 ** (TRIES - 1 - left)
            with self._pace.turn(until_s):
                self.asked += 1
                try:
                    reply = self._sent(route, until_s)
                except Broken as broken:
                    if broken.problem == STOPPED:
                        raise Interrupted(broken.what) from None
                    if not (broken.again and left):
                        raise Unanswered(_ours(broken.what)) from None
                    why = _ours(broken.what)
                else:
                    if reply.status == _OK:
                        return self._blotted(reply.body)
                    why = self._refusal(reply)
                    if not (reply.status == _TOO_MANY or reply.status >= _THEIR_FAULT) or not left:
                        raise Unanswered(why)
                    wait_s = max(wait_s, reply.retry_after_s or 0.0)
                self._pace.hold_off(wait_s)
            if time.monotonic() + wait_s > until_s:
                raise Unanswered(f"{why}; so long is not left for it")
        raise Unanswered("it was not asked")  # TRIES is above 0

    def _sent(self, route: Route, until_s: float) -> Reply:
        headers = {"User-Agent": self._agent, "Accept": "application/atom+xml, application/json"}
        params = route.params
        if self._key and self.host.HEADER:
            headers[self.host.HEADER] = self._key
        elif self._key and self.host.PARAMETER:
            params = (*params, (self.host.PARAMETER, self._key))
        to = msgspec.structs.replace(self._address, path=self._path(msgspec.structs.replace(route, params=params)))
        until = min(until_s, time.monotonic() + LIMIT_S)
        patience = Patience(until, lambda: bool(self._interrupted()))
        return http.call("GET", to, headers, environ=self._root.world.environ, patience=patience, most=MOST_BYTES)

    def _path(self, route: Route) -> str:
        query = urlencode([(name, canonical.plain(value)) for name, value in route.params])
        return f"{self._address.path}{route.path}" + (f"?{query}" if query else "")

    def _refusal(self, reply: Reply) -> str:
        words = self._redact(self.host.complaint(reply.body))
        waits = f", and asks us to wait {reply.retry_after_s:,.0f} s" if reply.retry_after_s is not None else ""
        return f"it answered {reply.status}{waits}" + (f": {words}" if words else "")

    def _blotted(self, body: bytes) -> bytes:
        """An answer that quotes the key back at us is kept without it."""
        if not self._key:
            return body
        return self._redact(body.decode(errors="surrogateescape")).encode(errors="surrogateescape")

    def _check(self) -> None:
        if self._interrupted():
            raise Interrupted("it was interrupted")


OFFLINE = "`literature: {offline: true}` in project.yaml"
FIX = (
    f"write {OFFLINE}, and sources of your own in literature.own; or look at the network, and at literature.urls and "
    "literature.keys; behind a proxy name https_proxy among the secrets of the project's SPEC"
)


def _ours(words: str) -> str:
    """Words about the service of a model, with the keys of a project."""
    return words.replace("api_key_env", "literature.keys").replace("base_url", "its address in literature.urls")


def _agent(contact: str) -> str:
    address = "".join(each for each in phrase.plain(contact, 120) if each.isascii() and each not in "()\\")
    return f"labctl/{__version__}" + (f" (mailto:{address.removeprefix('mailto:')})" if address else "")
