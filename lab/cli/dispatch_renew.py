"""Say that the worker of a package lives, so that its lease is not taken over.

Exit code 3 when it was: then stop, the run is somebody else's. Tells when a person asked for the run to be ended.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli import dispatch_words as words
from lab.cli.terminal import Answer

if TYPE_CHECKING:
    import argparse

    from lab.cli.session import Session

EXAMPLE = "labctl dispatch-renew DISPATCH-20261121-093000-000000-lr-sweep --worker gpu-3"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which one."""
    parser.add_argument("dispatch_id", metavar="DID", help="the package")
    words.who(parser, "")


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """Renew it."""
    from lab.scheduler.dispatch import offers

    root = session.root()
    words.checked(root, args)
    asked = offers.renew(root, args.dispatch_id, args.worker)
    text = [f"{args.dispatch_id} renewed"]
    if asked is not None:
        text = [f"{args.dispatch_id} is to be ended: {asked or 'somebody asked for it'}"]
    return Answer(
        {"dispatch_id": args.dispatch_id, "cancel_asked": asked is not None, "why": asked or ""},
        text,
        then=[f"labctl dispatch-complete {args.dispatch_id} --outcome cancelled"] if asked is not None else (),
    )
