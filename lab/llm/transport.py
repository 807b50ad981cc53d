"""What a way to ask a model is: one try, in and out. Trying again, repairing and paying is done in lab.llm.contract.

`openai` and `anthropic` are HTTP (lab.llm.service), `command` is a program (lab.llm.command). Which one a SPEC means,
and whether it can be asked at all, says lab.llm.door.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from lab.llm.exchange import Ask, Attempt

Stop = Callable[[], bool]  # whether a person wants it to end; asked several times a second
Spend = Callable[["Ask"], bool]  # reserves one call; False when calls or money are used up, and then nothing is sent
# An answer in, what can be used of it out, or None; and what was wrong with it, in words that the model is shown.
Check = Callable[[object], tuple[object | None, list[str]]]


class Transport(Protocol):
    """One way to one model."""

    def send(self, ask: Ask, *, until: float, stop: Stop) -> Attempt:
        """Ask once. Ended by `until`, of time.monotonic, whatever the other side does, and soon after `stop` is true.

        Whatever happens is told in the attempt; nothing is raised for it. No secret is in what comes back.
        """
        ...
