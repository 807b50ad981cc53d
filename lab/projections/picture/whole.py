"""The picture of an experiment: the one value that report, live page, terminal and plots are made from.

Everything in it is bounded, and every text in it that a run, a person or a model wrote is clean. The same files give
the same bytes.
"""

from __future__ import annotations

from itertools import compress
from typing import TYPE_CHECKING

import msgspec

from lab.core.errors import BadInput
from lab.core.origin import BASELINE as FIRST
from lab.core.parameter import same
from lab.core.run import FAILURES, gain
from lab.core.subject import Finding, Subject
from lab.projections import points, pursued, text
from lab.projections.attention import bounded, wants
from lab.projections.picture import arms, lineage, luck, parameters, spending, stairs, thinning, timeline
from lab.projections.picture.given import UnderWay, Weighed, lost
from lab.projections.picture.lineage import Lineage
from lab.projections.picture.parameters import Parameters
from lab.projections.picture.spending import Arm, Spending
from lab.projections.picture.stairs import BASELINE, KEEP, Sample, Stairs
from lab.projections.picture.timeline import Timeline
from lab.projections.picture.words import proposer
from lab.projections.tier import every, is_loop, spec_here

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lab.projections.picture.given import Given
    from lab.projections.picture.stairs import Everything, Judged
    from lab.projections.tables import Line

FORMAT = 1
MOST_ROWS, MOST_KEPT, MOST_LAST = 1_000, 400, 100
MOST_UNDER_WAY, MOST_TIERS, MOST_WARNINGS = 200, 8, 50
GOAL_CHARS, REASON_CHARS, SAYS_CHARS, PARAMS_CHARS, BEST_CHARS = 1_000, 300, 160, 160, 8_000
_CR = "\u240d"


class RunRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A run in the table of runs. `n` and `kind` are those of its spot in the staircase of its tier."""

    n: int
    run_id: str
    kind: str
    outcome: str
    tier: str
    value: float | None = None
    verdict: str = ""
    by: str = ""
    began: str = ""
    ended: str = ""
    wall_s: float = 0.0
    cost: float = 0.0
    worker: str = ""
    params: str = ""  # those that vary, in one cut line
    says: str = ""
    unsure: bool = False  # of a keep: no test told it from the noise


class PictureHead(msgspec.Struct, frozen=True, kw_only=True):
    """What an experiment is, and where it stands."""

    experiment: str
    goal: str
    metric: str
    direction: str
    phase: str
    phase_reason: str
    tier: str
    tiers: tuple[str, ...]
    strategy: str
    is_loop: bool
    as_of: str
    runs: int
    outcomes: dict[str, int]
    unmeasured: int = 0  # of those that are sealed as failed: changes that were discarded before they were run
    claimed: dict[str, int] = {}  # of the outcomes: what another harness says, and nobody here measured
    most_runs: int | None
    baseline: float | None
    best: float | None
    best_run: str
    best_says: str
    gain: float | None  # of the best over the baseline; above 0 is better
    sigma: float | None
    sigma_source: str = ""  # from what it is known, in words
    noisy: bool | None = None  # what the SPEC of a search says of the metric, or a replay
    take: Weighed | None = None  # of a noisy search, where it was weighed: `best` was lucky as well
    luck: tuple[str, ...] = ()  # what must not be hidden: unconfirmed keeps, expected false keeps, alarms; in words


class Best(msgspec.Struct, frozen=True, kw_only=True):
    """A run with its number. The best: of a code loop what was kept last, else the best number seen."""

    run_id: str
    value: float
    params: dict[str, object] | None
    params_left_out: int = 0
    says: str = ""
    diff: str = ""
    diff_cut: bool = False


class Picture(msgspec.Struct, frozen=True, kw_only=True):
    """All of it. Its size is bounded: `Sample` says, wherever something is left out, how much and by which rule."""

    format: int = FORMAT
    head: PictureHead
    wants: tuple[Finding, ...]
    under_way: tuple[UnderWay, ...]
    stairs: Stairs
    other_tiers: tuple[Stairs, ...]
    best: Best | None
    parameters: Parameters | None
    lineage: Lineage | None
    timeline: Timeline
    spending: Spending
    arms: tuple[Arm, ...]
    rows: tuple[RunRow, ...]
    rows_sample: Sample
    warnings: tuple[str, ...] = ()
    take: Best | None = None  # that of the head, with its parameters


def of(given: Given) -> Picture:
    """The picture of what was read."""
    view = given.view
    tiers = every(view, given.spec, (line.tier for line in given.lines))
    told = stairs.everything(given)
    mine = told.tiers.get(view.tier) or stairs.judge(given, view.tier)
    here = stairs.of(given, view.tier, mine)
    others = [tier for tier in tiers if tier != view.tier and tier in told.tiers]
    rows, sample = _rows(given, told)
    subject = Subject(view=view, spec=given.spec, findings=given.findings)
    return Picture(
        head=_head(given, subject, here, mine, tiers),
        wants=tuple(bounded((*wants(subject), *lost(view.experiment, given.under_way)), chars=REASON_CHARS)),
        under_way=tuple(map(_clean, given.under_way[:MOST_UNDER_WAY])),
        stairs=_named(here),
        other_tiers=tuple(_named(stairs.of(given, tier, told.tiers[tier])) for tier in others[:MOST_TIERS]),
        best=_best(given),
        parameters=parameters.of(given),
        lineage=lineage.of(given, told.kinds),
        timeline=timeline.of(given, told.kinds),
        spending=spending.of(given, here),
        arms=arms.of(given, mine.lines, _new_bests(mine)),
        rows=rows,
        rows_sample=sample,
        warnings=tuple(_warnings(given, len(others))),
        take=_take(given),
    )


def encode(picture: Picture) -> bytes:
    """One JSON document. The keys are sorted: the same picture is the same bytes."""
    return _encoder.encode(picture) + b"\n"


def parse(data: bytes, where: str = "") -> Picture:
    """What `encode` wrote. `BadInput` for anything else, and for a picture of another labctl."""
    try:
        picture = _decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadInput(f"this is no picture of an experiment: {error}", where=where) from error
    if picture.format != FORMAT:
        raise BadInput(f"this picture has format {picture.format}, and this labctl knows {FORMAT}", where=where)
    return picture


_encoder = msgspec.json.Encoder(order="sorted")
_decoder = msgspec.json.Decoder(Picture)


def _head(given: Given, subject: Subject, here: Stairs, judged: Judged, tiers: Sequence[str]) -> PictureHead:
    view, spec = given.view, spec_here(given.view, given.spec)
    best = None if pursued.is_project(given.spec) else view.best
    baseline = _baseline(given, judged)
    scored = [line.value for line in judged.lines if line.scored and line.value is not None]
    line = _line_of(given, best.run_id) if best else None
    sigma, source = (here.band.sigma, here.band.source) if here.band else (None, "")
    if here.band is None and given.take is not None:
        sigma, source = given.take.noise, given.take.how
    return PictureHead(
        experiment=view.experiment,
        goal=text.line(spec.goal, GOAL_CHARS) if spec else "",
        metric=here.metric,
        direction=here.direction,
        phase=view.phase,
        phase_reason=text.line(view.phase_reason, REASON_CHARS),
        tier=text.line(view.tier),
        tiers=tuple(text.line(tier) for tier in tiers[: MOST_TIERS + 1]),
        strategy=proposer(spec, is_loop=is_loop(subject)) if spec else "",
        is_loop=is_loop(subject),
        as_of=text.line(view.as_of),
        runs=view.runs,
        outcomes=view.outcomes,
        unmeasured=sum(line.outcome in FAILURES and not line.failed for line in given.lines),
        claimed=view.claimed,
        most_runs=spec.max_iterations_total if spec else None,
        baseline=baseline,
        best=best.value if best else None,
        best_run=best.run_id if best else "",
        best_says=_says(line) if line else text.line(best.note, SAYS_CHARS) if best else "",
        gain=gain(best.value if best else None, baseline, here.direction),
        sigma=sigma,
        sigma_source=source,
        noisy=view.noisy(declared=given.spec.noise) if given.spec else None,
        take=given.take,
        luck=luck.of(given, here, scored),
    )


def _baseline(given: Given, judged: Judged) -> float | None:
    """What the best is held against: the code as it was found, or the parameters that a search began with."""
    loop = given.view.loop
    if loop is not None:
        return loop.base.value if loop.base else None
    return next((line.value for line in judged.lines if line.scored and line.source.kind == FIRST), None)


def _line_of(given: Given, run_id: str) -> Line | None:
    return next((line for line in reversed(given.lines) if line.run_id == run_id), None)


def _best(given: Given) -> Best | None:
    best = given.view.best
    if best is None or best.value is None or pursued.is_project(given.spec):
        return None
    line = _line_of(given, best.run_id)
    made = _as_best(best.run_id, best.value, line)
    return msgspec.structs.replace(
        made,
        says=made.says if line else text.line(best.note, SAYS_CHARS),
        diff=text.visible(given.diff.replace("\r", _CR)),  # which a terminal would go back at, and no eye sees
        diff_cut=given.diff_cut,
    )


def _take(given: Given) -> Best | None:
    line = _line_of(given, given.take.run_id) if given.take else None
    return _as_best(line.run_id, line.value, line) if line is not None and line.value is not None else None


def _as_best(run_id: str, value: float, line: Line | None) -> Best:
    params, left_out = points.cut(line.params, BEST_CHARS) if line and line.params is not None else (None, 0)
    return Best(run_id=run_id, value=value, params=params, params_left_out=left_out, says=_says(line) if line else "")


def _named(found: Stairs) -> Stairs:
    """A tier is what a bundle says it is, and one that was brought in may say anything."""
    return msgspec.structs.replace(found, tier=text.line(found.tier))


def _clean(told: UnderWay) -> UnderWay:
    """Engines and machines give names too."""
    return msgspec.structs.replace(
        told, worker=text.line(told.worker), tier=text.line(told.tier), where=text.line(told.where, REASON_CHARS)
    )


def _new_bests(judged: Judged) -> Iterator[str]:
    """The runs that were better than all before; the first measurement of all is better than nothing."""
    return (judged.lines[place].run_id for place, _ in judged.steps if judged.kinds[place] != BASELINE)


def _rows(given: Given, told: Everything) -> tuple[tuple[RunRow, ...], Sample]:
    """The table of runs, thinned."""
    lines, kinds = given.lines, told.kinds
    counts = dict.fromkeys(told.tiers, 0)
    numbers, steps, unsure = [], [], []
    stepped = {tier: dict(found.steps) for tier, found in told.tiers.items()}
    for line in lines:
        place = counts[line.tier]
        counts[line.tier] = place + 1
        numbers.append(place + 1)
        steps.append(place in stepped[line.tier])
        unsure.append(stepped[line.tier].get(place, False))
    bests = {run.run_id for run in given.view.bests.values()}
    bests |= {given.take.run_id} if given.take else set()
    must = [place for place, line in enumerate(lines) if line.run_id in bests]
    bettered = list(compress(range(len(lines)), steps))
    kept = [place for place, kind in enumerate(kinds) if kind in (KEEP, BASELINE)]
    must += [*thinning.evenly(bettered, MOST_KEPT), *thinning.evenly(kept, MOST_KEPT)]
    must += range(max(len(lines) - MOST_LAST, 0), len(lines))
    shown = thinning.chosen(len(lines), must, MOST_ROWS, kinds=kinds)
    varying = _varying([lines[place].params or {} for place in shown])
    parts = (("new best", bettered), ("keep", kept))
    always = ", ".join(thinning.part(noun, len(set(shown).intersection(of_all)), len(of_all)) for noun, of_all in parts)
    rule = thinning.rule(len(shown), len(lines), f"the best, {always}, the newest")
    rows = tuple(_row(lines[place], numbers[place], kinds[place], varying, unsure=unsure[place]) for place in shown)
    return rows, Sample(shown=len(shown), total=len(lines), rule=rule)


def _row(line: Line, number: int, kind: str, varying: Sequence[str], *, unsure: bool) -> RunRow:
    return RunRow(
        n=number,
        run_id=line.run_id,
        kind=kind,
        outcome=line.outcome,
        tier=text.line(line.tier),
        value=line.value,
        verdict=line.verdict,
        by=text.line(line.maker or (line.candidate.kind if line.candidate else "")),
        began=text.line(line.ran.began),
        ended=text.line(line.ts),
        wall_s=line.ran.wall_s,
        cost=line.ran.cost,
        worker=text.line(line.ran.worker),
        params=_params(line.params or {}, varying),
        says=_says(line),
        unsure=unsure and kind == KEEP,
    )


def _says(line: Line) -> str:
    return text.line(line.ran.said or line.source.note, SAYS_CHARS)


def _varying(runs: Sequence[Mapping[str, object]]) -> list[str]:
    """The parameters in which these runs differ, in the order in which they come."""
    first: dict[str, object] = {}
    counted: dict[str, int] = {}
    differ: set[str] = set()
    for params in runs:
        for name, value in params.items():
            counted[name] = counted.get(name, 0) + 1
            if name not in differ and not same(first.setdefault(name, value), value):
                differ.add(name)
    having = sum(bool(params) for params in runs)
    return [name for name in first if name in differ or counted[name] < having or having == 1]


def _params(params: Mapping[str, object], varying: Sequence[str]) -> str:
    words: list[str] = []
    room = PARAMS_CHARS
    for name in varying:
        if name in params and room > 0:
            value = params[name]
            told = f"{value:.4g}" if isinstance(value, float) else text.line(points.spelled(value), PARAMS_CHARS)
            words.append(f"{text.line(name, PARAMS_CHARS)}={told}")
            room -= len(words[-1])
    return text.line(", ".join(words), PARAMS_CHARS)


def _warnings(given: Given, others: int) -> Iterator[str]:
    wanted = tuple(text.line(each.what) for each in given.findings)  # which stand first
    found = [text.line(each, REASON_CHARS) for each in given.warnings if not (wanted and each.startswith(wanted))]
    if len(given.under_way) > MOST_UNDER_WAY:
        found.append(f"of {len(given.under_way)} runs under way, the first {MOST_UNDER_WAY} are shown")
    if others > MOST_TIERS:
        found.append(f"of {others} other tiers with runs, {MOST_TIERS} are shown")
    yield from found[:MOST_WARNINGS]
    if len(found) > MOST_WARNINGS:
        yield f"and {len(found) - MOST_WARNINGS} more warnings"
