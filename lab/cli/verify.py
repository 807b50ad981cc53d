"""Prove that nothing sealed was changed or lost.

Hashes every sealed file again, follows the ledger's chain from its first line, and holds each against the other.
Everything that is wrong is named; nothing is touched, the pages neither: `labctl refresh` puts what became of bundles
there, and from then on `status` and `watchdog` tell of it. Exit code 4 when anything is wrong.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli.terminal import Answer
from lab.core.errors import CORRUPT, DONE

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from lab.cli.session import Session
    from lab.store.verify import Verified

_NAME_CHARS = 2_000
EXAMPLE = "labctl verify\nlabctl verify lr-sweep --json"


def arguments(parser: argparse.ArgumentParser) -> None:
    """What to verify."""
    parser.add_argument("experiments", nargs="*", metavar="ID", help="only these experiments' bundles (else all)")


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """Look at every byte."""
    from lab.store import experiments, verify

    root = session.root()
    only = tuple(experiments.require(root, name) for name in args.experiments)
    found = verify.verify(root, only, progress=session.terminal.progress("verify"))
    data = {
        "records": found.records,
        "runs": found.runs,
        "files": found.files,
        "bytes": found.size,
        "unsealed": found.unsealed,
        "archived": found.archived,
        "notes": list(found.notes),
        "torn_lines": found.torn,
        "damage": [{"kind": d.kind, "where": d.where, "what": d.what, "fix": d.fix} for d in found.damage],
    }
    warnings: tuple[str, ...] = ()
    if found.damage:
        from lab.scheduler.control import notices

        warnings = notices.damaged(root, [(damage.where, damage.what) for damage in found.damage])
    # It writes no pages: who looks whether all is well changes nothing.
    then = ["labctl refresh  (puts damage of bundles on the pages, for status and watchdog to tell)"]
    return Answer(
        data, _text(found), warnings=warnings, then=then if found.damage else (),
        exit_code=CORRUPT if found.damage else DONE,
    )  # fmt: skip


def _text(found: Verified) -> Iterator[str]:
    from lab.projections import text

    for damage in found.damage:  # a run chose the names of its files
        yield f"{damage.kind}\t{text.line(damage.where, _NAME_CHARS)}\t{text.line(damage.what, _NAME_CHARS)}"
        yield f"\tfix: {damage.fix}"
    state = f"{len(found.damage)} things are not as they were sealed" if found.damage else "all as it was sealed"
    yield f"{state}: {found.runs} runs, {found.files} files, {found.size} bytes, {found.records} ledger records"
    if found.archived:
        yield f"in archives, proven by their seals: {found.archived} runs"
    for note in found.notes:
        yield f"note: {note}"
    if found.unsealed:
        yield f"not sealed (under way, superseded, or to be settled): {found.unsealed}"
    if found.torn:
        yield f"torn ledger lines, noted when they happened: {found.torn}"
