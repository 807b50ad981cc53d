"""What a call costs: at most, before it is made, and as far as it is known, afterwards. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from lab.core.model import Model
    from lab.llm.exchange import Ask, Tokens

# A token of English has four bytes; but a briefing is mostly digits, and some models take each of them for a token. So
# each byte counts as one, which no model passes; the schema and the names of roles are counted too.
_TURN_TOKENS = 40
_PER_MILLION = 1e6


def worst(ask: Ask, model: Model) -> float | None:
    """The money that one call may cost: the question, and an answer of full length. None where no prices are given."""
    if model.usd_per_mtok_in is None or model.usd_per_mtok_out is None:
        return None
    size = len(ask.system.encode(errors="replace")) + _TURN_TOKENS
    size += sum(len(turn.text.encode(errors="replace")) + _TURN_TOKENS for turn in ask.turns)
    if ask.schema is not None:
        size += 2 * len(json.dumps(ask.schema))  # some services put it into the question themselves
    return _sum(model, size, ask.max_tokens)


def paid(used: Tokens, model: Model) -> Tokens:
    """What was used, with what it cost: as the service told it, but no less than by the prices of the SPEC.

    A gateway that knows no prices tells a cost of 0, and nothing would hold it to `max_usd`.
    """
    if model.usd_per_mtok_in is None or model.usd_per_mtok_out is None:
        return used
    if used.sent is None or used.answered is None:
        return msgspec.structs.replace(used, usd=used.usd or None)
    priced = _sum(model, used.sent, used.answered)
    return msgspec.structs.replace(used, usd=max(priced or 0.0, used.usd or 0.0))


def _sum(model: Model, sent: int, answered: int) -> float | None:
    if model.usd_per_mtok_in is None or model.usd_per_mtok_out is None:
        return None
    return round((sent * model.usd_per_mtok_in + answered * model.usd_per_mtok_out) / _PER_MILLION, 9)
