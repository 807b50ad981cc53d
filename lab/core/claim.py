"""A claim: the right to run an experiment now, written down and numbered.

Taking an experiment is *creating* the claim of the next generation; the file system picks one winner. `judge` decides
from what was seen; seeing (files, processes, clocks) is `store.leases`.
"""

import msgspec

from lab.core.record import Record

DEFAULT_TTL_S = 120.0
RENEW_EVERY_S = 20.0


class Owner(msgspec.Struct, frozen=True, kw_only=True):
    """A process, named so that nobody else can be mistaken for it: a pid alone is reused within minutes."""

    name: str
    host: str
    boot_id: str = ""
    pid_namespace: int = 0
    pid: int = 0
    start_ticks: int = 0


class Claim(Record, frozen=True, kw_only=True):
    """What a `.claim` file says. Its renewal is the file's modification time, stamped by the file server's clock."""

    experiment: str
    generation: int
    lease_id: str
    owner: Owner
    claimed_at: str
    ttl_s: float = DEFAULT_TTL_S
    run_id: str = ""
    engine: str = ""  # that has the run in its hands; then its job speaks for the claim: core/job.py


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """A claim as one look found it. `alive` is None when this process cannot know; `age_s` is since the renewal."""

    claim: Claim
    age_s: float
    alive: bool | None = None


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody has it, for at most `left_s` more unless renewed."""

    seen: Seen
    left_s: float


class Lost(msgspec.Struct, frozen=True, kw_only=True):
    """The holder is proven dead, or has been silent for longer than it asked for."""

    seen: Seen
    proof: str


class Remains(msgspec.Struct, frozen=True, kw_only=True):
    """What a holder left that cannot finish its run itself any more."""

    own: bool  # there is a bundle, and it is this claim's: two runs can have been given one name
    sealed: bool  # with a seal that is this claim's and whole; a run may have written anything under that name
    marked: bool  # as superseded
    gone: bool  # nobody will go on with it: its owner is proven dead, or gave up
    writing: bool  # processes that it started still work in the bundle


FORGET, ADOPT, SEAL, SUPERSEDE, WAIT = "forget", "adopt", "seal", "supersede", "wait"


def judge_remains(left: Remains) -> str:
    """What is to become of it. Sealing what somebody may still write to would make the seal a lie."""
    if not left.own:
        return FORGET
    if left.sealed:
        return ADOPT
    if left.marked or not left.gone:
        return SUPERSEDE
    return WAIT if left.writing else SEAL


def judge(seen: Seen) -> Held | Lost:
    """Whether a claim still binds.

    A holder that is proven dead loses at once. One that lives on this machine, or of which nothing can be known,
    loses only by silence: no renewal within its own `ttl_s`. A renewal stamped in the future (a clock that jumped
    back) counts as fresh: letting a second holder in is worse than waiting. A run that waits in the queue of an engine
    has no process and is silent; what becomes of it is judged with the engine's word (`core.job`).
    """
    if seen.claim.engine:
        return Held(seen=seen, left_s=seen.claim.ttl_s)
    if seen.alive is False:
        return Lost(seen=seen, proof="its process is gone")
    left_s = seen.claim.ttl_s - max(seen.age_s, 0.0)
    if left_s <= 0:
        return Lost(seen=seen, proof=f"not renewed for {seen.age_s:.0f}s (it asked for {seen.claim.ttl_s:.0f}s)")
    return Held(seen=seen, left_s=left_s)
