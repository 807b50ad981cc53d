"""To start a code loop on a workspace: what can be seen there, what must be said, and the SPEC that comes of it.

The workspace is read and never written: its scripts and notes serve as they are, and the SPEC goes into the lab.
"""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING

import msgspec

from lab.core import peers_log
from lab.core.direction import guessed
from lab.core.errors import BadInput
from lab.core.run import DIRECTIONS, MINIMIZE
from lab.scheduler import create
from lab.scheduler.loop import scripts
from lab.scheduler.loop.settings import ALL, NO_COPY, SCOPES, Settings, is_there, problems
from lab.store import experiments, reading
from lab.store.repository import repository
from lab.store.repository import workspace as git

if TYPE_CHECKING:
    from collections.abc import Container

    from lab.scheduler.create import Created
    from lab.store.root import Root

BRIEF = "autoresearch.md"
BRIEFS = (BRIEF, ".auto/prompt.md", "program.md")
_READ_BYTES = 1 << 16
_GOAL_CHARS, _SHOWN = 300, 5
_METRIC_LINE = re.compile(r"METRIC\s+([A-Za-z_µ][\w.µ/-]{0,63})=")
_PRINTED = re.compile(r"""["']([a-z][a-z0-9_]{0,40}):\s*[{%]""")
_NOT_IN_ID = re.compile(r"[^A-Za-z0-9._-]+")


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What a workspace shows: defaults for what is not said, and where each was found."""

    defaults: Settings
    notes: tuple[str, ...] = ()


def seen(workspace: str) -> Seen:
    """Look. `BadInput` where there is no folder."""
    workspace = os.path.abspath(os.path.expanduser(workspace))
    if not os.path.isdir(workspace):
        raise BadInput("there is no such folder", where=workspace, fix="--workspace names the folder of the code")
    blank = experiments.parse_spec(b"id: blank\nexecutor: reference\n", "")
    meant = scripts.commands(blank, workspace)
    measure, checks = meant.validation_command, meant.checks_command
    notes = [f"{command.removeprefix('bash ')} serves as it is" for command in (measure, checks) if command]
    brief = next((name for name in BRIEFS if reading.is_file(f"{workspace}/{name}")), "")
    if brief:
        notes.append(f"{brief} is read as the brief" if brief == BRIEF else f"{brief} says what it is for")
    is_training = all(reading.is_file(f"{workspace}/{name}") for name in ("train.py", "prepare.py"))
    if is_training and not measure:
        measure = "uv run train.py" if reading.is_file(f"{workspace}/uv.lock") else "python3 train.py"
        notes.append(f"train.py and prepare.py: the measurement is {measure}")
    log = _config(workspace)
    metric = log.get("metricName", "") or _metric(workspace, measure)
    direction = DIRECTIONS.get(log.get("bestDirection", ""), "")
    body = _head(f"{workspace}/{brief}") if brief else ""
    off = (*_listed_in(body, workspace, "off limits"), *((brief,) if brief else ()))
    defaults = Settings(
        workspace=workspace,
        edit=_listed_in(body, workspace, "files in scope") or (("train.py",) if is_training else ()),
        read_only=tuple(dict.fromkeys((*scripts.read_only(meant, workspace), *off))),
        budget="5m",
        metric=metric,
        direction=direction,
        iterations=20,
        scope=ALL,
        results=NO_COPY,
        measure=measure,
        checks=checks,
        instruction=brief if brief != BRIEF else "",
        goal=_goal(body),
    )
    return Seen(defaults=defaults, notes=tuple(notes))


def filled(said: Settings, defaults: Settings) -> Settings:
    """What was said, and defaults for the rest. The names follow from the tag, the tag from the workspace."""
    given = {name: getattr(said, name) or getattr(defaults, name) for name in Settings.__struct_fields__}
    whole = Settings(**{**given, "workspace": defaults.workspace})  # absolute, whatever folder it is read from later
    whole = msgspec.structs.replace(whole, direction=whole.direction or guessed(whole.metric))
    plain = _NOT_IN_ID.sub("-", os.path.basename(whole.workspace)).strip("-._")[:48] or "loop"
    new_id = whole.new_id or whole.tag or plain
    return msgspec.structs.replace(whole, new_id=new_id, tag=whole.tag or new_id, goal=whole.goal or _plain_goal(whole))


def _plain_goal(settings: Settings) -> str:
    word = "Lower" if DIRECTIONS.get(settings.direction) == MINIMIZE else "Raise"
    return f"{word} {settings.metric or 'the metric'} by changing {', '.join(settings.edit) or 'the code'}"


def judge(settings: Settings, path: str, only: Container[str] = Settings.__struct_fields__) -> None:
    """Refuse what cannot be meant or could not run, all of it at once. `path` is where programs are looked for."""
    told = [f"  {problem}" for field, problem in problems(settings, path) if field in only]
    if told:
        fix = "nothing was written; mend these and try again"
        raise BadInput("\n".join(("the loop cannot start like this:", *told)), where=settings.workspace, fix=fix)


def begin(root: Root, settings: Settings, *, actor: str, dry_run: bool = False) -> tuple[Created, bytes]:
    """Make the experiment, and return its SPEC too. Refused whole, or made whole."""
    judge(settings, root.world.environ.get("PATH", ""))
    left_out = uncommitted(root, settings)
    data = text(settings).encode()
    made = create.written(root, data, settings.workspace, actor=actor, dry_run=dry_run)
    if not left_out:
        return made, data
    more = f" and {len(left_out) - _SHOWN} more" if len(left_out) > _SHOWN else ""
    note = f"not committed, and so no part of the loop: {', '.join(left_out[:_SHOWN])}{more}"
    return msgspec.structs.replace(made, notes=(*made.notes, note)), data


def uncommitted(root: Root, settings: Settings) -> tuple[str, ...]:
    """What of the workspace has no part in the loop. `BadInput` for a repository in which no loop can run.

    Better found now than by the first run. A workspace without git is not copied for it.
    """
    if git.repository_of(git.real(settings.workspace)) is None:
        return ()
    own = root.layout.place(f"scratch/looked-at-{root.world.rng.getrandbits(32):08x}")
    try:
        return repository.opened(root.files, settings.workspace, own=own, now=root.world.now).uncommitted()
    finally:
        root.files.discard_folder(own)


def text(settings: Settings) -> str:
    """The SPEC. Pure: the same settings give the same bytes."""
    scope = SCOPES[settings.scope]
    lines = [
        "# A code loop: edit, measure, keep or discard. Made by `labctl autoresearch start`; it is yours to edit.",
        f"id: {_quoted(settings.new_id)}",
        "mode: autoresearch-loop",
        f"goal: {_quoted(settings.goal)}",
        f"metric: {_quoted(settings.metric)}",
        f"metric_direction: {DIRECTIONS[settings.direction]}",
        "",
        "executor: reference",
        f"workspace_root: {_quoted(settings.workspace)}",
        f"time_budget: {_quoted(settings.budget)}          # of each step: setup, change, checks, one measurement",
        f"max_iterations_total: {settings.iterations}",
        f"loop_tag: {_quoted(settings.tag)}               # what is kept is on the branch lab/{settings.tag}",
        "promotion_strategy: branch",
        "",
        f"setup_command: {_quoted(settings.setup)}",
        f"mutation_command: {_quoted(settings.mutate)}",
        f"agent_provider: {_quoted(settings.agent)}",
        f"agent_model: {_quoted(settings.model)}",
        f"agent_instruction_file: {_quoted(settings.instruction if settings.agent else '')}",
        f"checks_command: {_quoted(settings.checks)}",
        f"validation_command: {_quoted(settings.measure)}",
        "",
        *_listed("mutable_paths", settings.edit),
        *_listed("read_only_paths", settings.read_only),
        *_listed("constraints", (scope,) if scope else ()),
        f"results_file: {_quoted('' if settings.results == NO_COPY else settings.results)}",
        f"platform: {_quoted(settings.platform)}",
        "worker_roles: [researcher]",
    ]
    return "\n".join(lines) + "\n"


def _quoted(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def _listed(name: str, values: tuple[str, ...]) -> list[str]:
    return [f"{name}:", *(f"  - {_quoted(value)}" for value in values)] if values else [f"{name}: []"]


# -- what the files of other harnesses say ------------------------------------------------------------------------


def _head(path: str) -> str:
    if not reading.is_file(path):
        return ""
    return (reading.read_head(path, _READ_BYTES) or b"").decode(errors="replace")


def _config(workspace: str) -> dict[str, str]:
    """The configuration line of a log that another harness left."""
    for name in peers_log.JSON_LOGS:
        for line in _head(f"{workspace}/{name}").splitlines():
            try:
                found = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(found, dict) and found.get("type") == "config":
                return {key: value for key, value in found.items() if isinstance(value, str)}
    return {}


def _metric(workspace: str, measure: str) -> str:
    """The name that the measuring script prints, as far as its text tells."""
    for word in measure.split():
        body = _head(f"{workspace}/{word}") if not word.startswith(("/", "-")) else ""
        found = _METRIC_LINE.search(body) or (_PRINTED.search(body) if word.endswith(".py") else None)
        if found:
            return found[1]
    return ""


def _goal(body: str) -> str:
    """The first words under the heading that tells the goal, else the first words of all."""
    for line in (_section(body, "objective|goal") or body).splitlines():
        words = " ".join(line.split())
        if words and words[0] not in "#-*`>|<":
            return words[:_GOAL_CHARS]
    return ""


def _listed_in(body: str, workspace: str, heading: str) -> tuple[str, ...]:
    """The paths that a section of a brief lists, such as "Files in Scope", as far as they are there."""
    found = re.findall(r"^\s*[-*]\s+`([^`\n]+)`", _section(body, heading), re.MULTILINE)
    paths = (path.removeprefix("./").removesuffix("/**").rstrip("/") for path in found)
    return tuple(dict.fromkeys(path for path in paths if path and is_there(workspace, path)))


def _section(body: str, heading: str) -> str:
    """What stands under a heading, up to the next one."""
    found = re.search(
        rf"^#+[^\n]*\b(?:{heading})\b[^\n]*\n(.*?)(?=^#|\Z)", body, re.IGNORECASE | re.MULTILINE | re.DOTALL
    )
    return found[1] if found else ""
