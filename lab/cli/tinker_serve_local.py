"""`labctl tinker serve-local`: the Tinker API on this machine, for models that fit, until it is stopped."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from lab.cli import tinker_words as words
from lab.cli.signals import Signals
from lab.cli.terminal import Answer
from lab.core.errors import BadInput, NotFound
from lab.core.tuning import LOCAL_KEY, LOCAL_PORT

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from lab.cli.session import Session

SHARED = ()
_LARGEST_PORT = 65_535
_WIDTH = 92


def about() -> str:
    """What it is, and what it is not."""
    import textwrap

    from lab.tinker.local.serve import NOT_COVERED

    told = (
        "The models of --base are trained here, in float32 on the CPU, with real gradients; what is saved stays in "
        "--folder, and the next start finds it. It listens on 127.0.0.1 alone. It does not cover:"
    )
    points = [
        textwrap.fill(each, _WIDTH, initial_indent="- ", subsequent_indent="  ", break_on_hyphens=False)
        for each in NOT_COVERED
    ]
    return "\n".join([textwrap.fill(told, _WIDTH), *points])


def arguments(parser: argparse._ArgumentGroup) -> None:
    """Which models, where it listens, and where it keeps what is saved."""
    parser.add_argument(
        "--base",
        action="append",
        default=[],
        metavar="NAME=DIR",
        help="serve-local: a base model, by the name that clients ask for, and its folder; repeatable",
    )
    parser.add_argument(
        "--port",
        type=int,
        default=LOCAL_PORT,
        metavar="N",
        help=f"serve-local: where to listen ({LOCAL_PORT}); 0: any that is free",
    )
    parser.add_argument(
        "--folder",
        default="",
        metavar="DIR",
        help="serve-local: where what is saved is kept (else labctl/tinker-local in $XDG_STATE_HOME or ~/.local/state)",
    )
    parser.add_argument(
        "--port-file", default="", metavar="FILE", help="serve-local: write the port there once it answers"
    )


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """Load the models, say where it is, and go on until something ends it."""
    bases = _bases(args.base)
    if not 0 <= args.port <= _LARGEST_PORT:
        raise BadInput(f"--port {args.port} is no port", fix=f"--port {LOCAL_PORT}, or 0 for any that is free")
    words.require_extra("tinker-local", *words.LOCAL, what="a server of this machine")
    from lab.cli.surroundings import the_world
    from lab.tinker.local import serve

    folder = os.path.abspath(os.path.expanduser(args.folder or _state(the_world().environ)))
    session.terminal.narrate(f"loading {', '.join(bases)}")
    signals = Signals()
    with signals:
        serve.serve(
            bases,
            folder,
            serve.Terms(port=args.port, port_file=args.port_file, debug=args.debug),
            interrupted=signals.came,
            ready=lambda url: session.terminal.begin("tinker", _begun(url, bases, folder)),
            say=session.terminal.say,
        )
    session.terminal.say(f"labctl tinker serve-local: ended by {signals.came()}")
    return Answer({}, ())


def _bases(given: Sequence[str]) -> dict[str, str]:
    """Name and folder of each; refused before anything large is loaded."""
    if not given:
        raise BadInput(
            "serve-local wants a model", fix="--base NAME=DIR; labctl tinker make-tiny DIR makes a small one"
        )
    found: dict[str, str] = {}
    for each in given:
        name, sign, folder = each.partition("=")
        if not (name and sign and folder) or not name.isprintable() or " " in name:
            raise BadInput(f"--base {each!r} is not NAME=DIR", fix="--base lab/tiny=tiny-model")
        if name in found:
            raise BadInput(f"two models are called {name}", fix="give each a name of its own")
        place = os.path.abspath(os.path.expanduser(folder))
        if not os.path.isdir(place):
            raise NotFound(
                "there is no such folder", where=place, fix="labctl tinker make-tiny DIR makes a small model"
            )
        absent = [part for part in ("config.json", "tokenizer.json") if not os.path.isfile(f"{place}/{part}")]
        if absent:
            what = f"this is no folder of a model: it has no {' and no '.join(absent)}"
            raise BadInput(what, where=place, fix="name the folder that a model was saved or downloaded into")
        found[name] = place
    return found


def _state(environ: Mapping[str, str]) -> str:
    """A place of the user's own, not of a lab: several labs may train at one server, and a lab is copied and mailed."""
    state = environ.get("XDG_STATE_HOME") or f"{environ.get('HOME') or os.path.expanduser('~')}/.local/state"
    return f"{state}/labctl/tinker-local"


def _begun(url: str, bases: dict[str, str], folder: str) -> Answer:
    """Where it is, and two lines to copy into another terminal."""
    from lab.tinker.local.serve import NOT_COVERED

    environment = {"TINKER_BASE_URL": url, "TINKER_API_KEY": LOCAL_KEY}
    data = {
        "url": url,
        "port": int(url.rpartition(":")[2]),
        "pid": os.getpid(),
        "folder": folder,
        "models": bases,
        "environment": environment,
        "not_covered": list(NOT_COVERED),
    }
    said = [f"ready: {url}", *(f"export {name}={value}" for name, value in environment.items())]
    return Answer(data, said, then=["labctl tinker check ID in another terminal; Ctrl-C ends this"])
