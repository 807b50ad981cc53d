"""LAB-INDEX.json: one line an experiment, for `labctl list`, `grep`, `git diff` and agents.

A key that is absent from a row has the default that `Row` shows; `status` and `list` read this file with the standard
library alone.
"""

from collections.abc import Sequence

import msgspec

from lab.core import failing
from lab.core.event import PHASE_CHANGED
from lab.core.run import NOT_MEASURED, OUTCOMES, came_to, failed
from lab.core.subject import Finding, Place, Subject
from lab.core.view import View
from lab.projections import data, due, pursued, text
from lab.projections.attention import bounded, wants
from lab.projections.summary import lucky
from lab.projections.tier import spec_here

SCHEMA_VERSION = 1
GOAL_CHARS = 160
REASON_CHARS = 200
ATTENTION = 5
ALERTS = 50
TAGS = 20
SPEC_CHARS = 16


class Best(msgspec.Struct, frozen=True, kw_only=True):
    """The best run of one tier."""

    run: str
    value: float


PARTLY_LUCK = " (partly luck)"  # behind a best number of a noisy metric


class Row(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One experiment in the index.

    Only what is empty, zero or true is left out: msgspec omits a default by identity, so that a default such as
    "queued" would be left out or written depending on where the string came from.
    """

    id: str
    phase: str
    phase_reason: str = ""
    phase_by: str = ""  # who decided it, while that is among the last decisions
    goal: str = ""
    metric: str = ""
    metric_direction: str
    priority: str
    autonomous: bool = True
    tier: str
    tiers: tuple[str, ...]
    executor_class: str
    run_count: int = 0
    superseded: int = 0
    outcomes: dict[str, int] = {}
    unmeasured: int = 0
    claimed: dict[str, int] = {}  # of the outcomes: what another harness says, and nobody here measured
    failure_streak: int = 0
    wall_s: float
    last_run: str = ""
    last_run_at: str = ""
    last_outcome: str = ""
    last_unmeasured: bool = False  # a change that was discarded before it was run: it is sealed as failed
    best_run: str = ""
    best_value: float | None = None
    partly_luck: bool = False  # its metric is noisy, and the best number was one of several
    bests: dict[str, Best] = {}
    found: str = ""  # of a research project, which has no best: each of its runs does another phase
    next_due_at: str = ""
    created_at: str = ""
    as_of: str = ""
    max_iterations_total: int = 0
    spec: str = ""  # the beginning of the digest of the SPEC.yaml that this was told from
    tags: tuple[str, ...] = ()
    attention: tuple[Finding, ...] = ()

    @property
    def failed(self) -> int:
        """How many runs came to grief."""
        return failed(self.outcomes, self.unmeasured, self.claimed)

    @property
    def last_came_to(self) -> str:
        """How the last run ended, in a word."""
        return NOT_MEASURED if self.last_unmeasured else self.last_outcome

    @property
    def streak(self) -> str:
        """The runs in a row that came to nothing, in words; failures only where all must be some."""
        if not self.failure_streak:
            return ""
        if self.unmeasured:
            return f"{text.count(self.failure_streak, 'run')} in a row without a value"
        return f"{text.count(self.failure_streak, 'failure')} in a row"


class Index(msgspec.Struct, frozen=True, kw_only=True):
    """The whole file."""

    schema_version: int
    as_of: str
    counts_by_phase: dict[str, int]
    ledger: Place
    alerts: tuple[Finding, ...]
    experiments: tuple[Row, ...]


_decoder = msgspec.json.Decoder(Index)


def row(subject: Subject) -> Row:
    """What the index says of one experiment."""
    view = subject.view
    told = spec_here(view, subject.spec)
    last, is_project = view.last, pursued.is_project(told)
    best, bests = (None, {}) if is_project else (view.best, view.bests)
    return Row(
        id=view.experiment,
        phase=view.phase,
        phase_reason=text.line(view.phase_reason, REASON_CHARS),
        phase_by=text.line(_phase_by(view)),
        goal=text.line(told.goal, GOAL_CHARS) if told else "",
        metric=text.line(told.metric) if told else text.line(last.metric) if last else "",
        metric_direction=view.direction,
        priority=told.priority if told else "normal",
        autonomous=told.autonomous if told else True,
        tier=view.tier,
        tiers=told.fidelity_tiers if told else (view.tier,),
        executor_class=told.executor_class if told else "default",
        run_count=view.runs,
        superseded=view.superseded,
        outcomes=view.outcomes,
        unmeasured=view.unmeasured,
        claimed=view.claimed,
        failure_streak=view.failure_streak,
        wall_s=view.wall_s,
        last_run=last.run_id if last else "",
        last_run_at=last.ended_at or last.started_at if last else "",
        last_outcome=last.outcome if last else "",
        last_unmeasured=last is not None and failing.unmeasured(last),
        best_run=best.run_id if best else "",
        best_value=best.value if best else None,
        partly_luck=bool(told and view.noisy(declared=told.noise) and lucky(subject)),
        bests={name: Best(run=run.run_id, value=run.value) for name, run in bests.items() if run.value is not None},
        found=pursued.found(view) if is_project else "",
        next_due_at=due.next_due_at(view, subject.spec),
        created_at=view.created_at,
        as_of=view.as_of,
        max_iterations_total=told.max_iterations_total if told else 0,
        spec=view.spec[:SPEC_CHARS],
        tags=tuple(text.line(tag, 60) for tag in told.tags[:TAGS]) if told else (),
        attention=tuple(bounded(wants(subject), ATTENTION)),
    )


def _phase_by(view: View) -> str:
    moves = [each for each in view.decisions if each.type == PHASE_CHANGED]
    return moves[-1].actor if moves and moves[-1].ts == view.phase_since else ""


def outcomes(rows: Sequence[Row]) -> dict[str, int]:
    """How the runs of these experiments ended."""
    totals = {name: sum(each.outcomes.get(name, 0) for each in rows) for name in OUTCOMES}
    claimed = {name: sum(each.claimed.get(name, 0) for each in rows) for name in OUTCOMES}
    return came_to(totals, sum(each.unmeasured for each in rows), claimed)


def of(rows: Sequence[Row], *, ledger: Place, alerts: Sequence[Finding]) -> Index:
    """The index of these rows. `ledger` says how far into the ledger they go."""
    ordered = tuple(sorted(rows, key=lambda each: each.id))
    counts: dict[str, int] = {}
    for each in ordered:
        counts[each.phase] = counts.get(each.phase, 0) + 1
    return Index(
        schema_version=SCHEMA_VERSION,
        as_of=max((each.as_of for each in ordered), default=""),
        counts_by_phase=dict(sorted(counts.items())),
        ledger=ledger,
        alerts=tuple(bounded(alerts, ALERTS)),
        experiments=ordered,
    )


def render(told: Index) -> bytes:
    """The bytes of LAB-INDEX.json: a line a row."""
    head = (
        (b"schema_version", told.schema_version),
        (b"as_of", told.as_of),
        (b"counts_by_phase", told.counts_by_phase),
        (b"ledger", told.ledger),
        (b"alerts", told.alerts),
    )
    keys = b",\n".join(b'"%s":%s' % (name, data.encode(value)) for name, value in head)
    return b'{%s,\n"experiments":[\n%s\n]}\n' % (keys, b",\n".join(map(data.encode, told.experiments)))


def parse(page: bytes) -> Index | None:
    """The index in these bytes; None when they are none that this labctl can go on from."""
    try:
        index = _decoder.decode(page)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return index if index.schema_version == SCHEMA_VERSION else None
