"""Write the digest of a day: new bests, what stopped and why, what wants you.

Dates are UTC. The page is digests/daily/<date>.md; it is printed too. Writing a day's digest again brings it up to now.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli.terminal import Answer

if TYPE_CHECKING:
    import argparse

    from lab.cli.session import Session

EXAMPLE = "labctl digest\nlabctl digest --date 2026-01-31"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which day."""
    parser.add_argument("--date", default="", metavar="DAY", help="a day as 2026-01-31 (else today, UTC)")


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """Write it."""
    from lab.scheduler import digest

    root = session.root()
    return written(session, digest.DAILY, args.date or root.world.now().date().isoformat())


def written(session: Session, kind: str, name: str) -> Answer:
    """Write a digest and say where it is."""
    from lab.scheduler import digest, refresh

    root = session.root()
    made = digest.write(root, kind, name, actor=session.actor)
    refresh.lab_pages(root)
    data = {"kind": kind, "name": made.name, "path": made.path, "text": made.text}
    verb = "digest" if kind == digest.DAILY else "weekly digest"
    return Answer(data, [f"{verb} written: {made.path}", "", *made.text.splitlines()])
