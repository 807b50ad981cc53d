"""A race in a whole lab: real runs, in bursts, from tier to tier."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lab.core import event
from lab.scheduler import cycle
from lab.scheduler.search.burst import Burst, Order
from lab.scheduler.search.plan import Wanted
from lab.store import ledger
from tests.scheduler.labs import a_lab

if TYPE_CHECKING:
    from pathlib import Path

    from lab.store.root import Root

pytestmark = pytest.mark.timeout(60)
MORE = """\
search_space: {x: {low: 0.0, high: 1.0}}
strategy: random
seed: 2
fidelity_promotion_rule: asha
reduction_factor: 3
unstopped_share: 0
shell: true
executor_command: echo METRIC loss={params.x}; test $LAB_FIDELITY_TIER = proxy || echo METRIC loss=1{params.x}
"""


def burst(root: Root, runs: int) -> Burst:
    made = Burst(root, Order(experiment="race", runs=runs), Wanted(), tell=lambda _: None, interrupted=lambda: "")
    made.prepare()
    made.run()
    return made


def test_candidates_go_from_tier_to_tier_and_their_bests_are_never_mixed(tmp_path: Path) -> None:
    root = a_lab(tmp_path / "lab", "race", more=MORE)
    steps = [step for step in burst(root, 12).turn.steps if step.kind == "ran"]
    tiers = [step.tier for step in steps]
    assert tiers.count("final") == 3
    finals = [step for step in steps if step.tier == "final"]
    proxies = {str(step.params): step for step in steps if step.tier == "proxy"}
    assert all(str(step.params) in proxies for step in finals)
    with root.section("race"):
        view, _ = cycle.observe(root, "race")
    assert view.tier == "final"
    bests = view.bests
    assert bests["proxy"].value == min(step.value or 9 for step in steps if step.tier == "proxy")
    assert bests["final"].value == min(step.value or 9 for step in finals)
    assert view.best == bests["final"]


def test_the_front_moves_by_an_event_before_its_first_run(tmp_path: Path) -> None:
    root = a_lab(tmp_path / "lab", "race", more=MORE)
    burst(root, 5)
    told = [entry.line.event for entry in ledger.entries(root) if entry.line is not None]
    moved = next(at for at, each in enumerate(told) if each.type == event.TIER_CHANGED)
    sealed = [at for at, each in enumerate(told) if each.type == event.RUN_SEALED]
    assert told[moved].tier == "final"
    assert len([at for at in sealed if at < moved]) == 3


def test_a_target_is_reached_in_the_last_tier_only(tmp_path: Path) -> None:
    root = a_lab(tmp_path / "lab", "race", more=f"{MORE}stop_conditions: {{target: 0.99}}\n")
    made = burst(root, 8)
    assert len([step for step in made.turn.steps if step.kind == "ran"]) == 8
