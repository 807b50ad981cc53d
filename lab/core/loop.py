"""What a code loop knows, folded from its runs: the baseline, the noise, what is to be beaten, and what was spent.

Its size does not grow with history. Where a fact needs every run (has this change been tried?), the bundles are asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.core.noise import Noise

if TYPE_CHECKING:
    from lab.core.candidate import Candidate
    from lab.core.run import Run

NODES = 12  # near misses that a later candidate may begin from, or be combined from


class Node(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A commit that a candidate may begin from."""

    run_id: str
    commit: str
    value: float | None = None
    note: str = ""
    lines: int = 0  # against the baseline
    children: int = 0  # candidates that began here
    kept: bool = False
    crash: str = ""


class Loop(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The state of one code loop in one tier."""

    base: Node | None = None  # the code as it was found
    best: Node | None = None  # what is to be beaten: the last that was kept
    peak: float | None = None  # the best confirmed value; what was kept for being simpler is held against it
    noise: Noise = Noise()
    evaluator: str = ""  # digest of the files that measure, as the baseline had them
    candidates: int = 0  # the baseline's runs apart
    kept: int = 0
    discarded: int = 0
    crashed: int = 0
    failed_checks: int = 0
    tests: int = 0  # how many times part of the session's alpha was spent
    alpha: float = 0.0  # how much of it, all together
    unkept: int = 0  # candidates in a row that were not kept
    crashes: int = 0  # candidates in a row that crashed
    stale: int = 0  # measured candidates since the last confirmed gain
    tokens: int = 0
    drift: float | None = None  # by how much the incumbent's last measurements differ from its first, in sigmas
    gap: float | None = None  # by how much the gain on the metric outruns the gain on the hidden measurement
    nodes: tuple[Node, ...] = ()


def fold(before: Loop | None, run: Run, candidate: Candidate) -> Loop:
    """The state after this run too. The given state is left as it was."""
    raise NotImplementedError
