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


class Exported(msgspec.Struct):
    """`autoresearch export`: the text, or where it was written."""

    experiment: str
    format: str
    runs: int
    text: str | UnsetType = UNSET
    path: str | UnsetType = UNSET
    bytes: int | UnsetType = UNSET
