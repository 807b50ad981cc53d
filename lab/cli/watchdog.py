"""Look for what is wrong: dead leases, unusable SPECs, damaged claims, stale pages, a full disk.

Only looks, unless --repair: then runs whose owner is proven dead, or silent past its lease, are settled. A run that
may be alive is never touched. Exit code 1 while an alert is left, so that cron notices.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli.terminal import Answer
from lab.core.errors import DONE, FAILED

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from lab.cli.session import Session

EXAMPLE = "labctl watchdog --repair"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Whether to mend."""
    parser.add_argument("--repair", action="store_true", help="settle runs whose owner is gone")


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """Look, and mend when asked to."""
    from lab.scheduler import watchdog

    root = session.root()
    settled = watchdog.repair(root) if args.repair else []
    report = watchdog.look(root)
    data = {
        "free_gb": report.free_gb,
        "live": list(report.live),
        "settled": [{"experiment": s.experiment, "run": s.run_id, "what": s.what} for s in settled],
        "alerts": [{"what": a.what, "where": a.where, "fix": a.fix} for a in report.alerts],
    }

    def text() -> Iterator[str]:
        yield f"free_gb: {report.free_gb}"
        for item in settled:
            yield f"settled: {item.experiment}/{item.run_id or '-'}: {item.what}"
        for alert in report.alerts:
            yield f"alert: {alert.where}: {alert.what}"
            yield f"  fix: {alert.fix}"
        if not report.alerts:
            yield "alerts: none"

    return Answer(data, text(), exit_code=FAILED if report.alerts else DONE)
