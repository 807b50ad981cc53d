"""What a kind of run is called: the same word in legends, tables, tooltips, on the live page and at the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.core.spec_tuning import searched_by
from lab.projections import text
from lab.projections.picture import given, stairs

if TYPE_CHECKING:
    from lab.core.spec import Spec

UNCONFIRMED = "kept unconfirmed"  # a keep of a code loop that no test told from the noise
WITHIN_NOISE = "within noise"
CHECKS_FAILED = "checks_failed"
KINDS = {
    stairs.BASELINE: "baseline",
    stairs.KEEP: "keep",
    stairs.WITHIN: WITHIN_NOISE,
    stairs.DISCARD: "discard",
    stairs.CRASH: "failed",
    stairs.CANCELLED: "cancelled",
    stairs.CLAIMED: "claimed elsewhere",
    stairs.REPLAYED: "replayed",
    stairs.UNMEASURED: "not measured",
    stairs.DONE: "done",
    given.RUNNING: "under way",
    given.WAITING: "waiting",
    given.LOST: "lost",
    CHECKS_FAILED: "checks failed",
}


def of(kind: str, *, unsure: bool = False) -> str:
    """The kind in a word; one that nobody knows as it is written. `unsure` of a step that the noise may be all of."""
    if unsure and kind == stairs.KEEP:
        return UNCONFIRMED
    return KINDS.get(kind) or text.line(kind, 40)


def proposer(spec: Spec, *, is_loop: bool) -> str:
    """What proposes the next run: a strategy of a search; of a code loop a command, an agent, or people."""
    if not is_loop:
        return text.line(searched_by(spec, has_space=spec.search_space is not None))
    if spec.mutation_command:
        return text.line(f"the command {spec.mutation_command}")
    return text.line(f"the agent {spec.agent_provider}" if spec.agent_provider else spec.strategy) or "people"
