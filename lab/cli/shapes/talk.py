"""The answers of labctl without a verb, and of the verbs for agents."""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType

from lab.core.skills.codes import Issue
from lab.store.skills import Resource


class Version(msgspec.Struct):
    """`labctl --version`."""

    version: str


class VerbShown(msgspec.Struct):
    """A verb in the overview."""

    name: str
    group: str
    summary: str


class Overview(msgspec.Struct):
    """`labctl` alone."""

    help: str
    commands: list[VerbShown]


class McpInstalled(msgspec.Struct):
    """`mcp install`. `server` is what the client is told; `text` is there with `--print`."""

    client: str
    path: str
    server: dict[str, object]
    changed: bool
    text: str | UnsetType = UNSET


class McpServed(msgspec.Struct):
    """`mcp serve`: nothing, once its client has gone away."""


class SkillPlaced(msgspec.Struct):
    """Where a client would look for a skill, and what is there: current, stale, modified or missing."""

    client: str
    scope: str
    path: str
    state: str


class SkillRow(msgspec.Struct):
    """A skill in a list."""

    name: str
    description: str
    scope: str
    path: str
    installed: list[SkillPlaced]


class Skills(msgspec.Struct):
    """`skills list`."""

    skills: list[SkillRow]


class SkillSummary(msgspec.Struct):
    """A skill in short."""

    id: str
    kind: str
    title: str
    description: str
    path: str


class SkillSource(msgspec.Struct):
    """Where a skill comes from, and which others it hides."""

    scope: str
    root: str
    shadows: list[str]
    trusted: bool


class SkillCost(msgspec.Struct):
    """About how much of a model's context it takes."""

    always_on_tokens: int
    on_invoke_tokens: int
    lines: int


class SkillShown(msgspec.Struct):
    """`skills show`: a skill as a client loads it; `playbook` is its text byte for byte."""

    schema: str
    kind: str
    frontmatter: dict[str, object]
    playbook: str
    summary: SkillSummary
    resources: list[Resource]
    digest: str
    source: SkillSource
    installed: list[SkillPlaced]
    cost: SkillCost
    validation_issues: list[Issue]


class SkillJudged(msgspec.Struct):
    """What is wrong with one skill."""

    path: str
    issues: list[Issue]


class SkillsJudged(msgspec.Struct):
    """`skills lint`."""

    strict: bool
    skills: list[SkillJudged]
    errors: int
    warnings: int
    infos: int


class SkillInstalled(msgspec.Struct):
    """One place of a skill: what was there, and what was done."""

    name: str
    client: str
    path: str
    was: str
    done: str
    moved_aside_to: str


class SkillsInstalled(msgspec.Struct):
    """`skills install`."""

    dry_run: bool
    skills: list[SkillInstalled]
