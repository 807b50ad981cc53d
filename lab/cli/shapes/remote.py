"""The answers of `labctl tinker`; `runs` answers with the records of `lab.scheduler.results.chains`."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from lab.scheduler.results.saved import Saved
from lab.tinker.stored import Stored


class RemoteCheck(msgspec.Struct):
    """One thing that was looked at. `absent`: the surroundings lack it; `none`: there was nothing to look at."""

    name: str
    state: Literal["ok", "warning", "failed", "absent", "none"]
    what: str
    fix: str


class RemoteChecked(msgspec.Struct):
    """`check`. Of no experiment, `experiment` is empty, and only the surroundings are looked at."""

    experiment: str
    url: str
    checks: list[RemoteCheck]
    failed: int
    absent: int


class Checkpoints(msgspec.Struct):
    """`checkpoints`. With `--server`: `gone` are paths that the service has not any more, `orphans` only it knows."""

    experiment: str
    saved: list[Saved]
    url: str | UnsetType = UNSET
    gone: list[str] | UnsetType = UNSET
    orphans: list[Stored] | UnsetType = UNSET


class Downloaded(msgspec.Struct):
    """`download`. `files` are those of `folder` with their sizes; `merged` is a whole model, or empty.

    `next_step`: optimizer steps inside the weights; 0 of a path, which does not tell.
    """

    path: str
    url: str
    experiment: str
    run: str
    base_model: str
    next_step: int
    folder: str
    merged: str
    files: dict[str, int]


class ServedLocally(msgspec.Struct):
    """`serve-local`, printed when it answers. `environment` is what a client is to be given."""

    url: str
    port: int
    pid: int
    folder: str
    models: dict[str, str]
    environment: dict[str, str]
    not_covered: list[str]


class TinyModel(msgspec.Struct):
    """`make-tiny`."""

    folder: str
    parameters: int
    tokens: int
    context: int
