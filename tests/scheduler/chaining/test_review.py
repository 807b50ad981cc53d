"""The review of a chunk: what may come of it, what cannot, and what is left of it when anything goes wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import msgspec
import pytest

from lab.cli.surroundings import the_world
from lab.core.chain import Chain
from lab.core.errors import BadInput, Busy, Interrupted
from lab.core.event import MODEL_ANSWERED, MODEL_ASKED
from lab.scheduler import cycle, inspect, reclaim
from lab.scheduler.chaining import next_params
from lab.scheduler.search.asking import asker, asks
from lab.scheduler.search.asking.question import Open
from lab.store import ledger, verify
from lab.store.root import Root
from lab.testing.files import Crash, CrashingFiles
from tests.llm import faulty
from tests.llm.faulty import Faulty, chat, error, hang
from tests.scheduler.chaining.chains import FIRST, SPACE, a_chain, a_chunk, asked_and_begun, begun, over, view_of
from tests.scheduler.labs import a_copy, reopened, tree, write
from tests.scheduler.search.searches import edit

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from lab.core.event import Event
    from lab.core.seal import Seal
    from lab.scheduler.step import Step

SLOWER = {"learning_rate": 0.0005, "batch": 16, "rank": 16}


def says(params: Mapping[str, object], **more: object) -> faulty.Say:
    return chat(json.dumps({"params": params, "why": "the loss jumps", **more}))


def params_of(root: Root, made: Seal) -> dict[str, object]:
    with open(f"{root.layout.run('train', made.run.run_id)}/params.json", "rb") as file:
        return msgspec.json.decode(file.read(), type=dict[str, object])


def plan_of(root: Root, made: Seal) -> str:
    with open(f"{root.layout.run('train', made.run.run_id)}/plan.md", encoding="utf-8") as file:
        return file.read()


def events(root: Root, kind: str) -> list[Event]:
    lines = (entry.line for entry in ledger.mentioning(root, 0, "train"))
    return [line.event for line in lines if line is not None and line.event.type == kind]


# -- what may come of it -----------------------------------------------------------------------------------------------


def test_the_first_chunk_begins_unasked_and_the_next_ones_go_by_what_the_reviewer_said(tmp_path: Path) -> None:
    with Faulty(says(SLOWER)) as server:
        root = a_chain(tmp_path / "lab", server.url)
        made = [a_chunk(root) for _ in range(3)]
        assert len(server.heard) == 2
    assert [params_of(root, each) for each in made] == [FIRST, SLOWER, SLOWER]
    origin = made[1].run.origin
    assert origin is not None
    assert (origin.kind, origin.ask, origin.parents) == ("reviewed", "ASK-000001", (made[0].run.run_id,))
    assert origin.note == "the loss jumps"
    assert (origin.number, origin.place) == (2, "chunk 2")
    assert not origin.searched  # a search that is begun later takes no seed from it
    assert "- parameters: by the model that reviewed the chunk before, chunk 2" in plan_of(root, made[1])
    assert sorted(tree(f"{root.layout.run('train', made[1].run.run_id)}/llm")) == [
        "request.json", "response.json", "usage.json",
    ]  # fmt: skip
    assert not os.path.exists(f"{root.layout.run('train', made[0].run.run_id)}/llm")
    assert verify.verify(root).damage == ()


def test_its_reviewer_is_told_how_the_training_goes(tmp_path: Path) -> None:
    with Faulty(says(FIRST)) as server:
        root = a_chain(tmp_path / "lab", server.url, more="stop_conditions: {budget_tokens: 10000}\n")
        a_chunk(root, 2.5)
        a_chunk(root, said="the loss is not finite")
        a_chunk(root)
        (_, asked) = (str(each.json["messages"]) for each in server.heard)
    for words in (
        "find the learning rate", "loss, minimize", "learning_rate: float 1e-05 to 0.1", "- rank: fixed 16",
        "steps done: 20 of 100, in 2 chunks", "the next chunk has 10 at most", '"learning_rate":0.001',
        "tokens left: 8720", "the loss is not finite", '"step":19', "2.5", "calls to the model",
    ):  # fmt: skip
        assert words in asked, words
    assert "no point was measured twice" in asked  # chunks with the same parameters are no repeats


def test_its_reviewer_is_told_of_no_more_steps_than_the_budget_bears(tmp_path: Path) -> None:
    with Faulty(says(FIRST)) as server:
        root = a_chain(tmp_path / "lab", server.url, more="stop_conditions: {budget_tokens: 1900}\n")
        for _ in range(3):
            a_chunk(root)
        asked = str(server.heard[-1].json["messages"])
    assert "steps done: 20 of 100" in asked
    assert "the next chunk has 9 at most" in asked  # 620 tokens are left, and a step took 64


def test_a_chunk_that_saved_nothing_is_tried_again_by_the_same_answer(tmp_path: Path) -> None:
    with Faulty(says(SLOWER)) as server:
        root = a_chain(tmp_path / "lab", server.url)
        a_chunk(root)
        lost = a_chunk(root, None, saves=False)
        again = a_chunk(root)
        assert len(server.heard) == 1
    assert params_of(root, lost) == params_of(root, again) == SLOWER


def test_nobody_is_asked_where_there_is_nothing_to_choose(tmp_path: Path) -> None:
    with Faulty(says(SLOWER)) as server:
        unasked = a_chain(tmp_path / "a", server.url, review=False)
        fixed = a_chain(tmp_path / "b", server.url)
        space = tmp_path / "fixed.json"
        space.write_text(json.dumps({name: {"value": value} for name, value in FIRST.items()}), encoding="utf-8")
        edit(fixed, SPACE, f"search_space: {space}\n", "train")
        for root in (unasked, fixed):
            a_chunk(root)
            assert params_of(root, a_chunk(root)) == FIRST
        assert server.heard == []


def test_a_run_whose_parameters_were_reviewed_can_be_shown(tmp_path: Path) -> None:
    with Faulty(says(SLOWER)) as server:
        root = a_chain(tmp_path / "lab", server.url)
        a_chunk(root)
        made = a_chunk(root)
    told = inspect._chosen(made.run.origin)  # type: ignore[arg-type]
    assert told.startswith("reviewed, chunk 2, made from RUN-")
    assert "asked as ASK-000001" in told


# -- what cannot -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        {**FIRST, "learning_rate": 5.0},
        {**FIRST, "batch": 8.5},
        {**FIRST, "rank": 32},
        {**FIRST, "steps": 1000},
        {"learning_rate": 0.001},
        {},
    ],
)
def test_what_lies_outside_of_the_space_is_refused_once_it_was_not_repaired(
    tmp_path: Path, wrong: dict[str, object]
) -> None:
    with Faulty(says(wrong)) as server:
        root = a_chain(tmp_path / "lab", server.url)
        a_chunk(root)
        made = a_chunk(root)
        assert len(server.heard) == 2  # the question, and its repair
    assert params_of(root, made) == FIRST
    kept = asks.read(root, "train", "ASK-000001")
    assert kept is not None
    assert (kept.problem, kept.candidates, kept.about) == (
        "model-invalid",
        (),
        made.run.origin and made.run.origin.parents[0],
    )
    assert kept.refused


def test_an_answer_that_was_repaired_counts(tmp_path: Path) -> None:
    with Faulty(says({**SLOWER, "rank": 99}), says(SLOWER)) as server:
        root = a_chain(tmp_path / "lab", server.url)
        a_chunk(root)
        assert params_of(root, a_chunk(root)) == SLOWER
        assert "rank" in str(server.heard[1].json["messages"])


def test_a_reviewer_neither_ends_nor_prolongs_a_training(tmp_path: Path) -> None:
    with Faulty(says(SLOWER, stop=True, steps=10**6, chunk_steps=1)) as server:
        root = a_chain(tmp_path / "lab", server.url)
        a_chunk(root)
        made = a_chunk(root)
    kept = asks.read(root, "train", "ASK-000001")
    assert kept is not None
    assert kept.refused == (
        "stop is none of your choices", "steps is none of your choices", "chunk_steps is none of your choices",
    )  # fmt: skip
    assert params_of(root, made) == SLOWER
    assert view_of(root).phase == "active"


def test_what_lies_outside_of_a_space_that_was_edited_since_is_not_used(tmp_path: Path) -> None:
    with Faulty(says({**SLOWER, "batch": 64})) as server:
        root = a_chain(tmp_path / "lab", server.url)
        a_chunk(root)
        a_chunk(root, None, saves=False)
        edit(root, "high: 64", "high: 32", "train")
        made = a_chunk(root)
    assert params_of(root, made) == FIRST
    assert "the search space was changed since" in plan_of(root, made)


def test_a_rank_that_nobody_could_move_is_refused_in_a_space_of_its_own_file_too(tmp_path: Path) -> None:
    space = tmp_path / "space.json"
    space.write_text(json.dumps({"lora_rank": {"choices": [8, 16], "default": 8}}), encoding="utf-8")
    root = a_chain(tmp_path / "lab")
    edit(root, SPACE, f"search_space: {space}\n", "train")
    with root.section("train"):
        view, loaded = cycle.observe(root, "train")
    with pytest.raises(BadInput, match="lora_rank stays as it is through all chunks") as refusal:
        next_params.of(root, view, cycle.usable(loaded), "proxy")
    assert refusal.value.where == str(space)


# -- what is left when anything goes wrong -----------------------------------------------------------------------------


FAILING: dict[str, tuple[faulty.Say, dict[str, object]]] = {
    "nobody is at home": (faulty.slam, {"timeout_s": 1.0}),
    "it fails": (error(500, "no"), {"timeout_s": 1.0}),
    "it says nothing": (hang, {"timeout_s": 0.3}),
    "it talks": (chat("Let us think about it."), {}),
    "it is not allowed to": (says(SLOWER), {"max_usd": 1e-9, "usd_per_mtok_in": 10.0, "usd_per_mtok_out": 10.0}),
    "there is no key": (says(SLOWER), {"api_key_env": "NO_SUCH_KEY"}),
}


@pytest.mark.parametrize("how", FAILING)
def test_a_chain_whose_reviewer_fails_is_the_chain_without_one(tmp_path: Path, how: str) -> None:
    say, llm = FAILING[how]
    with Faulty(say) as server:
        root = a_chain(tmp_path / "lab", server.url, llm=llm)
        made = [a_chunk(root, value) for value in (2.0, 1.5, 1.25)]
    alone = a_chain(tmp_path / "alone", review=False)
    without = [a_chunk(alone, value) for value in (2.0, 1.5, 1.25)]
    assert [params_of(root, each) for each in made] == [params_of(alone, each) for each in without]
    assert _less_ids(view_of(root).chain) == _less_ids(view_of(alone).chain)
    assert [each.run.value for each in made] == [each.run.value for each in without]
    for each, other in zip(made, without, strict=True):
        mine, its = _files(root, each), _files(alone, other)
        assert {name for name in mine.keys() ^ its.keys() if not name.startswith("llm/")} == set()
        for name in ("params.json", "metrics.json", "artifacts/steps.jsonl"):
            assert mine[name] == its[name]
    for each in made[1:]:
        assert each.run.origin is not None
        assert each.run.origin.kind == "unreviewed"
        assert "- parameters: as they were, for want of a review" in plan_of(root, each)


def _less_ids(chain: Chain | None) -> Chain:
    return msgspec.structs.replace(chain or Chain(), run_id="")


def _files(root: Root, made: Seal) -> dict[str, bytes]:
    return tree(root.layout.run("train", made.run.run_id))


def test_a_reviewer_that_fails_again_and_again_is_asked_less_and_less_often(tmp_path: Path) -> None:
    with Faulty(error(400, "no")) as server:
        root = a_chain(tmp_path / "lab", server.url)
        made, heard = a_chunk(root), [0]
        for _ in range(9):
            made = a_chunk(root)
            heard.append(len(server.heard))
    assert heard == [0, 1, 2, 2, 3, 3, 3, 3, 4, 4]  # chunks 2, 3, 5 and 9; the next is 17
    assert made.run.origin is not None
    assert (made.run.origin.kind, made.run.origin.ask, made.run.origin.number) == ("unreviewed", "", 10)
    assert "ASK-000004, the failure number 4 in a row); asked again from chunk 17" in made.run.origin.note
    assert "asked again from chunk 17" in plan_of(root, made)
    assert params_of(root, made) == FIRST
    assert verify.verify(root).damage == ()


def test_a_reviewer_that_answers_again_or_is_another_one_is_asked_at_once(tmp_path: Path) -> None:
    with Faulty(error(400, "no"), error(400, "no"), says(SLOWER), error(400, "no"), says(FIRST)) as server:
        root = a_chain(tmp_path / "lab", server.url)
        made = [a_chunk(root) for _ in range(7)]
        assert len(server.heard) == 5  # chunks 2, 3, 5, 6 and 7
        assert [params_of(root, each) for each in made] == [*[FIRST] * 4, SLOWER, SLOWER, FIRST]
    with Faulty(error(400, "no")) as failing:
        root = a_chain(tmp_path / "other", failing.url)
        for _ in range(3):
            a_chunk(root)
        edit(root, '"model": "m"', '"model": "n"', "train")
        a_chunk(root)
        assert len(failing.heard) == 3


def test_a_reviewer_whose_calls_are_used_up_is_not_asked_any_more(tmp_path: Path) -> None:
    with Faulty(says(SLOWER)) as server:
        root = a_chain(tmp_path / "lab", server.url, llm={"max_calls": 1})
        *_, made = [a_chunk(root) for _ in range(4)]
        assert len(server.heard) == 1
    assert view_of(root).model.calls == 1
    assert params_of(root, made) == SLOWER  # of the last chunk that was reviewed
    assert made.run.origin is not None
    assert "the model's 1 call is used up" in made.run.origin.note


def test_a_review_that_somebody_stopped_is_asked_for_again(tmp_path: Path) -> None:
    with Faulty(hang, says(SLOWER)) as server:
        root = a_chain(tmp_path / "lab", server.url)
        a_chunk(root)
        with pytest.raises(Interrupted):
            asker.advised(
                root, lambda: begun(root), interrupted=lambda: "ann" if server.heard else "", tell=lambda _: None
            )
        assert params_of(root, a_chunk(root)) == SLOWER


def test_a_damaged_review_is_asked_for_again(tmp_path: Path) -> None:
    with Faulty(says(SLOWER)) as server:
        root = a_chain(tmp_path / "lab", server.url)
        a_chunk(root)
        over(root, asked_and_begun(root), None, saves=False)
        write(root.layout.ask("train", "ASK-000001"), b"{")
        assert params_of(root, a_chunk(root)) == SLOWER
        assert len(server.heard) == 2


def test_a_damaged_table_of_runs_keeps_no_chunk_from_its_review(tmp_path: Path) -> None:
    root = a_chain(tmp_path / "lab")
    a_chunk(root)
    with pytest.raises(Open) as caught:
        begun(root)
    write(root.layout.page("train", "metrics.jsonl"), b"garbage\n")
    assert "steps done: 10 of 100" in caught.value.question.asked(root).turns[0].text


def test_what_the_model_took_is_told_and_counted(tmp_path: Path) -> None:
    with Faulty(says(SLOWER)) as server:
        prices = {"max_usd": 1.0, "usd_per_mtok_in": 10.0, "usd_per_mtok_out": 10.0}
        root = a_chain(tmp_path / "lab", server.url, llm=prices)
        a_chunk(root)
        told: list[Step] = []
        over(root, asked_and_begun(root, told))
    (asked,), (answered,) = events(root, MODEL_ASKED), events(root, MODEL_ANSWERED)
    assert (asked.name, asked.facts["calls"], asked.facts["trial"]) == ("ASK-000001", 2, 2)  # a repair is set aside too
    assert (answered.facts["calls"], answered.facts["usd"]) == (1, 0.0012)
    spent = view_of(root).model
    assert (spent.calls, spent.usd, spent.reserved) == (1, 0.0012, ())
    assert [step.kind for step in told] == ["asking", "asked"]
    assert "m for a review of RUN-" in told[0].what
    assert "changes parameters" in told[1].what


# -- kills, and two at once --------------------------------------------------------------------------------------------

ASK = """
import sys
sys.path.insert(0, {here!r})
from tests.scheduler.chaining.chains import a_chunk
from lab.testing.files import a_root
a_chunk(a_root({lab!r}))
"""


def test_a_lab_that_is_killed_while_it_asks_asks_once_more_and_both_count(tmp_path: Path) -> None:
    is_asked = threading.Event()

    def first(line: faulty.Line) -> None:
        is_asked.set()
        hang(line)

    with Faulty(first, says(SLOWER)) as server:
        root = a_chain(tmp_path / "lab", server.url)
        a_chunk(root)
        here = os.getcwd()
        child = subprocess.Popen([sys.executable, "-c", ASK.format(here=here, lab=root.layout.root)])
        try:
            assert is_asked.wait(30)
            with pytest.raises(Busy, match="is being reviewed by another process"):  # it lives
                asked_and_begun(root)
            os.kill(child.pid, signal.SIGKILL)
        finally:
            child.kill()
            child.wait()
        after = reopened(root)
        reclaim.make_way(after, "train")
        made = a_chunk(after)
        assert len(server.heard) == 2
    assert params_of(after, made) == SLOWER
    assert made.run.origin is not None
    assert made.run.origin.ask == "ASK-000002"
    assert view_of(after).model.calls == 3  # both that the dead had set aside, and one
    assert [each.name for each in events(after, MODEL_ASKED)] == ["ASK-000001", "ASK-000002"]
    assert verify.verify(after).damage == ()


def test_a_lab_that_is_stopped_before_any_step_of_a_review_goes_on(tmp_path: Path) -> None:
    with Faulty(says(SLOWER)) as server:
        base = a_chain(tmp_path / "base", server.url)
        a_chunk(base)
        for point in range(1, 200):
            files = CrashingFiles(at=point)
            root = a_copy(base.layout.root, str(point), files)
            heard = len(server.heard)
            try:
                with pytest.raises(Open) as caught:
                    begun(root)
                asker.ask(root, caught.value.question, interrupted=str, tell=lambda _: None)
            except Crash:
                pass
            else:
                assert point > 10
                return
            where = files.log[-1]
            after = reopened(root)
            reclaim.make_way(after, "train")
            made = a_chunk(after)
            assert len(server.heard) - heard <= 2, where
            assert view_of(after).model.calls >= len(server.heard) - heard, where
            assert params_of(after, made) == SLOWER, where
            assert os.path.isfile(f"{after.layout.run('train', made.run.run_id)}/llm/response.json"), where
            assert [each for each in verify.verify(after).damage if "unsealed" not in each.kind] == [], where


def test_a_program_can_review(tmp_path: Path) -> None:
    program = tmp_path / "reviewer.py"
    answer = json.dumps({"params": SLOWER, "why": "slower"})
    program.write_text(f"import sys; sys.stdin.read(); print({answer!r})", encoding="utf-8")
    llm = {"transport": "command", "command": f"{sys.executable} {program}", "base_url": ""}
    root = a_chain(tmp_path / "lab", llm={**llm, "model": ""})
    root = Root(root.layout.root, the_world(), files=root.files)
    a_chunk(root)
    assert params_of(root, a_chunk(root)) == SLOWER


def test_a_chunk_that_was_reviewed_while_another_process_was_on_its_way_is_not_reviewed_twice(tmp_path: Path) -> None:
    with Faulty(says(SLOWER)) as server:
        root = a_chain(tmp_path / "lab", server.url)
        a_chunk(root)
        with pytest.raises(Open) as caught:
            begun(root)
        other = reopened(root)
        asker.ask(other, caught.value.question, interrupted=str, tell=lambda _: None)
        running = asker.advised(
            root, lambda: begun(root), interrupted=str, tell=lambda _: None, wanting=caught.value
        )  # fmt: skip
        assert len(server.heard) == 1
        assert running.params == SLOWER
