"""A launch: what an executor is given, what it wants started, and how that ended."""

from collections.abc import Mapping  # msgspec resolves the annotations below

import msgspec

from lab.core.errors import BadInput
from lab.core.manifest import Manifest, Usage
from lab.core.record import Record
from lab.core.spec import Spec

GRACE_S = 5.0
IN_PROCESS = "in_process"  # the executor of runs whose program is whoever asks for them: nothing is started
OUTPUT_BYTES = 16 << 20


class Launch(msgspec.Struct, frozen=True, kw_only=True):
    """One run, about to start. Everything an executor may know; it reads neither the lab nor its own surroundings."""

    spec: Spec  # with the overrides of its tier applied
    manifest: Manifest
    path: str  # where the run writes: its bundle, or the `run/` of its package
    params: Mapping[str, object] | None = None
    workspace: str = ""  # absolute; empty where the SPEC names none
    folders: tuple[str, ...] = ()  # where else a relative program is looked for, after the workspace
    environ: Mapping[str, str] = {}  # the whole environment of the run, nothing is added to it later
    secrets: tuple[str, ...] = ()  # values that must not reach a log

    @property
    def foreseen(self) -> "Foreseen":
        """The same as it was known before the claim: files may have gone since."""
        return Foreseen(
            spec=self.spec, workspace=self.workspace, folders=self.folders, environ=self.environ,
            names=tuple(self.params or ()), data_root=self.environ.get("LAB_DATA_ROOT", ""),
        )  # fmt: skip


class Foreseen(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a run before it is claimed, or its experiment is made. Its executor may refuse it then."""

    spec: Spec  # with the overrides of its tier applied
    workspace: str = ""
    folders: tuple[str, ...] = ()
    environ: Mapping[str, str] = {}  # what a run sees of the surroundings
    names: tuple[str, ...] = ()  # of the parameters that it is given, or will be
    data_root: str = ""  # of the lab, where it is on this machine


class Unfilled(BadInput):
    """A command cannot be written out with what its runs are given: each of them would fail."""


FENCES = AUTO, LANDLOCK, BWRAP, NO_FENCE = ("auto", "landlock", "bwrap", "none")


class Fence(msgspec.Struct, frozen=True, kw_only=True):
    """Where a program may write. It may read and start what its user may, and talk to whom it likes."""

    writable: tuple[str, ...]  # absolute; whoever starts it names the run's own folders here too
    frozen: tuple[str, ...] = ()  # below what is writable, and yet to stay; only bwrap can, so hash them besides
    hidden: tuple[str, ...] = ()  # not even to be read; only bwrap can
    level: str = "auto"  # one of FENCES; what cannot be had is refused, except by auto


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be started. `argv[0]` is an absolute path; no shell is involved unless it is the shell's."""

    argv: tuple[str, ...]
    cwd: str
    environ: Mapping[str, str] = {}
    secrets: tuple[str, ...] = ()
    stdin: str = "/dev/null"  # the file that it reads
    fence: Fence | None = None  # none: it may write wherever its user may


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a run may use. At the budget it is told to end (TERM), and `grace_s` later it is ended (KILL)."""

    budget_s: float
    grace_s: float = GRACE_S
    memory_mb: int | None = None
    cpu: float | None = None
    output_bytes: int = OUTPUT_BYTES  # of each of stdout and stderr: half from its head, half from its tail


class Stop(msgspec.Struct, frozen=True, kw_only=True):
    """Word that a run is to end now: `how` is one of the words below, `why` is for people."""

    how: str
    why: str = ""
    at_once: bool = False  # it has no grace: what it writes into was sealed meanwhile


class Output(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How much a run printed, and how much of it lies in the log."""

    total: int = 0
    kept: int = 0


class Exit(Record, frozen=True, kw_only=True):
    """How a program ended.

    It lies in the bundle as `exit.json` until the manifest tells it: a lab that is killed in between loses nothing.

    `stopped` is empty when it ended by itself; else why it was ended: `timeout`, `memory`, `cancelled`, `superseded`,
    `interrupted`, `limit` for that of its engine, `hopeless` beside earlier runs, or `orphaned` when the process that
    supervised it died.
    """

    run_id: str = ""
    started: bool = True
    problem: str = ""  # why it could not be started, or what went wrong with supervising it
    code: int | None = None
    signal: int | None = None
    stopped: str = ""
    why: str = ""  # in words: who cancelled it, and what they gave as the reason
    wall_s: float = 0.0
    usage: Usage = Usage()
    stdout: Output = Output()
    stderr: Output = Output()
    confined: str = ""  # how its processes were held together: namespace, subreaper, or group
    fenced: str = ""  # what kept it from writing elsewhere: "landlock 7", "bwrap", or "none: " and why; empty: unasked


TIMEOUT, MEMORY, CANCELLED, SUPERSEDED, INTERRUPTED, LIMIT, ORPHANED, HOPELESS = (
    "timeout", "memory", "cancelled", "superseded", "interrupted", "limit", "orphaned", "hopeless",
)  # fmt: skip
# The signal by which an engine tells a body that its time will soon be up. Any other one may mean anything.
LIMIT_SIGNAL = "SIGUSR1"
