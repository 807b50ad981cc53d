"""`labctl tinker runs`: the chain of an experiment, chunk by chunk; of the lab, a line for each experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli.columns import columns
from lab.cli.terminal import Answer
from lab.core.errors import BadInput

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from lab.cli.session import Session
    from lab.scheduler.results.chained import Link
    from lab.scheduler.results.chains import Chained, ChainRow, Stage
    from lab.tinker.rows import Row as Step

SHARED = ("tier",)
TARGET = "an experiment"
TARGET_OPTIONAL = True
_DASH = "-"
_RUN_CHARS, _WORDS_CHARS, _FACT_CHARS, _REASON_CHARS = 48, 90, 60, 300
_SHOWN = 40
_SAID = ("number", "first_step", "last_step", "until", "parent")  # of a decision: its words say them


def arguments(parser: argparse._ArgumentGroup) -> None:
    """How much of it."""
    parser.add_argument(
        "--steps", action="store_true", help="runs: the metrics of each step of the chain too, as the recipe told them"
    )
    parser.add_argument(
        "-n",
        "--last",
        type=int,
        default=_SHOWN,
        metavar="N",
        help=f"runs: so many chunks, steps or experiments (default {_SHOWN}); --json has all",
    )


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """Read the seals, and tell."""
    from msgspec import to_builtins

    from lab.scheduler.results import chains

    if args.last < 1:
        raise BadInput(f"--last {args.last} is below 1", fix=f"--last {_SHOWN}")
    if not args.target:
        if args.steps or args.tier:
            raise BadInput("--steps and --tier are of one experiment", fix="labctl tinker runs ID --steps")
        told, warnings = chains.of_lab(session.root())
        then = [f"labctl tinker runs {told.chains[0].experiment}"] if told.chains else []
        return Answer(to_builtins(told), _of_lab(told.chains, args.last), warnings=warnings, then=then)
    found = chains.of(session.root(), args.target, args.tier, with_steps=args.steps)
    return Answer(to_builtins(found), _of_one(found, args.last), warnings=found.missing, then=_then(found))


def _then(found: Chained) -> list[str]:
    if found.under_way:
        return [f"labctl tail {found.under_way[0].run_id}", f"labctl cancel {found.experiment}"]
    if any(stage.external_path for stage in found.stages):
        return [f"labctl tinker download {found.experiment}"]
    return [f"labctl run-once --experiment {found.experiment}"] if found.phase in ("queued", "active") else []


def _of_one(found: Chained, last: int) -> Iterator[str]:
    from lab.projections import text

    yield f"{found.experiment}, {found.phase or 'its pages are missing'}: {text.line(found.base_model)} at {found.url}"
    if not found.links and not found.under_way:
        yield "nothing was trained yet"
    for stage in found.stages:
        yield ""
        yield from _stage(found, stage, last)
    for here in found.under_way:
        chunk = f"chunk {here.number}, steps {here.first_step}-{here.sight.end}" if here.number else "a whole training"
        yield f"under way: {here.run_id} [{here.tier}], {chunk}: {text.line(here.sight.words, _WORDS_CHARS)}"
    if found.decided is not None:
        told = {key: value for key, value in found.decided.facts.items() if key not in _SAID and value is not None}
        facts = ", ".join(f"{key} {_fact(value)}" for key, value in told.items())
        why = text.line(found.decided.reason, _REASON_CHARS)
        yield f"decided {text.moment(found.decided.ts)}: {why}" + (f" ({facts})" if facts else "")
    yield from _left(found)


def _fact(value: object) -> str:
    from lab.projections import text

    return f"{value:.6g}" if isinstance(value, float) else text.line(str(value), _FACT_CHARS)


def _left(found: Chained) -> Iterator[str]:
    """What was used of what may be used."""
    if found.budget_tokens is not None:
        yield f"tokens: {found.tokens:,} of {found.budget_tokens:,}"
    if found.budget_usd is not None:
        yield f"money: {_money(found.usd)} of {found.budget_usd:,.2f} USD"


def _stage(found: Chained, stage: Stage, last: int) -> Iterator[str]:
    from lab.projections import text

    links = [link for link in found.links if link.tier == stage.tier]
    saved = f"{stage.next_step} of at most {stage.until} steps saved, in {text.count(stage.chunks, 'chunk')}"
    state = "at its end" if stage.final else saved
    yield f"tier {stage.tier}: {stage.metric or 'no metric'}, {stage.direction}; {state}"
    if len(links) > last:
        yield f"the last {last} of {len(links)} runs; --last shows more, --json all"
    head = ("chunk", "steps", "value", "outcome", "took", "tokens", "USD", "kl", "service's run", "run", "")
    if links:
        yield from columns(head, [_link(link) for link in links[-last:]], left={3, 8, 9, 10})
    if stage.rows:
        yield from _rows(stage.rows, last)


def _link(link: Link) -> Sequence[str]:
    from lab.projections import text

    steps = f"{link.first_step}-{link.next_step}" if link.saved else f"{link.first_step}-"
    words = link.trouble or link.reason or ("" if link.saved else "saved nothing")
    return (
        str(link.number or _DASH),
        steps,
        _value(link.value),
        link.outcome,
        text.duration(link.wall_s),
        f"{link.tokens:,}",
        _money(link.cost),
        _value(link.kl),
        text.line(link.model_run, _RUN_CHARS) or _DASH,
        link.run_id,
        text.line(words, _WORDS_CHARS),
    )


def _rows(rows: Sequence[Step], last: int) -> Iterator[str]:
    """The metrics of steps. What is a column in any of those shown is one in all."""
    from lab.projections import text

    shown = rows[-last:]
    if len(rows) > last:
        yield f"the last {last} of {len(rows)} steps; --last shows more, --json all"
    names = list(dict.fromkeys(name for row in shown for name in row.metrics))
    head = ["step", "took", *(text.line(name, _FACT_CHARS) for name in names), "tokens", ""]
    cells = [
        [
            str(row.step),
            f"{row.step_s:.2f} s",
            *(_value(row.metrics.get(name)) for name in names),
            f"{row.trained + row.sampled + row.prefilled:,}",
            text.line(row.trouble, _WORDS_CHARS),
        ]
        for row in shown
    ]
    yield from columns(head, cells, left={len(head) - 1})


def _of_lab(rows: Sequence[ChainRow], last: int) -> Iterator[str]:
    if not rows:
        yield "No experiment trains remotely"
        return
    head = ("experiment", "tier", "phase", "steps", "chunks", "value", "tokens", "USD", "under way")
    cells = [
        (
            row.experiment, row.tier, row.phase or _DASH, f"{row.next_step}/{row.until}", str(row.chunks),
            _value(row.value), f"{row.tokens:,}", _money(row.usd), row.under_way or _DASH,
        )
        for row in rows[:last]
    ]  # fmt: skip
    yield from columns(head, cells, left={0, 1, 2, 8})
    if len(rows) > last:
        yield f"{len(rows) - last} more; --last shows more, --json all"


def _value(value: float | None) -> str:
    return _DASH if value is None else f"{value:.6g}"


def _money(usd: float) -> str:
    """A run that tells no price costs 0; that is not known, and not nothing."""
    if not usd:
        return _DASH
    return f"{usd:,.2f}" if usd >= 1 else f"{usd:.2g}"
