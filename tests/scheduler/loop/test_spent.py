"""What a loop kept for its next candidate, when there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.core.candidate import KEEP
from lab.core.view import COMPLETED
from lab.scheduler import decisions
from lab.scheduler.loop import trying
from tests.scheduler.labs import me
from tests.scheduler.loop.live import NAME, Live, a_loop

LESS = "echo $(($(cat value) - 10)) > value"
MANY = {f"part/{number}": f"{number}\n" for number in range(60)}  # enough for a tree to be kept for later


def kept(loop: Live) -> list[str]:
    return sorted(each.name for each in Path(loop.root.layout.place(f"scratch/loops/{NAME}")).iterdir())


@pytest.mark.parametrize("how", ["by itself", "by hand", "archived"])
def test_a_loop_that_has_ended_keeps_no_trees_but_those_that_somebody_has(tmp_path: Path, how: str) -> None:
    loop = a_loop(tmp_path, files=MANY)
    loop.change(":", LESS, LESS)
    begun = trying.begin(loop.root, NAME, owner=me(), tell=lambda _: None, interrupted=lambda: "")
    assert any(name.startswith((".spare-", "best-")) for name in kept(loop))
    if how == "by itself":
        loop.edit("max_iterations_total", "4")
        loop.change(LESS)
    elif how == "by hand":
        decisions.complete(loop.root, NAME, reason="", actor="ann")
    else:
        decisions.pause(loop.root, NAME, reason="", actor="ann")
        decisions.archive(loop.root, NAME, reason="", actor="ann")
    assert kept(loop) == ["try-1", "try-1.brief.md", "try-1.try.json"]
    assert Path(begun.tree, "value").exists()
    if how != "archived":
        assert loop.view().phase == COMPLETED
        decisions.resume(loop.root, NAME, reason="", actor="ann")
        loop.edit("max_iterations_total", "9")
        assert loop.change(LESS).verdict == KEEP
