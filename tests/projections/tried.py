"""Runs with parameters and values, for tests of what the ones have to do with the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.core import space
from lab.projections.picture import parameters
from lab.projections.picture.given import Given
from lab.projections.tables import Line
from tests.projections import subjects

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from random import Random

    from lab.projections.picture.parameters import Parameters

    Runs = Iterable[tuple[Mapping[str, object] | None, float | None]]

UNIT: dict[str, object] = {"low": 0, "high": 1}


def given(runs: Runs, over: Mapping[str, object] | None = None, *, direction: str = "minimize") -> Given:
    """An experiment with these runs, in the order of history."""
    lines = tuple(
        Line(
            run_id=f"RUN-{number:06d}",
            outcome="crash" if value is None else "success",
            value=value,
            params=None if params is None else dict(params),
        )
        for number, (params, value) in enumerate(runs)
    )
    return Given(
        view=subjects.view(direction=direction),
        spec=subjects.spec(),
        space=None if over is None else space.parse(over),
        lines=lines,
    )


def seen(runs: Runs, over: Mapping[str, object] | None = None, *, direction: str = "minimize") -> Parameters:
    """The same, as its parameters are seen."""
    found = parameters.of(given(runs, over, direction=direction))
    assert found is not None
    return found


def drawn(
    luck: Random, count: int, value: Callable[[dict[str, float]], float], names: str = "abcd"
) -> list[tuple[dict[str, object] | None, float | None]]:
    """Runs evenly over the unit cube."""
    runs: list[tuple[dict[str, object] | None, float | None]] = []
    for _ in range(count):
        point = {name: luck.random() for name in names}
        runs.append(({**point}, value(point)))
    return runs
