"""What a kind of run is called: the same word wherever it is told."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from lab.cli.watching import experiment_frame
from lab.cli.watching.looking import Experiment
from lab.core import spec
from lab.projections.drawing import runs, signs
from lab.projections.picture import given, stairs, words
from lab.web import templating
from tests.web.pictures import a_picture


@pytest.mark.parametrize("kind", stairs.KINDS)
def test_legend_tooltip_table_and_terminal_call_a_kind_alike(kind: str) -> None:
    word = words.of(kind)
    made = a_picture(20)
    told = msgspec.structs.replace(made, stairs=msgspec.structs.replace(made.stairs, counts={kind: 7}))
    spot = msgspec.structs.replace(made.stairs.spots[0], kind=kind)
    frame = experiment_frame.ExperimentShown(
        experiment=Experiment(name="x"), under_way=(), lasts={}, picture=told, now=datetime.now(UTC)
    )
    screen = "\n".join("".join(piece for piece, _ in row) for row in experiment_frame.rows(frame, 150, 40))

    assert next(runs.entries(told.stairs)).text == f"{word} 7"
    assert [entry.text for entry in signs.entries({kind: 7})] == [f"{word} 7"]
    assert f", {word}, " in runs.says(spot)
    assert templating.came_to(kind) == word
    assert f"7 {word}" in screen


@pytest.mark.parametrize("state", [given.RUNNING, given.WAITING, given.LOST])
def test_what_is_under_way_has_a_word_and_a_sign(state: str) -> None:
    assert [entry.text for entry in signs.entries({state: 1})] == [f"{words.of(state)} 1"]


def test_what_nobody_knows_is_told_as_it_is_written_and_clean() -> None:
    assert words.of("odd\x1b[31m\u202e") == "odd"


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"mutation_command": "sh less.sh"}, "the command sh less.sh"),
        ({"agent_provider": "claude"}, "the agent claude"),
        ({}, "people"),
    ],
)
def test_a_code_loop_says_who_proposes(fields: dict[str, str], told: str) -> None:
    loop = spec.parse(
        {"id": "x", "goal": "g", "metric": "m", "metric_direction": "minimize", "cadence": "1h", **fields}
    )
    assert words.proposer(loop, is_loop=True) == told
    assert words.proposer(msgspec.structs.replace(loop, strategy="tree"), is_loop=False) == "tree"


def test_what_is_left_is_counted_in_full() -> None:
    assert [experiment_frame._amount(each) for each in (999_880, 7, 0.123456, 12345.6)] == [
        "999,880", "7", "0.1235", "12,346",
    ]  # fmt: skip
