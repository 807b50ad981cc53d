"""Builders for tests of what came of a search: an experiment with a space, and runs that say who made them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.core.origin import Origin
from lab.core.run import SUCCESS
from lab.scheduler import cycle
from lab.scheduler.cycle import Errand
from tests.scheduler.labs import a_lab, ended, me

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from lab.core.seal import Seal
    from lab.store.root import Root

SPACE = """\
search_space:
  lr: {type: float, low: 0.0001, high: 1.0, log: true}
  depth: {type: int, low: 1, high: 8}
  kind: {choices: [adam, sgd]}
  momentum: {type: float, low: 0.0, high: 1.0, when: {kind: [sgd]}}
"""


def a_searched_lab(place: Path, name: str = "sweep", more: str = "") -> Root:
    """A lab with one experiment that has a space and no run yet."""
    return a_lab(place, name, more=SPACE + more)


def a_run(
    root: Root,
    params: Mapping[str, object] | None,
    value: float | None,
    *,
    name: str = "sweep",
    tier: str = "",
    origin: Origin | None = None,
    outcome: str = SUCCESS,
    **more: object,
) -> Seal:
    """A sealed run with these parameters and this value."""
    with root.section(name):
        view, loaded = cycle.observe(root, name)
        spec = cycle.usable(loaded)
        lease = cycle.claim(root, view, spec, owner=me(), tier=tier)
        errand = Errand(params=params, tier=tier, origin=origin)
        running = cycle.opened(root, lease, view, spec, loaded.sha256, errand)
    return cycle.finish(root, running, ended(value if outcome == SUCCESS else None, outcome, **more))


def made(number: int, strategy: str = "portfolio", arm: str = "perturb", **more: object) -> Origin:
    """The origin of a strategy's own proposal."""
    return Origin(strategy=strategy, arm=arm, number=number, seed=7, **more)  # type: ignore[arg-type]


def some_runs(root: Root, name: str = "sweep") -> list[str]:
    """Four runs: the third is the best, the fourth failed."""
    given: list[tuple[dict[str, object], float | None, str]] = [
        ({"lr": 0.1, "depth": 3, "kind": "adam"}, 0.5, SUCCESS),
        ({"lr": 0.01, "depth": 3, "kind": "sgd", "momentum": 0.9}, 0.75, SUCCESS),
        ({"lr": 0.001, "depth": 3, "kind": "adam"}, 0.25, SUCCESS),
        ({"lr": 1.0, "depth": 3, "kind": "adam"}, None, "failed"),
    ]
    return [
        a_run(root, params, value, name=name, outcome=outcome, origin=made(number)).run.run_id
        for number, (params, value, outcome) in enumerate(given)
    ]
