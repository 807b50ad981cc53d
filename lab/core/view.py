"""A view: everything the pages of one experiment say, folded from its sealed runs and its decisions.

Its size does not grow with history, so folding one more run costs the same after 100 runs and after 100,000.
"""

import msgspec

from lab.core.chain import Chain
from lab.core.event import Event
from lab.core.loop import Loop
from lab.core.run import MAXIMIZE, Run, failed

RECENT_RUNS = 5
RECENT_DECISIONS = 10

QUEUED = "queued"
ACTIVE = "active"
AWAITING = "awaiting-human"
PAUSED = "paused"
COMPLETED = "completed"
ARCHIVED = "archived"
PHASES = (QUEUED, ACTIVE, AWAITING, PAUSED, COMPLETED, ARCHIVED)
# Phases in which the scheduler may start a run.
OPEN_PHASES = frozenset({QUEUED, ACTIVE})


def to_open(experiment: str, phase: str) -> str:
    """What a person types so that runs may start again: what was archived comes back paused."""
    resume = f"labctl resume {experiment}"
    return f"labctl archive {experiment} --restore, then: {resume}" if phase == ARCHIVED else resume


class Tier(msgspec.Struct, kw_only=True):
    """One fidelity tier's own tally. Bests of two tiers are never compared: a proxy's 0.9 is not a final's 0.9."""

    runs: int = 0
    successes: int = 0
    claimed: int = 0  # of the successes: another harness says so
    success_streak: int = 0
    quiet_streak: int = 0  # sealed runs since the best last improved
    best: Run | None = None
    worsening_streak: int = 0  # successes in a row, each worse than the one before
    last_value: float | None = None
    loop: Loop | None = None  # of a code loop
    chain: Chain | None = None  # of a remote training
    dearest: float = 0.0  # what the dearest of its runs cost
    differs: bool = False  # a run that was made again came to another value: its metric is noisy


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """A decision as the pages quote it."""

    seq: int
    ts: str
    type: str
    what: str
    actor: str = ""
    reason: str = ""


class Stuck(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why no run could be begun. Under another SPEC than this one nobody has tried yet."""

    what: str
    where: str = ""
    fix: str = ""
    spec: str = ""


def stuck_by(event: Event) -> Stuck | None:
    """What a `run_refused` says: why, or that it is so no more."""
    where, fix = (str(event.facts.get(name) or "") for name in ("where", "fix"))
    return Stuck(what=event.reason, where=where, fix=fix, spec=event.spec) if event.reason else None


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """A proposal that waits for a person's word, as the ledger tells of it."""

    proposal: str
    kind: str
    sha256: str  # of the file as it was proposed: nothing else can be approved
    expires_at: str = ""
    reason: str = ""


class Reserved(msgspec.Struct, frozen=True, kw_only=True):
    """What was set aside for a question to a model that has not come back. If its asker died, it stays spent."""

    ask: str
    calls: int
    usd: float
    at: str = ""  # when the last of it was set aside
    by: str = ""  # the process that asks: the machine as it was started, and the pid


class Spent(msgspec.Struct, frozen=True, kw_only=True):
    """What the models of an experiment have taken in its life, what is set aside included."""

    asks: int = 0  # the highest number that a question had
    calls: int = 0
    usd: float = 0.0
    tokens: int = 0  # as far as the services told
    reserved: tuple[Reserved, ...] = ()  # the newest ones


class Steering(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a person said to the proposers of a code loop. It holds until it is changed, or for so many candidates."""

    text: str
    actor: str = ""
    ts: str = ""
    left: int | None = None  # candidates; None is until it is changed


class Said(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a person last said to a research project. `ruled` is the decision that it is to come to; none: words.

    A run that was claimed later was told it, and no other: clocks of two hosts do not say which came first.
    """

    text: str = ""
    ruled: str = ""
    actor: str = ""
    ts: str = ""
    after: int = 0  # the generation of the newest run that had been claimed by then


class Pursuit(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What people said to a research project, and what it promised: the newest of each."""

    asked: str = ""  # what a person was asked about last, by the digest of what the phase would be given
    passed: tuple[str, ...] = ()  # what a person has let pass, the same
    said: Said | None = None  # in words
    ruling: Said | None = None  # words said later do not take it back
    registered: tuple[str, ...] = ()  # ideas that the ledger had before a run: `NAME SHA256`
    released: tuple[str, ...] = ()  # hashes of manifests that a person approved
    offered: str = ""  # the hash that a person was asked about last, while that is what it waits for

    @property
    def unapproved(self) -> str:
        """The hash of a release that it waits for, and that nobody has approved: no other word lets it go on."""
        return "" if self.offered in self.released else self.offered


class View(msgspec.Struct, kw_only=True):
    """The state of one experiment."""

    experiment: str
    direction: str = MAXIMIZE
    directions: dict[str, str] = {}  # of tiers that override it
    spec: str = ""  # digest of the SPEC.yaml this was folded under
    announced: str = ""  # digest of the SPEC.yaml that the ledger last told of
    phase: str = QUEUED
    phase_reason: str = ""
    phase_since: str = ""
    lent: str = ""  # to this project: while it is open nothing else begins runs of it
    created_at: str = ""
    created_by: str = ""
    created_from: str = ""  # the folder of the SPEC that it was made from: programs are looked for there too
    created_in: str = ""  # the folder in which `create` was typed: a relative workspace may have been meant from there
    tier: str = "default"
    runs: int = 0
    superseded: int = 0
    outcomes: dict[str, int] = {}
    claimed: dict[str, int] = {}  # of those, what another harness says: nobody here has measured it
    tiers: dict[str, Tier] = {}
    unbegun: int = 0  # of the runs: cancelled before they began, or without a service or a budget, and no iteration
    unmeasured: int = 0  # of the failed ones: changes that were discarded before anything was run
    failure_streak: int = 0
    losses: int = 0  # in a row: runs that were lost, with none sealed in between; those out together are one
    loss_reason: str = ""  # of the last of them
    lost_to: int = 0  # the highest generation that was out when it was lost
    runs_since_opened: int = 0
    wall_s: float = 0.0
    whole_runs: int = 0  # that came to an end of their own, and whose time is known
    whole_s: float = 0.0  # and what they took
    cost: float = 0.0
    day: str = ""  # of UTC: the last one in which a run ended
    day_cost: float = 0.0  # what the runs cost that ended in it
    first_run_at: str = ""
    as_of: str = ""  # the newest moment that history mentions; pages say it instead of the clock
    generation: int = 0
    last: Run | None = None
    recent: list[Run] = []
    stuck: Stuck | None = None  # since the last turn that would have begun a run
    decisions: list[Decision] = []
    waiting: list[Waiting] = []  # at most one of a kind
    proposals: int = 0  # the highest number that a proposal had
    rejected: tuple[int, ...] = ()  # numbers of proposed runs that a person said no to: no search offers them again
    model: Spent = Spent()
    steering: Steering | None = None  # what a person said to the proposers of a code loop
    pursuit: Pursuit | None = None  # of a research project
    last_key: tuple[int, int, str] = (0, 0, "")

    @property
    def iterations(self) -> int:
        """What counts towards `max_iterations_total`: a run that never began is none."""
        return self.runs - self.unbegun

    def direction_of(self, tier: str) -> str:
        """Which way the metric of a tier goes."""
        return self.directions.get(tier, self.direction)

    def noisy(self, *, declared: bool | None) -> bool | None:
        """Whether the metric of a search is noisy, in the tier it is in: as its SPEC declares, else as a replay showed.

        None where neither says it, and of a code loop, which knows its own noise.
        """
        tier = self.tiers.get(self.tier, Tier())
        if tier.loop is not None:
            return None
        return True if declared is None and tier.differs else declared

    @property
    def failed(self) -> int:
        """How many runs came to grief."""
        return failed(self.outcomes, self.unmeasured, self.claimed)

    @property
    def best(self) -> Run | None:
        """The best run of the tier the experiment is in."""
        tier = self.tiers.get(self.tier)
        return tier.best if tier else None

    @property
    def loop(self) -> Loop | None:
        """What the code loop of the tier that the experiment is in knows; None where there is none."""
        tier = self.tiers.get(self.tier)
        return tier.loop if tier else None

    @property
    def chain(self) -> Chain | None:
        """What is known of the training in chunks of the tier that the experiment is in; None where there is none."""
        tier = self.tiers.get(self.tier)
        return tier.chain if tier else None

    @property
    def tokens(self) -> int:
        """What the remote trainings of all tiers took."""
        return sum(tier.chain.tokens for tier in self.tiers.values() if tier.chain is not None)

    @property
    def bests(self) -> dict[str, Run]:
        """The best run of every tier that has one."""
        return {name: tier.best for name, tier in self.tiers.items() if tier.best is not None}
