"""The conversation with a model: asked, read, checked, repaired once at most, within one deadline.

Whoever the model is and whatever it says, a consultation comes back: an answer that the check let through, or the
problem in a word and a sentence. Each call is reserved before it is made, a second try and a repair like the first.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from lab.core.errors import BadInput
from lab.llm import extract
from lab.llm.exchange import (
    ASSISTANT,
    BUDGET,
    EMPTY,
    FAILING,
    INVALID,
    LIMITED,
    STOPPED,
    TIMEOUT,
    TRUNCATED,
    UNREACHABLE,
    USER,
    Attempt,
    Consultation,
    Turn,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.llm.exchange import Ask
    from lab.llm.transport import Check, Spend, Stop, Transport

WAITS_S = (0.5, 2.0)  # before the second and the third try; a service that is down for longer is not waited for
TRIES = 8  # of one question, those included in which the shape is asked for in another way
_PASSING = (LIMITED, FAILING, UNREACHABLE)  # what a little waiting may mend
_SLICE_S = 0.1
_QUOTED_CHARS = 6_000
_MAX_COMPLAINTS = 20
_COMPLAINT_CHARS = 300


class _Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What an attempt is good for. With complaints and without a value, the model can be asked to repair it."""

    value: object = None
    complaints: tuple[str, ...] = ()
    problem: str = ""
    what: str = ""


def consult(
    ask: Ask,
    transport: Transport,
    check: Check,
    *,
    timeout_s: float,
    stop: Stop,
    spend: Spend,
    waits_s: Sequence[float] = WAITS_S,
) -> Consultation:
    """Ask, and once more with what was wrong. Nothing is raised for what the other side does."""
    talk = _Talk(transport, until=time.monotonic() + timeout_s, stop=stop, spend=spend, waits_s=waits_s)
    verdict = talk.judged(talk.ask(ask), ask, check)
    repairs = 0
    if verdict.value is None and verdict.complaints:
        before = len(talk.attempts)
        second = talk.ask(repair(ask, talk.attempts[-1], verdict.complaints))
        if len(talk.attempts) > before:
            repairs = 1
            verdict = talk.judged(second, ask, check)
        else:
            what = f"{verdict.what}; it was not asked to repair that: {second.what}"
            verdict = replace(verdict, problem=second.problem, what=what)
    return Consultation(
        value=verdict.value,
        complaints=verdict.complaints,
        attempts=tuple(talk.attempts),
        repairs=repairs,
        problem=verdict.problem,
        what=verdict.what,
    )


def repair(ask: Ask, last: Attempt, complaints: Sequence[str]) -> Ask:
    """The question with the answer that would not do, and what is wrong with it, as data."""
    wrong = json.dumps(list(complaints), ensure_ascii=False, indent=1)
    words = (
        f"That answer cannot be used. What is wrong with it, as a list of texts:\n{wrong}\n"
        "Answer again with the whole corrected JSON object, and nothing else."
    )
    if last.problem == TRUNCATED:
        words += " Be shorter: fewer proposals, short texts."
    said = last.text.strip() or "(nothing)"
    if len(said) > _QUOTED_CHARS:
        said = f"{said[:_QUOTED_CHARS]} ..."
    return replace(ask, turns=(*ask.turns, Turn(role=ASSISTANT, text=said), Turn(role=USER, text=words)))


class _Talk:
    """The calls of one consultation, and the limits that all of them share."""

    def __init__(
        self, transport: Transport, *, until: float, stop: Stop, spend: Spend, waits_s: Sequence[float]
    ) -> None:
        self.attempts: list[Attempt] = []
        self._transport = transport
        self._until = until
        self._stop = stop
        self._spend = spend
        self._waits_s = waits_s

    def ask(self, ask: Ask) -> Attempt:
        """The attempt that counts, after those that were worth another try. One that was never made is not kept."""
        waits = list(self._waits_s)
        last = Attempt()
        for _ in range(TRIES):
            if refusal := self._refusal(ask, last):
                return refusal
            began = time.monotonic()
            last = self._transport.send(ask, until=self._until, stop=self._stop)
            last = replace(last, took_s=round(time.monotonic() - began, 3))
            self.attempts.append(last)
            if not last.again:
                break
            if last.problem in _PASSING:
                if not waits:
                    break
                pause_s = max(waits.pop(0), last.retry_after_s or 0.0)
                if time.monotonic() + pause_s >= self._until:
                    break  # it would be asked too late: told at once
                self._pause(pause_s)
        return last

    def judged(self, attempt: Attempt, ask: Ask, check: Check) -> _Verdict:
        """What an attempt is good for; an answer that is not is marked as such."""
        if attempt.problem in (EMPTY, TRUNCATED):
            return _Verdict(complaints=(attempt.what,), problem=attempt.problem, what=attempt.what)
        if attempt.problem:
            return _Verdict(problem=attempt.problem, what=attempt.what)
        value, complaints = _checked(attempt.text, ask, check)
        if value is not None:
            return _Verdict(value=value, complaints=complaints)
        more = f", and {len(complaints) - 1} more" if len(complaints) > 1 else ""
        what = f"{complaints[0]}{more}"
        self.attempts[-1] = replace(attempt, problem=INVALID, what=what)
        return _Verdict(complaints=complaints, problem=INVALID, what=what)

    def _refusal(self, ask: Ask, last: Attempt) -> Attempt | None:
        """Why nothing is sent now, or None. The call is reserved then."""
        before = f"; before that, {last.what}" if last.what else ""
        if self._stop():
            return Attempt(problem=STOPPED, what="it was interrupted")
        if time.monotonic() >= self._until:
            return Attempt(problem=TIMEOUT, what=f"no time is left{before}")
        if not self._spend(ask):
            return Attempt(
                problem=BUDGET, what=f"the calls or the money for the model are used up, or set aside{before}"
            )
        return None

    def _pause(self, pause_s: float) -> None:
        end = time.monotonic() + pause_s
        while (left := end - time.monotonic()) > 0 and not self._stop():
            time.sleep(min(left, _SLICE_S))


def _checked(text: str, ask: Ask, check: Check) -> tuple[object | None, tuple[str, ...]]:
    required = (ask.schema or {}).get("required")
    wanted = [name for name in required if isinstance(name, str)] if isinstance(required, list) else []
    try:
        value, complaints = check(extract.value(text, wanted))
    except BadInput as error:
        value, complaints = None, [error.what]
    told = [each[:_COMPLAINT_CHARS] for each in complaints[:_MAX_COMPLAINTS]]
    if len(complaints) > len(told):
        told.append(f"and {len(complaints) - len(told)} more")
    return value, tuple(told) if told or value is not None else ("it cannot be used",)
