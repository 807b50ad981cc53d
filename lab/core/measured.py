"""By what an experiment is measured. Once a run has a value, `metric` and `metric_direction` stay what they were.

A number of one metric is no result of another. So an edit of them is taken up by nobody, and all that reads goes on by
the SPEC as it would be with both put back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.core.candidate import APART
from lab.core.errors import BadInput
from lab.core.run import MINIMIZE
from lab.core.spec_fields import Override, Spec

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lab.core.run import Run
    from lab.core.view import View

_METRIC, _DIRECTION = "metric", "metric_direction"


def refusal(view: View, spec: Spec, where: str) -> tuple[Spec, BadInput] | None:
    """The SPEC with what its runs were measured by put back, and why it is refused; None where nothing speaks against.

    A run that named no metric says which way it goes, and no name. What another harness claims says neither.
    """
    edits = list(_edits(view, spec))
    if not edits:
        return None
    whats, fixes, kept = [], [], spec
    for tier, run, here in edits:
        name, its = here.metric or "value", run.metric or here.metric or "value"
        values = "a run has a value" if (count := _count(view, tier)) == 1 else f"{count} runs have values"
        where_in = f" in the tier {tier}" if len(spec.fidelity_tiers) > 1 else ""
        whats.append(f"it is now to {here.metric_direction} {name}, and {values} of {its}{where_in}, {run.direction}d")
        for field, was in ((_METRIC, run.metric or here.metric), (_DIRECTION, run.direction)):
            is_own = any(each.tier == tier and each.field == field for each in spec.overrides)
            if was != getattr(here, field):
                fixes.append(f"`{tier}_{field}: {was}`" if is_own else f"`{field}: {was}`")
            kept = _put_back(kept, tier, field, was, is_own=is_own)
    what = f"the metric of {spec.id} was changed: {'; '.join(whats)}"
    back = " and ".join(dict.fromkeys(fixes))
    fix = f"put back {back}; or make a new experiment of this file: labctl create {where} --id {spec.id}-2"
    return kept, BadInput(what, where=where, fix=fix)


def directions(spec: Spec) -> dict[str, str]:
    """Tiers whose metric goes the other way than the SPEC's own: a cheap one may measure a loss, a dear one a score."""
    found = {tier: str(spec.for_tier(tier).metric_direction) for tier in spec.fidelity_tiers}
    return {tier: direction for tier, direction in sorted(found.items()) if direction != spec.metric_direction}


def as_told(experiment: str, runs: Sequence[Run]) -> Spec:
    """The little of a SPEC that its runs repeat: which tiers there were, and by what each was measured."""
    newest = {run.tier: run for run in runs}
    if not newest:
        return Spec(id=experiment)
    last = runs[-1]
    others = [Override(tier=tier, field=_METRIC, value=run.metric) for tier, run in newest.items()]
    others += [Override(tier=tier, field=_DIRECTION, value=run.direction) for tier, run in newest.items()]
    said = {_METRIC: last.metric, _DIRECTION: last.direction}
    return Spec(
        id=experiment, metric=last.metric, metric_direction="minimize" if last.direction == MINIMIZE else "maximize",
        fidelity_tiers=tuple(newest),
        overrides=tuple(each for each in others if each.value != said[each.field]),
    )  # fmt: skip


def _edits(view: View, spec: Spec) -> Iterator[tuple[str, Run, Spec]]:
    """The tiers in which the SPEC says something else than the newest known run with a value was measured by."""
    newest: dict[str, Run] = {}
    for run in (*view.bests.values(), *view.recent):
        is_apart = run.claimed or (run.candidate is not None and run.candidate.kind in APART)
        if run.value is not None and not is_apart:
            newest[run.tier] = run
    for tier in spec.fidelity_tiers:
        here, known = spec.for_tier(tier), newest.get(tier)
        if known is not None and (known.direction, known.metric or here.metric) != (here.metric_direction, here.metric):
            yield tier, known, here


def _count(view: View, tier: str) -> int:
    known = view.tiers[tier]
    return max(1, known.successes - known.claimed)


def _put_back(spec: Spec, tier: str, field: str, was: str, *, is_own: bool) -> Spec:
    if not is_own:
        return msgspec.structs.replace(spec, **{field: was})
    others = tuple(each for each in spec.overrides if (each.tier, each.field) != (tier, field))
    return msgspec.structs.replace(spec, overrides=(*others, Override(tier=tier, field=field, value=was)))
