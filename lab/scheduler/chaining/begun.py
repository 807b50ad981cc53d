"""What a training was begun with stays so: a state of one model is nothing to another, nor are its data in order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.core import layout
from lab.core.errors import BadInput
from lab.core.spec_tuning import RANK

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.core.spec import Spec
    from lab.core.view import View


def require(view: View, spec: Spec, tier: str, params: Mapping[str, object]) -> None:
    """Refuse the next chunk of a tier where the SPEC names another model, seed or rank than the chain has.

    The model is also that of the tiers before it, whose ends it begins at. What the recipe reads is not looked at: it
    may be edited between chunks.
    """
    model = spec.tinker.base_model if spec.tinker is not None else ""
    place = spec.fidelity_tiers.index(tier) if tier in spec.fidelity_tiers else 0
    for name in (*spec.fidelity_tiers[:place], tier):
        known = view.tiers.get(name)
        chain = known.chain if known is not None else None
        if chain is None or not chain.base_model:
            continue
        if model != chain.base_model:
            raise _other(spec, name, "tinker.base_model", model, chain.base_model)
        if name != tier:
            continue
        if (spec.seed or 0) != chain.seed:
            raise _other(spec, name, "seed", spec.seed or 0, chain.seed)
        had = chain.params.get(RANK)
        if had is not None and params.get(RANK, had) != had:
            raise _other(spec, name, f"search_space.{RANK}", params[RANK], had)


def _other(spec: Spec, tier: str, key: str, now: object, had: object) -> BadInput:
    return BadInput(
        f"{key} is {now} now, and the training in the tier {tier} was begun with {had}",
        where=f"experiments/{spec.id}/{layout.SPEC}",
        fix=f"write {had} again; for another training make another experiment: labctl create",
    )
