"""A model behind a program: an agent by its name (`llm.provider`), or any program (`llm.command`).

The question goes to it on standard input, with the shape of the answer in words. The agent is told to change nothing,
and works in an empty folder.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from lab.core.errors import BadInput
from lab.llm import openai, price
from lab.llm.agents import running, table
from lab.llm.agents.adapter import ASK, Task
from lab.llm.agents.running import Ran, Run
from lab.llm.exchange import NOTHING, UNCONFIGURED, USER, Attempt, kept

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lab.core.model import Model
    from lab.llm.exchange import Ask
    from lab.llm.transport import Stop

__all__ = ["Command", "Run", "problems"]

_BY_SCHEMA = ("json_schema", "tool")  # asked of the agent itself; else the shape is in the words alone


def problems(model: Model, environ: Mapping[str, str]) -> Iterator[str]:
    """What keeps the program from being started, as far as can be seen without starting it."""
    if bool(model.provider) == bool(model.command):
        yield "with llm.transport command one of llm.provider (an agent) and llm.command (a program) is named"
        return
    if model.provider == table.WITH_COMMAND:
        yield "llm.provider command wants its program: write it as llm.command, without a provider"
        return
    if model.provider and model.provider not in table.BUILT_IN:
        if model.provider not in table.offered():
            yield f"there is no agent {model.provider}; known are {', '.join(table.names())}"
        return  # what a plug-in starts is not known here
    try:
        program = table.built_in(model.provider or table.WITH_COMMAND, model.command).program
    except BadInput as problem:
        yield problem.what
        return
    program = os.path.expanduser(program)
    if "/" in program and not os.path.isabs(program):
        return  # it lies in the project, whose folders are known when it is started
    if program and not running.on_path(program, environ.get("PATH", "")):
        yield f"there is no program {program} on PATH: install it, or write its whole path as llm.command"


class Command:
    """A transport. Money and deadlines are the caller's; the program's own budget is the rest of them."""

    def __init__(self, model: Model, environ: Mapping[str, str], run: Run) -> None:
        self._model = model
        self._given = frozenset(name for name, value in environ.items() if value)
        self._run = run

    def send(self, ask: Ask, *, until: float, stop: Stop) -> Attempt:
        """Run it once. An agent that cannot be found is told like one that failed."""
        try:
            agent = self._run.find(self._model.provider or table.WITH_COMMAND, self._model.command)
            ran = self._run(agent, self._task(ask), until=until, stop=stop)
        except BadInput as problem:
            what = problem.what + (f"; {problem.fix}" if problem.fix else "")
            return Attempt(problem=UNCONFIGURED, what=what, used=NOTHING, unsent=True)
        found = running.answer_of(agent, ran)
        return Attempt(
            request=kept(_request(ran)),
            response=kept(_response(ran)),
            status=ran.code,
            structured=self._model.structured if self._model.structured in _BY_SCHEMA else "prompt",
            model=found.model or self._model.model,
            used=NOTHING if ran.problem else price.paid(found.used, self._model),
            problem=found.problem,
            what=found.what,
            unsent=bool(ran.problem),
            text=found.text,
        )

    def _task(self, ask: Ask) -> Task:
        model = self._model
        return Task(
            prompt=_talk(ask),
            mode=ASK,
            folder="",
            own="",
            model=model.model,
            instruction=openai.shown(ask.system, ask.schema) if ask.schema is not None else ask.system,
            base_url=model.base_url,
            max_usd=model.max_usd,
            max_tokens=ask.max_tokens,
            schema=ask.schema if model.structured in _BY_SCHEMA else None,
            given=self._given,
        )


def _talk(ask: Ask) -> str:
    """One turn as it is; several with who spoke, for a program is handed one text."""
    if len(ask.turns) == 1:
        return ask.turns[0].text
    told = [f"[{'question' if turn.role == USER else 'your answer'}]\n{turn.text}" for turn in ask.turns]
    return "\n\n".join(told)


def _request(ran: Ran) -> str:
    return msgspec.json.encode({"argv": ran.argv, "stdin": ran.stdin}).decode()


def _response(ran: Ran) -> str:
    said = ran.stdout.decode(errors="replace")
    complaint = ran.stderr.decode(errors="replace").strip()
    return f"{said}\n[stderr]\n{complaint}" if complaint else said
