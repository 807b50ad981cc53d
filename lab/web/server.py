"""The server: takes connections, a bounded number of them, and gives each request to the page that answers it.

The standard library's sockets and threads, one request a connection. Who connects and says nothing holds a place only
until somebody else wants it. Nothing that fails in a page reaches its reader but words, and nothing ends the server but
whoever started it.
"""

from __future__ import annotations

import ipaddress
import os
import select
import socket
import threading
import time
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING

from lab.core.errors import BadInput, LabError, Unavailable
from lab.projections import text
from lab.store.refusals import refused
from lab.store.root import still_there
from lab.web import actions, downloads, entrance, refusing, routing, sending, shelf, trouble
from lab.web.door import Reply, Request
from lab.web.guard import Guard
from lab.web.places import Places
from lab.web.trouble import Trouble
from lab.web.wire import AUTHORITY, Incoming

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType
    from typing import Self

    from lab.web.door import Route
    from lab.web.places import Place
    from lab.web.site import Site
    from lab.web.wire import Head

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
WAITING = 128  # connections that the kernel keeps for us
ENDS_WITHIN_S = 2.0
_MOST_PORT = 65_535
_PAUSE_S = 0.2  # when the machine has no descriptor or thread left


class Server:
    """Listens from the moment it is made; answers while `run` runs, or inside `with`, which runs it beside."""

    def __init__(
        self,
        site: Site,
        routes: Sequence[Route],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        allow: Sequence[str] = (),
        private: bool = False,
        debug: bool = False,
    ) -> None:
        """`port` 0 takes any that is free. `allow`: names it is also known by. `private`: reading needs a session.

        What other machines can reach is private whatever is said.
        """
        for given in allow:
            _host_name(given)
        self._site = site
        self._routes = (*routes, *actions.ROUTES, *downloads.ROUTES, *entrance.ROUTES, *shelf.ROUTES)
        self._listener = _listen(host, port)
        self.port: int = self._listener.getsockname()[1]
        address = ipaddress.ip_address(self._listener.getsockname()[0].partition("%")[0])
        self.is_open = not address.is_loopback
        name = os.uname().nodename if address.is_unspecified else host
        spelt = f"[{name}]" if ":" in name else name
        self.url = f"http://{spelt}:{self.port}/"
        self.is_private = private or self.is_open
        self._guard = Guard((*LOOPBACK, spelt, *allow), self.port, site.sessions, private=self.is_private)
        site.cookie = self._guard.cookie
        self._places = Places()
        self._debug = debug
        self._woken, self.wakes = os.pipe()  # a signal writes a byte into it
        os.set_blocking(self._woken, False)
        os.set_blocking(self.wakes, False)
        self._beside: threading.Thread | None = None

    # -- the loop ------------------------------------------------------------------------------------------------

    def run(self, interrupted: Callable[[], str] = str, *, idle_s: float | None = None) -> None:
        """Take connections until `stop`, until something interrupts, or until nobody was there for `idle_s`."""
        poll = select.poll()
        poll.register(self._listener, select.POLLIN)
        poll.register(self._woken, select.POLLIN)
        last_s = time.monotonic()
        while not (self._site.stopping.is_set() or interrupted()):
            if self._places.count():
                last_s = time.monotonic()
            elif idle_s is not None and time.monotonic() - last_s >= idle_s:
                return
            for end, _ in poll.poll(None if idle_s is None else min(1000 * idle_s, 500)):
                if end == self._woken:
                    with suppress(BlockingIOError):
                        os.read(self._woken, 4096)
                else:
                    self._take()

    def stop(self) -> None:
        """End `run`. From any thread, or from a signal."""
        self._site.stopping.set()
        with suppress(OSError):  # full: it was woken already
            os.write(self.wakes, b".")

    def close(self) -> None:
        """Take nothing more, and end what is under way: a stream would go on for ever."""
        self.stop()
        if self._beside is not None:
            self._beside.join()
        self._listener.close()
        self._places.end(ENDS_WITHIN_S)
        if self._site.deciding.acquire(timeout=ENDS_WITHIN_S):  # a decision that was begun
            self._site.deciding.release()
        os.close(self._woken)
        os.close(self.wakes)

    def __enter__(self) -> Self:
        self._beside = threading.Thread(target=self.run, name="labctl serve", daemon=True)
        self._beside.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    # -- one connection ------------------------------------------------------------------------------------------

    def _take(self) -> None:
        """Accept one, and give it a thread."""
        try:
            connection, _ = self._listener.accept()
        except OSError:  # it went already; or no descriptor is left, and asking at once would burn the processor
            self._site.stopping.wait(_PAUSE_S if self._places.count() else 0)
            return
        place = self._places.give(connection)
        if place is None:
            connection.settimeout(0)
            with suppress(OSError):
                connection.send(sending.head_of(Reply(status=503, headers=(("Retry-After", "1"),))))
            connection.close()
            return
        try:
            threading.Thread(target=self._attend, args=(place,), daemon=True).start()
        except RuntimeError:  # the machine has no thread left
            self._places.take_back(place)
            connection.close()
            self._site.stopping.wait(_PAUSE_S)

    def _attend(self, place: Place) -> None:
        """Read the request, answer it, and part. What goes wrong with a client ends here, and is nobody's news."""
        try:
            self._converse(place)
        except OSError:  # gone, or too slow
            pass
        except Exception as error:  # noqa: BLE001  # a page's code: the server goes on, and says so
            self._fault("a stream", error)
        finally:
            sending.part(place.connection)
            self._places.take_back(place)

    def _converse(self, place: Place) -> None:
        incoming = Incoming(place.connection)
        head: Head | None = None
        try:
            head = incoming.head()
            if head is None:
                return
            reply = self._reply(head, incoming, place)
        except TimeoutError:
            slow = Trouble(408, "the request took too long to arrive", fix="ask again")
            reply = refusing.reply(slow, head)
        except Trouble as refusal:
            reply = refusing.reply(refusal, head)
        place.is_heard = True
        try:
            if reply.stream is not None and not reply.ends and not self._places.streams(place):
                full = Trouble(503, "too many pages are open", fix="close some", headers=(("Retry-After", "5"),))
                reply = _closed(reply, refusing.reply(full, head))
            sending.send(place.connection, reply, is_head=head is not None and head.method == "HEAD")
        finally:
            _closed(reply, reply)

    def _reply(self, head: Head, incoming: Incoming, place: Place) -> Reply:
        """What is answered, if the guard agrees. The order is that of what each check may see of the request."""
        self._guard.host(head, place.connection.getsockname()[0])
        self._guard.origin(head)
        path, query = routing.split(head.target)
        route, names = routing.find(self._routes, head.method, path)
        form: dict[str, str] = {}
        if head.method == "POST":
            self._guard.form(head)
            form = _form(incoming.body(head.body_bytes))
        place.is_heard = True
        session = self._guard.session(head)
        self._guard.reading(head, route, session)
        self._guard.writing(route, session, form)
        request = Request(
            path=path, query=query, form=form, headers=head.headers, may_write=session is not None,
            csrf=session.csrf if session else "", session=session.key if session else "",
        )  # fmt: skip
        return self._made(route, request, names, head)

    def _made(self, route: Route, request: Request, names: dict[str, str], head: Head) -> Reply:
        """The page, or words for why there is none."""
        try:
            return route.answer(self._site, request, names)
        except Trouble:
            raise
        except LabError as error:
            raise trouble.of(self._gone() or error) from error
        except FileNotFoundError as error:
            if gone := self._gone():
                raise trouble.of(gone) from error
            what = "what this page shows is not there any more"
            raise Trouble(404, what, fix="it was archived or removed; the first page shows what is there: /") from error
        except OSError as error:
            raise trouble.of(refused(error)) from error
        except Exception as error:
            self._fault(f"{head.method} {head.target}", error)
            fix = "look at the terminal of labctl serve; with --debug it shows where"
            raise Trouble(500, "labctl itself failed to make this page", fix=fix) from error

    def _gone(self) -> LabError | None:
        """That the lab as a whole is not there, where that is so: then it is why something of it is missing."""
        try:
            still_there(self._site.root)
        except LabError as error:
            return error
        except OSError as error:
            return refused(error)
        return None

    def _fault(self, where: str, error: Exception) -> None:
        """A fault of ours: told where the server was started, never on a page."""
        self._site.tell(text.line(f"labctl itself failed at {where}: {type(error).__name__}: {error}", 500))
        if self._debug:
            self._site.tell(text.block("".join(traceback.format_exception(error)), 20_000, 400))


def _form(body: bytes) -> dict[str, str]:
    try:
        return routing.fields(body.decode("ascii"))
    except UnicodeDecodeError:
        raise Trouble(400, "this is no form", fix="send letters that are not ASCII as %XX of UTF-8") from None


def _closed(reply: Reply, then: Reply) -> Reply:
    """Let a stream go of what it holds. One that nobody began to read would never do it by itself."""
    close = getattr(reply.stream, "close", None)
    if close is not None:
        close()
    return then


def _host_name(given: str) -> None:
    """Refuse what no request can name: it would be allowed, and never be right."""
    port = given.rpartition(":")[2]
    if not AUTHORITY.fullmatch(given) or (port.isdecimal() and ":" in given and int(port) > _MOST_PORT):
        fix = "a name as it stands in the address, with its port where that is another one: localhost:9000, [::1]:9000"
        raise BadInput(f"--allow-host {text.line(given, 80)!r} is no name of a host", fix=fix)


def _listen(host: str, port: int) -> socket.socket:
    if not 0 <= port <= _MOST_PORT:
        raise BadInput(f"there is no port {port}", fix="--port 0 takes any that is free")
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[
            0
        ]
    except (OSError, UnicodeError):
        raise BadInput(f"{host!r} is no name or address of this machine", fix="leave --host out: 127.0.0.1") from None
    listener = socket.socket(family, kind)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(WAITING)
    except OSError as error:
        listener.close()
        what = f"port {port} of {host} cannot be had: {error.strerror}"
        raise Unavailable(what, fix="--port 0 takes any that is free; or end what has it") from None
    listener.settimeout(0)
    return listener
