"""Whether a change, or an idea, was tried before: asked before a run is spent on it.

What was tried stands in metrics.jsonl, a line a run, like everything else about runs: it is appended with the run, and
`refresh` brings it back. Its bytes are searched, and only a line that fits is parsed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lab.store.root import Root


def find(root: Root, experiment: str, diff: str, *, tier: str = "", evaluator: str = "") -> str:
    """The last run that tried this change (`Candidate.diff`) and learned something; empty where none did.

    With a `tier`, only of that one; with an `evaluator`, only where the files that measure were the same. A run that
    ended with the lab, or was cancelled, is none: nothing was learned from it.
    """
    raise NotImplementedError


def tried(root: Root, experiment: str, idea: str) -> str:
    """The last run that was given this idea (`Candidate.idea`) and learned something; empty where none was."""
    raise NotImplementedError
