"""Where the next candidate begins: a tree search over code, chosen from what the loop knows. Pure, given its luck."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.core.loop import Node

if TYPE_CHECKING:
    from random import Random

    from lab.core.loop import Loop


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """A commit to begin at, and what its proposer is told to do there."""

    kind: str  # baseline, draft, improve, debug or combine
    parent: Node | None = None  # None for the baseline alone
    other: Node | None = None  # what is to be combined with it
    words: str = ""


def choose(loop: Loop | None, rng: Random) -> Start:
    """The next start. Without a baseline, the baseline."""
    raise NotImplementedError
