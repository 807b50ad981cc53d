"""How long a real server is told to keep the states of a training."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from lab.tinker import stored
from tests.tinker.chunks import Here, order

if TYPE_CHECKING:
    from pathlib import Path

# The SDK leaves a connection behind, which is found whenever memory is looked through.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@pytest.fixture
def carry(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Here:
    return Here(monkeypatch, capfd)


def ends_of(server: str) -> dict[str, str]:
    return {each.path: each.expires_at for each in stored.listed(server, os.environ, limit_s=30.0)}


def test_the_newest_state_has_no_end_and_the_one_before_it_ends_by_itself(
    carry: Here, server: str, tmp_path: Path
) -> None:
    days = {"keep_days": 2.0}
    first = carry(tmp_path / "1", order(server, tuning=days, steps=2))
    assert ends_of(server)[first.state] == ""
    told = order(
        server, tuning=days, number=2, first_step=2, steps=2, state_path=first.state, let_go=first.state
    )  # fmt: skip
    second = carry(tmp_path / "2", told)
    ends = ends_of(server)
    left = datetime.fromisoformat(ends[first.state]) - datetime.now(UTC)
    assert timedelta(days=1.9) < left <= timedelta(days=2)
    assert ends[second.state] == "", "a training that a target, a budget or a person ended may be resumed for ever"


def test_a_state_that_cannot_be_let_go_costs_no_chunk(carry: Here, server: str, tmp_path: Path) -> None:
    first = carry(tmp_path / "1", order(server, steps=2))
    gone = first.state.replace("000002", "000001")
    told = order(
        server, tuning={"keep_days": 0.001}, number=2, first_step=2, steps=2, state_path=first.state, let_go=gone
    )  # fmt: skip
    second = carry(tmp_path / "2", told)
    assert second.code == 75
    assert "an earlier state is kept without an end" in second.err
    assert ends_of(server)[second.state] == ""
