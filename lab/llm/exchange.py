"""A question to a model, the attempts at an answer, and what came of them. Values only: nothing here is sent.

What is kept of an attempt is what was sent and what came, less every secret: it is sealed with the run.
"""

from __future__ import annotations

import msgspec

USER, ASSISTANT = "user", "assistant"

# Why an attempt brought no answer, in a word: sealed, counted, explained to people.
UNREACHABLE = "model-unreachable"  # no connection, or it broke
TIMEOUT = "model-timeout"  # the deadline, which is ours
REFUSED = "model-refused"  # a 4xx: the request will not do, whoever repeats it
LIMITED = "model-limited"  # a 429: too many, for now
FAILING = "model-failing"  # a 5xx
MALFORMED = "model-malformed"  # an answer that is no answer of this service
TRUNCATED = "model-truncated"  # it was cut off at the limit of tokens
TOO_LARGE = "model-too-large"  # more bytes than are read
EMPTY = "model-empty"  # well formed, and nothing in it; an agent that ended with 0 and said nothing
INVALID = "model-invalid"  # an answer that the check refused, its repair too
BUDGET = "model-budget"  # calls or money are used up, so nothing was asked
STOPPED = "model-stopped"  # a person interrupted it
UNCONFIGURED = "model-unconfigured"  # no address, no model, no key, no program


KEPT_CHARS = 1 << 16  # of a request or a response


def kept(text: str) -> str:
    """As much of a text as is sealed with a run: its beginning and its end."""
    if len(text) <= KEPT_CHARS:
        return text
    half = KEPT_CHARS // 2
    return f"{text[:half]}\n[labctl: {len(text) - 2 * half:,} characters are left out here]\n{text[-half:]}"


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """One message of a conversation."""

    role: str
    text: str


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """What a model is asked. `schema` is the JSON Schema that an answer is to have."""

    system: str
    turns: tuple[Turn, ...]
    schema: dict[str, object] | None = None
    max_tokens: int = 2000
    temperature: float | None = None
    seed: int | None = None


class Tokens(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an attempt used, as the service told it. None is not known, which is not 0."""

    sent: int | None = None
    answered: int | None = None
    usd: float | None = None  # as the service told it, or by the prices of the SPEC


NOTHING = Tokens(sent=0, answered=0, usd=0.0)  # known to have taken nothing, which not to know is not


class Attempt(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One request and its response. `problem` is empty for one that brought an answer; else a word of those above."""

    request: str = ""  # as it was sent, JSON or an argv; secrets blotted out
    response: str = ""  # as it came, as much of it as is kept; secrets blotted out
    status: int | None = None  # of HTTP, or the exit code of a program
    structured: str = ""  # how the shape was asked for
    model: str = ""  # as the service named it
    used: Tokens = Tokens()
    took_s: float = 0.0
    problem: str = ""
    what: str = ""  # the problem in words
    retry_after_s: float | None = None
    unsent: bool = False  # nobody has seen anything of it, so that it is no call
    again: bool = False  # asked once more, it may answer: it was too busy, it broke, or it is asked in another way
    text: str = ""  # the answer


class Consultation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A question from its first attempt to its last. `value` is the answer that the check let through, or None.

    `complaints` are what the check said to the last answer, also to the parts of it that were left out of `value`.
    """

    value: object = None
    complaints: tuple[str, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    repairs: int = 0
    problem: str = ""
    what: str = ""

    @property
    def used(self) -> Tokens:
        """All attempts together; None where one of them is not known."""
        return Tokens(
            sent=_total([each.used.sent for each in self.attempts]),
            answered=_total([each.used.answered for each in self.attempts]),
            usd=_money([each.used.usd for each in self.attempts]),
        )


def _total(counts: list[int | None]) -> int | None:
    known = [each for each in counts if each is not None]
    return sum(known) if counts and len(known) == len(counts) else None


def _money(sums: list[float | None]) -> float | None:
    known = [each for each in sums if each is not None]
    return round(sum(known), 9) if sums and len(known) == len(sums) else None
