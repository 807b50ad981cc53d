"""STATUS.json: what an experiment is now, and the fold it was told from.

The keys that hermes-lab wrote are kept, so its readers go on working. The last key, `fold`, is for us alone: the view
comes back from it exactly, so that one more run costs one more fold and not a reading of all history. It has its own
line and its own digest; a file that a person or a crash changed there is not believed, and history is read again.
"""

from __future__ import annotations

from hashlib import sha256

import msgspec

from lab.core.subject import Finding, Place, Subject
from lab.core.view import View
from lab.projections import data, due, text, trained
from lab.projections.attention import bounded, wants
from lab.projections.tier import next_tier, spec_here
from lab.projections.trained import Training  # msgspec resolves annotations

SCHEMA_VERSION = 1
# 2: the folder that its SPEC came from; 3: the proposals that wait; 4: what models took; 5: and who set it aside;
# 6: runs that were lost in a row, that never began, and how long whole ones take; 7: metrics.jsonl tells of `ran`;
# 8: trainings in chunks; 9: what people said to a research project and what it promised, and who a study is lent to
# 10: proposed runs that a person said no to, what the dearest run of a tier cost, and what a day did
# 11: the commit that an imported candidate had elsewhere; 12: what another harness claims, and its origin in tables
# 13: whether a replay came to another value
# 14: the generations that a lab had which was taken over, and its runs where they came
# 15: what ended with the lab is no failure in a row; 16: why a turn could begin no run
FOLD_FORMAT = 16
PARAMS_BYTES = 65_536
_GOAL_CHARS = 1_000
_REASON_CHARS = 500

_BEGIN = b'{\n  "schema_version": %d,' % SCHEMA_VERSION
_FOLD = b'\n  "fold": '
_END = b"\n}\n"
_CHECK = b',"check":"%s"}'
_CHECK_BYTES = len(_CHECK % (b"0" * 64))


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """The keys of STATUS.json, but for `fold`."""

    schema_version: int = SCHEMA_VERSION
    id: str
    phase: str
    phase_changed_at: str | None
    blocked_reason: str
    created_at: str | None
    created_by: str
    goal: str
    metric: str
    metric_direction: str
    priority: str
    autonomous: bool
    fidelity_tiers: tuple[str, ...]
    current_fidelity_tier: str
    next_fidelity_tier: str | None
    executor_class: str
    run_count: int
    run_count_by_tier: dict[str, int]
    success_streak_by_tier: dict[str, int]
    best_run_by_tier: dict[str, str]
    best_metric_by_tier: dict[str, float | None]
    last_run: str | None
    last_run_at: str | None
    last_outcome: str | None
    failure_streak: int
    best_run: str | None
    best_metric_value: float | None
    best_params: msgspec.Raw
    next_due_at: str | None
    tags: tuple[str, ...]
    estimated_runtime_minutes: float
    notify: str
    parent_experiment: str
    known_good_config: str
    outcomes: dict[str, int]
    attention: list[Finding]
    as_of: str | None
    trainings: dict[str, Training] | msgspec.UnsetType = msgspec.UNSET  # in chunks, by tier


class State(msgspec.Struct, frozen=True, kw_only=True):
    """What the pages were made from, so that the next run can go on from there."""

    format: int = FOLD_FORMAT
    place: Place
    table_bytes: tuple[int, ...]
    view: View
    findings: tuple[Finding, ...] = ()


_fold_decoder = msgspec.json.Decoder(State)
_sorted_encoder = msgspec.json.Encoder(order="sorted")


def status_page(subject: Subject) -> bytes:
    """The bytes of STATUS.json."""
    head = msgspec.json.format(data.encode(_status(subject)), indent=2)
    return b"%s,%s%s%s" % (head.removesuffix(b"\n}"), _FOLD, _fold(subject), _END)


def fold_state(page: bytes) -> State | None:
    """The view, the place in the ledger, the table sizes and the findings that `status_page` was given.

    None when these bytes are not such a page, whole and unchanged where it matters; then history must be read again.
    """
    start = page.rfind(_FOLD)
    if start < 0 or not (page.startswith(_BEGIN) and page.endswith(_END)):
        return None
    fold = page[start + len(_FOLD) : -len(_END)]
    body = fold[:-_CHECK_BYTES] + b"}"
    if fold[-_CHECK_BYTES:] != _CHECK % sha256(body).hexdigest().encode():
        return None
    try:
        state = _fold_decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return state if state.format == FOLD_FORMAT else None


def _fold(subject: Subject) -> bytes:
    state = State(place=subject.place, table_bytes=subject.table_bytes, view=subject.view, findings=subject.findings)
    try:
        body = _sorted_encoder.encode(state)
    except UnicodeEncodeError:  # a lone surrogate would not come back as it was: better no fold than another one
        return b"null"
    return body[:-1] + _CHECK % sha256(body).hexdigest().encode()


def _status(subject: Subject) -> Status:
    view, spec = subject.view, subject.spec
    told = spec_here(view, spec)
    tiers, bests, best, last = view.tiers, view.bests, view.best, view.last
    return Status(
        id=view.experiment,
        phase=view.phase,
        phase_changed_at=view.phase_since or None,
        blocked_reason=text.line(view.phase_reason, _REASON_CHARS),
        created_at=view.created_at or None,
        created_by=text.line(view.created_by),
        goal=text.line(told.goal, _GOAL_CHARS) if told else "",
        metric=text.line(told.metric) if told else text.line(last.metric) if last else "",
        metric_direction=view.direction,
        priority=told.priority if told else "normal",
        autonomous=told.autonomous if told else False,
        fidelity_tiers=spec.fidelity_tiers if spec else (),
        current_fidelity_tier=view.tier,
        next_fidelity_tier=next_tier(subject) or None,
        executor_class=told.executor_class if told else "default",
        run_count=view.runs,
        run_count_by_tier={name: tier.runs for name, tier in tiers.items()},
        success_streak_by_tier={name: tier.success_streak for name, tier in tiers.items()},
        best_run_by_tier={name: run.run_id for name, run in bests.items()},
        best_metric_by_tier={name: run.value for name, run in bests.items()},
        last_run=last.run_id if last else None,
        last_run_at=(last.ended_at or last.started_at or None) if last else None,
        last_outcome=last.outcome if last else None,
        failure_streak=view.failure_streak,
        best_run=best.run_id if best else None,
        best_metric_value=best.value if best else None,
        best_params=_params(subject),
        next_due_at=due.next_due_at(view, spec) or None,
        tags=tuple(text.line(tag) for tag in spec.tags) if spec else (),
        estimated_runtime_minutes=spec.estimated_runtime_minutes if spec else 0,
        notify=text.line(", ".join(spec.notify)) if spec else "",
        parent_experiment=text.line(spec.parent_experiment) if spec else "",
        known_good_config=text.line(spec.known_good_config) if spec else "",
        outcomes=view.outcomes,
        attention=bounded(wants(subject), chars=_REASON_CHARS),
        as_of=view.as_of or None,
        trainings=trained.by_tier(view, spec) or msgspec.UNSET,
    )


def _params(subject: Subject) -> msgspec.Raw:
    """The best run's parameters, unless they are so large that only their bundle should hold them."""
    if subject.best_params is None or subject.view.best is None:
        return msgspec.Raw(b"null")
    written = data.encode(subject.best_params)
    return msgspec.Raw(written if len(written) <= PARAMS_BYTES else b"null")
