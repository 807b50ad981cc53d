"""Put a claimed package into a tar, for a machine that does not see this data root.

There: tar xf, then `labctl dispatch-work --package DIR`, which writes the tar that comes back. The lease stays here:
renew it with dispatch-renew while the work takes longer than the budget and a quarter of an hour.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from lab.cli import dispatch_words as words
from lab.cli.terminal import Answer

if TYPE_CHECKING:
    import argparse

    from lab.cli.session import Session

EXAMPLE = "labctl dispatch-pack DISPATCH-20261121-093000-000000-lr-sweep --with-workspace"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which one, and where to."""
    parser.add_argument("dispatch_id", metavar="DID", help="the package")
    parser.add_argument("--out", default="", metavar="FILE", help="the tar (default DID.tar in this folder)")
    parser.add_argument("--with-workspace", action="store_true", help="put the workspace in too, without its history")
    words.who(parser, "")


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """Pack it."""
    from lab.core import package
    from lab.scheduler.dispatch import parcel

    root = session.root()
    words.checked(root, args)
    name = package.dispatch_id(args.dispatch_id).dispatch_id
    out = os.path.abspath(args.out or f"{name}.tar")
    made = parcel.pack(root, name, args.worker, out, with_workspace=args.with_workspace)
    data = {"dispatch_id": made.dispatch_id, "tar": made.tar, "bytes": made.bytes}
    then = [f"there: tar xf {os.path.basename(made.tar)} && labctl dispatch-work --package {name}"]
    return Answer(data, [made.tar], then=then)
