"""A burst whose runs an engine has: none too many, none forgotten, and an engine that is asked little."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec
import pytest

from lab.core.errors import Busy, Unavailable
from lab.core.proposal import RUN, Proposal
from lab.engines.door import NotNow, Refused
from lab.scheduler.control import approvals, cancel
from lab.scheduler.placing import handing
from lab.scheduler.search import afar
from lab.scheduler.search.afar import Afar
from lab.scheduler.search.burst import Burst, Order
from lab.scheduler.search.guided import APPROVE, Asking, Guided, Word
from lab.scheduler.search.plan import Wanted
from lab.store import leases
from tests.scheduler.search.searches import a_search, edit
from tests.scheduler.search.toy import Toy, a_toy

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lab.scheduler.step import Step
    from lab.store.root import Root

MORE = "strategy: random\nseed: 1\nexecutor_command: 'true'\n"


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Toy:
    monkeypatch.setattr(afar, "ASK_EVERY_S", 0.0)
    monkeypatch.setattr(afar, "ASK_AT_LEAST_EVERY_S", 0.0)
    return a_toy(monkeypatch)


class World:
    """A burst, and what goes on around it while it waits. `then` is called at each wait."""

    def __init__(self, root: Root, then: Callable[[World], None], **order: object) -> None:
        self.root = root
        self.told: list[Step] = []
        self.stopped_by = ""
        self.waits = 0
        self.most_out = 0
        terms = msgspec.structs.replace(Order(experiment="hunt", runs=5, engine="toy"), **order)
        self.burst = Burst(root, terms, Wanted(), tell=self.told.append, interrupted=lambda: self.stopped_by)
        self.burst.wait = lambda for_s: self._wait(then)  # type: ignore[method-assign]
        self.burst.prepare()
        self.afar = Afar(root, self.burst)

    def _wait(self, then: Callable[[World], None]) -> None:
        self.waits += 1
        assert self.waits < 300, [step for step in self.told if step.kind != "queued"]
        self.most_out = max(self.most_out, len(self.afar.out))
        then(self)

    def of(self, kind: str) -> list[Step]:
        return [step for step in self.told if step.kind == kind]

    def held(self) -> int:
        return len(leases.survey(self.root, "hunt").held)


def test_as_many_are_out_as_were_asked_for_and_each_that_comes_back_is_told(tmp_path: Path, toy: Toy) -> None:
    root = a_search(tmp_path / "lab", MORE)

    def one_ends(_: World) -> None:
        toy.work(root, toy.waiting()[0], value=float(toy.asked["submit"]))

    world = World(root, one_ends, runs=9, jobs=4)
    world.afar.run()
    assert (world.most_out, world.held(), world.burst.left) == (4, 0, 0)
    assert (len(world.of("queued")), len(world.of("ran"))) == (9, 9)
    assert sorted(step.run_id for step in world.of("ran")) == sorted(step.run_id for step in world.of("queued"))
    assert all(step.params and step.value is not None and step.origin for step in world.of("ran"))
    assert len({str(step.params) for step in world.of("ran")}) == 9
    assert toy.asked["submit"] == 9


def test_what_is_out_at_once_is_never_tried_twice(tmp_path: Path, toy: Toy) -> None:
    root = a_search(tmp_path / "lab", MORE)

    def all_end(_: World) -> None:
        for number in toy.waiting():
            toy.work(root, number)

    world = World(root, all_end, runs=64, jobs=64)
    world.afar.run()
    assert world.most_out == 64
    assert len({str(step.params) for step in world.of("ran")}) == 64
    assert sorted(step.origin.number for step in world.of("ran") if step.origin) == list(range(64))


def test_the_engine_is_asked_as_often_for_many_as_for_one(tmp_path: Path, toy: Toy) -> None:
    asked: list[int] = []
    for jobs in (1, 30):
        root = a_search(tmp_path / f"lab{jobs}", MORE)
        toy.asked.clear()

        def in_the_end(world: World) -> None:
            if world.waits > 10:
                for number in toy.waiting():
                    toy.work(world.root, number)

        World(root, in_the_end, runs=jobs, jobs=jobs).afar.run()
        asked.append(toy.asked["listed"])
    assert asked[0] == asked[1] > 0


def unheard(root: Root) -> None:
    """Nobody has heard of any run for long: of one that lies here the engine is asked again."""
    for name in os.listdir(root.layout.claims("hunt")):
        os.utime(f"{root.layout.claims('hunt')}/{name}", (1, 1))


def lost(root: Root, toy: Toy) -> None:
    """The engine forgot the first of its jobs, and nobody has heard of any for long."""
    toy.forget(toy.waiting()[0])
    unheard(root)


def first_is_lost(root: Root, toy: Toy) -> Callable[[World], None]:
    """What happens while a burst waits: the run that is out first is lost, the others are worked on."""

    def meanwhile(world: World) -> None:
        if world.waits == 1:
            lost(root, toy)
        elif toy.waiting():
            toy.work(root, toy.waiting()[0])

    return meanwhile


def test_a_run_that_its_engine_lost_does_not_count_and_another_takes_its_place(tmp_path: Path, toy: Toy) -> None:
    root = a_search(tmp_path / "lab", MORE)

    world = World(root, first_is_lost(root, toy), runs=3)
    world.afar.run()
    assert (len(world.of("queued")), len(world.of("ran")), world.burst.left) == (4, 3, 0)
    (told,) = world.of("settled")
    assert "does not count, and another run takes its place" in told.what
    assert told.run_id not in {step.run_id for step in world.of("ran")}


def test_a_burst_whose_runs_are_always_lost_ends_and_says_why(tmp_path: Path, toy: Toy) -> None:
    root = a_search(tmp_path / "lab", MORE)
    world = World(root, lambda _: lost(root, toy) if toy.waiting() else None, runs=9)
    world.afar.run()
    assert (len(world.of("queued")), len(world.of("ran")), world.afar.out) == (3, 0, {})
    (moved,) = world.of("moved")
    assert "3 runs in a row were lost; the last:" in moved.what


def test_failures_count_and_stop_what_is_not_handed_over_yet(tmp_path: Path, toy: Toy) -> None:
    root = a_search(tmp_path / "lab", MORE)

    def all_fail(_: World) -> None:
        toy.work(root, toy.waiting()[0], None, "failed")

    world = World(root, all_fail, runs=60, jobs=3)
    world.afar.run()
    assert 10 <= len(world.of("ran")) <= 12  # ten in a row end a search; what was out then came back
    assert world.held() == 0
    assert world.burst.failed
    assert "10 failures in a row" in "".join(step.what for step in world.of("moved"))


def test_no_run_is_handed_over_beyond_the_most_that_the_spec_allows(tmp_path: Path, toy: Toy) -> None:
    root = a_search(tmp_path / "lab", MORE)
    edit(root, "max_iterations_total: 1000", "max_iterations_total: 6")

    def one_ends(_: World) -> None:
        if toy.waiting():
            toy.work(root, toy.waiting()[0])

    world = World(root, one_ends, runs=20, jobs=4)
    world.afar.run()
    assert (toy.asked["submit"], len(world.of("ran")), world.held()) == (6, 6, 0)
    assert world.burst.stopped


def test_the_last_run_that_the_spec_allows_is_made_again_when_it_is_lost(tmp_path: Path, toy: Toy) -> None:
    root = a_search(tmp_path / "lab", MORE)
    edit(root, "max_iterations_total: 1000", "max_iterations_total: 2")

    def one_is_lost(world: World) -> None:
        if world.waits == 3:
            lost(root, toy)
        elif world.waits > 3 and toy.waiting():
            toy.work(root, toy.waiting()[0])

    world = World(root, one_is_lost, runs=9, jobs=5)
    world.afar.run()
    assert (len(world.of("queued")), len(world.of("ran")), world.held()) == (3, 2, 0)
    assert len(world.of("waiting")) == 1  # said once, however often it was asked


def test_a_class_has_no_more_out_than_engines_yaml_allows_and_that_is_said_once(tmp_path: Path, toy: Toy) -> None:
    root = a_search(tmp_path / "lab", MORE)
    with open(root.layout.engines, "w", encoding="utf-8") as file:
        file.write("default: {engine: toy, max_in_flight: 2}\n")

    def one_ends(_: World) -> None:
        toy.work(root, toy.waiting()[0])

    world = World(root, one_ends, runs=8, jobs=5, engine="")
    world.afar.run()
    assert (world.most_out, len(world.of("ran"))) == (2, 8)
    assert len(world.of("busy")) == 1


def test_an_interruption_leaves_what_is_out_and_resuming_counts_it(tmp_path: Path, toy: Toy) -> None:
    root = a_search(tmp_path / "lab", MORE)

    def stop(world: World) -> None:
        toy.work(root, toy.waiting()[0])
        world.stopped_by = "SIGINT" if world.waits == 2 else ""

    first = World(root, stop, runs=10, jobs=3)
    first.afar.run()
    assert len(first.of("ran")) == 1
    assert len(first.afar.out) == 3
    assert first.held() == 2  # one of them has just come back, and nobody has looked
    before = toy.asked["submit"]

    def one_ends(_: World) -> None:
        toy.work(root, toy.waiting()[0])

    again = World(root, one_ends, runs=10, jobs=3, resume=True)
    again.afar.run()
    assert toy.asked["submit"] == 10
    assert before == 4
    assert len(again.of("ran")) == 8  # two were over when it began
    assert again.held() == 0


def test_without_resume_what_another_burst_has_out_is_not_this_ones(tmp_path: Path, toy: Toy) -> None:
    root = a_search(tmp_path / "lab", MORE)
    first = World(root, lambda world: setattr(world, "stopped_by", "SIGINT"), runs=2, jobs=2)
    first.afar.run()

    def one_ends(_: World) -> None:
        toy.work(root, toy.waiting()[0])

    second = World(root, one_ends, runs=3, jobs=3)
    second.afar.run()
    assert len(second.of("ran")) == 3
    assert toy.asked["submit"] == 5


def test_an_engine_that_does_not_answer_is_told_of_once_and_waited_for(tmp_path: Path, toy: Toy) -> None:
    root = a_search(tmp_path / "lab", MORE)

    def away_for_a_while(world: World) -> None:
        if world.waits == 1:
            toy.is_silent = True
            toy.work(root, toy.waiting()[0])
        if world.waits == 8:
            toy.is_silent = False
        if world.waits > 8 and toy.waiting():
            toy.work(root, toy.waiting()[0])

    world = World(root, away_for_a_while, runs=6, jobs=2)
    world.afar.run()
    assert (len(world.of("ran")), world.held(), world.burst.left) == (6, 0, 0)
    assert len(world.of("problem")) == 1
    assert "goes on, after" in "".join(step.what for step in world.of("noted"))
    assert len(toy.runs) == 6  # what it was to be given while it was away was claimed once, and submitted once


def shut(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> list[Exception]:
    """It takes nothing while there is something in the list: that is what it says instead."""
    says: list[Exception] = [NotNow("closed", fix="wait")]
    submit = toy.submit

    def refusing(*given: object) -> str:
        if says:
            raise says[0]
        return submit(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(toy, "submit", refusing)
    return says


def test_a_burst_goes_on_after_the_run_that_waited_for_its_engine_was_cancelled(
    tmp_path: Path, toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = a_search(tmp_path / "lab", MORE)
    says = shut(toy, monkeypatch)

    def then(world: World) -> None:
        if world.waits == 3:
            cancel.from_engines(root, cancel.cancel(root, "hunt", reason="no", actor="ann"))
        if world.waits == 6:
            says.clear()
            unheard(root)
        if world.waits > 6 and toy.waiting():
            toy.work(root, toy.waiting()[0])

    world = World(root, then, runs=4, jobs=2)
    world.afar.run()
    assert (len(toy.runs), world.burst.left, world.held()) == (3, 0, 0)  # the one that was cancelled counts


def test_a_burst_ends_where_what_its_engine_would_not_have_now_is_refused_later(
    tmp_path: Path, toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = a_search(tmp_path / "lab", MORE)
    says = shut(toy, monkeypatch)

    def then(world: World) -> None:
        if world.waits == 3:
            says[:] = [Refused("no such partition", fix="name another")]
            unheard(root)

    world = World(root, then, runs=4, jobs=2)
    world.afar.run()
    assert (len(toy.runs), world.held()) == (0, 0)
    assert world.burst.stopped


def test_a_run_that_is_handed_over_while_somebody_looks_is_counted_as_out(
    tmp_path: Path, toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = a_search(tmp_path / "lab", MORE)
    hold, tries = handing.hold, [Busy("somebody looks", fix="wait")]  # type: ignore[attr-defined]

    def held(path: str, *, wait_s: float) -> object:
        if tries:
            raise tries.pop()
        return hold(path, wait_s=wait_s)

    monkeypatch.setattr(handing, "hold", held)

    def one_ends(world: World) -> None:
        if world.waits > 3 and toy.waiting():
            toy.work(root, toy.waiting()[0])

    world = World(root, one_ends, runs=2, jobs=2)
    world.afar.run()
    assert (len(toy.runs), len(world.of("ran")), world.held()) == (2, 2, 0)


def test_what_waits_is_not_said_again_at_the_next_look(
    tmp_path: Path, toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = a_search(tmp_path / "lab", MORE)
    shut(toy, monkeypatch)
    world = World(root, lambda world: setattr(world, "stopped_by", "SIGINT" if world.waits > 5 else ""), runs=1)
    world.afar.run()
    assert [step.what for step in world.of("noted") if step.what.startswith("still")] == []


def test_what_is_at_another_cluster_is_waited_for_and_that_is_said_once(tmp_path: Path, toy: Toy) -> None:
    root = a_search(tmp_path / "lab", MORE)
    World(root, lambda world: setattr(world, "stopped_by", "SIGINT"), runs=2, jobs=2).afar.run()
    toy.at = "west"

    def asked_for_a_while(world: World) -> None:
        world.stopped_by = "SIGINT" if world.waits == 5 else ""

    world = World(root, asked_for_a_while, runs=2, jobs=2, resume=True)
    world.afar.run()
    assert ["is at toy east" in step.what for step in world.of("busy")] == [True]
    assert len(world.afar.out) == 2


def test_an_engine_that_never_answers_leaves_one_run_to_be_submitted_and_no_heap(tmp_path: Path, toy: Toy) -> None:
    root = a_search(tmp_path / "lab", MORE)
    toy.is_silent = True

    def give_up(world: World) -> None:
        world.stopped_by = "SIGINT" if world.waits > 20 else ""

    world = World(root, give_up, runs=50, jobs=10)
    world.afar.run()
    assert (world.held(), len(world.afar.out), len(world.of("problem"))) == (1, 1, 1)
    toy.is_silent = False

    def one_ends(_: World) -> None:
        if toy.waiting():
            toy.work(root, toy.waiting()[0])

    again = World(root, one_ends, runs=2, resume=True)
    again.afar.run()
    assert (len(again.of("ran")), len(toy.runs)) == (2, 2)


def test_an_engine_that_never_answered_is_given_up_and_one_that_did_is_waited_for(
    tmp_path: Path, toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(afar, "SILENT_S", 0.0)
    root = a_search(tmp_path / "lab", MORE)
    toy.is_silent = True
    world = World(root, lambda _: None, runs=50, jobs=10)
    world.afar.run()  # by itself
    assert isinstance(world.burst.refusal, Unavailable)
    assert "nothing was submitted" in world.burst.stopped
    assert "--engine here" in world.burst.refusal.fix
    noted = [step.what for step in world.of("noted")]
    assert len([each for each in noted if "Ctrl-C ends it now" in each and "--engine here" in each]) == 1
    assert (world.held(), len(world.of("problem"))) == (1, 1)
    toy.is_silent = False

    def away_meanwhile(world: World) -> None:
        toy.is_silent = 1 <= world.waits <= 20
        if not toy.is_silent and toy.waiting():
            toy.work(root, toy.waiting()[0])

    again = World(root, away_meanwhile, runs=3, resume=True)
    again.afar.run()
    assert (len(again.of("ran")), again.burst.stopped) == (3, "")


def test_a_guided_run_is_waited_for_with_its_state_shown(tmp_path: Path, toy: Toy) -> None:
    root = a_search(tmp_path / "lab", MORE)

    def later(world: World) -> None:
        if world.waits % 3 == 0 and toy.waiting():
            toy.work(root, toy.waiting()[0])

    world = World(root, later, runs=2)
    asked: list[Asking] = []

    def approve(asking: Asking) -> Word:
        asked.append(asking)
        assert world.held() == 0  # nothing is out while a person thinks
        return Word(how=APPROVE)

    Guided(root, world.burst, ask=approve, actor="ann", afar=world.afar).run(wait_s=None)
    assert [each.params for each in asked] == [step.params for step in world.of("ran")]
    assert all(f"{step.run_id} at toy: queued" in {each.what for each in world.of("noted")} for step in world.of("ran"))


def test_an_approved_run_that_was_lost_is_run_again_and_used_up_once(tmp_path: Path, toy: Toy) -> None:
    root = a_search(tmp_path / "lab", MORE)
    asked = approvals.ask(root, Proposal(kind=RUN, experiment="hunt", params={"x": 0.5, "lr": 0.1, "n": 2}))
    approvals.approve(root, asked.proposal_id, actor="ann")

    world = World(root, first_is_lost(root, toy), runs=2)
    world.afar.run()
    assert len(world.of("queued")) == 3
    assert [step.params == {"x": 0.5, "lr": 0.1, "n": 2} for step in world.of("ran")].count(True) == 1
