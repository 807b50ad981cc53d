"""Read a hermes-lab data root in.

Every experiment becomes one here; every finished run becomes a sealed bundle marked as imported. A run that failed or
crashed loses the 0 that it was given. The old data root is only read. Safe to repeat: what is here already is skipped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli.terminal import Answer

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from lab.cli.session import Session

EXAMPLE = "labctl import-root ~/old/lab-data"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Where from."""
    parser.add_argument("path", metavar="PATH", help="the hermes-lab data root")
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
        "dry_run": args.dry_run,
    }

    def text() -> Iterator[str]:
        verb = "would import" if args.dry_run else "imported"
        yield f"{verb}: {len(done.experiments)} experiments, {done.runs} runs from {done.source}"
        if done.false_values:
            yield f"values that were never measured, dropped: {done.false_values}"
        for line in done.skipped:
            yield f"skipped: {line}"

    return Answer(data, text(), then=["labctl status"])
