"""Print the JSON Schema of something that labctl prints or keeps.

NAME is `spec`, `space`, `manifest` (of LAB_MANIFEST.json), a verb (its `--json`; `labctl.space/1` where a file has that
name too), `envelope` (any of them), or a record by its file: SEAL.json, events.jsonl, ... `--list` names all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli.terminal import Answer
from lab.core.errors import BadInput

if TYPE_CHECKING:
    import argparse

    from lab.cli.session import Session

EXAMPLE = "labctl schema status\nlabctl schema SEAL.json > seal.schema.json\nlabctl schema --list"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Of what."""
    parser.add_argument("name", nargs="?", default="", metavar="NAME", help="of what")
    parser.add_argument("--list", action="store_true", dest="list_them", help="print the names")


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """The schema. It needs no lab."""
    del session
    from lab.cli import schemas
    from lab.core import canonical

    if args.list_them:
        known = schemas.known()
        width = max(map(len, known))
        return Answer({"schemas": known}, [f"{name:<{width}}  {about}" for name, about in known.items()])
    if not args.name:
        raise BadInput("schema wants a name", fix="labctl schema --list")
    found = schemas.named(args.name)
    return Answer(found, canonical.page(found).decode().splitlines())
