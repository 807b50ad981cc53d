"""With which parameters the next chunk of a training goes on: those of the last one. A review may move them then."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.core import assignment, spec_tuning
from lab.core.errors import BadInput
from lab.core.parameter import Scalar  # msgspec resolves annotations
from lab.scheduler.search import spaces

if TYPE_CHECKING:
    from lab.core.chain import Chain
    from lab.core.spec import Spec
    from lab.core.view import View
    from lab.scheduler.search.spaces import Found
    from lab.store.root import Root


class Next(msgspec.Struct, frozen=True, kw_only=True):
    """What a chunk is given; None where there is nothing to give. `why` where there is something to say of it."""

    params: dict[str, Scalar] | None = None
    why: str = ""


def of(root: Root, view: View, spec: Spec, tier: str) -> Next:
    """The parameters of the next chunk of this tier. `spec` is the SPEC as it was read."""
    known = view.tiers.get(tier)
    chain = known.chain if known is not None else None
    found = spaces.find(root, spec, view)
    if found is None:
        return Next()
    if moves := spec_tuning.unheeded(found.space):
        raise BadInput(moves, where=found.where, fix="correct the space")
    return _goes_on(found, chain) if chain is not None and chain.chunks else _begins(found)


def _begins(found: Found) -> Next:
    first = assignment.beginning(found.space)
    if first is None:
        what = "a training in chunks begins at the defaults of its space, and there are none that meet it"
        raise BadInput(what, where=found.where, fix="give each parameter a default")
    return Next(params=first)


def _goes_on(found: Found, chain: Chain) -> Next:
    """Those of the last chunk that saved, as the space is now. One that was narrowed since begins at its defaults."""
    kept = assignment.brought_over(found.space, chain.params)
    if kept is not None:
        return Next(params=kept)
    begun = _begins(found)
    return msgspec.structs.replace(begun, why="what it had is outside of the space now: it goes on with the defaults")
