"""Getting a change made in a tree: by a command, by an agent, or by somebody to whom the tree was handed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.core import layout
from lab.core.asi import Asi
from lab.core.errors import LabError
from lab.core.launch import BWRAP
from lab.executors import outcome
from lab.llm.exchange import EMPTY
from lab.scheduler import mutating, mutation
from lab.scheduler.agents.process import AgentProcess
from lab.scheduler.loop import asi, brief, scripts, steps

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lab.core.frontier import Start
    from lab.llm.exchange import Tokens
    from lab.scheduler.loop.brief import Crashed
    from lab.scheduler.loop.grounds import Grounds
    from lab.scheduler.loop.ideas import Idea
    from lab.scheduler.loop.steps import Step, Steps

# What judges its agent by digests and works in a copy needs to write where the agent's own things lie.
_OURS = "local_agent_mutation.py"
_READABLE = "the hidden measurement was not hidden from whoever made this change: {}"
_SHOWN, _SAID_CHARS = 5, 500


class Proposed(msgspec.Struct, frozen=True, kw_only=True):
    """What a proposer said of its change. With a `problem` it made none that counts."""

    problem: str = ""
    tampered: bool = False  # it went for what it may not even touch
    notes: Asi = Asi()
    remarks: tuple[str, ...] = ()
    tokens: int = 0
    cost: float = 0.0


class Proposer:
    """Asks for the change of one candidate; once more where the first one crashed for a reason that can be mended."""

    def __init__(self, grounds: Grounds, running: Steps, start: Start, idea: Idea | None) -> None:
        self._grounds = grounds
        self._steps = running
        self._start = start
        self._idea = idea

    def __call__(self, tree: str, crashed: Crashed | None = None) -> Proposed:
        """Let the change be made in this tree, which is where the workspace lies."""
        grounds = self._grounds
        artifacts = f"{grounds.path}/{layout.ARTIFACTS}"
        text = brief.text(
            grounds.root, grounds.spec, grounds.view, self._start,
            workspace=grounds.workspace, crash=crashed, idea=self._idea,
        )  # fmt: skip
        place = brief.write(grounds.root, artifacts, text)
        if grounds.spec.mutation_command:
            return self._by_command(tree, place)
        return self._by_agent(tree, text, artifacts)

    def _by_command(self, tree: str, place: str) -> Proposed:
        grounds, start, spec = self._grounds, self._start, self._grounds.spec
        more = {
            "LAB_BRIEF_PATH": place,
            "LAB_START": start.kind,
            "LAB_DIRECTION": start.words,
            "LAB_IDEA": self._idea.text if self._idea else "",
        }
        words = scripts.words_of(spec.mutation_command)
        is_ours = any(word.rpartition("/")[2] == _OURS for word in words[:2]) or "mutate" in words[1:3]
        step = self._steps.run(
            steps.MUTATION, spec.mutation_command, tree, more=more, frozen=(place,), free=is_ours
        )  # fmt: skip
        places = (f"{step.folder}/asi.json", f"{step.folder}/{layout.ARTIFACTS}/asi.json")
        found = asi.read(*places, secrets=self._steps.secrets)
        remarks = [found.problem] if found.problem else []
        said = mutating.said(f"{step.folder}/{layout.ARTIFACTS}/{mutating.RECORD}")
        logs = (layout.STDOUT, layout.STDERR)  # those have no secrets
        if self._steps.hidden and not step.exit.fenced.startswith(BWRAP):
            remarks.append(_READABLE.format(step.exit.fenced or "no fence"))
        leaked = asi.blotted(grounds.root, step.folder, self._steps.secrets, but=logs)
        if leaked:
            remarks.append(f"not kept, for a secret in it: {', '.join(leaked[:_SHOWN])}")
        problem = step.problem and (said.what or step.problem)
        if said.refused:  # what was allowed came over, and is no change without the rest
            problem = _wrong(f"{each.path}: {each.why}" for each in said.refused)
        return Proposed(
            problem=problem,
            tampered=bool(said.refused),
            notes=found.asi if found.asi != Asi() else Asi(change=_line(said.text) or _last_line(step)),
            remarks=tuple(remarks),
            tokens=_tokens(said.used),
            cost=max(said.used.usd or 0.0, 0.0),
        )

    def _by_agent(self, tree: str, text: str, artifacts: str) -> Proposed:
        grounds, spec = self._grounds, self._grounds.spec
        order = mutation.Order(
            workspace=tree,
            prompt=text,
            provider=spec.agent_provider,
            model=spec.agent_model,
            effort=spec.agent_effort or "medium",
            base_url=spec.agent_base_url,
            background=spec.agent_background,
            mutable=spec.mutable_paths,
            read_only=spec.read_only_paths,
            timeout_s=spec.time_budget_s,
            watched=mutating.watched(grounds.root, grounds.root.layout.spec(grounds.experiment)),
            exclusive=True,
        )
        run = AgentProcess(grounds.root, spec, folders=(tree, grounds.workspace))
        try:
            found = mutation.mutate(grounds.root, run, order, stop=self._steps.is_over)
        except LabError as refusal:
            return Proposed(problem=f"the agent made no change: {refusal.what}")
        mutating.keep_record(grounds.root, f"{artifacts}/{mutating.RECORD}", order, found)
        self._steps.let_go()
        refused = [f"{each.path}: {each.why}" for each in found.refused]
        readable = (_READABLE.format("an agent is not fenced"),) if self._steps.hidden else ()
        # Such as the stub: no change, and no crash either.
        is_silent = found.problem == EMPTY and not found.changed and not refused
        problem = "" if is_silent else found.what if found.problem else found.broke_off
        if not problem and refused:
            problem = _wrong(refused)
        return Proposed(
            problem=problem,
            tampered=bool(refused),
            notes=Asi(change=_line(found.text)),
            remarks=(*found.behind, *((found.what,) if is_silent else ()), *readable),
            tokens=_tokens(found.used),
            cost=found.used.usd or 0.0,
        )


def _wrong(refused: Iterable[str]) -> str:
    return f"it touches what it may not: {'; '.join(list(refused)[:_SHOWN])}"


def _tokens(used: Tokens) -> int:
    return max((used.sent or 0) + (used.answered or 0), 0)


def _line(text: str) -> str:
    return " ".join(text.split())[:_SAID_CHARS]


def _last_line(step: Step) -> str:
    """The last thing that a command said of its change: better than no description."""
    lines = outcome.tail(f"{step.folder}/{layout.STDOUT}")
    return _line(lines[-1]) if lines else ""
