"""What experiments took: of one, for each improvement; of the lab, a row each. Reads, and writes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.projections import status, text
from lab.projections.picture import spending, stairs
from lab.projections.picture.spending import Spending, Took
from lab.projections.tier import every
from lab.scheduler.results import pictured, table
from lab.store import reading

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lab.core.view import View
    from lab.projections.index import Row
    from lab.store.root import Root


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """What one experiment took. The improvements are those of `tier`; everything else is of all tiers."""

    experiment: str
    tier: str
    metric: str
    direction: str
    best: float | None
    best_run: str
    spending: Spending


class CostRow(msgspec.Struct, frozen=True, kw_only=True):
    """What one experiment of the lab took. `since_best` is how many runs came after the best of its tier."""

    id: str
    phase: str
    failed: int
    took: Took
    since_best: int | None


class LabCost(msgspec.Struct, frozen=True, kw_only=True):
    """What the experiments of a lab took, those that took longest first. `remarks` say what is in no sum."""

    total: Took
    experiments: tuple[CostRow, ...]
    remarks: tuple[str, ...] = ()


def of(root: Root, name: str, tier: str = "") -> tuple[Cost, tuple[str, ...]]:
    """Of one experiment, and what is to be said beside it. `BadInput` for a tier that it does not have."""
    given = pictured.read(root, name, with_diff=False)
    tiers = every(given.view, given.spec, (line.tier for line in given.lines))
    here = table.named(name, tiers, tier) or given.view.tier
    found = stairs.of(given, here)
    best = given.view.bests.get(here)
    cost = Cost(
        experiment=name,
        tier=here,
        metric=found.metric,
        direction=found.direction,
        best=best.value if best else None,
        best_run=best.run_id if best else "",
        spending=spending.of(given, found),
    )
    return cost, given.warnings


def of_lab(root: Root) -> tuple[LabCost, tuple[str, ...]]:
    """Of every experiment, from the index and their pages: no run is read, however many there are."""
    rows: list[CostRow] = []
    views: list[View] = []
    damaged: list[str] = []
    for row in pictured.lab(root).experiments:
        state = status.fold_state(reading.read(root.layout.status(row.id)) or b"")
        if state is None:
            damaged.append(row.id)
            rows.append(_from_index(row))
        else:
            views.append(state.view)
            rows.append(_from_view(state.view))
    rows.sort(key=lambda each: (-each.took.hours, each.id))
    told = LabCost(
        total=spending.together([row.took for row in rows]),
        experiments=tuple(rows),
        remarks=tuple(_remarks(rows, views)),
    )
    if not damaged:
        return told, ()
    what = f"the pages of {damaged[0]}" + (f" and {len(damaged) - 1} more" if len(damaged) > 1 else "")
    return told, (f"{what} are missing or damaged, and what is in them alone is not counted: labctl refresh",)


def _from_view(view: View) -> CostRow:
    tier = view.tiers.get(view.tier)
    return CostRow(
        id=view.experiment,
        phase=view.phase,
        failed=view.failed,
        took=spending.of_view(view),
        since_best=tier.quiet_streak if tier is not None and tier.best is not None else None,
    )


def _from_index(row: Row) -> CostRow:
    took = Took(runs=row.run_count, hours=spending.hours(row.wall_s))
    return CostRow(id=row.id, phase=row.phase, failed=row.failed, took=took, since_best=None)


def _remarks(rows: Sequence[CostRow], views: Sequence[View]) -> Iterator[str]:
    silent = sum(row.took.usd is None and row.took.runs > 0 for row in rows)
    if silent:
        yield f"of {text.count(silent, 'experiment')} with runs, nothing is known of the money"
    aside = [each for view in views for each in view.model.reserved]
    if aside:
        yield spending.set_aside(aside)
