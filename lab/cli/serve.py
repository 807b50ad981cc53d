"""Show the lab in a browser, as it is now, until it is stopped.

For this machine only, and to look at: who wants to approve, reject, pause or resume from a page logs in with the token
that is printed at the start. A new token is made at each start; --token-file keeps it off the terminal, in a file that
only you can read. On a machine that others log in to, --private asks for the token also to look: any of them can reach
a port of it. --host lets other machines in, and asks all of them for the token; what is sent is not encrypted, so
`ssh -L 8765:127.0.0.1:8765 HOST` is the better way. Ctrl-C ends it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli.parser import seconds
from lab.cli.signals import Signals
from lab.cli.terminal import Answer

if TYPE_CHECKING:
    import argparse

    from lab.cli.session import Session
    from lab.web.server import Server

EXAMPLE = """labctl serve
labctl serve --port 0 --private --token-file ~/.labctl-token
labctl serve --allow-host localhost:9000   # seen through: ssh -L 9000:127.0.0.1:8765 HOST"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Where it listens, for whom, and until when."""
    parser.add_argument(
        "--port", type=int, default=8765, metavar="N", help="where to listen (8765); 0: any that is free"
    )
    parser.add_argument(
        "--host", default="127.0.0.1", metavar="NAME", help="listen for other machines too, at this address of ours"
    )
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a name, or NAME:PORT, it is reached by as well",
    )
    parser.add_argument("--private", action="store_true", help="ask for the token also to look")
    parser.add_argument(
        "--token-file", default="", metavar="FILE", help="write the token there, for you alone, and not to the terminal"
    )
    parser.add_argument(
        "--until-idle",
        type=seconds,
        default=None,
        metavar="S",
        help="end once nobody was there for S seconds",
    )


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """Listen, say where, and go on until something ends it."""
    import signal
    from contextlib import closing

    from lab.web import pages, token_file
    from lab.web.server import Server
    from lab.web.site import Site

    root = session.root()
    pages.ready()
    site = Site(root, actor=session.actor, tell=session.terminal.say)
    listens = Server(
        site,
        pages.ROUTES,
        host=args.host,
        port=args.port,
        allow=args.allow_host,
        private=args.private,
        debug=args.debug,
    )
    signals = Signals()
    with closing(listens) as server, signals:
        kept = token_file.keep(root, args.token_file, site.sessions.token) if args.token_file else None
        place = kept.place if kept is not None else ""
        signal.set_wakeup_fd(server.wakes, warn_on_full_buffer=False)
        try:
            session.terminal.begin("serve", _begun(session, server, place))
            session.terminal.say(_how(server, place, site.sessions.token))
            server.run(signals.came, idle_s=args.until_idle)
        finally:
            signal.set_wakeup_fd(-1)
            if kept is not None:
                token_file.drop(root, kept, site.sessions.token)
    why = f" by {signals.came()}" if signals.came() else ": nobody was there any more"
    session.terminal.say(f"labctl serve: ended{why}")
    return Answer({}, ())


def _begun(session: Session, server: Server, token_file: str) -> Answer:
    """Where it is. The token is in none of it: what is printed as a result is kept and passed on."""
    import os

    data = {
        "url": server.url,
        "port": server.port,
        "pid": os.getpid(),
        "data_root": session.path,
        "private": server.is_private,
        "token_file": token_file,
    }
    warnings = []
    if server.is_open:
        warnings.append(
            "other machines can reach this server. All need the token; what is sent, the token too, is not encrypted: "
            "ssh -L, or a proxy with TLS before it, keeps it to those whom it is for"
        )
    return Answer(data, [server.url], warnings=warnings)


def _how(server: Server, token_file: str, token: str) -> str:
    needs = (
        "look, and to approve, reject, pause and resume" if server.is_private else "approve, reject, pause and resume"
    )
    return f"the token to {needs}: {token_file or token}\nCtrl-C ends it"
