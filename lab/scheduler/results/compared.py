"""Two runs beside each other: how they ended, what they were given, and what they ran on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.core.parameter import same
from lab.core.run import better
from lab.scheduler.results import located

if TYPE_CHECKING:
    from lab.core.manifest import Manifest
    from lab.core.seal import Seal
    from lab.scheduler.results.located import Located
    from lab.store.root import Root

Pair = tuple[object, object]


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """What two runs have in common, and in what they differ. A pair is of the first and the second run."""

    runs: tuple[str, str]
    facts: dict[str, Pair]
    params: dict[str, Pair]  # those that both have, with other values
    only: tuple[dict[str, object], dict[str, object]]  # parameters that one of them has
    alike: int  # parameters that are the same
    difference: float | None = None  # of the values, second less first
    better: str = ""  # which run; empty where they cannot be compared, or are the same
    remarks: tuple[str, ...] = ()


def compare(root: Root, first: str, second: str) -> Compared:
    """Two sealed runs, of one experiment or of two."""
    one, other = located.sealed(root, first), located.sealed(root, second)
    mine, theirs = one[0].params() or {}, other[0].params() or {}
    common = [name for name in mine if name in theirs]
    differing = {name: (mine[name], theirs[name]) for name in common if not same(mine[name], theirs[name])}
    told, told_too = _facts(*one), _facts(*other)
    values = (one[1].run.value, other[1].run.value)
    difference = values[1] - values[0] if values[0] is not None and values[1] is not None else None
    remarks = _remarks(one[1], other[1])
    winner = ""
    if values[0] is not None and values[1] is not None and not remarks and values[0] != values[1]:
        winner = second if better(values[1], values[0], other[1].run.direction) else first
    return Compared(
        runs=(first, second),
        facts={name: (told[name], told_too[name]) for name in told},
        params=differing,
        only=(
            {name: value for name, value in mine.items() if name not in theirs},
            {name: value for name, value in theirs.items() if name not in mine},
        ),
        alike=len(common) - len(differing),
        difference=difference,
        better=winner,
        remarks=remarks,
    )


def _facts(found: Located, made: Seal) -> dict[str, object]:
    """What is worth comparing. Of an archived run the manifest is in the archive, and what only it knows is None."""
    run, manifest = made.run, found.manifest()
    return {
        "experiment": run.experiment,
        "outcome": run.outcome,
        "value": run.value,
        "metric": run.metric,
        "direction": run.direction,
        "tier": run.tier,
        "role": run.role,
        "iteration": run.iteration,
        "made_by": (run.origin.maker or run.origin.kind) if run.origin else "",
        "executor_class": run.executor_class,
        **_set_out(manifest),
        "wall_s": run.wall_s,
        "cost": run.cost,
        "started_at": run.started_at,
        "reason": run.reason,
        "note": run.note,
    }


def _set_out(manifest: Manifest | None) -> dict[str, object]:
    names = ("executor", "seed", "spec_sha256", "revision", "time_budget_s", "labctl_version")
    return {name: getattr(manifest, name) if manifest else None for name in names}


def _remarks(one: Seal, other: Seal) -> tuple[str, ...]:
    """Why the two values should not be compared."""
    found = []
    for name, what in (
        ("experiment", "experiments"),
        ("tier", "tiers"),
        ("metric", "metrics"),
        ("direction", "directions"),
    ):
        mine, theirs = getattr(one.run, name), getattr(other.run, name)
        if mine != theirs:
            found.append(f"their {what} differ ({mine or '-'}, {theirs or '-'}): the values are not compared")
    return tuple(found)
