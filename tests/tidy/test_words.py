"""The start path spells some words again: it may not load the records that own them. They must stay the same."""

from __future__ import annotations

from typing import get_args

from lab.cli import list_, status
from lab.cli.shapes import words
from lab.core import run, view
from lab.mcp import tools


def test_the_phases_that_the_command_line_knows_are_the_phases_there_are() -> None:
    assert set(list_.PHASES) == set(view.PHASES)
    assert set(status.PHASES) == set(view.PHASES)
    assert get_args(words.Phase) == tuple(tools._PHASES) == view.PHASES


def test_the_outcomes_that_the_command_line_knows_are_the_outcomes_there_are() -> None:
    assert list_.OUTCOMES == run.OUTCOMES
    assert get_args(words.Outcome) == tuple(tools._OUTCOMES) == tuple(run.OUTCOMES)
