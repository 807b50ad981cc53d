"""How far remote trainings are, in the words of the pages: what a chain has behind it, and what its next chunk does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.core import allowance
from lab.core.spec_tuning import is_chain
from lab.projections import text
from lab.projections.tier import every

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.core.chain import Chain
    from lab.core.chunk import Chunk
    from lab.core.spec import Spec
    from lab.core.view import View

_TROUBLE_CHARS = 200


class Training(msgspec.Struct, frozen=True, kw_only=True):
    """One tier of STATUS.json. `steps` is the length as the SPEC has it now; null where that cannot be read."""

    chunks: int
    next_step: int
    steps: int | None
    final: bool
    state_path: str
    run: str
    tokens: int


def by_tier(view: View, spec: Spec | None) -> dict[str, Training]:
    """The chains of an experiment. Whole trainings of a search are none."""
    length = spec.tinker.steps if spec is not None and spec.tinker is not None else None
    return {
        name: Training(
            chunks=chain.chunks, next_step=chain.next_step, steps=length, final=chain.final,
            state_path=chain.state_path, run=chain.run_id, tokens=chain.tokens,
        )
        for name, chain in _chains(view, spec)
        if chain.begun
    }  # fmt: skip


def lines(view: View, spec: Spec | None) -> list[str]:
    """What SUMMARY.md says: a line for each tier that trained."""
    length = spec.tinker.steps if spec is not None and spec.tinker is not None else 0
    return [f"- Training{_in(view, name)}: {_stands(chain, length)}" for name, chain in _chains(view, spec)]


def of_run(chunk: Chunk) -> list[str]:
    """What `labctl show RUN` says of a chunk."""
    what = f"chunk {chunk.number}" if chunk.number else "a whole training"
    begun = f", from {chunk.parent}" if chunk.parent else ""
    steps = f"steps {chunk.first_step} to {chunk.next_step}" if chunk.state_path else "no step saved"
    lines = [f"training: {what}, {steps}{begun}{', the last' * chunk.final}"]
    paths = (("state", chunk.state_path), ("sampler", chunk.sampler_path), ("external weights", chunk.external_path))
    lines += [f"{label}: {text.line(path)}" for label, path in paths if path]
    lines.append(f"tokens: {chunk.trained:,} trained, {chunk.sampled:,} sampled, {chunk.prefilled:,} read")
    if chunk.kl is not None:
        lines.append(f"largest kl of a step: {chunk.kl!r}")
    if chunk.paused_s:
        lines.append(f"the service let it wait: {text.duration(chunk.paused_s)}")
    return [*lines, f"trouble: {text.line(chunk.trouble, _TROUBLE_CHARS)}"] if chunk.trouble else lines


def following(view: View, spec: Spec) -> str:
    """What the next chunk is to do, in a sentence; empty where the next run is none."""
    if not is_chain(spec) or spec.tinker is None or view.tier not in spec.fidelity_tiers:
        return ""
    chain = view.chain
    first = chain.next_step if chain is not None else 0
    steps = allowance.steps_of_next(view, spec, view.tier)
    if chain is None or not chain.begun:
        return f"It is chunk 1: steps 0 to {steps} of {spec.tinker.steps}."
    if not steps:
        return f"It is chunk {chain.begun + 1}, of no step: the end of the training has no value yet, and is measured."
    return (
        f"It is chunk {chain.begun + 1}: steps {first} to {first + steps} of {max(spec.tinker.steps, first + steps)}."
    )


def _chains(view: View, spec: Spec | None) -> Iterator[tuple[str, Chain]]:
    """In the order of the SPEC: a stage begins at the end of the one before it."""
    known = ((name, view.tiers.get(name)) for name in every(view, spec, view.tiers))
    return ((name, tier.chain) for name, tier in known if tier is not None and tier.chain is not None)


def _in(view: View, tier: str) -> str:
    return f" in the tier {text.md(tier)}" if len(view.tiers) > 1 or tier != view.tier else ""


def _stands(chain: Chain, length: int) -> str:
    tokens = f"{chain.trained:,} tokens trained, {chain.sampled:,} sampled, {chain.prefilled:,} read"
    if not chain.begun:
        return tokens
    of = (
        f" of at most {length}" if length >= chain.next_step and not chain.final else ""
    )  # its recipe may end it earlier
    end = ", finished" if chain.final else ""
    trouble = f"; in trouble: {text.md(chain.trouble, _TROUBLE_CHARS)}" if chain.trouble else ""
    return f"{text.count(chain.chunks, 'chunk')}, step {chain.next_step}{of}{end}; {tokens}{trouble}"
