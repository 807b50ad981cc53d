"""The manifest: what a run set out to do, and, in its last version, how it ended."""

from __future__ import annotations

import msgspec

from lab.core.claim import Owner
from lab.core.record import Record
from lab.core.run import OUTCOMES

RUNNING = "running"


class Usage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the run used, as far as it could be measured."""

    cpu_s: float | None = None
    peak_memory_mb: float | None = None
    gpu_peak_memory_mb: float | None = None
    exit_code: int | None = None
    exit_signal: int | None = None


class Manifest(Record, frozen=True, kw_only=True):
    """What `manifest.json` says. `status` is `running` until the run has ended, then its outcome."""

    run_id: str
    experiment: str
    status: str = RUNNING
    iteration: int = 0
    role: str = ""
    fidelity_tier: str = "default"
    executor: str = ""
    executor_class: str = "default"
    lease_id: str = ""
    generation: int = 0
    metric: str = ""
    metric_direction: str = "maximize"
    time_budget_s: float = 0.0
    spec_sha256: str = ""
    owner: Owner = Owner(name="", host="")
    labctl_version: str = ""
    started_at: str = ""
    completed_at: str = ""
    wall_s: float = 0.0
    value: float | None = None
    cost: float = 0.0
    signals: tuple[str, ...] = ()
    verdict: str = ""
    reason: str = ""
    note: str = ""
    durability: str = "full"
    usage: Usage = Usage()

    def __post_init__(self) -> None:
        """A manifest with a status that nobody wrote must not turn into a counted run."""
        if self.status != RUNNING and self.status not in OUTCOMES:
            message = f"status {self.status!r} is neither running nor an outcome"
            raise ValueError(message)
