"""An empty file is refused by what a file of its kind has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lab.core.errors import BadInput
from lab.research import idea, project
from lab.research.ideas import hypothesis
from lab.research.studies import study
from lab.store import experiments, shipped

if TYPE_CHECKING:
    from collections.abc import Callable


def given(data: bytes, where: str) -> object:
    return hypothesis.read(data, where, study.on_disk(f"{shipped.template_folder()}/research/study"))


@pytest.mark.parametrize("data", [b"", b" \n", b"# what I expect\n"])
@pytest.mark.parametrize(
    ("read", "least"),
    [
        (idea.parse, "`hypothesis:`, `predicted_gain:` and `kill:`"),
        (given, "`hypothesis:`, `predicted_gain:` and `kill:`"),
        (project.parse, "`mode:` and `topic:`"),
        (experiments.parse_spec, "`id:`, `goal:` and a command"),
    ],
)
def test_an_empty_file_is_told_what_it_lacks(read: Callable[[bytes, str], object], least: str, data: bytes) -> None:
    with pytest.raises(BadInput) as wrong:
        read(data, "given.yaml")
    assert (wrong.value.what, wrong.value.fix) == ("the file is empty", f"write at least {least}")
