"""What models have said to a search, as its strategies see it. Pure.

A strategy asks nobody: whoever runs it asks beforehand, and puts the answer into the history. So the same history gives
the same proposal, and nothing waits for a model while an experiment is held.
"""

from __future__ import annotations

import msgspec

from lab.core.parameter import Scalar  # msgspec resolves annotations


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A point that a model proposed, and why. `expected` is the value it expects, where it said so."""

    ask: str
    params: dict[str, Scalar]
    note: str = ""
    parents: tuple[str, ...] = ()
    base: float | None = None
    expected: float | None = None


class Advice(msgspec.Struct, frozen=True, kw_only=True):
    """The candidates that may still be tried, the newest answer's first, or why there are none.

    Without candidates and without a problem, a model is to be asked. `problem` is a word for why the last answer is of
    no use, `what` says it to people, and `ask` names that exchange until a run has it in its bundle.
    """

    candidates: tuple[Candidate, ...] = ()
    problem: str = ""
    what: str = ""
    ask: str = ""
    fallback: str = "perturb"  # the strategy that proposes where the model fails
    share: float = 0.3  # of the proposals of `hybrid`, those that the model makes
