"""Show the end of what a run wrote, also while it is under way.

Of an experiment: of its run under way, else of its last one. What a run wrote is shown without what would move a
terminal's cursor, and a line of any length is cut; --json has it as it is, but for --width.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli.terminal import Answer
from lab.core.errors import BadInput

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from lab.cli.session import Session
    from lab.scheduler.results.tailed import Tail

EXAMPLE = "labctl tail lr-sweep\nlabctl tail RUN-20261121-093000-000000-scout --stream stderr --lines 20"
MOST = 10_000
_LINE_CHARS = 2000


def arguments(parser: argparse.ArgumentParser) -> None:
    """Of what, and how much."""
    parser.add_argument("name", metavar="ID", help="a run, or an experiment")
    parser.add_argument("-n", "--lines", type=int, default=50, metavar="N", help="so many lines (default 50)")
    parser.add_argument("--width", type=int, default=0, metavar="N", help="cut lines after N characters, in --json too")
    parser.add_argument("--stream", choices=("stdout", "stderr"), default="stdout", help="which log (default stdout)")


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """The last lines."""
    from msgspec import to_builtins

    from lab.scheduler.results import tailed

    if not 1 <= args.lines <= MOST:
        raise BadInput(f"--lines {args.lines} is not between 1 and {MOST:,}", fix="--lines 50")
    if args.width < 0:
        raise BadInput(f"--width {args.width} is below 0", fix="--width 200")
    found = tailed.tail(session.root(), args.name, args.stream, args.lines, args.width)
    warnings = []
    if found.is_cut and found.bytes > tailed.MOST_BYTES:
        warnings.append(f"the log has {found.bytes:,} bytes, of which only the last are looked at")
    if found.is_cut and args.width and any(len(line) == args.width for line in found.lines):
        warnings.append(f"lines are cut after {args.width:,} characters")
    return Answer(to_builtins(found), _lines(found), warnings=warnings)


def _lines(found: Tail) -> Iterator[str]:
    from lab.projections import text

    if not found.lines:
        yield f"{found.run_id} wrote nothing to its {found.stream}"
    yield from (text.block(line, _LINE_CHARS, 1).replace("\n", "") for line in found.lines)
