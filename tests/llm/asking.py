"""A question to a server of a test, as short as it can be asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.core.model import Model
from lab.core.space import parse
from lab.llm import contract, door, proposals
from lab.llm.exchange import USER, Ask, Turn

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lab.llm.exchange import Consultation
    from lab.llm.transport import Spend, Stop

SPACE = parse({"lr": {"low": 0.0001, "high": 0.1, "log": True}, "layers": {"low": 1, "high": 8, "type": "int"}})
GOOD = {"params": {"lr": 0.01, "layers": 3}}
KEY = "sk-secret/9+key"


def question(space: object = SPACE, k: int = 2, **more: object) -> Ask:
    assert isinstance(space, type(SPACE))
    given: dict[str, object] = {"max_tokens": 500, "temperature": 0.0, "seed": 1} | more
    turns = (Turn(role=USER, text="Propose."),)
    return Ask(system="You tune.", turns=turns, schema=proposals.schema(space, k), **given)  # type: ignore[arg-type]


def check(value: object) -> tuple[object | None, list[str]]:
    found, problems = proposals.check(value, SPACE, limit=2)
    return found or None, problems


def asked(
    url: str,
    *,
    timeout_s: float = 10.0,
    stop: Stop = lambda: False,
    spend: Spend = lambda _: True,
    environ: Mapping[str, str] | None = None,
    waits_s: Sequence[float] = (0.01, 0.01),
    question: Ask = question(),  # noqa: B008  # a value
    **model: object,
) -> Consultation:
    given: dict[str, object] = {"base_url": url, "model": "double", "api_key_env": "KEY"} | model
    way = door.transport(Model(**given), {"KEY": KEY, **(environ or {})})  # type: ignore[arg-type]
    return contract.consult(question, way, check, timeout_s=timeout_s, stop=stop, spend=spend, waits_s=waits_s)
