"""The answers of the verbs that hand out work."""

from __future__ import annotations

import msgspec

from lab.cli.shapes.words import Direction, Outcome
from lab.core.submission import Ruling
from lab.scheduler.dispatch.offers import Said


class Queued(msgspec.Struct):
    """`dispatch-ready`. `others` is what could not be done, or was mended on the way."""

    queued: list[Said]
    others: list[Said]


class Claimed(msgspec.Struct):
    """`dispatch-claim`."""

    claimed: list[Said]
    others: list[Said]


class Completed(msgspec.Struct):
    """`dispatch-work`."""

    completed: list[Said]
    others: list[Said]


class Ingested(msgspec.Struct):
    """`dispatch-ingest`."""

    ingested: list[Said]
    others: list[Said]


class DoneApart(msgspec.Struct):
    """`dispatch-work --package`."""

    dispatch_id: str
    outcome: Outcome
    reason: str
    tar: str


class Renewed(msgspec.Struct):
    """`dispatch-renew`. Once `cancel_asked` is true, stop and complete it as cancelled."""

    dispatch_id: str
    cancel_asked: bool
    why: str


class Complete(msgspec.Struct):
    """`dispatch-complete`."""

    dispatch_id: str
    experiment: str
    outcome: Outcome
    stage: str


class Nothing(msgspec.Struct):
    """`dispatch-agent-next` with nothing to do: an empty object, and exit code 3."""


class Task(msgspec.Struct):
    """`dispatch-agent-next`: everything that an agent has to know of the package."""

    dispatch_id: str
    experiment: str
    worker: str
    package_dir: str
    run_dir: str
    workspace_root: str
    base_commit: str
    parent_run: str
    mutable_paths: list[str]
    read_only_paths: list[str]
    validation_command: str
    mutation_brief_path: str
    goal: str
    constraints: list[str]
    acceptance_rule: str
    metric: str
    metric_direction: Direction
    best_metric_value: float | None
    best_run: str
    iteration: int
    role: str
    run_id: str
    fidelity_tier: str
    time_budget_minutes: float
    time_budget_s: float
    lease_s: float
    input_files: dict[str, str]
    current_files: dict[str, str]
    current_files_left_out: list[str]


class Submitted(Ruling, frozen=True, kw_only=True):
    """`dispatch-agent-submit`."""

    ingested: bool


class Packed(msgspec.Struct):
    """`dispatch-pack`."""

    dispatch_id: str
    tar: str
    bytes: int


class Unpacked(msgspec.Struct):
    """`dispatch-unpack`."""

    dispatch_id: str
    experiment: str
    files: int
    outcome: Outcome | str
    stage: str


class Performed(msgspec.Struct):
    """`exec`."""

    experiment: str
    run: str
    outcome: Outcome
    value: float | None


class Worked(msgspec.Struct):
    """`worker`. `last` are the newest of its runs."""

    worker: str
    inbox: str
    worked: int
    failed: int
    troubles: int
    last: list[Said]


class Carried(msgspec.Struct):
    """`courier`. `lost` did not answer in time: their runs are not counted."""

    packed: list[Said]
    ingested: list[Said]
    lost: list[Said]
    refused: list[Said]
    others: list[Said]
