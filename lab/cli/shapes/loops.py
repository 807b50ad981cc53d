"""The answers of `labctl autoresearch`: how a code loop begins, where it stands, and what becomes of it."""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType


class Machine(msgspec.Struct):
    """What a program could compute on here, as far as it can be told without starting one."""

    kind: str
    devices: list[str]
    why: str


class Started(msgspec.Struct):
    """`autoresearch start`. With `--dry-run` nothing was made."""

    experiment: str
    path: str
    workspace: str
    platform: Machine
    seen: list[str]
    spec: str
    dry_run: bool


class Tree(msgspec.Struct):
    """A tree that was handed out to be changed."""

    name: str
    tree: str
    base: str
    parent: str
    at: str
    brief: str


class HandedOut(msgspec.Struct):
    """`try --begin`."""

    begun: Tree


class Trees(msgspec.Struct):
    """`try --list`."""

    trees: list[Tree]


class Dropped(msgspec.Struct):
    """`try --drop`."""

    dropped: Tree


class Judged(msgspec.Struct):
    """`try` of a change. `tree` is still there where the change crashed or its checks failed; `next` is advice."""

    run: str
    verdict: str
    reason: str
    value: float | None
    previous_best_value: float | None
    metric: str
    commit: str
    gain: float | None
    p: float | None
    tree: str
    next: list[str]


class Exported(msgspec.Struct):
    """`autoresearch export`: the text, or where it was written."""

    experiment: str
    format: str
    runs: int
    text: str | UnsetType = UNSET
    path: str | UnsetType = UNSET
    bytes: int | UnsetType = UNSET


class Resumed(msgspec.Struct):
    """`autoresearch resume`. `stopped_again` says why the next turn would not run it."""

    experiment: str
    phase: str
    changed: bool
    stopped_again: str
    best: float | None
    gain: float | None
    candidates: int
    kept: int
    next: list[str]


class Branch(msgspec.Struct):
    """One kept commit as a branch. `on` is the branch that it stands on; empty is the base."""

    name: str
    on: str
    run_id: str
    source: str = msgspec.field(name="from")
    commit: str
    title: str
    paths: list[str]
    conflicts: list[str]


class Finalized(msgspec.Struct):
    """`autoresearch finalize`. With `--dry-run` nothing was made."""

    experiment: str
    base: str
    final: str
    made: bool
    branches: list[Branch]
    recommendation: str
    reasons: list[str]


class Brought(msgspec.Struct):
    """`autoresearch import`. `runs` are those that were not here; `commits_found` are in the workspace's repository."""

    experiment: str
    path: str
    source: str
    form: str
    segments: int
    runs: int
    kept: int
    known: int
    commits_found: int
    commits_missing: int
    made: bool
    dry_run: bool
