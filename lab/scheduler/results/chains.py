"""Where trainings in chunks stand, of one experiment and of the lab. Reads, and writes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.core.chain import Chain
from lab.core.errors import BadInput
from lab.core.run import better
from lab.core.tuning import Tuning
from lab.projections import status
from lab.scheduler.results import chained, table
from lab.scheduler.results.chained import Decided, Link, Underway  # msgspec resolves annotations
from lab.store import experiments, reading
from lab.tinker.rows import Row  # msgspec resolves annotations

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.core.spec import Spec
    from lab.scheduler.results.chained import Trained
    from lab.store.root import Root


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """The chain of one tier. `rows` are its steps, where they were asked for, those of a run under way too.

    Of a search it is no chain: `runs` whole trainings, and the best value of them.
    """

    tier: str
    metric: str
    direction: str
    runs: int  # those that saved nothing too
    chunks: int  # that saved a state, in a line
    next_step: int
    until: int
    final: bool
    value: float | None  # of the last run that has one; of a search the best
    lineage: tuple[str, ...]
    state_path: str
    sampler_path: str
    external_path: str
    rows: tuple[Row, ...] = ()


class Chained(msgspec.Struct, frozen=True, kw_only=True):
    """All that one experiment trained remotely. `usd` is what its runs reported. `missing`: what is not here."""

    experiment: str
    phase: str
    url: str
    base_model: str
    is_chain: bool  # false: with a strategy, each run is a whole training
    stages: tuple[Stage, ...]
    links: tuple[Link, ...]
    under_way: tuple[Underway, ...]
    decided: Decided | None
    ended: Decided | None  # what ended or paused it after that
    tokens: int
    usd: float
    budget_tokens: int | None
    budget_usd: float | None
    missing: tuple[str, ...] = ()


class ChainRow(msgspec.Struct, frozen=True, kw_only=True):
    """One chain of the lab. `under_way` says what the run does that is under way, if one is."""

    experiment: str
    tier: str
    phase: str
    next_step: int
    until: int
    final: bool
    is_chain: bool  # false: of a search, of which each run is a whole training
    runs: int
    chunks: int
    value: float | None
    tokens: int
    usd: float
    under_way: str


class LabChains(msgspec.Struct, frozen=True, kw_only=True):
    """Every chain of a lab, in the order of the names of experiments."""

    chains: tuple[ChainRow, ...]


def of(root: Root, experiment: str, tier: str = "", *, with_steps: bool = False) -> Chained:
    """One experiment; of one tier, where it is named. `BadInput` for one that trains nothing remotely."""
    spec = chained.require(root, experiment)
    tuning = spec.tinker or Tuning()
    trained = chained.read(root, experiment)
    known = tuple(dict.fromkeys((*spec.fidelity_tiers, *trained.tiers())))
    wanted = (table.named(experiment, known, tier),) if tier else trained.tiers() or (spec.initial_fidelity_tier,)
    missing = list(trained.missing)
    stages = []
    for name in wanted:
        rows: tuple[Row, ...] = ()
        if with_steps:
            steps = chained.steps(root, trained, name)
            rows = steps.rows
            missing += steps.missing
        stages.append(_stage(spec, trained, name, rows))
    links = tuple(link for link in trained.links if link.tier in wanted)
    return Chained(
        experiment=experiment,
        phase=_phase(root, experiment),
        url=tuning.url,
        base_model=tuning.base_model,
        is_chain=not spec.strategy,
        stages=tuple(stages),
        links=links,
        under_way=tuple(each for each in trained.under_way if each.tier in wanted),
        decided=trained.decided,
        ended=trained.ended,
        tokens=sum(link.tokens for link in trained.links),
        usd=round(sum(link.cost for link in trained.links), 9),
        budget_tokens=spec.stop_conditions.budget_tokens,
        budget_usd=spec.stop_conditions.budget_cost,
        missing=tuple(missing),
    )


def of_lab(root: Root) -> tuple[LabChains, tuple[str, ...]]:
    """Every experiment that trains remotely, and what is to be said beside it."""
    rows: list[ChainRow] = []
    warnings: list[str] = []
    for name in chained.names(root):
        try:
            found = of(root, name)
        except BadInput:  # its SPEC was edited between the two looks
            continue
        warnings += found.missing
        rows += _rows(found)
    return LabChains(chains=tuple(rows)), tuple(warnings)


def _stage(spec: Spec, trained: Trained, tier: str, rows: tuple[Row, ...]) -> Stage:
    end = trained.chains.get(tier, Chain())
    links = [link for link in trained.links if link.tier == tier]
    here = spec.for_tier(tier) if tier in spec.fidelity_tiers else spec
    until = next((each.sight.until for each in trained.under_way if each.tier == tier), (spec.tinker or Tuning()).steps)
    return Stage(
        tier=tier,
        metric=here.metric,
        direction=here.metric_direction,
        runs=len(links),
        chunks=end.chunks,
        next_step=end.next_step,
        until=end.next_step if end.final else max(until, end.next_step),
        final=end.final,
        value=_value(links, here.metric_direction if spec.strategy else ""),
        lineage=tuple(link.run_id for link in trained.lineage(tier)),
        state_path=end.state_path,
        sampler_path=end.sampler_path,
        external_path=end.external_path,
        rows=rows,
    )


def _value(links: Sequence[Link], direction: str) -> float | None:
    """The last value there is; with a direction the best."""
    best: float | None = None
    for link in links:
        if link.value is not None and (not direction or better(link.value, best, direction)):
            best = link.value
    return best


def _rows(found: Chained) -> Sequence[ChainRow]:
    return [
        ChainRow(
            experiment=found.experiment,
            tier=stage.tier,
            phase=found.phase,
            next_step=stage.next_step,
            until=stage.until,
            final=stage.final,
            is_chain=found.is_chain,
            runs=stage.runs,
            chunks=stage.chunks,
            value=stage.value,
            tokens=sum(link.tokens for link in found.links if link.tier == stage.tier),
            usd=round(sum(link.cost for link in found.links if link.tier == stage.tier), 9),
            under_way=", ".join(each.sight.words for each in found.under_way if each.tier == stage.tier),
        )
        for stage in found.stages
    ]


def _phase(root: Root, experiment: str) -> str:
    """As its page has it; empty where that is missing."""
    experiments.require(root, experiment)
    state = status.fold_state(reading.read(root.layout.status(experiment)) or b"")
    return state.view.phase if state is not None else ""
