"""What a chunk says that it was trained with, and what two of them say beside each other."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from lab.tinker import used
from tests.tinker import recipes
from tests.tinker.chunks import Here, order

if TYPE_CHECKING:
    from pathlib import Path

    from lab.tinker.job import Job
    from tests.tinker.chunks import Chunk

# The SDK leaves the connection behind that it asked for its settings with.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@pytest.fixture
def carry(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Here:
    return Here(monkeypatch, capfd)


class Reads(recipes.Plain):
    """Trains as `Plain` does, and asks for a file."""

    def prepare(self, job: Job) -> None:
        with open(job.file("rows.jsonl"), "rb") as file:
            file.read()
        super().prepare(job)


@pytest.mark.heavy
def test_a_chunk_tells_the_digest_of_the_recipe_and_of_each_file_that_it_asked_for(
    carry: Here, server: str, tmp_path: Path
) -> None:
    def trained(name: str) -> tuple[Chunk, bytes]:
        done = carry(tmp_path / name, order(server, steps=1), Reads, LAB_WORKSPACE_ROOT=str(tmp_path))
        return done, (tmp_path / name / used.FILE).read_bytes()

    data = tmp_path / "rows.jsonl"
    data.write_text("one\n")
    (first, before), (_, same) = trained("first"), trained("second")
    assert first.code == 75, first.err
    assert json.loads(before)["rows.jsonl"] == used.digest(str(data))
    assert used.changed(before, same) == ()
    data.write_text("two\n")
    _, after = trained("third")
    assert used.changed(before, after) == ("rows.jsonl",)
    again, kept = trained("third")
    assert "already done" in again.out
    assert kept == after, "what is not done twice is told as it was done"


def test_a_recipe_is_told_with_the_modules_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "judge_beside.py").write_text("GOOD = 1\n")
    (tmp_path / "never_imported.py").write_text("")
    (tmp_path / "recipe.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    __import__("judge_beside")
    assert set(used.program(str(tmp_path / "recipe.py"))) == {"recipe.py", "judge_beside.py"}


@pytest.mark.parametrize("broken", [b"", b"{", b"[]", b'{"a": 1}', b"\xff"])
def test_what_is_no_record_tells_of_no_change(broken: bytes) -> None:
    assert used.changed(broken, used.page({"a": "1"})) == used.changed(used.page({"a": "1"}), broken) == ()


def test_a_file_that_only_one_of_two_asked_for_was_not_changed() -> None:
    assert used.changed(used.page({"a": "1"}), used.page({"b": "2"})) == ()
