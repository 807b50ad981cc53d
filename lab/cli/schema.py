"""Print the JSON Schema of something that labctl prints or keeps.

NAME is `spec`, `space`, `manifest` (of LAB_MANIFEST.json), a verb (its `--json`; `labctl.space/1` where a file has that
name too), `envelope` (any of them), or a record by its file: SEAL.json, events.jsonl, ... `--list` names all.
`--manifest` prints the whole contract, as LAB_MANIFEST.json has it in a checkout.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli.terminal import Answer
from lab.core.errors import BadInput

if TYPE_CHECKING:
    import argparse

    from lab.cli.session import Session

EXAMPLE = """labctl schema status
labctl schema SEAL.json > seal.schema.json
labctl schema --list
labctl schema --manifest > LAB_MANIFEST.json"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Of what."""
    what = parser.add_mutually_exclusive_group()
    what.add_argument("name", nargs="?", default="", metavar="NAME", help="of what")
    what.add_argument("--list", action="store_true", dest="list_them", help="print the names")
    what.add_argument("--manifest", action="store_true", help="print LAB_MANIFEST.json of this labctl")


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """The schema. It needs no lab."""
    del session
    from lab.cli import schemas
    from lab.core import canonical

    if args.list_them:
        known = schemas.known()
        width = max(map(len, known))
        return Answer({"schemas": known}, [f"{name:<{width}}  {about}" for name, about in known.items()])
    if args.manifest:
        from json import loads

        from lab.cli import reference

        told = reference.manifest().decode()
        return Answer(loads(told), told.splitlines())
    if not args.name:
        raise BadInput("schema wants a name", fix="labctl schema --list")
    found = schemas.named(args.name)
    return Answer(found, canonical.page(found).decode().splitlines())
