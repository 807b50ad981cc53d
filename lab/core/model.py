"""The model that a SPEC's `llm:` names: how it is asked, what that may cost, and what happens when it fails.

A key is given by the *name* of its variable, never by its value: a SPEC is sealed, copied and mailed.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

STOP = "stop"
Count = Annotated[int, Meta(ge=1, le=1_000_000)]
Price = Annotated[float, Meta(ge=0, le=1e6)]


class Model(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `llm:` in a SPEC says. Whether the address answers is found out when it is asked."""

    transport: Annotated[
        Literal["openai", "anthropic", "command"],
        Meta(description="openai (chat completions, as most servers speak it), anthropic (messages), or command."),
    ] = "openai"
    base_url: Annotated[
        str, Meta(description="Address of the service up to and with /v1; blank is the transport's own.")
    ] = ""
    model: Annotated[str, Meta(description="The model, as the service names it.")] = ""
    api_key_env: Annotated[str, Meta(description="Name of the variable that holds the key, never the key.")] = ""
    provider: Annotated[
        str, Meta(description="With transport command: the agent that is asked (claude, codex, ...).")
    ] = ""
    command: Annotated[
        str,
        Meta(description="With transport command: a program that reads the question and prints the answer."),
    ] = ""
    structured: Annotated[
        Literal["auto", "json_schema", "json_object", "tool", "prompt", "llguidance"],
        Meta(description="How the shape of an answer is asked for; auto begins strict and comes down."),
    ] = "auto"
    timeout_s: Annotated[
        Annotated[float, Meta(gt=0, le=3600)], Meta(description="Seconds for one question, its repair included.")
    ] = 90.0
    max_calls: Annotated[
        Count, Meta(description="Calls that the experiment may make in its life; a repair is one more.")
    ] = 200
    max_usd: Annotated[
        Annotated[float, Meta(gt=0, le=1e6)] | None,
        Meta(description="Money that the experiment may spend on the model in its life."),
    ] = None
    usd_per_mtok_in: Annotated[Price | None, Meta(description="Price of a million tokens that are sent.")] = None
    usd_per_mtok_out: Annotated[Price | None, Meta(description="Price of a million tokens that are answered.")] = None
    max_tokens: Annotated[
        Annotated[int, Meta(ge=64, le=200_000)], Meta(description="Tokens that one answer may have.")
    ] = 2000
    temperature: Annotated[
        Annotated[float, Meta(ge=0, le=2)] | None, Meta(description="Blank leaves it to the service.")
    ] = None
    candidates: Annotated[
        Annotated[int, Meta(ge=1, le=20)], Meta(description="Proposals that are asked for in one question.")
    ] = 4
    context_chars: Annotated[
        Annotated[int, Meta(ge=2_000, le=400_000)],
        Meta(description="Length of a question at most, however long the history."),
    ] = 16_000
    fallback: Annotated[
        str, Meta(description="The strategy that proposes where the model fails, or stop to make no run then.")
    ] = "perturb"
    clip: Annotated[bool, Meta(description="Move values just outside the space onto its edge, which is recorded.")] = (
        False
    )
    share: Annotated[
        Annotated[float, Meta(ge=0, le=1)],
        Meta(description="Of the strategy hybrid: the share of candidates that the model makes."),
    ] = 0.3
