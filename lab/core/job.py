"""A job: a claimed run in the hands of an engine, which places it, and never decides what is true of it.

An engine may lose a job, know it twice, start it twice, or say wrongly how it ended. So a job is known by its name,
which follows from its claim; the truth is the claim, the bundle and its seal; and `judge` says what follows from what
was seen of all of them. Seeing is `scheduler.placing`.
"""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

from lab.core.claim import RENEW_EVERY_S
from lab.core.record import Record
from lab.core.spec import Spec  # msgspec resolves annotations

# Where an engine has a job.
HELD, WAITING, RUNNING, OVER = "held", "waiting", "running", "over"
ASKED: Final = "asked"  # of a look: its engine has not taken the job yet, and `why` says what speaks against it
# How a job is over. LOST: its place went away, and its processes may live on there; UNKNOWN: the engine does not say.
DONE, FAILED, MEMORY, TIME, CANCELLED, LOST, UNKNOWN = (
    "done", "failed", "memory", "time", "cancelled", "lost", "unknown",
)  # fmt: skip
REFUSED: Final = "refused"  # never placed: the engine will not have it
# How long a body may be silent that renews its claim every 20 s, before it counts as gone where nobody speaks for it.
SILENT_S = 180.0
# How long files may lag behind what an engine says: a job is over the moment its last process is, and its seal may
# reach this machine a little later.
PATIENCE_S = 5.0
# A body that lives has renewed its claim within this. Where an engine only says that a job ended, and not with which
# code its body did, silence is the second witness: one whose keeper was killed, or whose node cannot be reached, lives
# on, and its engine calls it failed or cancelled.
WITNESS_S = RENEW_EVERY_S + PATIENCE_S
# Exit codes of a body (`labctl exec`): its claim was taken, another body has this run, its lab is not there.
FENCED, TWICE, NOT_HERE = 75, 76, 74
# It was told to end, and nobody of the lab had asked for that: what its engine says of the job is why.
TOLD = 77
# Why a job that runs is silent, where its engine has stopped it for a while.
SUSPENDED: Final = "suspended"


class Wants(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a job asks of its engine: a row of engines.yaml. Empty or 0: whatever the engine gives by itself."""

    engine: str = ""  # none: the run happens in the process that asks for it
    partition: str = ""
    account: str = ""
    qos: str = ""
    gres: str = ""
    nodes: int = 0
    cpus: int = 0
    memory: str = ""
    time: str = ""  # as the engine writes it; none: from the budget
    setup: tuple[str, ...] = ()  # lines of shell, before the run
    options: tuple[str, ...] = ()  # further flags, for who knows the engine
    python: str = ""  # which runs labctl there; none: the one that runs it here
    address: str = ""  # of an engine that is spoken to over the network
    max_in_flight: int = 0  # jobs of this class at once; 0: no limit but the experiment's own


class Job(Record, frozen=True, kw_only=True):
    """What a `.job` file beside a claim says. Written before the engine is asked, and again with what it answered.

    `spec` is the SPEC that the run was claimed under, with its tier applied: it may be edited while the job waits.
    """

    experiment: str
    generation: int
    run_id: str
    engine: str
    name: str
    asked_at: str
    spec: Spec
    wants: Wants = Wants()
    number: str = ""  # the engine's own name for it; a hint, for engines give it to others too
    where: str = ""  # which engine of its kind was asked: the name of a cluster. Written before it is asked
    uid: int = -1  # who asks; an engine may show their jobs to nobody else
    ended: str = ""  # one of the words above, once it was taken from the engine
    why: str = ""


class Sight(Record, frozen=True, kw_only=True):
    """What a `.seen` file says: how the last look that saw a difference found the job, for pages that ask no engine.

    Its modification time is the last look at all. Losing it loses nothing but that.
    """

    state: str
    where: str = ""
    why: str = ""
    at: str = ""
    tries: int = 0  # how often its engine was asked to take it, of ASKED


class Start(Record, frozen=True, kw_only=True):
    """What a `.started` file says: the one body that was let in. Its claim's modification time is its heartbeat."""

    run_id: str
    host: str
    pid: int
    number: str = ""
    at: str = ""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What an engine says of a job, when it is asked for all of this lab's at once."""

    name: str
    number: str
    state: str  # HELD, WAITING, RUNNING, OVER
    how: str = UNKNOWN  # of one that is over
    code: int | None = None  # the exit code of its body, where it is told
    where: str = ""  # the node or nodes
    why: str = ""  # in the engine's words: what it waits for, or what ended it


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """One claimed run as it was found. The engine was asked first, and the files were read after its answer."""

    job: Job | None  # none: whoever claimed it died before it wrote one
    has_bundle: bool = True
    sealed: bool = False
    started: Start | None = None
    cancel_asked: str | None = None
    silent_s: float = 0.0  # since its body renewed the claim, or a look found it with its engine; by the file server
    ttl_s: float = SILENT_S
    ours: bool = True  # False for a job that another lab asked for, of which this one is a copy: no engine is asked
    hidden: bool = False  # its engine may know it, and not show it to who looks
    was_suspended: bool = False  # the last look found it so, and its body was not heard of since
    reports: tuple[Report, ...] = ()


class Leave(msgspec.Struct, frozen=True, kw_only=True):
    """Nothing is to be done now. `state` and the rest are what to tell people of it."""

    state: str
    number: str = ""  # of the job that is the one, where the engine has it
    where: str = ""
    why: str = ""
    cancel: tuple[str, ...] = ()  # numbers of jobs that are one too many


class Submit(msgspec.Struct, frozen=True, kw_only=True):
    """The engine has never heard of it."""


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """The engine has it and holds it, because whoever submitted it died before it could let it go."""

    number: str
    cancel: tuple[str, ...] = ()


class Take(msgspec.Struct, frozen=True, kw_only=True):
    """It is out of the engine's hands: take the claim and settle the run. `ended` is the word that goes with it."""

    ended: str
    why: str
    cancel: tuple[str, ...] = ()


Verdict = Leave | Submit | Release | Take

_LIVE_ORDER = {RUNNING: 0, WAITING: 1, HELD: 2}
# What people are told of a job that is over.
_WORDS = {
    DONE: "its job ended well and left no sealed run",
    FAILED: "its job failed",
    MEMORY: "its job used more memory than it had asked for",
    TIME: "its job ran into the time limit of the engine",
    CANCELLED: "its job was cancelled",
    LOST: "the place where it ran was lost",
    UNKNOWN: "its job is over",
}

_TOLD_TO_END = "its place told it to end: its job was preempted, or its node goes down"

_NOT_BEGUN = "its job was cancelled where it was placed, before its body began"

_COPIED = "the lab was copied, or moved to another file system, after its job was asked for"


def prefix(lab: str) -> str:
    """How the names of all jobs of a lab begin: two labs of one user must not see each other's.

    `lab` is who it is (`store.identity`), and no path: two labs may lie under one, and one lab under two.
    """
    return f"lab-{hashlib.sha256(lab.encode(errors='surrogateescape')).hexdigest()[:10]}-"


def name(lab: str, experiment: str, generation: int) -> str:
    """A job's name. It follows from the claim, so whoever finds a claim can ask whether its job exists."""
    return f"{prefix(lab)}{experiment}-{generation}"


def judge(seen: Seen, *, forgets_after_s: float) -> Verdict:
    """What is to become of a run that an engine has, or should have. Only for an engine that answered.

    `forgets_after_s` is how long an engine may not know a job that it has accepted, or have forgotten one that it runs.
    """
    job = seen.job
    live = sorted((r for r in seen.reports if r.state != OVER), key=lambda r: _LIVE_ORDER.get(r.state, 1))
    numbers = tuple(r.number for r in live)
    if job is not None and job.ended:  # somebody took it, and died before the claim was
        return Take(ended=job.ended, why=job.why, cancel=numbers)
    if seen.sealed and (not live or seen.silent_s > WITNESS_S):  # its body died between the seal and the release
        return Take(ended=DONE, why="it is sealed", cancel=numbers)
    if not seen.has_bundle:
        return Take(ended=LOST, why="its bundle is gone", cancel=numbers)
    if job is None:
        return _nameless(seen, numbers)
    if seen.started is None and seen.cancel_asked is not None:  # where the engine runs it, no body was let in yet
        return Take(ended=CANCELLED, why=seen.cancel_asked or "cancelled before it began", cancel=numbers)
    if not seen.ours:
        return _anothers(seen, job)
    if live:
        return _alive(seen, job, live)
    return _over(seen, job) if seen.reports else _unknown(seen, job, forgets_after_s)


def _nameless(seen: Seen, numbers: tuple[str, ...]) -> Verdict:
    """There is no `.job`: it was never written, or a power cut took it. A body that was let in has read it."""
    if seen.started is not None and seen.silent_s <= SILENT_S:
        return Leave(state=RUNNING, where=seen.started.host, number=seen.started.number)
    return Take(ended=LOST, why="whoever claimed it died before it was handed over", cancel=numbers)


def _anothers(seen: Seen, job: Job) -> Verdict:
    """Its job is the other lab's, and nothing of it is touched. Here is a run that somebody may be about to finish."""
    if seen.silent_s > max(seen.ttl_s, SILENT_S):
        return Take(ended=LOST, why=f"{_COPIED}, and nobody was heard of for {seen.silent_s:.0f}s")
    host = seen.started.host if seen.started else ""
    return Leave(state=RUNNING if seen.started else UNKNOWN, number=job.number, where=host, why=_COPIED)


def _alive(seen: Seen, job: Job, live: list[Report]) -> Verdict:
    """The engine has it: once, it is hoped."""
    started = seen.started
    first = next((r for r in live if started and r.number == started.number), None)
    first = first or next((r for r in live if r.number == job.number and r.state != HELD), live[0])
    doubles = tuple(r.number for r in live if r is not first)
    everything = (first.number, *doubles)
    if started is None:
        if first.state == HELD:  # whoever submitted it died before this, or the engine forgot that it was let go
            return Release(number=first.number, cancel=doubles)
        return Leave(state=first.state, number=first.number, where=first.where, why=first.why, cancel=doubles)
    # By its engine, and will be let go on; or it was, just now, and its body has had no time to renew.
    is_stopped = first.state == RUNNING and (first.why == SUSPENDED or seen.was_suspended)
    if seen.silent_s > max(seen.ttl_s, SILENT_S) and not is_stopped:
        return Take(ended=LOST, why=f"its body was not heard of for {seen.silent_s:.0f}s", cancel=everything)
    if first.state == RUNNING:
        return Leave(
            state=RUNNING, number=first.number, where=first.where or started.host, why=first.why, cancel=doubles
        )
    # An engine that lost track of a job queues it again, though it has run: it must not, and the body would refuse.
    if seen.silent_s <= SILENT_S:
        return Leave(
            state=RUNNING, number=first.number, where=started.host, why="its engine lost track of it", cancel=doubles
        )
    return Take(ended=LOST, why=f"its engine queued it again: {first.why or first.state}", cancel=everything)


def _over(seen: Seen, job: Job) -> Verdict:
    """The engine says that its job has ended, and there is no seal."""
    started = seen.started
    told = [r for r in seen.reports if started is not None and r.number == started.number]
    told = told or [r for r in seen.reports if r.number == job.number] or list(seen.reports)
    report = told[-1]
    if started is not None and seen.silent_s <= _awaited_s(report):
        return Leave(state=RUNNING, number=started.number, where=report.where or started.host, why="its end is awaited")
    why = _WORDS.get(report.how, _WORDS[UNKNOWN])
    at = f" on {report.where}" if report.where else ""
    if report.code == NOT_HERE:  # it never began
        return Take(ended=LOST, why=f"the lab is not to be seen from where its job was placed{at}")
    if report.code in (FENCED, TWICE) and started is None:  # it found no claim, or a body, that are not here
        return Take(ended=LOST, why=f"its body found no claim of its own where its job was placed{at}")
    if report.code == TOLD and report.how == FAILED:  # of a person's word, or of a limit, its engine would have told
        return Take(ended=LOST, why=f"{_TOLD_TO_END}{at}")
    if report.how == CANCELLED and report.where and started is None:
        # A node that cannot start a job, for want of room say, has it cancelled. Nobody of the lab asked for that.
        return Take(ended=LOST, why=f"{_NOT_BEGUN}{at}{f' ({report.why})' if report.why else ''}")
    if report.code:
        why += f" with exit code {report.code}"
    more = f" ({report.why})" if report.why else ""
    # Of a job that its engine lost something may live on, where the engine can still reach it.
    cancel = (report.number,) if report.how == LOST else ()
    return Take(ended=report.how if report.how in _WORDS else UNKNOWN, why=f"{why}{at}{more}", cancel=cancel)


def _awaited_s(report: Report) -> float:
    """How long a body that was let in may be silent, after its engine called its job over, before that is believed."""
    if report.code in (FENCED, TWICE, NOT_HERE):  # that body was turned away; the one that was let in is another
        return SILENT_S
    # An engine that cannot reach a node calls its jobs cancelled, or out of time, as it likes: their bodies live on.
    return PATIENCE_S if report.code is not None and report.how in (DONE, FAILED) else WITNESS_S


def _unknown(seen: Seen, job: Job, forgets_after_s: float) -> Verdict:
    """The engine has never heard of it, or has forgotten it."""
    where = seen.started.host if seen.started else ""
    if seen.hidden:
        return Leave(state=UNKNOWN, number=job.number, where=where, why="its engine may show it to its owner alone")
    if seen.started is None and not job.number:
        return Submit()
    limit_s = forgets_after_s if seen.started is None else max(forgets_after_s, SILENT_S)
    if seen.silent_s <= limit_s:
        return Leave(state=UNKNOWN, number=job.number, where=where, why="its engine does not know it, and may yet")
    return Take(ended=LOST, why=f"its engine forgot it, and nobody was heard of for {seen.silent_s:.0f}s")
