"""Every verb that shows runs, where they are chunks: its answer has the shape that was promised, and is in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.labs import Labctl
from tests.scheduler.chaining.trainings import NAME, Training

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> Training:
    """One chunk that saved, one that was killed, one under way to the end of it."""
    made = Training(tmp_path_factory.mktemp("verbs"))
    made.run(1)
    made.behaves(die_at=14, once=True)
    made.run(2)
    return made


@pytest.fixture
def labctl(training: Training, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Labctl:
    monkeypatch.setenv("LAB_DATA_ROOT", training.root.layout.root)
    return Labctl(capsys)


@pytest.mark.parametrize(
    "words",
    [
        "status", "list", f"list {NAME}", f"show {NAME}", f"top {NAME}", f"best {NAME}", f"context {NAME}", "cost",
        f"cost {NAME}", f"tail {NAME}", f"board {NAME}", f"validate {NAME}", "verify", "explain chunk_decided",
        "tinker runs", f"tinker runs {NAME}", f"tinker checkpoints {NAME}",
    ],
)  # fmt: skip
def test_a_verb_answers_for_chunks_as_for_any_run(labctl: Labctl, words: str) -> None:
    said = labctl(*words.split(), "--json")
    assert said.code == 0, said
    assert said.envelope["ok"] is True
    assert labctl(*words.split()).code == 0


def test_a_run_that_is_a_chunk_is_shown_with_its_place_in_the_training(labctl: Labctl, training: Training) -> None:
    run_id = training.runs[2].run_id
    assert "chunk 3, steps 10 to 20" in labctl.done("show", run_id).out
    assert labctl.done("show", run_id, "--json").data["run_id"] == run_id


def test_a_report_tells_of_it(labctl: Labctl, tmp_path: Path) -> None:
    labctl.done("report", NAME, "-o", str(tmp_path / "report.html"))
    assert "2,664" in (tmp_path / "report.html").read_text().replace("2664", "2,664")


def test_what_it_took_is_told_in_tokens(labctl: Labctl) -> None:
    assert labctl.done("cost", NAME, "--json").data["spending"]["total"]["tokens"] == 2664


def test_a_search_is_refused_in_words(labctl: Labctl) -> None:
    said = labctl("burst", NAME, "-n", "1", "--strategy", "random")
    assert said.code == 2
    assert "chunks of one training" in said.err
    assert "strategy" in said.err


def test_a_spec_whose_service_is_paid_for_and_has_no_limit_makes_no_experiment(labctl: Labctl, tmp_path: Path) -> None:
    spec = tmp_path / "paid.yaml"
    spec.write_text("id: paid\nexecutor: tinker\ntinker: {base_model: m, base_url: 'https://paid.example.org'}\n")
    said = labctl("create", str(spec))
    assert said.code == 2
    assert "is paid for" in said.err
