"""A training whose chunks are reviewed, turn by turn, as a scheduler takes it: each chunk in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import msgspec

from lab.cli.surroundings import the_world
from lab.scheduler import refresh
from lab.scheduler.search import burst, guided
from lab.scheduler.search.guided import Asking, Word
from lab.scheduler.search.plan import Wanted
from lab.scheduler.turn import Turn
from lab.scheduler.visit import Request
from lab.store import verify
from lab.store.files import Files
from lab.store.root import Root
from tests.llm.faulty import Faulty, Line, chat, error
from tests.scheduler.chaining.trainings import NAME, Training

if TYPE_CHECKING:
    from pathlib import Path

    from lab.core.chunk import Order

FIRST, SLOWER = {"lr": 0.1}, {"lr": 0.05}
HERE = os.path.abspath(f"{os.path.dirname(__file__)}/../../..")
ANOTHER = """
import sys
sys.path.insert(0, {here!r})
from tests.scheduler.chaining.test_review_of_turns import opened, turn
print(turn(opened({lab!r})))
"""


def reviewing(params: dict[str, float]) -> str:
    return json.dumps({"params": params, "why": "it jumps"})


def a_training(place: Path, url: str, *, review: bool = True) -> Training:
    place.mkdir(exist_ok=True)
    llm = {"base_url": url, "model": "m", "timeout_s": 5}
    made = Training(place, tinker={"steps": 25, "review": review}, llm=llm)
    made.root = opened(made.root.layout.root)
    return made


def opened(lab: str) -> Root:
    """A lab by the clock that other processes have."""
    return Root(lab, the_world(), files=Files(durable=False))


def turn(root: Root) -> list[str]:
    made = Turn(root, Request(only=(NAME,), now=True), tell=lambda _: None, interrupted=str)
    made.take()
    return [step.kind for step in made.steps]


def orders(training: Training) -> list[Order]:
    return [training.order(run.run_id) for run in training.runs]


def test_a_training_is_reviewed_between_its_chunks_and_ends_where_it_was_to_end(tmp_path: Path) -> None:
    with Faulty(chat(reviewing(SLOWER))) as server:
        training = a_training(tmp_path, server.url)
        said = [turn(training.root) for _ in range(3)]
        assert len(server.heard) == 2
    assert [[kind for kind in each if kind in ("asked", "ran")] for each in said] == [["ran"], *[["asked", "ran"]] * 2]
    assert [(each.first_step, each.steps, dict(each.params)) for each in orders(training)] == [
        (0, 10, FIRST), (10, 10, SLOWER), (20, 5, SLOWER),
    ]  # fmt: skip
    assert (training.chain.final, training.chain.next_step, training.chain.params) == (True, 25, SLOWER)
    refresh.everything(training.root)
    assert verify.verify(training.root).damage == ()


def test_of_two_schedulers_at_once_one_asks_and_one_begins_the_chunk(tmp_path: Path) -> None:
    is_asked, may_answer = threading.Event(), threading.Event()

    def slowly(line: Line) -> None:
        is_asked.set()
        assert may_answer.wait(30)
        chat(reviewing(SLOWER))(line)

    with Faulty(slowly) as server:
        training = a_training(tmp_path, server.url)
        turn(training.root)
        code = ANOTHER.format(here=HERE, lab=training.root.layout.root)
        other = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        try:
            assert is_asked.wait(30)
            assert turn(training.root) == ["busy"]
            assert len(training.runs) == 1
            may_answer.set()
            said, _ = other.communicate(timeout=40)
        finally:
            may_answer.set()
            other.kill()
            other.wait()
        assert len(server.heard) == 1
    assert "'ran'" in said
    assert [dict(each.params) for each in orders(training)] == [FIRST, SLOWER]


def test_a_person_is_asked_about_each_reviewed_chunk_and_the_same_parameters_are_no_repeat(tmp_path: Path) -> None:
    asked: list[Asking] = []

    def yes(asking: Asking) -> Word:
        asked.append(asking)
        return Word(how=guided.APPROVE)

    with Faulty(chat(reviewing(FIRST))) as server:
        training = a_training(tmp_path, server.url)
        order = burst.Order(experiment=NAME, runs=3)
        made = burst.Burst(training.root, order, Wanted(), tell=lambda _: None, interrupted=str)
        made.prepare()
        guided.Guided(training.root, made, ask=yes, actor="ann").run(wait_s=None)
    assert [each.origin and each.origin.kind for each in asked] == [None, "reviewed", "reviewed"]
    assert [each.params for each in asked] == [FIRST] * 3
    assert [dict(each.params) for each in orders(training)] == [FIRST] * 3


def test_with_a_reviewer_that_fails_the_same_is_ordered_as_without_one(tmp_path: Path) -> None:
    with Faulty(error(400, "no")) as server:
        training = a_training(tmp_path / "a", server.url)
        alone = a_training(tmp_path / "b", server.url, review=False)
        for each in (training, alone):
            for _ in range(3):
                turn(each.root)
        assert len(server.heard) == 2

    def bare(made: Training) -> list[Order]:
        tuning = orders(alone)[0].tuning
        return [msgspec.structs.replace(each, tuning=tuning, run_id="", parent="") for each in orders(made)]

    assert len(bare(training)) == 3
    assert bare(training) == bare(alone)
