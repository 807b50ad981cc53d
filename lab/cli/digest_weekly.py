"""Write the digest of an ISO week.

Weeks run Monday to Sunday, UTC. The page is digests/weekly/<year>-W<week>.md; it is printed too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli.digest import written

if TYPE_CHECKING:
    import argparse

    from lab.cli.session import Session
    from lab.cli.terminal import Answer

EXAMPLE = "labctl weekly-digest\nlabctl weekly-digest --week 2026-W05"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which week."""
    parser.add_argument("--week", default="", metavar="WEEK", help="a week as 2026-W05 (else this week, UTC)")


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """Write it."""
    from lab.scheduler import digest

    now = session.root().world.now().isocalendar()
    return written(session, digest.WEEKLY, args.week or f"{now.year}-W{now.week:02d}")
