"""What is left of the limits of a remote training, and how many steps that bears, judged by those it has behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from lab.core.chain import Chain
    from lab.core.spec_fields import Spec
    from lab.core.view import View


class Allowance(msgspec.Struct, frozen=True, kw_only=True):
    """None is no limit. Of a training without a step behind it, what a step takes is not known, and 0."""

    tokens: int | None = None
    usd: float | None = None
    tokens_a_step: float = 0.0
    usd_a_step: float = 0.0

    @property
    def by_tokens(self) -> int | None:
        """As many steps as the tokens bear; None where nothing tells."""
        return int(self.tokens / self.tokens_a_step) if self.tokens is not None and self.tokens_a_step else None

    @property
    def by_usd(self) -> int | None:
        """As many steps as the money bears; None where nothing tells."""
        return int(self.usd / self.usd_a_step) if self.usd is not None and self.usd_a_step else None

    def bears(self, steps: int) -> int:
        """As many of these steps as both bear."""
        return min([steps, *(most for most in (self.by_tokens, self.by_usd) if most is not None)])


def of(view: View, spec: Spec, tier: str) -> Allowance:
    """What is left before the next chunk. Limits are those of the experiment: all tiers take from them."""
    stop, tuning = spec.stop_conditions, spec.tinker
    tokens = None if stop.budget_tokens is None else max(0, stop.budget_tokens - view.tokens)
    usd = None if stop.budget_cost is None else max(0.0, stop.budget_cost - view.cost)
    known = view.tiers.get(tier)
    chain = known.chain if known is not None else None
    if chain is None or not chain.next_step:
        return Allowance(tokens=tokens, usd=usd)
    cost = tuning.usd(chain.trained, chain.sampled, chain.prefilled) if tuning is not None else 0.0
    return Allowance(
        tokens=tokens, usd=usd, tokens_a_step=chain.tokens / chain.next_step, usd_a_step=cost / chain.next_step
    )


def steps_of_next(view: View, spec: Spec, tier: str) -> int:
    """How many steps the next chunk of a tier has, at most. At least one: the policy has judged what one costs.

    None where the training is at its end: then it is measured, and no more.
    """
    tuning, known = spec.tinker, view.tiers.get(tier)
    if tuning is None:
        return 1
    if is_unmeasured(view, spec, tier):
        return 0
    done = known.chain.next_step if known is not None and known.chain is not None else 0
    return max(1, of(view, spec, tier).bears(min(tuning.chunk_steps, tuning.steps - done)))


def is_over(view: View, spec: Spec, tier: str) -> bool:
    """Whether a training is at its end: no step is left. A run may be due yet that measures it: `is_unmeasured`."""
    tuning, known = spec.tinker, view.tiers.get(tier)
    chain = known.chain if known is not None else None
    if chain is None or tuning is None:
        return False
    return chain.next_step >= tuning.steps or (chain.final and ended_now(view, chain))


def is_unmeasured(view: View, spec: Spec, tier: str) -> bool:
    """Whether a training is at its end, nobody knows what that is worth, and nobody was asked since it was opened."""
    known = view.tiers.get(tier)
    chain = known.chain if known is not None else None
    if chain is None or not chain.final or chain.measured:
        return False
    last = view.last.chunk if view.last is not None and view.last.tier == tier else None
    was_asked = last is not None and last.first_step == chain.next_step and not last.halted
    return is_over(view, spec, tier) and not (was_asked and view.runs_since_opened)


def ended_now(view: View, chain: Chain) -> bool:
    """Whether the newest state is of a run since a person last opened it: who resumes a training wants it longer."""
    return chain.run_id in [run.run_id for run in view.recent[-view.runs_since_opened :] if view.runs_since_opened]
