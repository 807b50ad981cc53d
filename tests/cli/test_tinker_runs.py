"""`labctl tinker runs`: the chain as its seals tell of it, and what is under way."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from lab.scheduler.results import chained, saved
from lab.tinker import used
from lab.tinker.rows import Pause
from tests.cli.labs import a_lab, tree
from tests.cli.trainings import a_chunk, a_training, begun, over, row, wrote

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.labs import Labctl


def lines(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines()]


def test_a_chain_is_shown_chunk_by_chunk_with_what_each_took(labctl: Labctl, place: Path) -> None:
    root = a_training(place)
    first, second, third = (a_chunk(root, value) for value in (0.5, 0.4, 0.3))
    said = labctl.done("tinker", "runs", "sft")
    told = lines(said.out)
    assert told[0] == "sft, active: tiny/qwen3 at http://127.0.0.1:8766"
    assert "tier proxy: loss, minimize; at its end, after 20 steps in 3 chunks" in told
    assert f"1 0 to 8 0.5 success 1.5 s 800 0.008 {first.run.run_id} run:1" in told
    assert f"2 8 to 16 0.4 success 1.5 s 800 0.008 {second.run.run_id} run:2" in told
    assert f"3 16 to 20 0.3 success 1.5 s 400 0.004 {third.run.run_id} run:3" in told
    assert "next: labctl tinker download sft" in said.err
    found = labctl.done("tinker", "runs", "sft", "--json").data
    assert (found["tokens"], found["usd"]) == (2000, 0.02)
    assert found["stages"][0]["lineage"] == [first.run.run_id, second.run.run_id, third.run.run_id]
    assert [link["parent"] for link in found["links"]] == ["", first.run.run_id, second.run.run_id]


def test_files_that_were_changed_between_two_chunks_are_told_at_the_second(labctl: Labctl, place: Path) -> None:
    root = a_training(place)
    for number, data in enumerate(("a", "b", "b")):
        chunk = begun(root)
        root.files.replace(f"{chunk.path}/{used.FILE}", used.page({"recipe.py": "r", "train.jsonl": data}))
        over(root, chunk, 0.5 - number / 10)
    links = labctl.done("tinker", "runs", "sft", "--json").data["links"]
    assert [link["changed"] for link in links] == [[], ["train.jsonl"], []]
    assert lines(labctl.done("tinker", "runs", "sft").out).count("changed since the chunk before: train.jsonl") == 1


def test_what_was_decided_last_is_told_with_its_numbers(labctl: Labctl, place: Path) -> None:
    root = a_training(place)
    first = a_chunk(root, 0.5)
    a_chunk(root, 0.4)
    found = labctl.done("tinker", "runs", "sft", "--json").data["decided"]
    assert (found["facts"]["first_step"], found["facts"]["last_step"], found["facts"]["value"]) == (8, 16, 0.5)
    told = labctl.done("tinker", "runs", "sft").out
    assert re.search(rf"decided .* steps 8 to 16 of 20, from {first.run.run_id}.*\(.*value 0.5", told)


def test_a_training_that_was_made_longer_after_its_end_is_no_older_than_its_newest_state(
    labctl: Labctl, place: Path
) -> None:
    root = a_training(place)
    for value in (0.5, 0.4, 0.3):
        a_chunk(root, value)
    written = root.layout.spec("sft")
    with open(written, encoding="utf-8") as file:
        text = file.read()
    with open(written, "w", encoding="utf-8") as file:
        file.write(text.replace("  steps: 20", "  steps: 60"))
    newest = a_chunk(root, 0.2)
    (stage,) = labctl.done("tinker", "runs", "sft", "--json").data["stages"]
    assert (stage["next_step"], stage["until"], stage["final"], stage["chunks"]) == (28, 60, False, 4)
    assert "28 of at most 60 steps saved" in labctl.done("tinker", "runs", "sft").out
    files = saved.files(root, "sft")
    assert (files.run_id, files.next_step) == (newest.run.run_id, 28)


def test_what_measured_the_end_once_more_hides_no_files_and_is_no_chunk_more(labctl: Labctl, place: Path) -> None:
    root = a_training(place)
    for value in (0.5, 0.4, None, 0.3):
        a_chunk(root, value)
    (stage,) = labctl.done("tinker", "runs", "sft", "--json").data["stages"]
    assert (stage["chunks"], stage["runs"], stage["final"]) == (3, 4, True)
    assert stage["external_path"] == "tinker://run:3/external_weights/final"
    assert stage["sampler_path"] == "tinker://run:3/sampler_weights/final"
    assert saved.files(root, "sft").path == "tinker://run:3/external_weights/final"
    told = labctl.done("tinker", "runs", "sft")
    assert "at its end, after 20 steps in 3 chunks, of 4 runs" in told.out
    assert "next: labctl tinker download sft" in told.err


def test_a_run_that_saved_nothing_is_paid_for_and_is_no_part_of_the_chain(labctl: Labctl, place: Path) -> None:
    root = a_training(place)
    first = a_chunk(root, 0.5)
    lost = a_chunk(root, None, saves=False)
    again = a_chunk(root, 0.4)
    found = labctl.done("tinker", "runs", "sft", "--json").data
    assert found["stages"][0]["lineage"] == [first.run.run_id, again.run.run_id]
    assert found["tokens"] == 2400
    told = lines(labctl.done("tinker", "runs", "sft").out)
    at = told.index(f"2 none - failed 1.5 s 800 0.008 {lost.run.run_id} run:2")
    assert told[at + 1] == "the service went away"
    assert "tier proxy: loss, minimize; 16 of at most 20 steps saved, in 2 chunks, of 3 runs" in told


def test_each_step_is_told_once_by_the_chunk_that_saved_it(labctl: Labctl, place: Path) -> None:
    root = a_training(place)
    a_chunk(root, 0.5)
    a_chunk(root, None, saves=False)
    running = begun(root)
    wrote(root, running, *(row(step, 1.0) for step in range(8, 12)))
    found = labctl.done("tinker", "runs", "sft", "--steps", "--json").data["stages"][0]["rows"]
    assert [each["step"] for each in found] == list(range(12))
    assert [each["metrics"]["loss"] for each in found[6:10]] == [2.4, 2.3, 1.0, 1.0]
    over(root, running, 0.4)
    found = labctl.done("tinker", "runs", "sft", "--steps", "--json").data["stages"][0]["rows"]
    assert [each["step"] for each in found] == list(range(16))
    assert found[9]["metrics"]["loss"] == 2.1
    told = lines(labctl.done("tinker", "runs", "sft", "--steps", "-n", "3").out)
    assert "the last 3 of 16 steps; --last shows more, --json all" in told
    assert "15 0.50 s 1.5 100" in told


def test_steps_that_came_after_the_saved_state_were_done_again_and_are_told_as_they_were_then(
    labctl: Labctl, place: Path
) -> None:
    root = a_training(place)
    over(root, begun(root), 0.5, steps=4, unsaved=3)
    found = labctl.done("tinker", "runs", "sft", "--steps", "--json").data["stages"][0]["rows"]
    assert [each["step"] for each in found] == [0, 1, 2, 3]


def test_a_run_that_only_measures_the_end_is_told_as_that(labctl: Labctl, place: Path) -> None:
    root = a_training(place)
    for value in (0.5, 0.4, None):
        a_chunk(root, value)
    running = begun(root)
    told = labctl.done("tinker", "runs", "sft").out
    assert f"under way: {running.manifest.run_id} [proxy], chunk 4, of no step: measures the end, for " in told
    assert "chunk 4, of no step: measures the end, 20 steps, from " in told


def test_a_chunk_under_way_says_what_it_waits_for(labctl: Labctl, place: Path) -> None:
    root = a_training(place)
    a_chunk(root, 0.5)
    running = begun(root)
    wrote(root, running, row(8, 2.0), Pause(at=2.0, what="billing", words="HTTP 402"))
    told = labctl.done("tinker", "runs", "sft")
    name = running.manifest.run_id
    assert f"under way: {name} [proxy], chunk 2, steps 8 to 16: paused: billing for " in told.out
    assert f"next: labctl tail {name}" in told.err
    assert "paused: billing for " in labctl.done("tinker", "runs").out


def test_the_whole_lab_is_a_line_for_each_training(labctl: Labctl, place: Path) -> None:
    root = a_training(place, "sft", "other")
    a_chunk(root, 0.5)
    told = lines(labctl.done("tinker", "runs").out)
    assert told[1:] == ["other proxy queued 0 of 20 0 - 0 -", "sft proxy active 8 of 20 1 0.5 800 0.008"]
    found = labctl.done("tinker", "runs", "--json").data["chains"]
    assert [(each["experiment"], each["next_step"], each["final"]) for each in found] == [
        ("other", 0, False),
        ("sft", 8, False),
    ]


def test_trainings_of_a_search_are_whole_ones_and_make_no_chain(labctl: Labctl, place: Path) -> None:
    root = a_training(place, more="strategy: random\nsearch_space: {rank: {low: 1, high: 8, type: int}}\n")
    runs = [a_chunk(root, value) for value in (0.5, 0.2, 0.4)]
    found = labctl.done("tinker", "runs", "sft", "--json").data
    assert (found["is_chain"], found["stages"][0]["chunks"]) == (False, 0)
    assert [link["run_id"] for link in found["links"]] == [made.run.run_id for made in runs]
    told = lines(labctl.done("tinker", "runs", "sft").out)
    assert f"0 to 20 0.2 success 1.5 s 2,000 0.02 {runs[1].run.run_id} run:0" in told
    assert "tier proxy: loss, minimize; 3 whole trainings, best 0.2" in told
    assert "sft proxy active a search 3 0.2 6,000 0.06" in lines(labctl.done("tinker", "runs").out)


def test_parameters_that_a_reviewer_moved_are_told_below_the_chunk_with_its_reason(labctl: Labctl, place: Path) -> None:
    root = a_training(place, more="search_space: {lr: {low: 0.0001, high: 0.1, default: 0.005}}\n")
    a_chunk(root, 0.5)
    second = over(root, begun(root, reviewed={"lr": 0.003}, why="it swings"), 0.4)
    told = lines(labctl.done("tinker", "runs", "sft").out)
    at = next(number for number, line in enumerate(told) if second.run.run_id in line)
    assert told[at + 1] == "reviewed: lr 0.005 -> 0.003: it swings"


def test_the_last_word_is_why_no_chunk_comes_after(labctl: Labctl, place: Path) -> None:
    root = a_training(place)
    a_chunk(root, 0.5)
    assert labctl.done("tinker", "runs", "sft", "--json").data["ended"] is None
    labctl.done("pause", "sft", "--reason", "the bill")
    assert lines(labctl.done("tinker", "runs", "sft").out)[-1].startswith("paused ")
    assert lines(labctl.done("tinker", "runs", "sft").out)[-1].endswith(" by ann: the bill")
    labctl.done("resume", "sft")
    assert labctl.done("tinker", "runs", "sft", "--json").data["ended"] is None


def test_names_of_a_service_are_cut_where_the_terminal_is_narrow(
    labctl: Labctl, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = a_training(place)
    run = over(root, begun(root), 0.5, model_run="12345678-1234-1234-1234-123456789abc:train:0").run.run_id
    monkeypatch.setenv("COLUMNS", "200")
    assert f"{run}  12345678-1234-" in labctl.done("tinker", "runs", "sft").out
    monkeypatch.setenv("COLUMNS", "80")
    assert f"{run}  12345678-…" in labctl.done("tinker", "runs", "sft").out


def test_rows_that_were_spoilt_after_their_seal_are_missing_and_said_so(labctl: Labctl, place: Path) -> None:
    root = a_training(place)
    made = a_chunk(root, 0.5)
    path = place / "experiments/sft/runs" / made.run.run_id / "artifacts/steps.jsonl"
    path.chmod(0o644)
    path.write_text('{"step": 0, "loss": 0.0}\n')
    said = labctl.done("tinker", "runs", "sft", "--steps", "--json")
    assert said.data["stages"][0]["rows"] == []
    assert said.envelope["warnings"] == [f"{made.run.run_id}: artifacts/steps.jsonl is not here as it was sealed"]


def test_what_a_service_or_a_recipe_said_speaks_to_no_terminal(labctl: Labctl, place: Path) -> None:
    root = a_training(place)
    running = begun(root)
    wrote(
        root, running, row(0, 1.0, metrics={"loss\u202e": 1.0}), Pause(at=2.0, what="x", words="\x1b[31mred\nnext: rm")
    )
    told = labctl.done("tinker", "runs", "sft", "--steps")
    assert "\x1b" not in told.all
    assert "\nnext: rm" not in told.all


def test_looking_writes_nothing(labctl: Labctl, place: Path) -> None:
    root = a_training(place)
    a_chunk(root, 0.5)
    begun(root)
    before = tree(str(place))
    for words in (("runs",), ("runs", "sft", "--steps"), ("checkpoints", "sft")):
        labctl.done("tinker", *words)
    assert tree(str(place)) == before


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("runs", "alpha"), "alpha trains nothing remotely: its executor is command"),
        (("runs", "nobody"), "there is no experiment nobody"),
        (("runs", "--steps"), "--steps and --tier are of one experiment"),
        (("runs", "alpha", "--last", "0"), "--last 0 is below 1"),
        (("runs", "alpha", "--server"), "runs does not take --server"),
        (("checkpoints",), "checkpoints wants an experiment"),
        (("estimate", "alpha"), "alpha trains nothing remotely"),
        (("serve-local", "alpha"), "serve-local takes no 'alpha'"),
    ],
)
def test_what_cannot_be_is_refused_in_words(words: tuple[str, ...], told: str, labctl: Labctl, place: Path) -> None:
    a_lab(place, "alpha")
    said = labctl("tinker", *words)
    assert said.code == 2
    assert told in said.err


def test_rows_that_are_too_many_to_be_read_are_not_called_spoilt(
    labctl: Labctl, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = a_chunk(a_training(place), 0.5)
    monkeypatch.setattr(chained, "MOST_BYTES", 100)
    (warning,) = labctl.done("tinker", "runs", "sft", "--steps", "--json").envelope["warnings"]
    assert warning.startswith(f"{made.run.run_id}: artifacts/steps.jsonl is not read: it has ")
