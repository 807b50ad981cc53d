"""Read another data root in: of hermes-lab, or a labctl lab such as a copy of this one that was worked on apart.

Of hermes-lab every experiment becomes one here; every finished run becomes a sealed bundle marked as imported. A run
that failed or crashed loses the 0 that it was given. Of labctl the lab is proved first; then every sealed run that is
not here comes over as it is, with the ledger that proves it. SPECs and decisions of this lab stand. The other data root
is only read. Safe to repeat: what is here already is skipped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli.terminal import Answer

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from lab.cli.session import Session

EXAMPLE = "labctl import-root ~/old/lab-data\nlabctl import-root ~/copy/lab-data --dry-run"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Where from."""
    parser.add_argument("path", metavar="PATH", help="the data root of hermes-lab, or of labctl")
    parser.add_argument("--dry-run", action="store_true", help="say what would be imported, and import nothing")


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """Do it."""
    from lab.scheduler import import_root

    root = session.root()
    progress = session.terminal.progress("import")
    done = import_root.import_root(root, args.path, actor=session.actor, dry_run=args.dry_run, progress=progress)
    data = {
        "source": done.source,
        "experiments": list(done.experiments),
        "runs": done.runs,
        "false_values_dropped": done.false_values,
        "skipped": list(done.skipped),
        "known": done.known,
        "notes": list(done.notes),
        "dry_run": args.dry_run,
    }

    def text() -> Iterator[str]:
        verb = "would import" if args.dry_run else "imported"
        if done.known and not done.runs and not done.experiments:
            yield f"nothing new: all {done.known} runs of {done.source} are here"
            return
        yield f"{verb}: {len(done.experiments)} experiments, {done.runs} runs from {done.source}"
        if done.false_values:
            yield f"values that were never measured, dropped: {done.false_values}"
        for line in done.skipped:
            yield f"skipped: {line}"
        yield from (f"note: {line}" for line in done.notes)

    return Answer(data, text(), then=["labctl status"])
