"""Any program as an agent: the question comes to it on standard input as JSON, its answer goes to standard output.

What it prints is the answer. A program that has more to tell prints one object with `"schema": "labctl.answer/1"`:
`text` or `value` (JSON), and, as far as it knows them, `tokens_sent`, `tokens_answered`, `usd`, `model`, `error`.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import msgspec

from lab.core.errors import BadInput
from lab.llm import foreign
from lab.llm.agents import adapter, events
from lab.llm.agents.adapter import Answer, Start, Task
from lab.llm.exchange import FAILING, Tokens

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.llm.agents.events import Event

QUESTION, ANSWER = "labctl.question/1", "labctl.answer/1"


class Command:
    passed: tuple[str, ...] = ()

    def __init__(self, command: str = "") -> None:
        try:
            self._argv = tuple(shlex.split(command))
        except ValueError:
            raise BadInput("the agent's command has a quote that is never closed", fix="close the quote") from None
        self.program = self._argv[0] if self._argv else ""

    def start(self, task: Task) -> Start | None:
        """The program with the arguments that it was written with, and no more."""
        if not self._argv:
            fix = "name it: llm.command in a SPEC, or --command of labctl mutate"
            raise BadInput("the agent `command` wants a program, and none is named", fix=fix)
        question = {
            "schema": QUESTION,
            "mode": task.mode,
            "prompt": task.prompt,
            "instruction": task.instruction,
            "folder": task.folder,
            "model": task.model,
            "effort": task.effort,
            "base_url": task.base_url,
            "paths": task.paths,
            "answer_schema": task.schema,
        }
        return Start(argv=self._argv, stdin=msgspec.json.encode(question).decode() + "\n")

    def read(self, stdout: bytes, stderr: bytes, code: int | None, files: Mapping[str, bytes]) -> Answer:  # noqa: ARG002  # it hands no files back
        """Its output, or what the object says that it printed."""
        told = foreign.object_in(stdout.strip())
        if told is None or told.get("schema") != ANSWER:
            return adapter.plain(stdout, stderr, code)
        return _told(told, stderr, code)


def _told(told: Event, stderr: bytes, code: int | None) -> Answer:
    used = Tokens(
        sent=events.count(told, "tokens_sent"),
        answered=events.count(told, "tokens_answered"),
        usd=events.money(told, "usd"),
    )
    model, error, value = events.word(told, "model"), events.word(told, "error"), told.get("value")
    if error or code != 0:
        said = adapter.failed(error or stderr, code, used, model)
        return msgspec.structs.replace(said, problem=FAILING)
    text = msgspec.json.encode(value).decode() if value is not None else events.word(told, "text").strip()
    return Answer(text=text, used=used, model=model) if text else adapter.empty(stderr, used, model)
