"""What `labctl tinker check` asks, of a real server."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from lab.core.errors import LabError, Unavailable
from lab.tinker import capabilities
from tests.tinker import chunks
from tests.tinker.conftest import BASE
from tests.tinker.line import Line

pytest.importorskip("tinker")

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")  # the SDK leaves a connection behind


@pytest.fixture(autouse=True)
def keyless(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    for name in ("TINKER_API_KEY", "TINKER_CREDENTIAL_CMD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TINKER_TELEMETRY", "0")
    yield
    chunks.collect()


def test_a_service_says_what_can_be_trained_there(server: str) -> None:
    told = capabilities.ask(server, os.environ, limit_s=20)
    assert BASE in told.models
    assert told.took_s > 0


def test_a_trial_goes_the_whole_way_of_a_chunk_and_leaves_nothing_behind(server: str) -> None:
    from lab.tinker import stored

    before = {each.path for each in stored.listed(server, os.environ, limit_s=20)}
    tried = capabilities.trial(server, BASE, os.environ, limit_s=20)
    assert [stage.name for stage in tried.stages] == ["begin", "train", "sample", "save", "resume", "delete"]
    assert tried.is_good, tried.stages
    assert 0 < tried.trained + tried.sampled + tried.prefilled < 100
    assert {each.path for each in stored.listed(server, os.environ, limit_s=20)} == before


def test_a_trial_stops_where_it_fails_says_so_and_still_deletes(server: str) -> None:
    chunks.fault(server, "/load_weights", status=403, detail="not yours")
    tried = capabilities.trial(server, BASE, os.environ, limit_s=20)
    assert not tried.is_good
    assert [(stage.name, bool(stage.problem)) for stage in tried.stages][-2:] == [("resume", True), ("delete", False)]
    assert "not yours" in next(stage.problem for stage in tried.stages if stage.problem)


def test_a_model_that_is_not_there_fails_the_first_stage(server: str) -> None:
    tried = capabilities.trial(server, "no/such", os.environ, limit_s=20)
    assert [stage.name for stage in tried.stages] == ["begin"]
    assert "no/such" in tried.stages[0].problem


def test_a_service_that_is_away_is_told_within_the_limit() -> None:
    with Line("http://127.0.0.1:9") as line:
        url = line.url
    with pytest.raises(Unavailable) as away:
        capabilities.ask(url, os.environ, limit_s=2.0)
    assert url in str(away.value)


def test_a_service_that_is_paid_is_not_asked_without_a_key() -> None:
    with pytest.raises(LabError) as refused:
        capabilities.ask("https://tinker.example.org", os.environ, limit_s=2.0)
    assert "TINKER_CREDENTIAL_CMD" in str(refused.value)
