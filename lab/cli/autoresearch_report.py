"""`labctl autoresearch report`: what a code loop came to, how sure that is, and whether to merge it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli.terminal import Answer

if TYPE_CHECKING:
    import argparse

    from lab.cli.session import Session

SHARED = ()
TARGET = "the experiment"


def arguments(parser: argparse._ArgumentGroup) -> None:
    """Nothing besides which."""


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """The page as text; every number of it with --json."""
    from msgspec import to_builtins

    from lab.scheduler.loop import exported

    found, page, warnings = exported.reported(session.root(), args.target)
    return Answer(to_builtins(found), page.decode().splitlines(), warnings=warnings)
