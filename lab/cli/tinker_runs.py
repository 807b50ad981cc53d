"""`labctl tinker runs`: the chain of an experiment, chunk by chunk; of the lab, a line for each experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli import tinker_words as words
from lab.cli.columns import columns
from lab.cli.terminal import Answer
from lab.core.errors import BadInput

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping, Sequence

    from lab.cli.session import Session
    from lab.core.parameter import Scalar
    from lab.scheduler.results.chained import Link
    from lab.scheduler.results.chains import Chained, ChainRow, Stage
    from lab.tinker.rows import Row as Step

SHARED = ("tier",)
TARGET = "an experiment"
TARGET_OPTIONAL = True
_DASH = "-"
_RUN_CHARS, _WORDS_CHARS, _SAID_CHARS, _FACT_CHARS, _REASON_CHARS = 48, 90, 240, 60, 300
_WIDE, _SHORT = 130, 10  # columns of a terminal that has room for whole names of a service; what is shown of one else
_COST = "cost"  # 0 where no price is known
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
        steps = words.steps(here.first_step, here.sight.end) if here.sight.end > here.first_step else "of no step"
        chunk = f"chunk {here.number}, {steps}" if here.number else "a whole training"
        yield f"under way: {here.run_id} [{here.tier}], {chunk}: {text.line(here.sight.words, _WORDS_CHARS)}"
    if found.budget_tokens is not None:
        yield f"tokens: {found.tokens:,} of {found.budget_tokens:,}"
    if found.budget_usd is not None:
        used, of = words.money(found.usd, found.budget_usd)
        yield f"money: {used} of {of} USD"
    yield from _decisions(found)


def _decisions(found: Chained) -> Iterator[str]:
    """Why the last chunk was ordered as it was; and, as the last word, why there is none after it."""
    from lab.projections import text

    if found.decided is not None:
        told = {key: value for key, value in found.decided.facts.items() if key not in _SAID and value is not None}
        facts = ", ".join(f"{key} {_fact(value)}" for key, value in told.items() if value or key != _COST)
        why = text.line(found.decided.reason, _REASON_CHARS)
        yield f"decided {text.moment(found.decided.ts)}: {why}" + (f" ({facts})" if facts else "")
    if found.ended is not None:
        who = f" by {text.line(found.ended.actor, _FACT_CHARS)}" if found.ended.actor else ""
        why = text.line(found.ended.reason, _REASON_CHARS) or "no reason was given"
        yield f"{text.line(found.ended.to, _FACT_CHARS)} {text.moment(found.ended.ts)}{who}: {why}"


def _fact(value: object) -> str:
    from lab.projections import text

    return f"{value:.6g}" if isinstance(value, float) else text.line(str(value), _FACT_CHARS)


def _stage(found: Chained, stage: Stage, last: int) -> Iterator[str]:
    links = [link for link in found.links if link.tier == stage.tier]
    yield f"tier {stage.tier}: {stage.metric or 'no metric'}, {stage.direction}; {_stands(found, stage)}"
    if len(links) > last:
        yield f"the last {last} of {len(links)} runs; --last shows more, --json all"
    if links:
        yield from _links(found, links[-last:])
    if stage.rows:
        yield from _rows(stage.rows, last)


def _stands(found: Chained, stage: Stage) -> str:
    from lab.projections import text

    if not found.is_chain:
        whole = text.count(stage.runs, "whole training")
        return whole if stage.value is None else f"{whole}, best {_value(stage.value)}"
    chunks = text.count(stage.chunks, "chunk")
    tried = f", of {stage.runs} runs" if stage.runs > stage.chunks else ""
    if stage.final:
        return f"at its end, after {text.count(stage.next_step, 'step')} in {chunks}{tried}"
    return f"{stage.next_step} of at most {stage.until} steps saved, in {chunks}{tried}"


def _links(found: Chained, links: Sequence[Link]) -> Iterator[str]:
    """A line for each run; what there is to say of one is below it. A service's name for it that is long is cut."""
    from lab.projections import text

    head = ("chunk", "steps", "value", "outcome", "took", "tokens", "USD", "kl", "run", "service's run")
    most = None if words.width() >= _WIDE else _SHORT
    rows = [
        (
            str(link.number or _DASH), words.steps(link.first_step, link.next_step, lead="") if link.saved else "none",
            _value(link.value), link.outcome, text.duration(link.wall_s), f"{link.tokens:,}", _money(link.cost),
            _value(link.kl), link.run_id, _cut(text.line(link.model_run, _RUN_CHARS), most) or _DASH,
        )
        for link in links
    ]  # fmt: skip
    shown = columns(head, rows, left={1, 3, 8, 9}, may_go={0, 6, 7, 9})
    yield next(shown)
    by_run = {link.run_id: link for link in found.links}
    for link, line in zip(links, shown, strict=True):
        yield line
        said = [
            link.trouble or link.reason or ("" if link.saved else "saved nothing"),
            _moved(link, by_run),
            _others(link),
        ]
        yield from (f"       {text.line(each, _SAID_CHARS)}" for each in said if each)


def _cut(name: str, most: int | None) -> str:
    return name if most is None or len(name) <= most else f"{name[: most - 1]}…"


def _others(link: Link) -> str:
    """That it was trained with other files than the chunk before it: no training in one go would be the same."""
    return f"changed since the chunk before: {', '.join(link.changed)}" if link.changed else ""


def _moved(link: Link, by_run: Mapping[str, Link]) -> str:
    """The parameters that it did not have from the chunk before, and in whose words."""
    from lab.core.origin import REVIEWED, UNREVIEWED

    before = by_run[link.parent].params if link.parent in by_run else link.params
    names = dict.fromkeys([*before, *link.params])
    moves = [
        f"{name} {_param(before, name)} -> {_param(link.params, name)}"
        for name in names
        if before.get(name) != link.params.get(name)
    ]
    moved = ", ".join(moves)
    if link.chosen == UNREVIEWED:
        return f"not reviewed: {link.why}"
    if link.chosen == REVIEWED:
        return f"reviewed: {moved or 'as it was'}" + (f": {link.why}" if link.why else "")
    return moved


def _param(params: Mapping[str, Scalar], name: str) -> str:
    return _fact(params[name]) if name in params else _DASH


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
    head = ("experiment", "tier", "phase", "steps", "runs", "value", "tokens", "USD", "under way")
    cells = [
        (
            row.experiment, row.tier, row.phase or _DASH,
            f"{row.next_step} of {row.until}" if row.is_chain else "a search", str(row.runs),
            _value(row.value), f"{row.tokens:,}", _money(row.usd), row.under_way or _DASH,
        )
        for row in rows[:last]
    ]  # fmt: skip
    yield from columns(head, cells, left={0, 1, 2, 3, 8}, may_go={7, 8})
    if len(rows) > last:
        yield f"{len(rows) - last} more; --last shows more, --json all"


def _value(value: float | None) -> str:
    return _DASH if value is None else f"{value:.6g}"


def _money(usd: float) -> str:
    """A run that tells no price costs 0; that is not known, and not nothing."""
    if not usd:
        return _DASH
    return f"{usd:,.2f}" if usd >= 1 else f"{usd:.2g}"
