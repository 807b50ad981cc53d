"""Show what an experiment took: hours, tokens and money, and what each improvement cost.

Of one experiment: a line for every new best, with what was taken since the one before, runs that failed included; then
what was taken since the last of them, what went into runs without a value, and all of it. The last --last are shown,
--json has them all. Without an ID: a line an experiment, those that took longest first. What nobody told is a dash,
which is not 0, and the lines below say of what nothing is known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli.columns import columns
from lab.cli.terminal import Answer
from lab.core.errors import BadInput

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from lab.cli.session import Session
    from lab.projections.picture.spending import Took
    from lab.scheduler.results.costs import Cost, LabCost

EXAMPLE = "labctl cost\nlabctl cost lr-sweep\nlabctl cost lr-sweep --tier final --json"
LAST = 20
_ID_CHARS, _CHANGED_CHARS = 32, 40
_DASH, _UNSURE = "-", "~"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Of what."""
    parser.add_argument("experiment", metavar="ID", nargs="?", default=None, help="the experiment; else the whole lab")
    parser.add_argument(
        "--tier", default="", metavar="T", help="the improvements of this tier; else of the one it is in"
    )
    parser.add_argument(
        "-n",
        "--last",
        type=int,
        default=LAST,
        metavar="N",
        help=f"so many improvements, or experiments (default {LAST})",
    )


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """Add it up."""
    from msgspec import to_builtins

    from lab.scheduler.results import costs
    from lab.store import experiments

    if args.last < 1:
        raise BadInput(f"--last {args.last} is below 1", fix=f"--last {LAST}")
    if args.tier and args.experiment is None:
        raise BadInput("--tier chooses among the tiers of one experiment", fix=f"labctl cost ID --tier {args.tier}")
    root = session.root()
    if args.experiment is not None:  # an empty word is no experiment, and not the lab either
        experiments.require(root, args.experiment)
        cost, warnings = costs.of(root, args.experiment, args.tier)
        best = [f"labctl show {cost.best_run}"] if cost.best_run else []
        return Answer(to_builtins(cost), _of_one(cost, args.last), warnings=warnings, then=best)
    told, warnings = costs.of_lab(root)
    first = [f"labctl cost {told.experiments[0].id}"] if told.experiments else []
    return Answer(to_builtins(told), _of_lab(told, args.last), warnings=warnings, then=first)


def _of_one(cost: Cost, last: int) -> Iterator[str]:
    from lab.projections import text

    spent = cost.spending
    yield text.line(f"{cost.experiment}, tier {cost.tier}: {cost.metric}, {cost.direction}")
    shown = spent.improvements[-last:]
    earlier = len(spent.improvements) - len(shown)
    if earlier:
        yield f"the last {len(shown)} of {len(spent.improvements)} improvements; --last shows more, --json all"
    rows = [
        (str(each.n), f"{each.value:.6g}", *_took(each.took), _changed(each.changed, unsure=bool(each.unsure)))
        for each in shown
    ]
    sums = [
        ("", "since then" if shown else "so far", *_took(spent.since), ""),
        ("", "no value", *_took(spent.wasted), "of all: what runs without a value took"),
        ("", "all", *_took(spent.total), ""),
    ]
    yield from columns(("run", "value", "runs", "took", "tokens", "USD", "what changed"), [*rows, *sums], left={1, 6})
    for word in dict.fromkeys(each.unsure for each in shown if each.unsure):
        yield f"{_UNSURE}: {word}, so luck may be all of it"
    yield from spent.remarks


def _of_lab(told: LabCost, last: int) -> Iterator[str]:
    if not told.experiments:
        yield "No experiments"
        return
    shown = told.experiments[:last]
    rows = [
        (
            _cut(row.id, _ID_CHARS),
            *_took(row.took),
            str(row.failed),
            _DASH if row.since_best is None else f"{row.since_best:,}",
        )
        for row in shown
    ]
    total = ("all", *_took(told.total), str(sum(row.failed for row in told.experiments)), "")
    head = ("experiment", "runs", "took", "tokens", "USD", "failed", "runs since the best")
    yield from columns(head, [*rows, total], left={0})
    left_out = len(told.experiments) - len(shown)
    if left_out:
        yield f"{left_out} more took less; --last shows more, --json all"
    yield from told.remarks


def _took(took: Took) -> tuple[str, str, str, str]:
    from lab.projections import text

    tokens = _DASH if took.tokens is None else f"{took.tokens:,}"
    return f"{took.runs:,}", text.duration(took.hours * 3600), tokens, _money(took.usd)


def _money(usd: float | None) -> str:
    if usd is None:
        return _DASH
    return f"{usd:,.2f}" if usd >= 1 else f"{usd:.2g}"


def _changed(words: str, *, unsure: bool) -> str:
    cut = _cut(words, _CHANGED_CHARS)
    return f"{_UNSURE} {cut}" if unsure else cut


def _cut(words: str, limit: int) -> str:
    from lab.projections import text

    return text.line(words, limit)
