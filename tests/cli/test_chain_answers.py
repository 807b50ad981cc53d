"""What is said of the runs of a training in chunks: they have equal parameters, and are no repeats of one another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lab.cli.burst_words import Teller
from lab.cli.terminal import Terminal
from lab.scheduler import step
from tests.cli.trainings import a_chunk, a_training

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.labs import Labctl

SPACE = "search_space: {lr: {low: 0.0001, high: 0.1, default: 0.01}}\n"


@pytest.fixture
def chunks(place: Path) -> list[str]:
    """Of a training whose second chunk was its best."""
    root = a_training(place, more=SPACE)
    return [a_chunk(root, value).run.run_id for value in (0.5, 0.2, 0.4)]


def test_of_a_training_in_chunks_the_best_chunk_is_shown_and_the_one_that_it_goes_on_from(
    labctl: Labctl, chunks: list[str]
) -> None:
    said = labctl.done("best", "sft")
    assert said.out.splitlines()[:3] == [
        "sft, tier proxy: loss, minimize, 3 runs with a value",
        f"run: {chunks[1]}, loss 0.2",
        f"the best chunk; the training goes on from {chunks[2]}",
    ]
    assert f"next: labctl tinker download {chunks[1]}" in said.err
    data = labctl.done("best", "sft", "--json").data
    assert (data["run"], data["chosen_by"], data["goes_on_from"]) == (chunks[1], "best chunk", chunks[2])
    assert (data["expected"], data["noise"], data["noisy"]) == (None, None, None)
    assert data["params"] == {"lr": 0.01}


def test_a_training_whose_last_chunk_is_its_best_says_it_once(labctl: Labctl, place: Path) -> None:
    root = a_training(place, more=SPACE)
    made = [a_chunk(root, value).run.run_id for value in (0.5, 0.4)]
    assert "goes on from" not in labctl.done("best", "sft").out
    assert labctl.done("best", "sft", "--json").data["run"] == made[1]


def test_chunks_with_the_same_parameters_tell_nothing_of_noise(labctl: Labctl, chunks: list[str], place: Path) -> None:
    compared = labctl.done("compare", *chunks[:2]).out
    assert "each: no interval" in compared
    assert "within noise" not in compared
    assert "no point was measured twice" in labctl.done("context", "sft").out
    labctl.done("report", "sft", "-o", f"{place.parent}/report.html")
    assert "measured more than once" not in (place.parent / "report.html").read_text()
    assert [row["run"] for row in labctl.done("top", "sft", "--json").data["runs"]] == [
        chunks[1], chunks[2], chunks[0],
    ]  # fmt: skip
    labctl.done("export", "sft", "--output", f"{place.parent}/runs.csv")
    assert len((place.parent / "runs.csv").read_text().splitlines()) == 4


def test_whole_trainings_of_a_search_are_repeats_where_their_parameters_are_equal(labctl: Labctl, place: Path) -> None:
    root = a_training(place, more="strategy: random\nsearch_space: {rank: {low: 1, high: 8, type: int}}\n")
    for value in (0.5, 0.2, 0.4):
        a_chunk(root, value)
    data = labctl.done("best", "sft", "--json").data
    assert (data["chosen_by"], data["goes_on_from"]) == ("mean of repeats", "")


def test_while_it_goes_on_a_chunk_is_told_by_its_steps_and_not_by_parameters_that_stay(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = a_training(place, more=SPACE)
    teller = Teller(Terminal(as_json=False, quiet=False), "burst", "sft")
    for made in (a_chunk(root, 0.5), a_chunk(root, None, saves=False)):
        teller.tell(step.ran(made.run, {"lr": 0.01}))
    assert capsys.readouterr().out.splitlines() == [
        "[1/0]* [proxy] chunk 1, steps 0 to 8, loss 0.5 (1.5s)",
        "[2/0]  [proxy] chunk 2, no step saved, failed (1.5s): the service went away",
    ]


def test_a_chunk_that_saved_nothing_is_shown_so(labctl: Labctl, place: Path) -> None:
    root = a_training(place)
    run = a_chunk(root, None, saves=False).run.run_id
    assert "training: chunk 1, no step saved" in labctl.done("show", run).out
