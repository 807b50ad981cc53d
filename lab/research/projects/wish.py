"""What a person asks for when a project is begun, and the two files that follow from it. Pure.

Nothing that was typed is read as anything but text: a topic may hold quotes, shell, HTML and line ends, and is the same
in the file.
"""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING

import msgspec

from lab.core import canonical
from lab.core.cadence import duration_s
from lab.core.errors import BadInput, nearest
from lab.research import declared, project
from lab.research.project import PHASES, Agent, Gate, Literature, Project, Publish, Training
from lab.research.projects import limits
from lab.research.release import targets

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAX_TOPIC_CHARS = 4000
GIT, HUB = "git", "hf"
AGENT = "agent"
STUDY = "study"
APPROVE: Gate = "approve"
BY_AGENT = ("ideation", "implementation", "writing")  # the phases that `--agent NAME` is meant for
_DAYS = 90
_FLAGS = {"hypothesis": "--hypothesis FILE", "data": "--data FILE", "proceed_from": "--from EXPERIMENT"}
_OF_OTHERS = {"hypothesis": "--hypothesis", "data": "--data", "study": "--study", "own": "--own"}  # modes than E
_ONLY_MEASURED: tuple[project.Name, ...] = ("training", "iteration")  # left out where no run is wanted
_GOAL_CHARS = 300
_HEAD = """\
# A research project, made by `labctl research new`. It is yours to edit: what an edit is about is done again, and only
# that. docs/reference/project.md tells of every key.
"""
_ABOUT = {
    "mode": "how it began: A full, B hypothesis, C data, D given, E continue",
    "topic": "read by the literature, the ideas and the paper",
    "hypothesis": "what is expected, and what would prove it wrong",
    "data": "what the study is about",
    "study": "the SPEC of what is varied and measured, and its programs",
    "proceed_from": "the experiment that it goes on from",
    "routing": "phase -> who does it, where it is not the built-in",
    "agent": "of the phases that are routed to one",
    "gates": "a person is asked before these",
    "literature": "offline: no host is asked. own: papers and notes of yours",
    "training": "runs of a round, the baseline included",
    "publish": "where a release would go; nothing is sent before its hash is approved",
}


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """As it was typed. Paths are as the person sees them."""

    name: str
    mode: str
    topic: str = ""
    hypothesis: str = ""
    data: str = ""
    study: str = ""
    proceed_from: str = ""
    own: tuple[str, ...] = ()
    agent: str = ""  # PROVIDER, or PROVIDER:phase,phase
    offline: bool = False
    runs: int | None = None  # of a round; 0, in mode E: what the experiment has is evaluated
    to: str = ""  # git:REMOTE or hf:OWNER/NAME
    gates: tuple[str, ...] = ()


class Brought(msgspec.Struct, frozen=True, kw_only=True):
    """Where in the project's folder lies what was given."""

    hypothesis: str = ""
    data: str = ""
    study: str = ""
    own: tuple[str, ...] = ()


def require(wish: Wish) -> declared.Mode:
    """The mode, or everything that is missing for it, with what to type."""
    mode = declared.mode(wish.mode)
    absent = [_FLAGS[each] for each in mode.needs if not getattr(wish, each)]
    if absent:
        said = " and ".join(absent)
        whole = [_typed(wish, each) for each in mode.needs]
        typed = f"labctl research new {wish.name} --mode {mode.name} {' '.join(whole)}"
        raise BadInput(f"mode {mode.name} ({mode.about}) wants {said}", fix=typed)
    goes_on = "proceed_from" in mode.needs
    unused = [flag for key, flag in _OF_OTHERS.items() if goes_on and getattr(wish, key)]
    if unused:
        fix = f"leave {' and '.join(unused)} out, or begin another mode with it: --mode A, B, C or D"
        what = f"mode {mode.name} goes on with the experiment as it is, and has no use for {' and '.join(unused)}"
        raise BadInput(what, fix=fix)
    if wish.runs == 0 and not goes_on:
        raise BadInput("--runs 0 is below 1", fix="--runs 12; 0 is of mode E, to evaluate what an experiment has")
    if wish.proceed_from and not goes_on:
        fix = f"labctl research new {wish.name} --mode E --from {wish.proceed_from}"
        raise BadInput(f"--from is of mode E, and this is mode {mode.name}", fix=fix)
    if len(wish.topic) > MAX_TOPIC_CHARS:
        raise BadInput(f"the topic has more than {MAX_TOPIC_CHARS:,} characters", fix="put it into a note: --own FILE")
    if not canonical.is_text(wish.topic):
        raise BadInput("the topic is not text: it has bytes that are no UTF-8", fix="type it again")
    return mode


def _typed(wish: Wish, key: str) -> str:
    """A flag with what was given for it, or with what it wants."""
    flag, _, wanted = _FLAGS[key].partition(" ")
    return f"{flag} {shlex.quote(getattr(wish, key)) if getattr(wish, key) else wanted}"


def written(wish: Wish, mode: declared.Mode, brought: Brought) -> Project:
    """The project that was asked for."""
    provider, routing = _agent(wish.agent)
    own = Literature(offline=wish.offline, own=brought.own)
    return Project(
        mode=mode.name,
        topic=wish.topic,
        hypothesis=brought.hypothesis,
        data=brought.data,
        study=brought.study or STUDY,
        proceed_from=wish.proceed_from,
        routing=routing,
        agent=Agent(provider=provider),
        gates={_phase(each): APPROVE for each in wish.gates},
        literature=own,
        skip=_ONLY_MEASURED if wish.runs == 0 else (),
        training=Training(runs=wish.runs) if wish.runs else Training(),
        publish=_publish(wish.to),
    )


def _phase(name: str) -> project.Name:
    if name not in PHASES:
        near = nearest(name[:40], PHASES)
        fix = f"did you mean {near}?" if near else f"the phases are {', '.join(PHASES)}"
        raise BadInput(f"there is no phase {name[:40]!r}", fix=fix)
    found: project.Name = msgspec.convert(name, project.Name)
    return found


def _agent(text: str) -> tuple[str, dict[project.Name, str]]:
    """Who, and which phases are theirs."""
    provider, colon, phases = text.partition(":")
    if not text:
        return "", {}
    if not provider or (colon and not phases.strip(",")):
        raise BadInput(f"--agent {text[:60]} names no agent, or no phase", fix="--agent claude:ideation,writing")
    able = {each.name for each in declared.phases() if AGENT in each.may}
    chosen = [_phase(each.strip()) for each in phases.split(",") if each.strip()] or [_phase(each) for each in BY_AGENT]
    for each in chosen:
        if each not in able:
            fix = f"an agent can do {', '.join(name for name in PHASES if name in able)}"
            raise BadInput(f"no agent does the {each}: the lab does it itself", fix=fix)
    return provider, dict.fromkeys(chosen, AGENT)


def _publish(text: str) -> Publish:
    kind, _, place = text.partition(":")
    if not text:
        return Publish()
    if kind == GIT and place:
        made = Publish(to="git", remote=place)
    elif kind == HUB and place.count("/") == 1 and all(place.split("/")):
        made = Publish(to="huggingface", repo=place)
    else:  # not repeated: an address may have a login in it
        raise BadInput("--to names no place to publish to", fix="--to git:REMOTE, or --to hf:OWNER/NAME")
    targets.destination(made, "/")  # before it is written down
    return made


# -- the files ------------------------------------------------------------------------------------------------------


def page(made: Project) -> str:
    """project.yaml, which reads back as the same project."""
    told: dict[str, object] = msgspec.to_builtins(made)
    lines = [_HEAD.rstrip()]
    for key, value in told.items():
        lines += ["", f"# {_ABOUT[key]}"] if key in _ABOUT else [""]
        lines += _pair(key, value, "")
    return "\n".join(lines) + "\n"


def _pair(key: str, value: object, indent: str) -> Iterator[str]:
    if isinstance(value, dict) and value:
        yield f"{indent}{key}:"
        for inner, each in value.items():
            yield from _pair(str(inner), each, f"{indent}  ")
    elif isinstance(value, list | tuple) and value:
        yield f"{indent}{key}:"
        yield from (f"{indent}  - {quoted(each)}" for each in value)
    else:
        yield f"{indent}{key}: {quoted(value)}"


def _goal(made: Project) -> str:
    """What the project is about, in the words of its user; without any, what it does."""
    goes_on = f"go on from {made.proceed_from}: more runs, their evaluation, a paper" if made.proceed_from else ""
    for about in (made.topic, goes_on):
        words = " ".join("".join(each if each.isprintable() else " " for each in about).split())
        if words:
            return words[:_GOAL_CHARS]
    return declared.mode(made.mode).about


def spec(name: str, made: Project, folder: str, secrets: Sequence[str] = (), env: Sequence[str] = ()) -> str:
    """The SPEC of the project's experiment: a tier for each phase that it goes through."""
    phases = declared.planned(made)
    rounds = made.iteration.max_rounds
    hours = sum(duration_s(each.budget, "budget") * (rounds if each.each_round else 1) for each in phases) / 3600
    goal = _goal(made)
    lines = [
        "# A research project: each run does one phase, in the tier of its name. Made by `labctl research new`.",
        f"id: {quoted(name)}",
        "mode: research-project",
        f"goal: {quoted(goal)}",
        "metric: phases_done",
        "metric_direction: maximize",
        "",
        "executor: research",
        f"workspace_root: {quoted(folder)}   # project.yaml and what was given lie there",
        "cadence: 0s   # the next phase may begin at the next turn of run-once",
        "max_parallel: 1",
        f"{limits.RUNS}: {limits.room(phases)}   # runs of phases; its rounds and budgets end it long before",
        "stop_conditions:",
        f"  budget_hours: {hours:g}",
        f"  hard_stop_after_days: {_DAYS}",
        "worker_roles: [researcher]",
        *_listed("secrets", secrets),
        *_listed("env", env),
        "",
        "fidelity_tiers:",
        *(f"  - {each.name}" for each in phases),
        f"initial_fidelity_tier: {phases[0].name}",
        *(f"{each.name}_time_budget: {each.budget}" for each in phases),
    ]
    return "\n".join(lines) + "\n"


def _listed(name: str, values: Sequence[str]) -> list[str]:
    return [f"{name}:", *(f"  - {quoted(each)}" for each in values)] if values else []


def quoted(value: object) -> str:
    """A value as YAML takes it, whatever is in it: no character of it can end the text or hide."""
    if not isinstance(value, str):
        return json.dumps(value)
    plain = json.dumps(value, ensure_ascii=False)
    return "".join(each if each.isprintable() else _spelt(each) for each in plain)


def _spelt(letter: str) -> str:
    number = ord(letter)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"  # noqa: PLR2004  # where each form ends
