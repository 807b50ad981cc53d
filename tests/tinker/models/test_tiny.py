"""The tiny model: the same bytes each time, nothing written over, and usable as any other base."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from lab.core.errors import BadInput, NotFound
from lab.tinker.local.bases import Base
from lab.tinker.local.models import LocalModels
from lab.tinker.local.tiny import make_tiny

if TYPE_CHECKING:
    from pathlib import Path


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_it_is_the_same_bytes_each_time_and_whatever_chance_was_before(tiny_model: Path, tmp_path: Path) -> None:
    torch.manual_seed(123)
    made = make_tiny(str(tmp_path / "again"))
    assert contents(tmp_path / "again") == contents(tiny_model)
    assert made.parameters < 200_000
    assert sum(len(data) for data in contents(tmp_path / "again").values()) < 1_000_000


def test_making_it_leaves_the_chance_of_the_process_as_it_was(tmp_path: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    make_tiny(str(tmp_path / "tiny"))
    assert torch.equal(torch.rand(3), expected)


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(BadInput, match="already there"):
        make_tiny(str(tmp_path))
    assert contents(tmp_path) == {"mine.txt": b"mine"}


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    make_tiny(str(tmp_path / "empty"))
    assert "model.safetensors" in contents(tmp_path / "empty")
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


def test_the_tokenizer_gives_back_every_text_and_knows_a_chat(base: Base) -> None:
    for text in ("what is 2 + 3? the answer is 5.", "Größe: 3 µm → 日本", "  two  spaces\n"):
        assert base.text(base.tokenizer.encode(text)) == text
    asked = base.tokenizer.apply_chat_template(
        [{"role": "user", "content": "hi"}], tokenize=False, add_generation_prompt=True
    )
    assert asked == "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"
    assert base.ends == {base.tokenizer.eos_token_id}


def test_the_model_has_room_for_more_tokens_than_the_tokenizer_has_as_larger_ones_do(base: Base) -> None:
    assert len(base.tokenizer) < base.vocabulary == 512
    assert base.context == 2048


def test_a_folder_without_a_model_is_told_when_the_server_starts(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no such folder"):
        LocalModels({"a": str(tmp_path / "absent")})
    with pytest.raises(BadInput, match="no base model can be loaded"):
        LocalModels({"a": str(tmp_path)})
    with pytest.raises(BadInput, match="needs a base model"):
        LocalModels({})


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
def test_a_torn_file_of_a_model_is_told_with_its_folder(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "torn"
    make_tiny(str(folder))
    (folder / name).write_bytes((folder / name).read_bytes()[:100])
    with pytest.raises(BadInput, match="no base model can be loaded") as told:
        Base("torn", str(folder))
    assert told.value.where == str(folder)


def test_all_its_files_are_as_readable_as_one_another(tiny_model: Path) -> None:
    assert len({path.stat().st_mode for path in tiny_model.iterdir()}) == 1
