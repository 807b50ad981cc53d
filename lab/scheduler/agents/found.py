"""Which agents are there: where each lies, what version it says it is, and, when asked for, whether it answers."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import msgspec

from lab.core.errors import LabError
from lab.llm.agents import running, table
from lab.llm.agents.adapter import ASK, Task
from lab.scheduler.agents import door as agents
from lab.scheduler.agents.process import AgentProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from lab.core.spec import Spec
    from lab.llm.agents.adapter import Adapter
    from lab.store.root import Root

OK, FAILED, NONE = "ok", "failed", "none"
_VERSION_S, _LIVE_S = 15.0, 120.0
_WORD_CHARS = 120
_QUESTION = "Reply with the single word: ready"
_NO_PROGRAM = ("command", "stub")  # nothing that could be looked for
_LIVE_USD = 0.10


class Agent(msgspec.Struct, frozen=True, kw_only=True):
    """One agent. `none` is not installed; `answer` is what it said when it was asked."""

    name: str
    state: str
    program: str = ""
    path: str = ""
    version: str = ""
    what: str = ""
    answer: str = ""
    took_s: float | None = None
    usd: float | None = None


def look(root: Root, names: Sequence[str] = (), *, live: bool = False, stop: Callable[[], bool]) -> Iterator[Agent]:
    """Each in turn: of all the known ones, or of those that are named. `BadInput` for a name that is none."""
    known = [name for name in table.names() if name not in _NO_PROGRAM]
    run = AgentProcess(root)
    for name in names or known:
        try:
            agent = agents.find(name)
        except LabError as unfit:
            if names and name not in known:
                raise
            yield Agent(name=name, state=FAILED, what=unfit.what)
            continue
        found = _installed(root, name, agent)
        yield _asked(run, agent, found, stop) if live and found.path else found


def _installed(root: Root, name: str, agent: Adapter) -> Agent:
    program = getattr(agent, "program", "")
    path = running.on_path(program, root.world.environ.get("PATH", "")) if program else ""
    if not path:
        what = f"no program {program} on PATH" if program else "it starts no program"
        return Agent(name=name, state=NONE, program=program, what=what)
    done = root.world.run([path, "--version"], limit_s=_VERSION_S)
    version = next((line.strip() for line in (done.out or done.problem).splitlines() if line.strip()), "")
    version = "".join(sign for sign in version if sign.isprintable())[:_WORD_CHARS]
    if done.code != 0:
        what = f"{program} --version failed: {version or done.problem or 'without words'}"
        return Agent(name=name, state=FAILED, program=program, path=path, what=what)
    return Agent(name=name, state=OK, program=program, path=path, version=version)


def _asked(run: AgentProcess, agent: Adapter, found: Agent, stop: Callable[[], bool]) -> Agent:
    """One short question, as a strategy would ask it. The program may be there, and the key or the login not."""
    task = Task(prompt=_QUESTION, mode=ASK, folder="", own="", max_usd=_LIVE_USD)
    begun_s = time.monotonic()
    try:
        said = running.answer_of(agent, run(agent, task, until=begun_s + _LIVE_S, stop=stop))
    except LabError as unfit:
        return msgspec.structs.replace(found, state=FAILED, what=unfit.what)
    took_s = round(time.monotonic() - begun_s, 3)
    if said.problem:
        return msgspec.structs.replace(found, state=FAILED, what=said.what, took_s=took_s, usd=said.used.usd)
    line = " ".join(said.text.split())[:_WORD_CHARS]
    answer = "".join(sign for sign in line if sign.isprintable())
    return msgspec.structs.replace(found, answer=answer, took_s=took_s, usd=said.used.usd)


def problem(root: Root, spec: Spec) -> str:
    """Why the agent of a SPEC cannot be started, in words; empty when it can, as far as can be seen."""
    folders = [root.layout.experiment(spec.id)]
    if os.path.isabs(os.path.expanduser(spec.workspace_root)):
        folders.insert(0, os.path.expanduser(spec.workspace_root))
    try:
        agent = agents.find(spec.agent_provider, "", folders)
    except LabError as unfit:
        return unfit.what
    program = getattr(agent, "program", "")
    if program and not running.on_path(program, root.world.environ.get("PATH", "")):
        return f"its agent {spec.agent_provider} is not installed: there is no program {program} on PATH"
    return ""
