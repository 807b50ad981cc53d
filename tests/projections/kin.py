"""Experiments with ancestors, for what draws them: a search that evolves, and a loop that goes on from what it kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING

import msgspec

from lab.core.candidate import BASELINE, IMPROVE, Candidate
from lab.core.origin import Origin
from lab.core.run import MINIMIZE, Run
from lab.core.view import Tier, View
from lab.core.world import stamp
from lab.projections.picture.given import Given
from lab.projections.tables import Line, Ran

if TYPE_CHECKING:
    from collections.abc import Sequence

BEGAN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def named(number: int) -> str:
    return f"RUN-20260102-030405-{number:06x}-scout"


def at(seconds: float) -> str:
    return stamp(BEGAN + timedelta(seconds=seconds))


def line(number: int, value: float | None = None, parents: Sequence[str] = (), **more: object) -> Line:
    made = Line(
        run_id=named(number),
        outcome="crash" if value is None else "success",
        value=value,
        origin=Origin(strategy="evolution", parents=tuple(parents)),
        ran=Ran(began=at(60 * number), wall_s=45, worker="alder", said="what was tried"),
    )
    return msgspec.structs.replace(made, **more)


def given(lines: Sequence[Line], *, direction: str = MINIMIZE, **more: object) -> Given:
    """Of these lines; the best is that of the tier `default`."""
    valued = [(each.value, each) for each in lines if each.value is not None and each.tier == "default"]
    view = View(experiment="kin", direction=direction, runs=len(lines))
    if valued:
        value, found = (min if direction == MINIMIZE else max)(valued, key=lambda each: each[0])
        best = Run(run_id=found.run_id, experiment="kin", outcome="success", value=value, direction=direction)
        view.tiers["default"] = Tier(best=best)
    return Given(view=view, spec=None, lines=tuple(lines), **more)  # type: ignore[arg-type]


def evolved(count: int, *, first: int = 20) -> list[Line]:
    """A population, each made from one or two of the best so far."""
    luck, found, alive = Random(count), [], list[Line]()
    for number in range(count):
        parents = [each.run_id for each in luck.sample(alive[:first], min(2, len(alive)))] if number >= first else []
        value = None if luck.random() < 0.08 else luck.uniform(0.5, 1.5) / (1 + number / 50)
        found.append(line(number, value, parents))
        if value is not None:
            alive = sorted([*alive, found[-1]], key=lambda each: each.value or 0.0)
    return found


def looped(count: int, *, kept: float = 0.1) -> list[Line]:
    """A code loop: each begins at the last that was kept."""
    baseline = Candidate(kind=BASELINE, values=(2.0, 2.0))
    found = [line(0, 2.0, origin=None, verdict="keep", candidate=baseline)]
    luck, best, parent = Random(count), 2.0, named(0)
    for number in range(1, count):
        chance, value, verdict = luck.random(), None, "crash"
        if chance < kept:
            value, verdict = best * 0.99, "keep"
        elif chance < 0.8:
            value, verdict = best * 1.02, "discard"
        candidate = Candidate(kind=IMPROVE, parent=parent)
        found.append(line(number, value, origin=None, verdict=verdict, candidate=candidate))
        if verdict == "keep":
            best, parent = value or best, named(number)
    return found
