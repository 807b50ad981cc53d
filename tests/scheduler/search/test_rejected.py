"""What a person said no to is not offered again: by no strategy, in no mode, in no later process."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec
import pytest

from lab.core.errors import Exhausted
from lab.core.origin import BASELINE, PROMOTED
from lab.core.proposal import RUN, Proposal
from lab.core.world import stamp
from lab.scheduler import cycle, refresh
from lab.scheduler.control import approvals, proposals
from lab.scheduler.control.proposals import ORIGIN
from lab.scheduler.search.burst import Burst, Order
from lab.scheduler.search.guided import APPROVE, SKIP, SKIPPED, Guided, Word
from lab.scheduler.search.plan import Search, Wanted
from lab.scheduler.turn import Turn
from lab.scheduler.visit import Request
from lab.testing.files import Crash, CrashingFiles, a_root
from tests.scheduler.labs import derived, reopened, tree
from tests.scheduler.search.searches import a_search, edit, next_errand, trial
from tests.scheduler.search.test_plan import STRATEGIES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from lab.scheduler.cycle import Errand
    from lab.scheduler.search.guided import Asking
    from lab.store.root import Root

MORE = "strategy: random\nseed: 1\nexecutor: stub\n"


def wanted(params: Mapping[str, object], **more: object) -> Proposal:
    return msgspec.structs.replace(Proposal(kind=RUN, experiment="hunt", params=dict(params)), **more)


def rejected(root: Root, errand: Errand) -> str:
    """The errand as guided proposes it, and a person's no."""
    facts = {ORIGIN: msgspec.json.encode(errand.origin).decode()}
    made = approvals.ask(root, wanted(errand.params or {}, tier=errand.tier, facts=facts)).proposal_id
    approvals.reject(root, made, why="it breaks the machine", actor="ann")
    return made


def chosen(root: Root) -> Errand:
    """What a new process would run next."""
    return next_errand(root, Search(root, "hunt"))


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("after", [0, 7])
@pytest.mark.timeout(60)
def test_no_strategy_offers_a_rejected_point_again(tmp_path: Path, strategy: str, after: int) -> None:
    root = a_search(tmp_path / "lab", f"strategy: {strategy}\nseed: 3\n")
    remembers = Search(root, "hunt")
    for _ in range(after):
        trial(root, remembers)
    first = chosen(root)
    rejected(root, first)
    second = chosen(root)
    assert second.params != first.params
    assert second == chosen(root) == next_errand(root, remembers)  # seeded: every process goes on alike
    assert second.origin is not None
    assert first.origin is not None
    assert second.origin.number == first.origin.number
    rejected(root, second)
    assert chosen(root).params not in (first.params, second.params)


def test_rejected_defaults_are_not_the_baseline(tmp_path: Path) -> None:
    space = "search_space: {x: {low: 0.0, high: 1.0, default: 0.25}}\n"
    root = a_search(tmp_path / "lab", MORE, space)
    first = chosen(root)
    assert first.origin is not None
    assert first.origin.kind == BASELINE
    rejected(root, first)
    assert chosen(root).params != {"x": 0.25}


def test_what_is_the_same_point_of_the_space_is_rejected_with_it(tmp_path: Path) -> None:
    root = a_search(tmp_path / "lab", MORE, "search_space: {n: {low: 1, high: 2}, x: {choices: [a]}}\n")
    asked = approvals.ask(root, wanted({"x": "a", "n": 1.0}))
    approvals.reject(root, asked.proposal_id, why="no", actor="ann")
    edit(root, "high: 2", "high: 2, type: int")
    assert (chosen(root).params or {})["n"] == 2
    trial(root, Search(root, "hunt"), lambda _: 1.0)
    with pytest.raises(Exhausted):
        chosen(root)


def test_one_that_expired_was_not_rejected(tmp_path: Path) -> None:
    root = a_search(tmp_path / "lab", MORE)
    first = chosen(root)
    approvals.ask(root, wanted(first.params or {}, expires_at=stamp(root.world.now())))
    assert [each.verdict for each in approvals.expire(reopened(root))] == ["expired"]
    assert chosen(root) == first


def test_whoever_proposes_it_by_hand_gets_it_run(tmp_path: Path) -> None:
    root = a_search(tmp_path / "lab", MORE)
    first = chosen(root)
    rejected(root, first)
    by_hand = approvals.propose(root, wanted(first.params or {}))
    assert by_hand.made
    approvals.approve(root, by_hand.proposal_id, actor="ann")
    assert ran(root, 1) == [first.params]


def test_the_turn_and_the_burst_leave_it_out(tmp_path: Path) -> None:
    root = a_search(tmp_path / "lab", MORE)
    first = chosen(root)
    rejected(root, first)
    turn = Turn(root, Request(only=("hunt",), now=True), tell=lambda _: None, interrupted=lambda: "")
    turn.take()
    made = [step.params for step in turn.steps if step.kind == "ran"]
    assert len(made) == 1
    assert first.params not in [*made, *ran(root, 3)]


def ran(root: Root, runs: int) -> list[dict[str, object] | None]:
    burst = Burst(root, Order(experiment="hunt", runs=runs), Wanted(), tell=lambda _: None, interrupted=lambda: "")
    burst.prepare()
    burst.run()
    return [step.params for step in burst.turn.steps if step.kind == "ran"]


def test_what_is_skipped_at_a_terminal_stays_skipped(tmp_path: Path) -> None:
    root = a_search(tmp_path / "lab", MORE)
    shown: list[dict[str, object]] = []

    def ask(asking: Asking) -> Word:
        shown.append(asking.params)
        return Word(how=SKIP if len(shown) < 3 else "quit")

    burst = Burst(root, Order(experiment="hunt", runs=5), Wanted(), tell=lambda _: None, interrupted=lambda: "")
    burst.prepare()
    Guided(root, burst, ask=ask, actor="ann").run(wait_s=None)
    assert (chosen(root).params, proposals.names(root)) == (shown[2], [])
    said = proposals.rejection(root, "hunt", 1)
    assert said is not None
    assert (said.params, said.ruled_by, said.reason) == (shown[0], "ann", SKIPPED)


def test_a_candidate_that_may_not_go_on_is_not_asked_about_again(tmp_path: Path) -> None:
    root = a_search(tmp_path / "lab", "strategy: random\nseed: 1\nfidelity_promotion_rule: asha\nreduction_factor: 2\n")
    while (next_one := chosen(root)).origin is None or next_one.origin.kind != PROMOTED:
        trial(root, Search(root, "hunt"))
    rejected(root, next_one)
    after = chosen(root)
    assert after.origin is not None
    assert (after.origin.kind, after.origin.parents) != (PROMOTED, next_one.origin.parents)


def test_the_pages_know_it_however_they_came_to_be(tmp_path: Path) -> None:
    root = a_search(tmp_path / "lab", MORE)
    for _ in range(3):
        rejected(root, chosen(root))
        trial(root, Search(root, "hunt"))
    refresh.lab_pages(root)
    before, second = tree(root.layout.root), chosen(root)
    with root.section("hunt"):
        assert cycle.observe(root, "hunt")[0].rejected == (1, 2, 3)
    for name in derived(root):
        os.unlink(root.layout.place(name))
    refresh.everything(root)
    assert tree(root.layout.root) == before
    assert chosen(root) == second


def test_a_no_that_was_stopped_half_way_holds_once_the_ledger_has_it(tmp_path: Path) -> None:
    done = False
    for stop_at in range(60):
        files = CrashingFiles(at=stop_at + 1)
        place = tmp_path / f"{stop_at}"
        root = a_search(place, MORE)
        first = chosen(root)
        asked = approvals.ask(root, wanted(first.params or {}))
        try:
            approvals.reject(a_root(str(place), files), asked.proposal_id, why="no", actor="ann")
            done = True
        except Crash:
            pass
        with root.section("hunt"):
            known = cycle.observe(root, "hunt")[0].rejected
        assert (chosen(root) == first) is not bool(known)
        if done:
            assert known
            return
    pytest.fail("it never came to its end")


def test_what_was_approved_elsewhere_is_run_before_another_question(tmp_path: Path) -> None:
    root = a_search(tmp_path / "lab", MORE)
    told: list[str] = []
    asked: list[dict[str, object]] = []

    def ask(asking: Asking) -> Word:
        asked.append(asking.params)
        if len(asked) == 1:
            made = approvals.propose(root, wanted({"x": 0.5, "lr": 0.1, "n": 2})).proposal_id
            approvals.approve(root, made, actor="bob")
        return Word(how=APPROVE)

    order = Order(experiment="hunt", runs=3)
    burst = Burst(root, order, Wanted(), tell=lambda step: told.append(step.what), interrupted=lambda: "")
    burst.prepare()
    Guided(root, burst, ask=ask, actor="ann").run(wait_s=None)
    made = [step.params for step in burst.turn.steps if step.kind == "ran"]
    assert made == [asked[0], {"x": 0.5, "lr": 0.1, "n": 2}, asked[1]]
    assert "hunt-1 was approved elsewhere, and is run first" in told
