"""Bring a damaged lab back to order, and say what was done.

Settles dead runs, writes ledger lines that a crash left out, moves aside what cannot be read (to scratch/aside), and
writes every page again. Runs that are under way are left alone and counted. Nothing is deleted. A healthy lab stays as
it is.
Exit code 1 while something is left or still wrong, so that cron notices.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli.terminal import Answer
from lab.core.errors import DONE, FAILED

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from lab.cli.session import Session

EXAMPLE = "labctl recover"


def arguments(parser: argparse.ArgumentParser) -> None:
    """None of its own."""


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """Do it."""
    del args
    from lab.scheduler import watchdog

    session.require_traces()
    root = session.root(existing=False)
    done = watchdog.recover(root, progress=session.terminal.progress("recover"))
    pages = done.refreshed
    data = {
        "done": list(done.done),
        "left": list(done.left),
        "under_way": done.under_way,
        "pages_written": pages.written,
        "findings": [{"what": item.what, "where": item.where, "fix": item.fix} for item in pages.findings],
    }

    def text() -> Iterator[str]:
        for line in done.done:
            yield f"done: {line}"
        for line in done.left:
            yield f"left: {line}"
        for item in pages.findings:
            yield f"still wrong: {item.where}: {item.what}"
            yield f"  fix: {item.fix}"
        if done.done or pages.written:
            yield f"pages rewritten: {pages.written}"
        elif done.left or pages.findings:
            yield "Nothing else that recover can mend."
        else:
            yield "Nothing to mend. The lab is in order."
        if done.under_way:
            yield f"{done.under_way} {'run is' if done.under_way == 1 else 'runs are'} under way: left alone"

    return Answer(data, text(), exit_code=FAILED if done.left or pages.findings else DONE)
