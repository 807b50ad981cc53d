"""A burst's runs, one by one: what is asked for is run, and nothing else."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from lab.core.proposal import RUN, Proposal
from lab.scheduler import work
from lab.scheduler.control import approvals
from lab.scheduler.control.proposals import ORIGIN
from lab.scheduler.search import burst
from lab.scheduler.search.burst import Burst, Order
from lab.scheduler.search.plan import Search, Wanted
from lab.store import leases
from tests.scheduler.search.searches import a_search, next_errand

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

    from lab.core.ended import Ended
    from lab.core.view import View
    from lab.scheduler.cycle import Running
    from lab.store.root import Root

MORE = "strategy: random\nseed: 1\nexecutor: stub\n"


def a_burst(root: Root) -> Burst:
    made = Burst(root, Order(experiment="hunt", runs=5), Wanted(), tell=lambda _: None, interrupted=lambda: "")
    made.prepare()
    return made


def approved(root: Root, params: dict[str, object]) -> str:
    asked = approvals.ask(root, Proposal(kind=RUN, experiment="hunt", params=params))
    approvals.approve(root, asked.proposal_id, actor="ann")
    return asked.proposal_id


def ran(made: Burst) -> list[dict[str, object] | None]:
    return [step.params for step in made.turn.steps if step.kind == "ran"]


def test_an_approved_run_that_another_process_took_is_not_replaced_by_an_unasked_one(tmp_path: Path) -> None:
    root = a_search(tmp_path / "lab", MORE)
    mine, other = a_burst(root), a_burst(root)
    name = approved(root, {"x": 0.5, "lr": 0.1, "n": 2})
    assert other.one() == burst.MADE
    assert ran(other) == [{"x": 0.5, "lr": 0.1, "n": 2}]
    assert mine.one(proposal=name) == burst.ANOTHERS
    assert ran(mine) == []


def test_of_two_approved_runs_the_one_that_is_asked_for_is_run(tmp_path: Path) -> None:
    root = a_search(tmp_path / "lab", MORE)
    first, second = approved(root, {"x": 0.0, "lr": 0.1, "n": 1}), approved(root, {"x": 1.0, "lr": 0.1, "n": 2})
    made = a_burst(root)
    assert made.one(proposal=second) == burst.MADE
    assert made.one(proposal=first) == burst.MADE
    assert [(params or {})["n"] for params in ran(made)] == [2, 1]


def test_an_approved_run_is_the_searchs_also_before_its_proposal_was_put_away(tmp_path: Path) -> None:
    root = a_search(tmp_path / "lab", MORE)
    chosen = next_errand(root, Search(root, "hunt"))
    assert chosen.origin is not None
    facts: dict[str, str | int | float | bool | None] = {ORIGIN: msgspec.json.encode(chosen.origin).decode()}
    asked = approvals.ask(root, Proposal(kind=RUN, experiment="hunt", params=dict(chosen.params or {}), facts=facts))
    approvals.approve(root, asked.proposal_id, actor="ann")
    made = a_burst(root)
    os.rename(root.layout.ruled_on(asked.proposal_id), root.layout.proposal(asked.proposal_id))
    assert made.one(proposal=asked.proposal_id) == burst.MADE
    assert [step.origin.strategy for step in made.turn.steps if step.kind == "ran" and step.origin] == ["random"]


def test_what_a_person_has_chosen_goes_before_an_approved_run_that_waits(tmp_path: Path) -> None:
    root = a_search(tmp_path / "lab", MORE)
    chosen = next_errand(root, Search(root, "hunt"))
    approved(root, {"x": 0.0, "lr": 0.1, "n": 1})
    made = a_burst(root)
    assert made.one(chosen) == burst.MADE
    assert ran(made) == [chosen.params]
    assert made.one(chosen) == burst.ANOTHERS


def test_a_run_whose_lease_was_taken_is_told_as_lost_and_not_waited_for_in_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = a_search(tmp_path / "lab", MORE)
    made = a_burst(root)
    carry_out = work.carry_out

    def robbed(root: Root, running: Running, view: View, *, interrupted: Callable[[], str]) -> Ended:
        for held in leases.survey(root, "hunt").held:
            leases.supersede(root, "hunt", held.seen.claim.generation)
        return carry_out(root, running, view, interrupted=interrupted)

    monkeypatch.setattr(work, "carry_out", robbed)
    assert made.one() == burst.AGAIN
    assert [step.kind for step in made.turn.steps] == ["problem"]
    assert not made.stopped
