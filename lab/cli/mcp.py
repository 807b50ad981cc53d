"""Let an agent without a shell work with the lab, by the Model Context Protocol.

`serve` speaks the protocol on stdin and stdout until its client goes away; a client starts it, not a person. It offers
the verbs that look, propose, pause and run once; none that approves. `install` writes the server into the settings of
CLIENT: those of this folder's project, with --global those of the user. Settings that cannot be read for certain, and
an entry labctl in them that install did not write or that somebody added to, are left as they are, and it says what to
paste. --print shows where and what, and writes nothing.
"""

from __future__ import annotations

import os

from lab.cli.terminal import Answer
from lab.core.clients import NAMES
from lab.core.errors import BadInput, LabError, Unavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from lab.cli.session import Session

EXAMPLE = """labctl mcp install claude
labctl mcp install codex --global --print
labctl mcp serve --data-root ~/lab"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """What to do, and for whom."""
    parser.add_argument("action", choices=("serve", "install"), help="be the server, or tell a client of it")
    parser.add_argument("client", nargs="?", default="", metavar="CLIENT", help=f"install: {', '.join(NAMES)}")
    parser.add_argument("--global", action="store_true", dest="everywhere", help="install: for all projects")
    parser.add_argument("--print", action="store_true", dest="print_it", help="install: show it, and write nothing")
    parser.add_argument(
        "--dry-run", action="store_true", help="install: say which file would change, and write nothing"
    )


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """Serve, or install."""
    if args.action == "install":
        return _install(args, session)
    if args.client or args.everywhere or args.print_it or args.dry_run:
        raise BadInput("serve takes none of these", fix="labctl mcp serve")
    _serve(session)
    return Answer({}, [])


def _serve(session: Session) -> None:
    """Until the client goes away. From here on nothing but messages may reach stdout: what strays goes to stderr."""
    from lab.mcp.server import Server
    from lab.store import program

    speak = os.dup(1)
    os.dup2(2, 1)
    environ = {**os.environ, "LABCTL_ACTOR": f"{session.actor} by mcp"}
    lab = session.path
    session.terminal.say(f"labctl mcp: serving {lab}")
    Server(lab, program=program.words(), environ=environ, listen=0, speak=speak, say=session.terminal.say).serve()


def _install(args: argparse.Namespace, session: Session) -> Answer:
    from lab.mcp import clients
    from lab.store import program

    client = clients.find(args.client)
    command = [*program.words(), "--data-root", session.path, "mcp", "serve"]
    where = os.path.realpath(
        clients.place(client, command, everywhere=args.everywhere, project=os.getcwd(), environ=os.environ)
    )
    server = clients.entry(client, command)
    data = {"client": client.name, "path": where, "server": server, "changed": False}
    if args.print_it:
        shown = clients.text(client, server)
        return Answer({**data, "text": shown}, [f"# {where}", *shown.splitlines()])
    before = _text(where)
    after = clients.merged(client, server, before, where)
    if after == before:
        return Answer(data, [f"{client.name} knows of it already: {where}"], then=[client.then])
    if args.dry_run:
        return Answer(data, [f"would write: {where}"])
    _write(where, after)
    return Answer({**data, "changed": True}, [f"installed for {client.name}: {where}"], then=[client.then])


def _text(path: str) -> str:
    from lab.store import reading

    if os.path.lexists(path) and not os.path.isfile(path):
        raise _hindered(path, "they are no plain file")
    try:
        return (reading.read(path) or b"").decode()
    except UnicodeDecodeError:
        raise BadInput("these settings are not UTF-8", where=path, fix="labctl mcp install CLIENT --print") from None
    except OSError as error:
        raise _hindered(path, error.strerror) from None


def _write(path: str, text: str) -> None:
    """As it was before in all else: settings that hold secrets stay readable to nobody but their owner."""
    import stat

    from lab.store import leftovers
    from lab.store.files import Files

    try:
        mode = stat.S_IMODE(os.stat(path).st_mode)
    except FileNotFoundError:
        mode = 0o644  # there is no secret in what we write
    except OSError as error:
        raise _hindered(path, error.strerror) from None
    try:
        files = Files()
        leftovers.clear(files, path)
        files.replace(path, text.encode(), mode=mode, durable=True)
    except OSError as error:
        raise _hindered(path, error.strerror) from None


def _hindered(path: str, why: str | None) -> LabError:
    fix = "mend that; or paste what --print shows to where the client reads it"
    return Unavailable(f"these settings cannot be read and written: {why}", where=path, fix=fix)
