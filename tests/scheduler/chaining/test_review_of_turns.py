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
from lab.core import chunk
from lab.core.chunk import Order
from lab.core.record import parse
from lab.scheduler import refresh
from lab.scheduler.search import burst, guided
from lab.scheduler.search.guided import Asking, Word
from lab.scheduler.search.plan import Wanted
from lab.scheduler.turn import Turn
from lab.scheduler.visit import Request
from lab.store import bundles, verify
from lab.store.files import Files
from lab.store.root import Root
from tests.llm.faulty import Faulty, Line, chat, error
from tests.scheduler.chaining.chains import FIRST, SPACE, view_of
from tests.scheduler.labs import a_lab

if TYPE_CHECKING:
    from pathlib import Path


SLOWER = {"learning_rate": 0.0005, "batch": 16, "rank": 16}
# No service and no SDK: it leaves what a chunk leaves, and what it saves is a name.
RECIPE = """
import os, sys
sys.path.insert(0, {here!r})
from lab.cli.surroundings import the_world
from lab.core import chunk
from lab.core.chunk import Checkpoint, Order
from lab.core.record import parse
from lab.tinker import rows

path = os.environ["LAB_CHUNK_PATH"]
order = parse(Order, open(path, "rb").read(), path)
here = os.path.dirname(path)
os.makedirs(here + "/artifacts", exist_ok=True)
end = min(order.first_step + order.steps, order.until)
with open(f"{{here}}/{{chunk.STEPS}}", "wb") as file:
    for step in range(order.first_step, end):
        file.write(rows.encode(rows.Row(step=step, run="r:1", at=1.0, trained=10, metrics={{"loss": 9.0 - step / 10}})))
with open(f"{{here}}/{{chunk.CHECKPOINTS}}", "wb") as file:
    final = end == order.until
    file.write(rows.encode_record(Checkpoint(
        name=f"{{end:06}}", next_step=end, state_path=f"tinker://r:1/weights/{{end:06}}", model_run="r:1", final=final,
        sampler_path="tinker://r:1/sampler_weights/final" if final else "",
    )))
print(f"METRIC loss={{9.0 - end / 10}}")
sys.exit(0 if final else chunk.MORE)
"""
HERE = os.path.abspath(f"{os.path.dirname(__file__)}/../../..")


def a_training(place: Path, url: str, *, review: bool = True) -> Root:
    place.mkdir(parents=True, exist_ok=True)
    recipe = place / "recipe.py"
    recipe.write_text(RECIPE.format(here=HERE), encoding="utf-8")
    model = json.dumps({"base_url": url, "model": "m", "timeout_s": 5})
    tuning = json.dumps({"base_model": "tiny/qwen3", "steps": 25, "chunk_steps": 10, "review": review})
    command = f"executor_command: {sys.executable} {recipe}\n"
    more = f"{SPACE}executor: tinker\ntinker: {tuning}\nllm: {model}\n{command}"
    made = a_lab(place / "lab", "train", more=more)
    return opened(made.layout.root)


def opened(lab: str) -> Root:
    return Root(lab, the_world(), files=Files(durable=False))


def turn(root: Root) -> list[str]:
    made = Turn(root, Request(only=("train",), now=True), tell=lambda _: None, interrupted=str)
    made.take()
    return [step.kind for step in made.steps]


def orders(root: Root) -> list[Order]:
    found = []
    for run_id in bundles.names(root, "train"):
        path = f"{root.layout.run('train', run_id)}/{chunk.ORDER}"
        with open(path, "rb") as file:
            order = parse(Order, file.read(), path)
        found.append(msgspec.structs.replace(order, run_id="", parent=""))
    return found


def test_a_training_is_reviewed_between_its_chunks_and_ends_where_it_was_to_end(tmp_path: Path) -> None:
    with Faulty(chat(json.dumps({"params": SLOWER, "why": "slower"}))) as server:
        root = a_training(tmp_path, server.url)
        said = [turn(root) for _ in range(3)]
        assert len(server.heard) == 2
    assert "ran" in said[0]
    assert [(each.first_step, each.steps, dict(each.params)) for each in orders(root)] == [
        (0, 10, FIRST), (10, 10, SLOWER), (20, 5, SLOWER),
    ]  # fmt: skip
    chain = view_of(root).chain
    assert chain is not None
    assert (chain.final, chain.next_step) == (True, 25)
    refresh.everything(root)
    assert verify.verify(root).damage == ()


ANOTHER = """
import sys
sys.path.insert(0, {here!r})
from tests.scheduler.chaining.test_review_of_turns import opened, turn
print(turn(opened({lab!r})))
"""


def test_of_two_schedulers_at_once_one_asks_and_one_begins_the_chunk(tmp_path: Path) -> None:
    is_asked, may_answer = threading.Event(), threading.Event()

    def slowly(line: Line) -> None:
        is_asked.set()
        assert may_answer.wait(30)
        chat(json.dumps({"params": SLOWER, "why": "slower"}))(line)

    with Faulty(slowly) as server:
        root = a_training(tmp_path, server.url)
        turn(root)
        code = ANOTHER.format(here=HERE, lab=root.layout.root)
        other = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        try:
            assert is_asked.wait(30)
            assert turn(root) == ["busy"]
            assert len(orders(root)) == 1
            may_answer.set()
            said, _ = other.communicate(timeout=40)
        finally:
            may_answer.set()
            other.kill()
            other.wait()
        assert len(server.heard) == 1
    assert "'ran'" in said
    assert [dict(each.params) for each in orders(root)] == [FIRST, SLOWER]


def test_a_person_is_asked_about_each_reviewed_chunk_and_the_same_parameters_are_no_repeat(tmp_path: Path) -> None:
    asked: list[Asking] = []

    def yes(asking: Asking) -> Word:
        asked.append(asking)
        return Word(how=guided.APPROVE)

    with Faulty(chat(json.dumps({"params": FIRST, "why": "it goes well"}))) as server:
        root = a_training(tmp_path, server.url)
        order = burst.Order(experiment="train", runs=3)
        made = burst.Burst(root, order, Wanted(), tell=lambda _: None, interrupted=str)
        made.prepare()
        guided.Guided(root, made, ask=yes, actor="ann").run(wait_s=None)
    assert [each.origin and each.origin.kind for each in asked] == [None, "reviewed", "reviewed"]
    assert [each.params for each in asked] == [FIRST] * 3
    assert [dict(each.params) for each in orders(root)] == [FIRST] * 3


def test_with_a_reviewer_that_fails_the_same_is_ordered_as_without_one(tmp_path: Path) -> None:
    with Faulty(error(500, "no")) as server:
        root, alone = a_training(tmp_path / "a", server.url), a_training(tmp_path / "b", server.url, review=False)
        for _ in range(3):
            turn(root)
            turn(alone)
    mine = [msgspec.structs.replace(each, tuning=orders(alone)[0].tuning) for each in orders(root)]
    assert len(mine) == 3
    assert mine == orders(alone)
