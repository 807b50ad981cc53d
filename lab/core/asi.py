"""What the proposer of a candidate noted about it for whoever comes next. It outlives the change. Pure.

The keys are those of the peers (there they are called ASI). Others are let pass and kept. What came of it is said by
the lab: a proposer that could write its own result would.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable

FILE = "asi.json"
MOST_KEYS, VALUE_BYTES, MOST_BYTES = 32, 4_096, 16_384


class Asi(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The notes of one candidate. All may be empty."""

    hypothesis: str = ""
    change: str = ""
    result: str = ""  # the lab's word
    next_action_hint: str = ""
    rollback_reason: str = ""  # the lab's word; empty for what was kept
    more: dict[str, object] = {}

    @property
    def note(self) -> str:
        """One line for tables."""
        return " ".join((self.change or self.hypothesis).split())


def parse(text: str, where: str = "") -> Asi:
    """The notes in a JSON object, or `BadInput` that says what is wrong with it.

    What it says of `result` and `rollback_reason` is a claim: kept as `claimed_result` and `claimed_rollback_reason`.
    """
    raise NotImplementedError


def completed(notes: Asi, *, verdict: str, why: str, gain: float | None = None, metric: str = "") -> Asi:
    """The same with what came of it, as the lab decided."""
    raise NotImplementedError


def redacted(notes: Asi, secrets: Iterable[str]) -> Asi:
    """The same with these values blotted out, in keys too."""
    raise NotImplementedError


def told(notes: Asi) -> dict[str, object]:
    """As one flat object, for asi.json and for the peers' logs: what is empty is left out."""
    raise NotImplementedError
