"""What a page says is run, in a folder and a home of its own: docs/decisions/0055-docs-are-run.md."""

from __future__ import annotations

import sys
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.pages import page as reading
from tests.pages.framed import Frame, is_typed, type_framed
from tests.pages.judged import judge

if TYPE_CHECKING:
    from pathlib import Path

PAGES = reading.pages()
LIMIT_S = 120.0
TO_COME: frozenset[str] = frozenset()  # pages whose blocks do not say yet what they are: there is to be none
# Typed by tests/e2e, tests/research/e2e and tests/tinker/proof, which look at what came of it.
LOOKED_AT = frozenset({
    "examples/knapsack", "examples/optimize-function", "examples/research-continue", "examples/research-data",
    "examples/research-full", "examples/research-given", "examples/research-hypothesis", "examples/word-count",
    "templates/tinker-dpo", "templates/tinker-rl", "templates/tinker-rlhf", "templates/tinker-sl",
})  # fmt: skip
TYPED = [
    name
    for name, path in PAGES.items()
    if name not in TO_COME and name not in LOOKED_AT and is_typed(reading.blocks(path))
]


@pytest.mark.parametrize("name", PAGES)
def test_every_block_says_what_it_is_and_is_it(name: str) -> None:
    if name in TO_COME:
        pytest.skip("to come: its blocks do not say yet what they are")
    for block in reading.blocks(PAGES[name]):
        assert not block.problem(), f"{block.where}: {block.problem()}"
        judge(block)


@pytest.mark.heavy
@pytest.mark.timeout(2 * LIMIT_S)
@pytest.mark.parametrize("name", [name for name in TYPED if not Frame(name).has_torch])
def test_a_page_can_be_typed(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    type_framed(name, reading.blocks(PAGES[name]), tmp_path, request, LIMIT_S)


def test_few_blocks_are_not_typed(capsys: pytest.CaptureFixture[str]) -> None:
    """The count is printed, with the reasons."""
    blocks = [block for path in PAGES.values() for block in reading.blocks(path)]
    counted = Counter(reading.fate(block) for block in blocks)
    told = [f"{len(blocks)} blocks on {len(PAGES)} pages: " + ", ".join(f"{n} {fate}" for fate, n in counted.items())]
    told += [f"  {block.where} is not typed: {block.unrun}" for block in blocks if block.unrun]
    with capsys.disabled():
        sys.stdout.write("\n" + "\n".join(told) + "\n")
    unrun = counted["not typed"]
    assert 20 * unrun < len(blocks), f"{unrun} of {len(blocks)} blocks are not typed: that is more than one in twenty"
