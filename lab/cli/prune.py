"""Move old bundles into an archive, or bring them back.

Whole bundles go to backups/runs-ID-FIRST-LAST.tar, whose SHA-256 the ledger keeps. Tables and pages stay as they are,
and `labctl verify` still proves every run. Of each tier the best number and the run that `labctl best` recommends
never go, nor the last five, nor what does not verify. The archive may be moved to another disk; --restore takes its
name or its path.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli.terminal import Answer
from lab.core.errors import BadInput

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from lab.cli.session import Session
    from lab.scheduler.prune import Pruned

EXAMPLE = """labctl prune --keep 100 --dry-run
labctl prune --older-than 30d --experiment lr-sweep --yes
labctl prune --restore runs-lr-sweep-20261121-093000-000000-20261122-093000-000000.tar"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """What may go."""
    parser.add_argument("--keep", type=int, metavar="N", help="keep the newest N runs of each experiment (5 or more)")
    parser.add_argument("--older-than", default="", metavar="TIME", help="only runs sealed longer ago: 30d, 12h")
    parser.add_argument("--experiment", action="append", default=[], metavar="ID", help="only this one; repeatable")
    parser.add_argument("--restore", default="", metavar="ARCHIVE", help="bring the bundles of an archive back")
    parser.add_argument("--dry-run", action="store_true", help="say what would go, and write nothing")
    parser.add_argument("--yes", action="store_true", help="do not ask")


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """Archive, or restore."""
    from lab.core.cadence import duration_s
    from lab.scheduler import prune

    if args.restore:
        return _restored(args, session)
    older_s = duration_s(args.older_than, "--older-than") if args.older_than else None
    wish = prune.checked(args.keep, older_s)
    root = session.root()
    names = prune.chosen(root, args.experiment)
    if args.yes and not args.dry_run:
        done = [prune.prune(root, name, wish) for name in names]
        return Answer(_data(done, dry_run=False), _text(done, "archived"))
    planned = [prune.plan(root, name, wish) for name in names]
    count = sum(len(item.runs) for item in planned)
    if args.dry_run or not count:
        return Answer(_data(planned, dry_run=args.dry_run), _text(planned, "would archive"))
    if not session.terminal.agrees(f"archive {count} runs into {root.layout.place('backups')}?", yes=False):
        raise BadInput("nothing was archived: nobody agreed", fix="add --yes, or look first: --dry-run")
    done = [prune.prune(root, item.experiment, wish) for item in planned if item.runs]
    return Answer(_data(done, dry_run=False), _text(done, "archived"))


def _restored(args: argparse.Namespace, session: Session) -> Answer:
    from lab.scheduler import prune

    if args.keep is not None or args.older_than or args.experiment or args.dry_run:
        raise BadInput("--restore stands alone", fix="labctl prune --restore ARCHIVE")
    done = prune.restore(session.root(), args.restore)
    data = {"experiment": done.experiment, "archive": done.archive, "restored": list(done.runs)}
    return Answer(data, [f"restored: {len(done.runs)} runs of {done.experiment} from {done.archive}"])


def _data(items: list[Pruned], *, dry_run: bool) -> dict[str, object]:
    rows = [
        {
            "experiment": item.experiment,
            "runs": list(item.runs),
            "archive": item.archive,
            "sha256": item.sha256,
            "bytes": item.size,
            "left": list(item.left),
        }
        for item in items
    ]
    return {"dry_run": dry_run, "experiments": rows}


def _text(items: list[Pruned], verb: str) -> Iterator[str]:
    for item in items:
        for line in item.left:
            yield f"stays\t{item.experiment}/{line}"
        if item.runs:
            of_what = f"an archive of {item.size:,} bytes, backups/{item.archive}" if item.archive else ""
            told = of_what or f"{item.size:,} bytes of files"
            yield f"{verb}: {len(item.runs)} runs of {item.experiment}, {told}"
    if not any(item.runs for item in items):
        yield "nothing is old enough to go"
