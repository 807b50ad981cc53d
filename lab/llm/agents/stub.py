"""The agent that does nothing, to see a loop turn before there is a model to pay for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.llm.agents.adapter import Answer, Start, Task
from lab.llm.exchange import EMPTY, Tokens

if TYPE_CHECKING:
    from collections.abc import Mapping

WHAT = "the stub starts nothing, so there is no answer"


class Stub:
    program = ""
    passed: tuple[str, ...] = ()

    def start(self, task: Task) -> Start | None:  # noqa: ARG002  # the door's signature
        """Nothing to start, whatever the task."""
        return None

    def read(self, stdout: bytes, stderr: bytes, code: int | None, files: Mapping[str, bytes]) -> Answer:  # noqa: ARG002  # the door's signature
        """No answer, and nothing that looks like one."""
        return Answer(problem=EMPTY, what=WHAT, used=Tokens(sent=0, answered=0, usd=0.0), model="stub")
