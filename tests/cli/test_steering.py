"""labctl steer: say it, see it, take it back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.labs import a_busy_lab, tree

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.labs import Labctl


@pytest.fixture
def loop(place: Path, labctl: Labctl) -> str:
    a_busy_lab(place)
    with (place / "experiments/alpha/SPEC.yaml").open("a") as spec:
        spec.write("executor: reference\n")
    return "alpha"


def test_words_are_said_shown_and_taken_back(loop: str, labctl: Labctl) -> None:
    said = labctl.done("steer", loop, "leave the data alone", "--for", "5")
    assert said.out == "alpha, for 5 more candidates: leave the data alone\n"
    shown = labctl.done("steer", loop, "--json").data
    assert isinstance(shown["steering"], dict)
    assert (shown["steering"]["text"], shown["steering"]["left"], shown["changed"]) == (
        "leave the data alone",
        5,
        False,
    )
    assert labctl.done("steer", loop, "go for speed").out == "alpha, until it is changed: go for speed\n"
    assert labctl.done("steer", loop, "--clear").out == "alpha: nothing is said to its proposers\n"
    assert labctl.done("steer", loop, "--json").data["steering"] is None


@pytest.mark.parametrize(
    "words",
    [
        ("--clear", "--for", "3"),
        ("words", "--clear"),
        ("--for", "3"),
        ("words", "--for", "0"),
        ("words", "--for", "x"),
        (" ",),
    ],
)
def test_what_cannot_be_meant_is_refused(words: tuple[str, ...], loop: str, labctl: Labctl, place: Path) -> None:
    before = tree(str(place))
    said = labctl("steer", loop, *words)
    assert said.code == 2
    assert tree(str(place)) == before
