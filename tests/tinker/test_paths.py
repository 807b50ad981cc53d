from __future__ import annotations

import pytest

from lab.core.errors import BadInput
from lab.tinker import paths

GOOD = "tinker://0a1b:train:0/weights/000020"
BAD = [
    "tinker://run/final",  # two words: of this kind were many, and no service takes them
    "tinker://run/weights/final/more",
    "tinker://run/archive/final",
    "tinker://run/weights/",
    "tinker:///weights/final",
    "tinker://run/weights/a b",
    "tinker://run/weights/$(id)",
    "tinker://run/weights/a;b",
    "tinker://run/weights/final\n",
    "tinker://run/weights/..",
    "tinker://../weights/final",
    "file:///etc/passwd",
    "tinker://rün/weights/final",
    "tinker://" + "r" * 600 + "/weights/final",
    "",
]


def test_a_path_comes_apart_into_its_words_and_together_again() -> None:
    saved = paths.parse(GOOD)
    assert (saved.run, saved.kind, saved.name) == ("0a1b:train:0", "weights", "000020")
    assert saved.path == GOOD


@pytest.mark.parametrize("kind", ["weights", "sampler_weights", "external_weights"])
def test_each_kind_of_what_is_saved_has_paths(kind: str) -> None:
    assert paths.parse(f"tinker://r/{kind}/final").kind == kind


@pytest.mark.parametrize("text", BAD)
def test_what_is_no_path_is_refused_with_how_one_reads(text: str) -> None:
    assert not paths.is_path(text)
    with pytest.raises(BadInput) as refused:
        paths.parse(text, where="chunk.json")
    assert "tinker://RUN/KIND/NAME" in str(refused.value)
    assert "chunk.json" in str(refused.value)
    assert len(str(refused.value)) < 1000


def test_the_name_of_a_state_tells_the_steps_in_it() -> None:
    assert paths.name_of(20) == "000020"
    assert paths.step_of(GOOD) == 20
    assert paths.step_of(f"tinker://r/weights/{paths.name_of(12_345_678)}") == 12_345_678


@pytest.mark.parametrize("name", ["final", "20", "step_000020", "²²²²²²"])
def test_a_name_that_somebody_else_gave_tells_no_steps(name: str) -> None:
    assert paths.step_of(f"tinker://r/weights/{name}") is None
