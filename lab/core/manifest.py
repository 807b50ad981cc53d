"""The manifest: what a run set out to do, and, in its last version, how it ended."""

import msgspec

from lab.core.candidate import Candidate
from lab.core.chunk import Chunk
from lab.core.claim import Owner
from lab.core.origin import Origin
from lab.core.record import Record
from lab.core.run import CRASH, SUCCESS, Run

RUNNING = "running"
# The seal and every page quote these; the whole text stays in the manifest.
_REASON_CHARS, _NOTE_CHARS = 2_000, 500


class Usage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the run used, as far as it could be measured."""

    cpu_s: float | None = None
    peak_memory_mb: float | None = None
    gpu_peak_memory_mb: float | None = None
    exit_code: int | None = None
    exit_signal: int | None = None
    stdout_bytes: int | None = None  # printed; the log may hold less
    stderr_bytes: int | None = None
    confined: str = ""  # how the processes of the run were held together, and which limits were enforced
    program: dict[str, str] = {}  # the files that its command names, below the workspace, with their SHA-256


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
    proposal: str = ""  # the approved proposal that this run carries out
    package: str = ""  # the dispatch package that it was handed to a worker in
    worker: str = ""  # to whom it was handed; of an engine's run, its node as the engine calls it
    usage: Usage = Usage()
    origin: Origin | None = None  # who chose the parameters; None where nobody searched
    seed: int | None = None  # what the run was told as LAB_SEED
    candidate: Candidate | None = None  # of a code loop, once it has ended
    trained: Chunk | msgspec.UnsetType = msgspec.field(default=msgspec.UNSET, name="chunk")  # of a remote training
    revision: str = ""  # the commit that its workspace was at, where that is a git checkout

    def __post_init__(self) -> None:
        """Refuse here what no seal could say: found out at the seal, it would stop the experiment for good."""
        self.run()

    @property
    def machine(self) -> str:
        """Where it ran: the worker that it was handed to, else the host of its process. Empty before a body began."""
        return self.worker or self.owner.host.partition("/")[0]  # without the id that tells cloned hosts apart

    def run(self) -> Run:
        """What history will remember. A run that nobody brought to an end is a crash."""
        return Run(
            run_id=self.run_id,
            experiment=self.experiment,
            outcome=self.status if self.status != RUNNING else CRASH,
            value=self.value if self.status == SUCCESS else None,
            metric=self.metric,
            direction=self.metric_direction,
            iteration=self.iteration,
            role=self.role,
            tier=self.fidelity_tier,
            executor_class=self.executor_class,
            verdict=self.verdict,
            started_at=self.started_at,
            ended_at=self.completed_at,
            wall_s=self.wall_s,
            cost=self.cost,
            signals=self.signals,
            reason=self.reason[:_REASON_CHARS],
            note=self.note[:_NOTE_CHARS],
            worker=self.machine,
            origin=self.origin,
            candidate=self.candidate,
            trained=self.trained,
        )
