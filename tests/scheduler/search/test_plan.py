"""What an experiment tries next."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec
import pytest

from lab.core import assignment
from lab.core.chunk import IS_SPENT, IS_UNAVAILABLE, Chunk
from lab.core.ended import Ended
from lab.core.errors import BadInput, Busy, Exhausted
from lab.core.origin import BASELINE, IMPORTED, PERSON, PROMOTED, REPLAY, Origin
from lab.core.run import CANCELLED, FAILED, INTERRUPTED
from lab.core.trial import Proposal
from lab.scheduler import cycle
from lab.scheduler.cycle import Errand
from lab.scheduler.search import book
from lab.scheduler.search.plan import Search, Wanted
from lab.store import bundles
from lab.strategies import door
from tests.scheduler.labs import me
from tests.scheduler.search.searches import a_search, begun, bowl, edit, lost, next_errand, over, proposed, trial

if TYPE_CHECKING:
    from pathlib import Path
    from random import Random

    from lab.core.manifest import Manifest
    from lab.core.space import Space
    from lab.core.trial import History

STRATEGIES = ("random", "perturb", "tree", "bayesian", "evolution", "portfolio")


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.timeout(60)
def test_another_process_goes_on_where_this_one_stopped(tmp_path: Path, strategy: str) -> None:
    root = a_search(tmp_path / "lab", f"strategy: {strategy}\nseed: 3\n")
    remembers = Search(root, "hunt")
    for _ in range(14):
        fresh = next_errand(root, Search(root, "hunt"))
        assert next_errand(root, remembers) == fresh
        made = trial(root, remembers)
        assert made.run.origin == fresh.origin
    assert [number for number, _ in proposed(root)] == list(range(14))


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("at", [0, 1, 5, 12])
@pytest.mark.timeout(60)
def test_a_search_that_was_cut_off_tries_what_an_unbroken_one_would(tmp_path: Path, strategy: str, at: int) -> None:
    more = f"strategy: {strategy}\nseed: 3\n"
    unbroken, broken = a_search(tmp_path / "one", more), a_search(tmp_path / "two", more)
    whole = Search(unbroken, "hunt")
    for _ in range(14):
        trial(unbroken, whole)
    for number in range(14):
        if number == at:
            lost(broken, Search(broken, "hunt"))
            assert (again := next_errand(broken, Search(broken, "hunt"))).origin is not None
            assert again.origin.tries == 1
        trial(broken, Search(broken, "hunt"))
    assert proposed(broken) == proposed(unbroken)


@pytest.mark.heavy
@pytest.mark.timeout(120)
def test_a_portfolio_whose_arms_have_begun_to_compete_goes_on_as_if_unbroken(tmp_path: Path) -> None:
    more = "strategy: portfolio\nseed: 3\n"
    unbroken, broken = a_search(tmp_path / "one", more), a_search(tmp_path / "two", more)
    whole = Search(unbroken, "hunt")
    for _ in range(38):
        trial(unbroken, whole)
    for number in range(38):
        if number in (31, 36):
            lost(broken, Search(broken, "hunt"))
        trial(broken, Search(broken, "hunt"))
    assert proposed(broken) == proposed(unbroken)


def test_parameters_that_end_the_lab_each_time_are_given_up(tmp_path: Path) -> None:
    root = a_search(tmp_path / "lab", "strategy: random\n")
    first = lost(root, Search(root, "hunt"))
    for _ in range(book.TRIES - 1):
        assert lost(root, Search(root, "hunt")).run.origin.number == first.run.origin.number  # type: ignore[union-attr]
    after = next_errand(root, Search(root, "hunt"))
    assert after.origin is not None
    assert (after.origin.number, after.origin.kind, after.origin.seen) == (1, "", 1)


def test_what_a_person_cancelled_is_not_tried_again_and_what_ctrl_c_cut_off_is(tmp_path: Path) -> None:
    root = a_search(tmp_path / "lab", "strategy: random\n")
    search = Search(root, "hunt")
    over(root, begun(root, search), None, outcome=CANCELLED, reason="it was cancelled: by ann")
    second = begun(root, search)
    assert second.manifest.origin is not None
    assert (second.manifest.origin.number, second.manifest.origin.kind) == (1, "")
    over(root, second, None, outcome=CANCELLED, reason=f"{INTERRUPTED}: stopped by SIGINT")
    third = next_errand(root, search)
    assert third.origin is not None
    assert (third.origin.number, third.origin.tries) == (1, 1)
    assert third.params == second.params


@pytest.mark.parametrize("halted", [IS_UNAVAILABLE, IS_SPENT])
def test_a_training_that_was_kept_from_its_steps_is_tried_again_and_its_space_is_not_used_up(
    tmp_path: Path, halted: str
) -> None:
    root = a_search(tmp_path / "lab", "strategy: random\n", "search_space: {a: {choices: [1, 2]}}\n")
    search = Search(root, "hunt")
    first = begun(root, search)
    chunk = Chunk(number=0, first_step=0, next_step=0, halted=halted)
    cycle.finish(root, first, Ended(outcome=FAILED, reason="nobody answers", chunk=chunk))
    again = trial(root, search, lambda _: 1.0).run
    assert again.origin is not None
    assert (again.origin.number, again.origin.tries) == (0, 1)
    trial(root, search, lambda _: 1.0)
    with pytest.raises(Exhausted):
        next_errand(root, search)


def test_the_defaults_are_run_first_and_told_apart(tmp_path: Path) -> None:
    space = "search_space: {x: {low: 0.0, high: 1.0, default: 0.25}, n: {low: 1, high: 9, type: int}}\n"
    root = a_search(tmp_path / "lab", "strategy: random\n", space)
    search = Search(root, "hunt")
    first = next_errand(root, search)
    assert first.params == {"x": 0.25, "n": 5}
    assert first.origin is not None
    assert first.origin.kind == BASELINE
    trial(root, search, lambda _: 1.0)
    after = next_errand(root, search)
    assert after.origin is not None
    assert after.origin.kind == ""


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.timeout(60)
def test_runs_under_way_are_not_proposed_again(tmp_path: Path, strategy: str) -> None:
    root = a_search(tmp_path / "lab", f"strategy: {strategy}\nseed: 1\n")
    search = Search(root, "hunt")
    for _ in range(11):
        trial(root, search)
    going = [begun(root, Search(root, "hunt")) for _ in range(4)]
    assert len({assignment.key(each.params or {}) for each in going}) == 4
    assert [each.manifest.origin.number for each in going if each.manifest.origin] == [11, 12, 13, 14]
    for each in going:
        over(root, each, bowl(each.params or {}))


def test_the_bundle_of_a_run_under_way_is_read_once_by_a_search_that_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = a_search(tmp_path / "lab", "strategy: random\nseed: 1\n")
    search = Search(root, "hunt")
    going = [begun(root, search) for _ in range(3)]
    next_errand(root, search)
    read: list[str] = []
    load = bundles.load_manifest

    def watched(path: str) -> Manifest | None:
        read.append(path)
        return load(path)

    monkeypatch.setattr(bundles, "load_manifest", watched)
    assert next_errand(root, search).params not in [each.params for each in going]
    assert read == []
    over(root, going[0], 1.0)
    assert next_errand(root, search).origin is not None
    assert [line.run_id for line in search.book.under_way()] == [each.manifest.run_id for each in going[1:]]


def test_a_small_space_is_tried_whole_and_then_it_is_over(tmp_path: Path) -> None:
    root = a_search(
        tmp_path / "lab", "strategy: random\n", "search_space: {a: {choices: [1, 2, 3]}, b: {type: bool}}\n"
    )
    search = Search(root, "hunt")
    for _ in range(6):
        trial(root, search, lambda _: 1.0)
    assert len({assignment.key(params) for _, params in proposed(root)}) == 6
    with pytest.raises(Exhausted):
        next_errand(root, search)


def test_a_space_that_was_edited_keeps_what_lies_in_both(tmp_path: Path) -> None:
    root = a_search(tmp_path / "lab", "strategy: random\nseed: 5\n")
    for _ in range(16):
        trial(root, Search(root, "hunt"))
    inside = sum(0 <= float(str(params["x"])) <= 2 for _, params in proposed(root))
    path = root.layout.spec("hunt")
    with open(path, encoding="utf-8") as file:
        text = file.read().replace("low: -2.0", "low: 0.0")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    search = Search(root, "hunt")
    errand = next_errand(root, search)
    assert errand.origin is not None
    assert (errand.origin.number, errand.origin.seen) == (16, inside)
    assert search.outside("proxy") == (16 - inside, 16)
    assert 0 < inside < 16


def test_the_table_of_runs_may_be_deleted_between_two_proposals(tmp_path: Path) -> None:
    root = a_search(tmp_path / "lab", "strategy: perturb\nseed: 5\n")
    search = Search(root, "hunt")
    for _ in range(12):
        trial(root, search)
    before = next_errand(root, search)
    os.unlink(root.layout.page("hunt", "metrics.jsonl"))
    assert next_errand(root, search) == before
    assert next_errand(root, Search(root, "hunt")) == before


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_the_direction_is_the_specs(tmp_path: Path, direction: str) -> None:
    root = a_search(tmp_path / "lab", "strategy: perturb\nseed: 2\n")
    path = root.layout.spec("hunt")
    with open(path, encoding="utf-8") as file:
        text = file.read().replace("metric_direction: minimize", f"metric_direction: {direction}")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    search, sign = Search(root, "hunt"), 1 if direction == "minimize" else -1
    for _ in range(30):
        trial(root, search, lambda params: sign * bowl(params))
    losses = [bowl(params) for _, params in proposed(root)]
    assert sum(losses[15:]) < sum(losses[:15])
    assert min(losses) < 0.5


def test_a_persons_seed_goes_before_the_specs_and_a_drawn_one_stays(tmp_path: Path) -> None:
    root = a_search(tmp_path / "lab", "strategy: random\n")
    first = trial(root, Search(root, "hunt")).run.origin
    second = trial(root, Search(root, "hunt")).run.origin
    assert first is not None
    assert second is not None
    assert first.seed == second.seed > 0
    own = next_errand(root, Search(root, "hunt", Wanted(seed=11)))
    assert own.seed == 11
    assert own.origin is not None
    assert own.origin.seed == 11


def test_without_a_space_a_strategy_is_refused_and_without_a_strategy_runs_are_plain(tmp_path: Path) -> None:
    root = a_search(tmp_path / "lab", space="")
    assert next_errand(root, Search(root, "hunt")).params is None
    with pytest.raises(BadInput, match="no search space"):
        next_errand(root, Search(root, "hunt", Wanted(strategy="random")))


class Stubborn:
    def propose(self, space: Space, history: History, rng: Random) -> Proposal:
        return Proposal(params={"x": 0.0, "lr": 0.1, "n": 1})


class Astray:
    def propose(self, space: Space, history: History, rng: Random) -> Proposal:
        return Proposal(params={"x": 99.0, "lr": 0.1, "n": 1})


class Broken:
    def propose(self, space: Space, history: History, rng: Random) -> Proposal:
        raise ZeroDivisionError("its library is too old")


def test_a_strangers_strategy_is_held_to_its_promise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = a_search(tmp_path / "lab", "strategy: strange\n")
    strange: dict[str, door.Strategy] = {"strange": Stubborn()}
    monkeypatch.setattr(door, "find", lambda name: strange[name])
    for _ in range(3):
        trial(root, Search(root, "hunt"))
    assert len({assignment.key(params) for _, params in proposed(root)}) == 3
    strange["strange"] = Astray()
    with pytest.raises(BadInput, match="outside the search space"):
        next_errand(root, Search(root, "hunt"))
    strange["strange"] = Broken()
    with pytest.raises(BadInput, match="its library is too old"):
        next_errand(root, Search(root, "hunt"))


def test_a_point_that_a_person_passed_over_is_never_offered_again(tmp_path: Path) -> None:
    root = a_search(tmp_path / "lab", "strategy: bayesian\nseed: 4\n")
    search = Search(root, "hunt")
    for _ in range(11):
        trial(root, search)
    first = next_errand(root, search)
    search.skip(first)
    second = next_errand(root, search)
    assert second.params != first.params
    assert second.origin is not None
    assert second.origin.number == 11
    trial(root, search)
    assert next_errand(root, search).params != first.params


def test_what_is_tried_again_and_what_is_promoted_can_be_passed_over_too(tmp_path: Path) -> None:
    more = "strategy: random\nseed: 4\nfidelity_promotion_rule: asha\nreduction_factor: 3\nunstopped_share: 0\n"
    root = a_search(tmp_path / "lab", more)
    search = Search(root, "hunt")
    lost(root, search)
    again = next_errand(root, search)
    assert again.origin is not None
    assert again.origin.tries == 1
    search.skip(again)
    made = [trial(root, search) for _ in range(3)]
    assert [each.run.tier for each in made] == ["proxy"] * 3
    promoted = next_errand(root, search)
    assert promoted.tier == "final"
    search.skip(promoted)
    assert next_errand(root, search).tier == "proxy"


def test_a_space_of_which_all_was_skipped_is_exhausted(tmp_path: Path) -> None:
    root = a_search(tmp_path / "lab", "strategy: random\n", "search_space: {a: {choices: [1, 2, 3]}}\n")
    search = Search(root, "hunt")
    for _ in range(3):
        search.skip(next_errand(root, search))
    with pytest.raises(Exhausted):
        next_errand(root, search)


def test_an_errand_that_somebody_else_has_run_meanwhile_is_not_confirmed(tmp_path: Path) -> None:
    root = a_search(tmp_path / "lab", "strategy: random\nseed: 4\n")
    search = Search(root, "hunt")
    mine = next_errand(root, search)
    assert search.confirmed(mine) == mine
    trial(root, Search(root, "hunt"))
    assert search.confirmed(mine) is None
    edited = msgspec.structs.replace(mine, params={"x": 0.5, "lr": 0.1, "n": 2})
    confirmed = search.confirmed(edited)
    assert confirmed is not None
    assert confirmed.origin is not None
    assert confirmed.origin.number == 1


def test_a_space_is_not_used_up_while_its_last_runs_are_under_way(tmp_path: Path) -> None:
    root = a_search(tmp_path / "lab", "strategy: random\n", "search_space: {a: {choices: [1, 2]}}\n")
    search = Search(root, "hunt")
    trial(root, search, lambda _: 1.0)
    last = begun(root, search)
    with pytest.raises(Busy):
        next_errand(root, search)
    over(root, last, None, outcome="crash", reason="nobody saw how it ended")
    assert next_errand(root, search).params == last.params


@pytest.mark.parametrize("change", ["x: {low: 5.0, high: 6.0}", "x: {choices: [0.0]}"])
def test_a_run_that_was_cut_off_is_not_tried_again_outside_the_space_as_it_is_now(tmp_path: Path, change: str) -> None:
    root = a_search(tmp_path / "lab", "strategy: random\nseed: 4\n")
    lost(root, Search(root, "hunt"))
    edit(root, "x: {low: -2.0, high: 2.0}", change)
    after = next_errand(root, Search(root, "hunt"))
    assert after.origin is not None
    assert (after.origin.number, after.origin.tries) == (1, 0)


def test_a_run_that_was_cut_off_in_a_tier_that_is_gone_is_let_go(tmp_path: Path) -> None:
    root = a_search(tmp_path / "lab", "strategy: random\nseed: 4\n")
    lost(root, Search(root, "hunt"))
    from lab.scheduler import decisions

    decisions.set_tier(root, "hunt", "final", reason="", actor="ann")
    edit(root, "[proxy, final]", "[cheap, final]")
    after = next_errand(root, Search(root, "hunt"))
    assert after.tier == "final"


def test_the_seed_is_the_searchs_own_and_not_that_of_a_replay_or_an_import(tmp_path: Path) -> None:
    root = a_search(tmp_path / "lab", "strategy: random\n")
    first = trial(root, Search(root, "hunt", Wanted(seed=2))).run.origin
    assert first is not None
    for kind in (REPLAY, IMPORTED):
        with root.section("hunt"):
            view, loaded = cycle.observe(root, "hunt")
            spec = cycle.usable(loaded)
            origin = Origin(strategy="other", kind=kind, seed=77, number=5)
            errand = Errand(params={"x": 0.0, "lr": 0.1, "n": 1}, origin=origin)
            lease = cycle.claim(root, view, spec, owner=me())
            running = cycle.opened(root, lease, view, spec, loaded.sha256, errand)
        over(root, running, 1.0)
    search = Search(root, "hunt")
    assert next_errand(root, search).seed == 2
    assert search.book.searched == 1


def test_parameters_of_a_person_take_a_place_in_the_search(tmp_path: Path) -> None:
    root = a_search(tmp_path / "lab", "strategy: random\nseed: 4\n")
    search = Search(root, "hunt")
    trial(root, search)
    from lab.store import experiments

    spec = experiments.load(root, "hunt").spec
    assert spec is not None
    origin = search.of_person(spec)
    assert (origin.kind, origin.number, origin.seed) == (PERSON, 1, 4)


def test_a_promoted_candidate_runs_its_own_parameters_in_the_next_tier(tmp_path: Path) -> None:
    more = "strategy: random\nseed: 4\nfidelity_promotion_rule: asha\nreduction_factor: 3\nunstopped_share: 0\n"
    root = a_search(tmp_path / "lab", more)
    search = Search(root, "hunt")
    made = [trial(root, search) for _ in range(4)]
    tiers = [each.run.tier for each in made]
    assert tiers == ["proxy", "proxy", "proxy", "final"]
    best = min(made[:3], key=lambda each: each.run.value or 0.0)
    promoted = made[3].run
    assert promoted.origin is not None
    assert (promoted.origin.kind, promoted.origin.parents) == (PROMOTED, (best.run.run_id,))
    assert promoted.value == best.run.value
    assert next_errand(root, search).tier == "proxy"
