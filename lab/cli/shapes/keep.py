"""The answers of the verbs that keep a lab in order, and of the rest."""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType

from lab.cli.shapes.look import Heartbeat
from lab.scheduler.agents.found import Agent
from lab.scheduler.checkup import Check


class Trouble(msgspec.Struct):
    """Something that is wrong, where, and what to do."""

    what: str
    where: str
    fix: str


class Settled(msgspec.Struct):
    """A run whose owner is gone, and what became of it."""

    experiment: str
    run: str
    what: str


class Watch(msgspec.Struct):
    """`watchdog`."""

    free_gb: float
    live: list[str]
    settled: list[Settled]
    alerts: list[Trouble]


class Recovered(msgspec.Struct):
    """`recover`. `under_way` counts the runs that somebody is at: they are no leftovers."""

    done: list[str]
    left: list[str]
    under_way: int
    pages_written: int
    findings: list[Trouble]


class Damage(Trouble):
    """Something that is not as it was sealed."""

    kind: str


class Verified(msgspec.Struct):
    """`verify`."""

    records: int
    runs: int
    files: int
    bytes: int
    unsealed: int
    archived: int
    notes: list[str]
    torn_lines: int
    damage: list[Damage]


class Refreshed(msgspec.Struct):
    """`refresh`."""

    experiments: int
    runs: int
    written: int
    findings: list[Trouble]


class ClaimShown(msgspec.Struct):
    """A claim on an experiment. Of one that is unsettled or damaged, less is known; of an engine's, other things.

    `since` is when the run was claimed, or when its body began.
    """

    experiment: str
    generation: int
    state: str
    owner: str | UnsetType = UNSET
    host: str | UnsetType = UNSET
    pid: int | UnsetType = UNSET
    run_id: str | UnsetType = UNSET
    claimed_at: str | UnsetType = UNSET
    renewed_s_ago: float | UnsetType = UNSET
    left_s: float | UnsetType = UNSET
    alive: bool | UnsetType | None = UNSET
    engine: str | UnsetType = UNSET
    number: str | UnsetType = UNSET
    where: str | UnsetType = UNSET
    since: str | UnsetType = UNSET
    why: str | UnsetType = UNSET


class Claims(msgspec.Struct):
    """`lease show`."""

    claims: list[ClaimShown]


class Broken(msgspec.Struct):
    """`lease break`."""

    experiment: str
    generation: int
    settled: list[str]


class Planned(msgspec.Struct):
    """`schedule install`. `units` are the texts by their places."""

    name: str
    backend: str
    every_s: float
    units: dict[str, str]
    installed: bool


class StaleLine(msgspec.Struct):
    """A schedule of this machine that turns another place than one may think. `lab` is that place."""

    name: str
    backend: str
    lab: str
    is_there: bool


class InPlace(msgspec.Struct):
    """`schedule status`."""

    scheduled: bool
    in_place: bool
    name: str
    backend: str
    every_s: float
    installed_at: str
    units: list[str]
    problem: str
    stale: list[StaleLine]
    heartbeat: Heartbeat | None


class Unscheduled(msgspec.Struct):
    """`schedule remove`."""

    removed: bool
    name: str
    units: list[str]


class PrunedExperiment(msgspec.Struct):
    """What went into an archive, and what stays although it is old."""

    experiment: str
    runs: list[str]
    archive: str
    sha256: str
    bytes: int
    left: list[str]


class Pruned(msgspec.Struct):
    """`prune`."""

    dry_run: bool
    experiments: list[PrunedExperiment]


class Restored(msgspec.Struct):
    """`prune --restore`."""

    experiment: str
    archive: str
    restored: list[str]


class CheckedUp(msgspec.Struct):
    """`doctor`. `failed` counts what the lab needs and has not, and agents that were asked for in vain."""

    checks: list[Check]
    agents: list[Agent]
    failed: int


class Script(msgspec.Struct):
    """`completion`."""

    shell: str
    script: str


class Code(msgspec.Struct):
    """A word of labctl's, and what to do about it."""

    code: str
    family: str
    means: str
    why: str
    do: str
    example: str


class Codes(msgspec.Struct):
    """`explain`. Several where one word means more than one thing."""

    codes: list[Code]


class Schemas(msgspec.Struct):
    """`schema --list`."""

    schemas: dict[str, str]
