"""Having a phase done by an agent or a program: under the lab's supervisor, in a box, with what is left of the time.

What came of it is told with it, also where nothing is taken: what was asked, what was printed, what it cost.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import msgspec

from lab.core import canonical, secret
from lab.core.errors import Interrupted, LabError
from lab.llm.agents import running
from lab.llm.agents.adapter import EDIT
from lab.llm.agents.adapter import Task as Question
from lab.llm.exchange import EMPTY, STOPPED, Tokens
from lab.research.agents import box
from lab.scheduler.agents.process import AgentProcess

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.llm.agents.adapter import Adapter, Answer
    from lab.llm.agents.running import Ran
    from lab.research.agents.box import Box, Taken
    from lab.research.worker import Task

RECORD = "agent"  # below artifacts/
INSTRUCTION = "You do one phase of a research project. Read the brief to its end before you begin."
_GRACE_SHARE, _MOST_GRACE_S, _LEAST_S = 0.1, 20.0, 1.0
_LOG_BYTES = 1 << 20
_SAID_CHARS = 500
_GROWTH_MB = 1024.0
# Where agents keep their login and their settings below the home, and write to while they work.
_STATE = {
    "aider": (".aider",),
    "claude": (".claude", ".claude.json"),
    "codex": (".codex",),
    "gemini": (".gemini",),
    "hermes": (".hermes",),
    "opencode": (".local/share/opencode", ".local/state/opencode", ".cache/opencode", ".config/opencode"),
}
_ELSEWHERE = {"claude": "CLAUDE_CONFIG_DIR", "codex": "CODEX_HOME", "hermes": "HERMES_HOME"}


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Who is asked, by which name people know them, and what is to be taken of their work."""

    who: str
    provider: str = ""
    model: str = ""
    effort: str = ""
    brief: str
    inputs: dict[str, bytes]
    begun: dict[str, bytes] = {}
    names: tuple[str, ...]  # below out/


class Came(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it."""

    files: dict[str, bytes]
    text: str
    used: Tokens
    wall_s: float

    def metrics(self) -> dict[str, float]:
        """What it took, as far as it told."""
        tokens = (self.used.sent or 0) + (self.used.answered or 0)
        told = {"agent_wall_s": self.wall_s}
        told |= {"tokens": float(tokens)} if tokens else {}
        return told | ({"cost": self.used.usd} if self.used.usd else {})


def run(task: Task, adapter: Callable[[Box], Adapter], wanted: Wanted, judge: Callable[[Box, Taken], Taken]) -> Came:
    """Ask, wait, and take what may be taken. `LabError` in words for everything that went wrong.

    `judge` looks at what lies in the box besides, and gives back what is taken.
    """
    with box.opened(task) as place:
        place.fill(wanted.brief, wanted.inputs, wanted.begun)
        within = (place.out, *_state(task, wanted.provider))
        process = AgentProcess(task.root, task.spec, folders=(task.folder,), growth_mb=_GROWTH_MB, within=within)
        agent = adapter(place)
        task.say(f"{wanted.who} does the phase {task.phase.name}")
        ran = process(agent, _question(place, wanted), until=until_s(task), stop=lambda: bool(task.interrupted()))
        said = running.answer_of(agent, ran)
        _keep(task, wanted, ran, said)
        if said.problem == STOPPED or task.interrupted():
            raise Interrupted(f"{wanted.who} was stopped: {task.interrupted() or said.what}")
        if said.problem and said.problem != EMPTY:
            raise LabError(f"{wanted.who} did not do the phase {task.phase.name}: {said.what}", fix=_look(task))
        try:
            taken = judge(place, place.taken(wanted.names, process.secrets(agent)))
        except LabError as refused:
            what = f"nothing that {wanted.who} left is taken: {refused.what}"
            raise LabError(what, where=refused.where, fix=refused.fix or _look(task)) from None
        _require(task, wanted, said, ran, taken)
        _tell_of(task, wanted, ran, said, taken)
        return Came(files=taken.files, text=said.text, used=said.used, wall_s=ran.wall_s)


def _require(task: Task, wanted: Wanted, said: Answer, ran: Ran, taken: Taken) -> None:
    if secret.BLOT.encode() in ran.stdout + ran.stderr:
        fix = f"what it printed is kept without it, in artifacts/{RECORD}; renew a key that a model was shown"
        raise LabError(f"{wanted.who} printed the value of a key that it was given", fix=fix)
    if not taken.files:
        line = " ".join((said.text or said.what).split())[:_SAID_CHARS]
        beside = f"; it left {', '.join(list(taken.ignored)[:5])}, which nobody asked for" if taken.ignored else ""
        what = f"{wanted.who} ended and left none of {', '.join(wanted.names)} below {box.OUT}/{beside}"
        raise LabError(f"{what}; it said: {line}" if line else what, fix=_look(task))


def _question(place: Box, wanted: Wanted) -> Question:
    return Question(
        prompt=wanted.brief,
        mode=EDIT,
        folder=place.path,
        own="",
        model=wanted.model,
        effort=wanted.effort,
        instruction=INSTRUCTION,
        paths=tuple(f"{box.OUT}/{name}" for name in wanted.begun)
        or tuple(f"{box.OUT}/{name}" for name in wanted.names if not name.endswith("/")),
    )


def until_s(task: Task) -> float:
    """When it is ended: a little before the phase is, which has to look at its work yet."""
    left_s = task.until_s - time.monotonic()
    if left_s < _LEAST_S:
        raise LabError(
            "there is no time left for it in the budget of the phase",
            fix="raise PHASE_time_budget in the project's SPEC",
        )
    return task.until_s - min(left_s * _GRACE_SHARE, _MOST_GRACE_S)


def _state(task: Task, provider: str) -> tuple[str, ...]:
    """What an agent that is known writes to in the home of its user, as far as it is there."""
    environ = task.root.world.environ
    home = environ.get("HOME", "")
    places = [f"{home}/{each}" for each in _STATE.get(provider, ()) if home]
    places += [environ[name] for name in (_ELSEWHERE.get(provider, ""),) if environ.get(name)]
    return tuple(each for each in places if os.path.isabs(each) and os.path.exists(each))


def _keep(task: Task, wanted: Wanted, ran: Ran, said: Answer) -> None:
    """What was asked and printed, without secrets: those are blotted out of all that comes back."""
    task.out.write(f"{RECORD}/{box.BRIEF}", wanted.brief.encode(errors="replace"))
    task.out.write(f"{RECORD}/stdout.log", ran.stdout[-_LOG_BYTES:])
    task.out.write(f"{RECORD}/stderr.log", ran.stderr[-_LOG_BYTES:])
    _tell_of(task, wanted, ran, said, None)


def _tell_of(task: Task, wanted: Wanted, ran: Ran, said: Answer, taken: Taken | None) -> None:
    told: dict[str, object] = {
        "who": wanted.who,
        "model": said.model or wanted.model,
        "argv": list(ran.argv),
        "code": ran.code,
        "ended_by": ran.stopped,
        "wall_s": round(ran.wall_s, 3),
        "held_by": ran.fenced or "nothing",
        "tokens_sent": said.used.sent,
        "tokens_answered": said.used.answered,
        "usd": said.used.usd,
        "said": said.text[:_LOG_BYTES],
        "problem": said.what if said.problem else "",
    }
    if taken is not None:
        told["taken"] = {name: canonical.digest(data) for name, data in taken.files.items()}
        told["passed_over"] = taken.ignored
        for name, why in taken.ignored.items():
            task.say(f"{box.OUT}/{name} is passed over: {why}")
    task.out.write(f"{RECORD}/came.json", canonical.page(told))


def _look(task: Task) -> str:
    return f"what it was told and what it printed lies in artifacts/{RECORD} of {task.run_id}"
