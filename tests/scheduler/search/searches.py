"""Builders: a searching experiment, and one trial of it in a line, with no process started."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from lab.core.ended import Ended
from lab.core.run import CRASH, FAILED, SUCCESS
from lab.scheduler import cycle
from lab.scheduler.search.plan import Search
from tests.scheduler.labs import a_lab, me

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from lab.core.seal import Seal
    from lab.scheduler.cycle import Errand, Running
    from lab.store.root import Root

SPACE = """\
search_space:
  x: {low: -2.0, high: 2.0}
  lr: {low: 1.0e-5, high: 1.0, log: true}
  n: {low: 1, high: 9, type: int}
"""
LEAST = {"x": 0.5, "lr": 1e-3, "n": 4}


def a_search(place: Path, more: str = "", space: str = SPACE, name: str = "hunt") -> Root:
    """A lab with one experiment that has a space."""
    return a_lab(place, name, more=space + "max_parallel: 4\n" + more)


def bowl(params: Mapping[str, object]) -> float:
    """A function with its least value at LEAST."""
    x, rate, n = (float(params.get(name, least)) for name, least in LEAST.items())  # type: ignore[arg-type]
    return (x - LEAST["x"]) ** 2 + (math.log10(rate) + 3) ** 2 + (n - LEAST["n"]) ** 2 / 9


def next_errand(root: Root, search: Search, name: str = "hunt") -> Errand:
    """What would run next."""
    with root.section(name):
        view, loaded = cycle.observe(root, name)
        return search.errand(view, cycle.usable(loaded))


def begun(root: Root, search: Search, name: str = "hunt") -> Running:
    """The next run, claimed and open."""
    with root.section(name):
        view, loaded = cycle.observe(root, name)
        spec = cycle.usable(loaded)
        errand = search.errand(view, spec)
        lease = cycle.claim(root, view, spec, owner=me(), tier=errand.tier)
        return cycle.opened(root, lease, view, spec, loaded.sha256, errand)


def edit(root: Root, old: str, new: str, name: str = "hunt") -> None:
    """Change the SPEC by hand."""
    path = root.layout.spec(name)
    with open(path, encoding="utf-8") as file:
        text = file.read()
    assert old in text
    with open(path, "w", encoding="utf-8") as file:
        file.write(text.replace(old, new))


def over(root: Root, running: Running, value: float | None, *, outcome: str = "", reason: str = "") -> Seal:
    """Bring a run to its end."""
    how = outcome or (FAILED if value is None else SUCCESS)
    return cycle.finish(root, running, Ended(outcome=how, value=value, reason=reason, wall_s=0.5))


def trial(root: Root, search: Search, value: Callable[[Mapping[str, object]], float | None] = bowl) -> Seal:
    """One whole trial."""
    running = begun(root, search)
    return over(root, running, value(running.params or {}))


def lost(root: Root, search: Search) -> Seal:
    """A trial whose lab died under it, as whoever settles it seals it."""
    return over(root, begun(root, search), None, outcome=CRASH, reason="nobody saw how it ended")


def proposed(root: Root, name: str = "hunt") -> list[tuple[int, dict[str, object]]]:
    """The trials that count, by number."""
    search = Search(root, name)
    search.book.catch_up()
    counted = [line for line in search.book.ended if search.book.counts(line)]
    return [(line.source.number, line.params or {}) for line in counted]
