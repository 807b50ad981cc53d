"""What starts an agent, as seen from here: a parameter. The lab's supervisor does it (lab.scheduler.agents.process).

This module says only how the end of a program and the words of its adapter together become one answer.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol

import msgspec

from lab.llm.exchange import FAILING, STOPPED, TIMEOUT, TOO_LARGE, UNCONFIGURED, UNREACHABLE

if TYPE_CHECKING:
    from lab.llm.agents.adapter import Adapter, Answer, Task

_LEFT_OUT = "bytes are left out here]"  # what a log that was cut says in its middle
# How it was ended, if it did not end by itself: the words of lab.core.launch, and the last, which is an agent's alone.
BY_DEADLINE, BY_PERSON, BY_DISK = "timeout", "interrupted", "disk"


class Ran(msgspec.Struct, frozen=True, kw_only=True):
    """A program that was run to its end. Secrets are blotted out of all of it."""

    argv: tuple[str, ...] = ()
    stdin: str = ""
    code: int | None = None
    stdout: bytes = b""
    stderr: bytes = b""
    cut: bool = False  # it printed more than is kept, and the middle of it is left out
    files: Mapping[str, bytes] = {}
    stopped: str = ""
    why: str = ""
    problem: str = ""  # why it could not be started
    wall_s: float = 0.0
    fenced: str = ""  # what kept it from writing elsewhere, as the supervisor says it; empty: nobody asked


class Run(Protocol):
    """Starts agents: in a process tree of their own, with a scrubbed environment, inside limits."""

    def find(self, provider: str, command: str = "") -> Adapter:
        """The adapter of a name, plug-ins included. `BadInput` when there is none."""
        ...

    def __call__(self, agent: Adapter, task: Task, *, until: float, stop: Callable[[], bool]) -> Ran:
        """Run it, and wait: until the moment `until` of time.monotonic at most. An empty `folder` is a fresh one."""
        ...


def answer_of(agent: Adapter, ran: Ran) -> Answer:
    """What it said, and if it was ended, why: whatever it printed until then is no answer."""
    from lab.llm.agents.adapter import Answer  # noqa: PLC0415  # for whoever has run one

    if ran.problem:
        return Answer(problem=UNCONFIGURED, what=ran.problem)
    found = agent.read(ran.stdout, ran.stderr, None if ran.stopped else ran.code, ran.files)
    if not ran.stopped:
        if ran.cut and _LEFT_OUT in found.text:
            what = "it printed more than is kept, so that its answer has a hole"
            return msgspec.structs.replace(found, text="", problem=TOO_LARGE, what=what)
        return found
    problem = {BY_DEADLINE: TIMEOUT, BY_PERSON: STOPPED}.get(ran.stopped, FAILING)
    if problem == TIMEOUT and found.problem == UNREACHABLE:
        problem = UNREACHABLE  # the network was what it waited for until its time was up
    what = f"the agent was ended: {ran.why or ran.stopped}" + (f" ({found.what})" if found.what else "")
    return msgspec.structs.replace(found, text="", problem=problem, what=what)


def on_path(program: str, path: str) -> str:
    """Where a program lies, absolute, or nothing. A relative entry means another folder wherever it is started from."""
    absolute = os.pathsep.join(each for each in (path or os.defpath).split(os.pathsep) if os.path.isabs(each))
    return shutil.which(program, path=absolute) or ""
