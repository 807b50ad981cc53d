"""The answers of the verbs that begin something: a lab, an experiment, a space, an import."""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType

from lab.cli.shapes.words import Params
from lab.core.parameter import Parameter


class Initialized(msgspec.Struct):
    """`init`. `made` is false where there was a lab already."""

    data_root: str
    made: bool


class Template(msgspec.Struct):
    """A SPEC that comes with labctl."""

    name: str
    about: str


class Templates(msgspec.Struct):
    """`create --list`."""

    templates: list[Template]


class Created(msgspec.Struct):
    """`create`. With `--dry-run` nothing was made. `copied` is the folder that a template's files were copied to."""

    experiment: str
    path: str
    dry_run: bool
    copied: str


class Valid(msgspec.Struct):
    """`validate`. `can_run`: nothing is missing here for a run, as far as can be seen; else `warnings` says what."""

    id: str
    source: str
    tiers: list[str]
    time_budget_s: float
    can_run: bool


class ValidEngines(msgspec.Struct):
    """`validate engines.yaml`: each class that has a row, and its engine."""

    source: str
    classes: dict[str, str]


class SpaceShown(msgspec.Struct):
    """`space show` and `space check`; the last three are of `check`, and `runs` and `outside` of an experiment's."""

    where: str
    digest: str
    parameters: list[Parameter]
    constraints: list[str]
    points: int | None
    baseline: Params | None
    share_met: float | UnsetType = UNSET
    runs: int | UnsetType = UNSET
    outside: list[str] | UnsetType = UNSET


class SpaceSample(msgspec.Struct):
    """`space sample`."""

    where: str
    seed: int
    points: list[Params]


class RootImported(msgspec.Struct):
    """`import-root`."""

    source: str
    experiments: list[str]
    runs: int
    false_values_dropped: int
    skipped: list[str]
    known: int
    notes: list[str]
    dry_run: bool


class StudyImported(msgspec.Struct):
    """`import`. `known` trials were here already; no strategy sees those `outside` of the space."""

    experiment: str
    study: str
    source: str
    tier: str
    runs: int
    successes: int
    known: int
    unfinished: int
    outside: int
    dry_run: bool
