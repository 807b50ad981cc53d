"""Show the blackboard of a search: what each arm brought, what is under way, and the newest trials.

Read from the sealed runs and the claims; nothing is kept besides. An arm is a strategy, or what a portfolio asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli.terminal import Answer

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from lab.cli.session import Session
    from lab.scheduler.search.board import Board

EXAMPLE = "labctl board lr-sweep\nlabctl board lr-sweep --feed 50 --json"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Whose, and how much of it."""
    parser.add_argument("experiment", metavar="ID", help="the experiment")
    parser.add_argument("--feed", type=int, default=10, metavar="N", help="how many of the newest trials (default 10)")


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """Arms, claims, feed."""
    from msgspec import to_builtins

    from lab.core.errors import BadInput
    from lab.scheduler.search import board

    if args.feed < 0:
        raise BadInput(f"--feed {args.feed} is below 0", fix="--feed 20")
    found = board.of(session.root(), args.experiment, feed=args.feed)
    return Answer(to_builtins(found), list(lines(found)))


def lines(board: Board) -> Iterator[str]:
    """The board as text."""
    from lab.cli.burst_words import short

    if not board.arms:
        yield "No trials"
    else:
        tiers = list(dict.fromkeys(tier for each in board.arms for tier in each.bests)) or [""]
        bests = [f"best in {tier}" if len(tiers) > 1 else "best" for tier in tiers]
        head = ("arm", "trials", "failed", "new bests", *bests, "last new best")
        rows = [
            (
                each.arm,
                str(each.trials),
                str(each.failed),
                str(each.new_bests),
                *(_value(each.bests.get(tier)) for tier in tiers),
                each.last_new_best,
            )
            for each in board.arms
        ]
        yield from table([head, *rows])
    if board.claims:
        yield ""
        yield "under way:"
        for claim in board.claims:
            given = " ".join(f"{name}={short(value)}" for name, value in claim.params.items())
            where = f"  {claim.where}" if claim.where else ""
            yield f"  {claim.run_id}  {claim.arm or '-'}  {given}{where}"
    if board.feed:
        yield ""
        yield "newest:"
        for post in board.feed:
            mark = "*" if post.new_best else " "
            note = f"  {post.note}" if post.note else ""
            value = post.outcome if post.value is None else _value(post.value)
            yield f" {mark} {post.run_id}  {post.arm or '-'}  {value}{note}"


def table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Columns side by side."""
    widths = [max(len(row[number]) for row in rows) for number in range(len(rows[0]))]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _value(value: float | None) -> str:
    return "-" if value is None else f"{value:.6g}"
