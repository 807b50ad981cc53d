"""Two near misses in one: each looked better and was not confirmed, and together they may be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.core.errors import Unavailable

if TYPE_CHECKING:
    from lab.core.loop import Node
    from lab.scheduler.loop.grounds import Grounds


def union(grounds: Grounds, best: Node, one: Node, other: Node) -> str:
    """A commit that has both changes on top of the best; empty where they cannot agree, and a proposer is asked."""
    repo, at = grounds.repo, best.commit
    trailers = {"Lab-Experiment": grounds.experiment, "Lab-Run": grounds.run_id}
    for node in (one, other):
        before = repo.commit_of(f"{node.commit}^")
        if not before:
            return ""
        try:
            merged = repo.merge_tree(at, node.commit, before)
        except Unavailable:  # an older git
            return ""
        if merged.conflicts:
            return ""
        at = repo.commit(merged.tree, (best.commit,), told(one, other), trailers)
    return at


def told(one: Node, other: Node) -> str:
    """What such a candidate is, in a line."""
    return f"combine {one.run_id} and {other.run_id}"
