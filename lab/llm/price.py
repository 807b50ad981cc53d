"""What a call costs: at most, before it is made, and as far as it is known, afterwards. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from lab.core.model import Model
    from lab.llm.exchange import Ask, Tokens

# A token of English has four bytes, of code and numbers fewer; the schema and the names of roles are counted too.
_BYTES_PER_TOKEN = 3
_TURN_BYTES = 40
_PER_MILLION = 1e6


def worst(ask: Ask, model: Model) -> float | None:
    """The money that one call may cost: the question, and an answer of full length. None where no prices are given."""
    if model.usd_per_mtok_in is None or model.usd_per_mtok_out is None:
        return None
    size = len(ask.system.encode(errors="replace")) + _TURN_BYTES
    size += sum(len(turn.text.encode(errors="replace")) + _TURN_BYTES for turn in ask.turns)
    if ask.schema is not None:
        size += 2 * len(json.dumps(ask.schema))  # some services put it into the question themselves
    sent = -(-size // _BYTES_PER_TOKEN)
    return _sum(model, sent, ask.max_tokens)


def paid(used: Tokens, model: Model) -> Tokens:
    """What was used, with what it cost: as the service told it, else by the prices of the SPEC."""
    if used.usd is not None or used.sent is None or used.answered is None:
        return used
    return msgspec.structs.replace(used, usd=_sum(model, used.sent, used.answered))


def _sum(model: Model, sent: int, answered: int) -> float | None:
    if model.usd_per_mtok_in is None or model.usd_per_mtok_out is None:
        return None
    return round((sent * model.usd_per_mtok_in + answered * model.usd_per_mtok_out) / _PER_MILLION, 9)
