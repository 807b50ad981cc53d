"""Commits that somebody removed from the repository: the loop says so, and begins at the workspace again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lab.core.candidate import BASELINE, KEEP
from lab.core.errors import BadInput
from lab.scheduler.loop.finalized import INDEPENDENT, Finalizing
from tests.scheduler.loop.live import NAME, Live, a_loop, sound

if TYPE_CHECKING:
    from pathlib import Path

LESS = "echo $((40 - LAB_RUN_ITERATION)) > value"


def pruned(loop: Live) -> None:
    """As somebody does it who tidies up: the refs that say nothing to him, and what hangs on them."""
    for ref in loop.git("for-each-ref", "--format=%(refname)", "refs/lab/", "refs/heads/lab/").split():
        loop.git("update-ref", "-d", ref)
    loop.git("reflog", "expire", "--expire=now", "--all")
    loop.git("gc", "-q", "--prune=now")


@pytest.mark.parametrize("promotion", ["patch-only", "branch"])
def test_a_loop_whose_commits_are_gone_begins_again_and_says_why(tmp_path: Path, promotion: str) -> None:
    loop = a_loop(tmp_path, spec=f"promotion_strategy: {promotion}\n")
    kept = loop.change(":", LESS, LESS)
    pruned(loop)
    with pytest.raises(BadInput, match=f"{kept.candidate.commit[:12]}, which loop kept last, is gone"):
        Finalizing(loop.root, NAME, prefix="", way=INDEPENDENT)
    again = loop.change(LESS)
    assert (again.candidate.kind, again.verdict, again.candidate_value) == (BASELINE, KEEP, 50)
    assert f"{kept.candidate.commit[:12]}, which was kept last, is gone" in again.note
    assert "diff.patch" in again.note
    better = loop.change(LESS)
    assert (better.verdict, better.previous_best_value, better.candidate_value) == (KEEP, 50, 35)
    sound(loop)
