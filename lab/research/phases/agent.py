"""A phase by an agent: any that the lab can start, told by a brief, held by a fence, believed in nothing."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from lab.core.errors import LabError
from lab.llm.agents import table
from lab.research.agents import doing, line
from lab.research.agents.doing import Who
from lab.research.phases import routed
from lab.research.worker import Lack
from lab.scheduler.agents import door as agents

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from lab.llm.agents.adapter import Adapter
    from lab.research.project import Project
    from lab.research.worker import Place, Task

_STUB = "stub"
_NAMED = "agent: {provider: claude} in project.yaml; labctl doctor --agents lists those of this machine"
# What brings each program, as its makers say it.
_INSTALLS = {
    "aider": "python3 -m pip install aider-chat",
    "claude": "npm install -g @anthropic-ai/claude-code",
    "codex": "npm install -g @openai/codex",
    "gemini": "npm install -g @google/gemini-cli",
    "opencode": "npm install -g opencode-ai",
}


class ByAgent:
    def lacks(self, place: Place) -> Iterable[Lack]:
        """An agent that is not named, not known or not installed; and what the lab needs of the study itself."""
        yield from _lacks(place)
        yield from routed.lacks(place)

    def work(self, task: Task) -> Mapping[str, float]:
        """Have it done, and make of it what the lab believes."""
        told = task.project.agent
        adapter = _found(task.project, task.folder)
        who = Who(
            name=f"agent {told.provider}",
            adapter=lambda _: adapter,
            provider=told.provider,
            model=told.model,
            effort=told.effort,
        )
        return doing.work(task, who)


def _found(project: Project, folder: str) -> Adapter:
    """The adapter that the project names; of a command, with its files found in the project's folder."""
    told = project.agent
    if told.provider == table.WITH_COMMAND and told.command:
        return agents.find(told.provider, shlex.join(line.words(told.command, folder)))
    return agents.find(told.provider, told.command, (folder,))


def _lacks(place: Place) -> Iterator[Lack]:
    told = place.project.agent
    if not told.provider:
        yield Lack(what=f"the phase {place.phase.name} is routed to an agent, and none is named", fix=_NAMED)
        return
    if told.provider == _STUB:
        yield Lack(what="the agent `stub` does nothing, so no phase is done by it", fix=_NAMED)
        return
    try:
        program = getattr(_found(place.project, place.folder), "program", "")
    except LabError as unknown:
        yield Lack(what=unknown.what, fix=unknown.fix)
        return
    if told.provider == table.WITH_COMMAND and not program:
        yield Lack(
            what="the agent `command` wants a program", fix="agent: {provider: command, command: python3 mine.py}"
        )
    elif not routed.is_there(place, program):
        fix = _INSTALLS.get(told.provider, f"install {program}; labctl doctor --agents shows what is found")
        yield Lack(what=f"the agent {told.provider} is not installed: there is no program {program} on PATH", fix=fix)
