"""What stands first on the page of an experiment: all of it from one moment, whatever its picture is still of.

It is made from the state that the pages carry, at the same price after 100 runs and after 100,000. What only a picture
knows (the noise, and what luck may have done) stands with the drawings, under the moment that they are of.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.core.run import gain
from lab.core.subject import Subject
from lab.projections import text
from lab.projections.picture import spending
from lab.projections.picture.given import UnderWay, lost  # msgspec resolves annotations
from lab.projections.picture.spending import Took  # msgspec resolves annotations
from lab.projections.picture.words import proposer
from lab.projections.pursued import is_project
from lab.projections.tier import every, is_loop, spec_here
from lab.scheduler import decisions
from lab.scheduler.results import pictured, wanted
from lab.scheduler.results.wanted import Want  # msgspec resolves annotations

if TYPE_CHECKING:
    from lab.projections.picture.whole import Picture
    from lab.scheduler.results.present import Present
    from lab.store.root import Root

MOST_UNDER_WAY, MOST_TIERS = 200, 9


class Top(msgspec.Struct, frozen=True, kw_only=True):
    """Where it stands now. `gain` is of the best over the baseline; above 0 is better."""

    experiment: str
    goal: str
    metric: str
    noisy: bool
    best: float | None
    best_run: str
    baseline: float | None
    gain: float | None
    runs: int
    outcomes: dict[str, int]
    unmeasured: int  # of the failed ones: changes that were discarded before they were run
    claimed: dict[str, int]  # of the outcomes: what another harness says, and nobody here measured
    most_runs: int | None
    phase: str
    phase_reason: str
    tier: str
    tiers: tuple[str, ...]
    strategy: str
    is_loop: bool
    took: Took
    wants: tuple[Want, ...]
    under_way: tuple[UnderWay, ...]
    offers: str  # what one may want to do about it: pause, resume, or nothing
    knows_baseline: bool  # or that there is none: with no picture yet, a search has to be asked again


def of(root: Root, at: Present, picture: Picture | None) -> Top:
    """From what the pages say; of `picture`, which may be older, only what later runs do not change."""
    view, spec = at.view, spec_here(at.view, at.spec)
    loops = is_loop(Subject(view=view, spec=at.spec))
    best = None if is_project(at.spec) else view.best
    under_way = pictured.unsealed(root, view.experiment)[0]
    found = [(view.experiment, each) for each in (*at.wants, *lost(view.experiment, under_way))]
    baseline = _baseline(at, picture)
    return Top(
        experiment=view.experiment,
        goal=spec.goal if spec else "",
        metric=text.line(at.metric),
        noisy=bool(spec and view.noisy(declared=spec.noise)),
        best=best.value if best else None,
        best_run=best.run_id if best else "",
        baseline=baseline,
        gain=None if best is None else gain(best.value, baseline, at.direction()),
        runs=view.runs,
        outcomes=view.outcomes,
        unmeasured=view.unmeasured,
        claimed=view.claimed,
        most_runs=spec.max_iterations_total if spec else None,
        phase=view.phase,
        phase_reason=view.phase_reason,
        tier=view.tier,
        tiers=every(view, at.spec, view.tiers)[:MOST_TIERS],
        strategy=proposer(spec, is_loop=loops) if spec else "",
        is_loop=loops,
        took=spending.of_view(view),
        wants=tuple(wanted.wants(root, found, only=view.experiment)),
        under_way=under_way[:MOST_UNDER_WAY],
        offers=decisions.offered(view.phase),
        knows_baseline=view.loop is not None or picture is not None,
    )


def _baseline(at: Present, picture: Picture | None) -> float | None:
    """What a loop began with is in its state. With what a search began in this tier, a picture of any moment says."""
    loop = at.view.loop
    if loop is not None:
        return loop.base.value if loop.base else None
    is_of_tier = picture is not None and picture.head.tier == text.line(at.view.tier)
    return picture.head.baseline if picture is not None and is_of_tier else None
