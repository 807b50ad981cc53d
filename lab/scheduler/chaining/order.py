"""What the next chunk of a remote training is ordered to do: from where, how far, and within what limits.

Looked at inside the experiment's section, before the claim: what is refused here has claimed nothing.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from lab.core import allowance
from lab.core.chain import Chain
from lab.core.chunk import Order
from lab.core.errors import BadInput, NotFound
from lab.core.origin import REPLAY
from lab.core.spec_tuning import TINKER, is_chain
from lab.scheduler import places
from lab.scheduler.chaining import begun

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.core.allowance import Allowance
    from lab.core.chunk import Ends
    from lab.core.parameter import Scalar
    from lab.core.spec import Spec
    from lab.core.tuning import Tuning
    from lab.core.view import View
    from lab.scheduler.cycle import Errand
    from lab.store.root import Root

_TOKENIZER = "tokenizer.json"


def ordered(root: Root, view: View, spec: Spec, errand: Errand, *, slots: int = 0) -> Errand:
    """The errand with what its chunk is to do, where it trains remotely; any other as it is.

    `spec` is the SPEC as it was read. The parameters are those of the errand where it has any: somebody chose them.
    `slots` is how many runs may be under way, where a person said so.
    """
    if spec.executor != TINKER or spec.tinker is None:
        return errand
    tier = errand.tier or view.tier
    if not is_chain(spec):
        from lab.scheduler.chaining import beside  # noqa: PLC0415  # for searches alone

        left = beside.share(root, view, spec, tier, slots or spec.for_tier(tier).max_parallel)
        return msgspec.structs.replace(errand, order=_whole(root, view, spec, tier, errand, left))
    if errand.origin is not None and errand.origin.kind == REPLAY:
        what = f"a chunk of {spec.id} goes on from a state, so it is not made again"
        fix = f"labctl run-once --experiment {spec.id} makes the next one; a `strategy` makes whole trainings"
        raise BadInput(what, fix=fix)
    why = errand.why  # a search may have been here before
    if errand.params is None:
        from lab.scheduler.chaining import next_params, review  # noqa: PLC0415  # spaces, models: for trainings alone

        chosen = next_params.of(root, view, spec, tier)
        why = chosen.why
        errand = msgspec.structs.replace(errand, params=chosen.params)
        if not allowance.is_unmeasured(view, spec, tier):
            errand = review.reviewed(root, view, spec, errand)
    return msgspec.structs.replace(errand, order=_next(root, view, spec, tier, errand.params or {}), why=why)


def _next(root: Root, view: View, spec: Spec, tier: str, params: Mapping[str, object]) -> Order:
    """The chunk that follows what the chain has. The policy has seen to it that one step can be paid."""
    tuning, known = _tuning(spec), view.tiers.get(tier)
    chain = (known.chain if known is not None else None) or Chain()
    left = allowance.of(view, spec, tier)
    begun.require(view, spec, tier, params)
    steps = allowance.steps_of_next(view, spec, tier)
    return Order(
        experiment=spec.id,
        run_id="",
        tuning=tuning,
        tokenizer=_tokenizer(root, view, spec, tier),
        tier=tier,
        number=chain.begun + 1,
        first_step=chain.next_step,
        steps=steps,
        until=max(tuning.steps, chain.next_step + 1) if steps else chain.next_step,
        state_path=chain.state_path,
        parent=chain.run_id,
        let_go="" if tuning.keep_days is None else chain.state_before,
        fixed=chain.fixed,
        earlier=_earlier(view, spec, tier),
        params=_scalars(params),
        seed=spec.seed or 0,
        tokens_left=left.tokens,
        usd_left=left.usd,
    )


def _whole(root: Root, view: View, spec: Spec, tier: str, errand: Errand, left: Allowance) -> Order:
    """A whole training in one run, of a search."""
    tuning = _tuning(spec)
    return Order(
        experiment=spec.id, run_id="", tuning=tuning, tokenizer=_tokenizer(root, view, spec, tier), tier=tier,
        steps=tuning.steps, until=tuning.steps, params=_scalars(errand.params or {}),
        seed=(spec.seed if errand.seed is None else errand.seed) or 0, tokens_left=left.tokens, usd_left=left.usd,
    )  # fmt: skip


def _tuning(spec: Spec) -> Tuning:
    if spec.tinker is None:
        raise BadInput(f"{spec.id} names no model to train", fix="write `tinker:` / `  base_model: NAME` into its SPEC")
    return spec.tinker


def _earlier(view: View, spec: Spec, tier: str) -> dict[str, Ends]:
    """What the trainings of the tiers before this one left."""
    before = spec.fidelity_tiers[: spec.fidelity_tiers.index(tier)]
    chains = {name: view.tiers[name].chain for name in before if name in view.tiers}
    return {name: chain.ends for name, chain in chains.items() if chain is not None and chain.state_path}


def _tokenizer(root: Root, view: View, spec: Spec, tier: str) -> str:
    given = _tuning(spec).tokenizer
    if not given:
        return ""
    here = spec.for_tier(tier)
    folders = (places.workspace(root, here, view), *places.folders(root, view))
    path = os.path.expanduser(given)
    meant = [path] if os.path.isabs(path) else [os.path.normpath(f"{each}/{path}") for each in folders if each]
    found = next((each for each in meant if os.path.isfile(f"{each}/{_TOKENIZER}")), "")
    if not found:
        what = f"the tokenizer of {spec.id} is not there: no {_TOKENIZER} in {', '.join(dict.fromkeys(meant))}"
        raise NotFound(what, fix="correct tokenizer in `tinker:`; blank asks the service for it")
    return found


def _scalars(params: Mapping[str, object]) -> dict[str, Scalar]:
    """Parameters as an order has them: a value that a person gave may be null, which is left out."""
    return {name: value for name, value in params.items() if isinstance(value, (str, int, float, bool))}
