"""The settings that a code loop is started with, and what cannot be meant or could not run. Reads; writes nothing."""

from __future__ import annotations

import glob
import os
import shlex
from typing import TYPE_CHECKING

import msgspec

from lab.core import cadence, ids
from lab.core.errors import BadInput, LabError, nearest
from lab.core.run import DIRECTIONS
from lab.executors import told
from lab.llm.agents import running
from lab.scheduler.agents import door as agents
from lab.scheduler.loop import scripts
from lab.store import reading

if TYPE_CHECKING:
    from collections.abc import Iterator

ALL = "all"
SCOPES = {
    "architecture": "Change only the architecture: what it is built of, not its numbers and not how it is optimized",
    "hyper-parameters": "Change only hyper-parameters: the numbers, not what is built of them",
    "optimizer": "Change only the optimizer and its schedule",
    ALL: "",
}
NO_COPY = "none"  # the lab's own table is always there
_COMMANDS = ("setup", "mutate", "checks", "measure")
_RUNNERS = ("python", "bash", "sh", "dash", "zsh")


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What a loop is started with. Empty is not said."""

    workspace: str
    edit: tuple[str, ...] = ()
    read_only: tuple[str, ...] = ()
    budget: str = ""
    metric: str = ""
    direction: str = ""
    iterations: int = 0
    scope: str = ""
    tag: str = ""
    results: str = ""
    measure: str = ""
    checks: str = ""
    setup: str = ""
    mutate: str = ""
    agent: str = ""
    model: str = ""
    instruction: str = ""
    new_id: str = ""
    goal: str = ""
    platform: str = ""  # what the machine computes on


def problems(settings: Settings, path: str) -> Iterator[tuple[str, str]]:
    """A field, and what is wrong with it, as often as something is. `path` is where programs are looked for."""
    if settings.scope not in SCOPES:
        yield "scope", _unknown("--scope", settings.scope, tuple(SCOPES))
    if settings.direction not in DIRECTIONS:
        yield "direction", _unknown("--direction", settings.direction, tuple(DIRECTIONS))
    if not told.is_name(settings.metric, settings.metric):
        words = f"a letter or _ and at most {told.NAME_CHARS} letters, digits and _./-, as no METRIC line has another"
        yield "metric", f"--metric {settings.metric[: told.NAME_CHARS]!r} is no name of a metric: {words}"
    for field, name, value in (("new_id", "the id", settings.new_id), ("tag", "--tag", settings.tag)):
        try:
            ids.name(value, name)
        except BadInput as refused:
            yield field, f"{refused.what}; {refused.fix}"
    try:
        cadence.duration_s(settings.budget, "the length")
    except BadInput as refused:
        yield "budget", f"--budget (time_budget): {refused.what}" + (f"; {refused.fix}" if refused.fix else "")
    if settings.results.endswith("/") or os.path.isdir(os.path.join(settings.workspace, settings.results or NO_COPY)):
        yield "results", f"--results {settings.results}: this is a folder; name a file, or {NO_COPY}"
    yield from _paths(settings)
    yield from _makers(settings)
    for field in _COMMANDS:
        problem = _unstartable(getattr(settings, field), settings, path)
        if problem:
            yield field, f"--{field} {getattr(settings, field)!r}: {problem}"


def _paths(settings: Settings) -> Iterator[tuple[str, str]]:
    for field, flag in (("edit", "--edit"), ("read_only", "--read-only")):
        for path in getattr(settings, field):
            if not is_there(settings.workspace, path):
                yield field, f"{flag} {path}: there is nothing of this name in the workspace"
    for path in sorted(set(settings.edit) & set(settings.read_only)):
        yield "read_only", f"{path} cannot be edited and read-only at once"


def _makers(settings: Settings) -> Iterator[tuple[str, str]]:
    if settings.mutate and settings.agent:
        yield "agent", "--mutate and --agent both make the change; keep one of them"
    if settings.model and not settings.agent:
        yield "model", "--model is the model of an agent; name it with --agent"
    if settings.agent and settings.agent not in scripts.OUTSIDE:
        try:
            agents.find(settings.agent, "", (settings.workspace,))
        except LabError as unfit:
            yield "agent", f"--agent: {unfit.what}" + (f"; {unfit.fix}" if unfit.fix else "")


def _unknown(flag: str, word: str, known: tuple[str, ...]) -> str:
    near = nearest(word[:40], known)
    return f"{flag} {word[:40]!r} is none of {', '.join(known)}" + (f"; did you mean {near}?" if near else "")


def is_there(workspace: str, path: str) -> bool:
    """Whether a path or a pattern is something in the workspace."""
    if os.path.isabs(path) or ".." in path.split("/"):
        return False
    return os.path.lexists(f"{workspace}/{path}") or bool(glob.glob(path, root_dir=workspace, recursive=True))


def _unstartable(command: str, settings: Settings, path: str) -> str:
    """Why a command would fail at every run, as far as can be seen. What `setup` may make is not looked for."""
    try:
        words = shlex.split(command)
    except ValueError:
        return ""  # the SPEC's own rules say it
    if not words:
        return ""
    program = words[0]
    if "/" not in program and "{" not in program and not running.on_path(program, path):
        return f"there is no program {program} on PATH"
    is_runner = os.path.basename(program).rstrip(".0123456789") in _RUNNERS
    files = [program] if "/" in program else [] if not is_runner else _script(words[1:])
    for name in files if not settings.setup or command == settings.setup else []:
        if "{" not in name and not reading.is_file(os.path.join(settings.workspace, os.path.expanduser(name))):
            return f"there is no {name} in the workspace"
    return ""


def _script(words: list[str]) -> list[str]:
    """The script that an interpreter is given, if it is given one."""
    for word in words:
        if word in ("-c", "-m", "-"):
            return []
        if not word.startswith("-"):
            return [word]
    return []
