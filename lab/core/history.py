"""From sealed runs and decisions to a view.

The order of history is the order of the ledger, never a clock: a decision stands at its own `seq`, a run right after
the record its seal is anchored to. So `fold` may be given its items in any order, and folding them one by one as they
happen gives the same view, byte for byte, as folding them all again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.core import chain, failing, loop, pursuit
from lab.core import event as events
from lab.core.candidate import APART, BASELINE, DISCARD, KEEP
from lab.core.origin import REPLAY
from lab.core.proposal import REJECTED, RESUME, RUN
from lab.core.run import CANCELLED, CRASH, FAILED, FAILURES, SUCCESS, Run, better
from lab.core.view import (
    ACTIVE,
    AWAITING,
    OPEN_PHASES,
    QUEUED,
    RECENT_DECISIONS,
    RECENT_RUNS,
    Decision,
    Reserved,
    Spent,
    Steering,
    Tier,
    View,
    Waiting,
    stuck_by,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lab.core.candidate import Candidate
    from lab.core.event import Line
    from lab.core.seal import Seal

Key = tuple[int, int, str]
_DECISION, _RUN = 0, 1
_DIGITS = 10
_DAY_CHARS = len("2026-01-02")
_RESERVED = 64  # questions under way whose answer can still give something back
# A `run_sealed` line confirms a bundle; the bundle itself is what is folded.
# What is no decision about the experiment would only push its decisions off the pages.
DECISIONS = frozenset(events.TYPES) - {
    events.RUN_SEALED,
    events.RUN_REFUSED,
    events.DIGEST_WRITTEN,
    events.LAB_CREATED,
    events.COMMAND_DONE,
    events.PACKAGE_READY,
    events.PACKAGE_CLAIMED,
    events.PACKAGE_COMPLETED,
    events.PACKAGE_INGESTED,
    events.MODEL_ASKED,
    events.MODEL_ANSWERED,
    events.CHUNK_DECIDED,
}
# What models took is counted, and why nothing runs is kept.
_FOLDED = DECISIONS | {events.MODEL_ASKED, events.MODEL_ANSWERED, events.RUN_REFUSED}


class Item(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A run or a decision, with its place in history."""

    key: Key
    ts: str
    run: Run | None = None
    generation: int = 0
    event: events.Event | None = None


def of_seal(seal: Seal, at: int = 0) -> Item:
    """A sealed run, placed right after the ledger record it is anchored to.

    The anchor of a run that was taken over from another lab is in that lab's ledger. Such a run stands `at` the record
    by which it was taken over: after all that had happened here by then, whatever number it had there.
    """
    key = (at or seal.anchor.seq, _RUN, seal.run.run_id)
    return Item(key=key, ts=seal.sealed_at, run=seal.told, generation=seal.generation)


def of_line(line: Line) -> Item | None:
    """A line at its own place; None for one that says nothing about the experiment itself."""
    if line.event.type not in _FOLDED:
        return None
    # Of a lab that was taken over: a lease of ours must never have a number that one had there.
    highest = line.event.generation if line.event.type == events.ROOT_IMPORTED else 0
    return Item(key=(line.seq, _DECISION, ""), ts=line.event.ts, event=line.event, generation=highest)


def begin(
    experiment: str, *, direction: str, tier: str, spec: str, directions: Mapping[str, str] | None = None
) -> View:
    """The view of an experiment to which nothing has happened yet."""
    return View(experiment=experiment, direction=direction, directions=dict(directions or {}), tier=tier, spec=spec)


def follows(view: View, items: Iterable[Item]) -> bool:
    """Whether all of these come after everything the view holds. If not, history must be folded from its beginning."""
    return all(item.key > view.last_key for item in items)


def fold(view: View, items: Iterable[Item]) -> View:
    """The view after these happened too. The given view is left as it was.

    Items must follow the view (`follows`); among themselves they may come in any order.
    """
    return fold_in_order(view, sorted(items, key=lambda item: item.key))


def fold_in_order(view: View, items: Iterable[Item]) -> View:
    """The same of items that come in the order of history, which are let go one by one."""
    view = msgspec.structs.replace(
        view,
        outcomes=dict(view.outcomes),
        claimed=dict(view.claimed),
        tiers={name: msgspec.structs.replace(tier) for name, tier in view.tiers.items()},
        recent=list(view.recent),
        decisions=list(view.decisions),
        waiting=list(view.waiting),
    )
    for item in items:
        if item.run is not None:
            _run(view, item, item.run)
        elif item.event is not None:
            _decision(view, item, item.event)
            view.generation = max(view.generation, item.generation)
        view.as_of = max(view.as_of, item.ts)
        view.last_key = item.key
    # In order of name, not of first sight: a view that was read back from its page has no other order.
    view.outcomes, view.tiers = dict(sorted(view.outcomes.items())), dict(sorted(view.tiers.items()))
    view.claimed = dict(sorted(view.claimed.items()))
    return view


def _run(view: View, item: Item, run: Run) -> None:
    _tallied(view, run)
    view.wall_s = round(view.wall_s + run.wall_s, 6)
    if run.wall_s and run.outcome not in (CANCELLED, CRASH):
        view.whole_runs, view.whole_s = view.whole_runs + 1, round(view.whole_s + run.wall_s, 6)
    if run.outcome == CANCELLED and not run.started_at:  # it never began: it is no iteration, and says nothing of where
        view.unbegun += 1
    else:
        view.unbegun += _halted(run) and run.chunk is not None and not run.chunk.tokens
        view.losses, view.loss_reason = 0, ""
    view.cost = round(view.cost + run.cost, 9)
    _paid(view, item.ts[:_DAY_CHARS], run.cost)
    view.runs_since_opened += 1
    view.generation = max(view.generation, item.generation)
    view.first_run_at = view.first_run_at or run.started_at
    view.last, view.stuck = run, None
    view.steering = _told_once_more(view.steering, run)
    view.recent = [*view.recent, run][-RECENT_RUNS:]
    if view.phase == QUEUED:
        view.phase, view.phase_since = ACTIVE, item.ts
        view.phase_reason = "first run" if view.runs == 1 else "it runs again"
    tier = _counted(view, run)
    if run.candidate is not None and run.candidate.kind in APART:
        return  # what another harness says, or was measured again, neither stops this loop nor is anything's best
    if run.outcome == SUCCESS or _moved_on(tier, run):
        view.failure_streak = 0
    elif run.outcome in FAILURES and not (_halted(run) and _cost_nothing(run)) and not failing.is_spared(view):
        view.failure_streak += 1
    if run.candidate is not None:
        tier.loop = loop.fold(tier.loop, run, run.candidate)
    if run.outcome == CANCELLED or _halted(run):  # nothing was tried that could have been better
        return
    tier.quiet_streak += 1
    if run.outcome != SUCCESS:
        tier.success_streak = 0
        return
    tier.successes += 1
    tier.claimed += run.claimed
    tier.success_streak += 1
    if run.candidate is not None:
        _kept(tier, run, run.candidate)
    elif run.value is not None:
        _value(view, tier, run, run.value)


def _tallied(view: View, run: Run) -> None:
    """Count how it ended, what another harness claims apart."""
    view.runs += 1
    view.outcomes[run.outcome] = view.outcomes.get(run.outcome, 0) + 1
    if run.claimed:
        view.claimed[run.outcome] = view.claimed.get(run.outcome, 0) + 1
    else:
        view.unmeasured += run.outcome in FAILURES and run.verdict == DISCARD


def _paid(view: View, day: str, cost: float) -> None:
    """Count it to its day. What a clock that went back says of an earlier one counts to the newest."""
    if day > view.day:
        view.day, view.day_cost = day, 0.0
    view.day_cost = round(view.day_cost + cost, 9)


def _counted(view: View, run: Run) -> Tier:
    """The tier of a run, with what counts however the run ended: that it was, and what it did of a training."""
    tier = view.tiers.setdefault(run.tier, Tier())
    tier.runs += 1
    tier.dearest = max(tier.dearest, run.cost)
    if run.chunk is not None:
        tier.chain = chain.fold(tier.chain, run, run.chunk)
    return tier


def _moved_on(tier: Tier, run: Run) -> bool:
    """Whether a training goes on from what this run saved: one that time ran out for did not come to nothing.

    One that came to its own end without a value did, unless that end has been measured before.
    """
    chain = tier.chain
    return chain is not None and chain.run_id == run.run_id and (run.outcome != FAILED or chain.measured)


def _halted(run: Run) -> bool:
    """Whether it failed of its service or of its budget. The policy judges that apart: no training is at fault."""
    return run.chunk is not None and bool(run.chunk.halted)


def _cost_nothing(run: Run) -> bool:
    """Whether nothing was paid in vain. A service that goes away before each state is one to stop paying."""
    return run.chunk is None or not run.chunk.tokens or bool(run.chunk.state_path)


def _kept(tier: Tier, run: Run, candidate: Candidate) -> None:
    """The best of a code loop is what was kept last: a lucky measurement of a discarded change beats nothing."""
    if run.verdict != KEEP or run.value is None:
        return
    tier.best, tier.last_value, tier.worsening_streak = run, run.value, 0
    if loop.gained(run) or candidate.kind == BASELINE:
        tier.quiet_streak = 0


def _value(view: View, tier: Tier, run: Run, value: float) -> None:
    direction = view.direction_of(run.tier)
    worse = tier.last_value is not None and better(tier.last_value, value, direction)
    tier.worsening_streak = tier.worsening_streak + 1 if worse else 0
    tier.last_value = value
    tier.differs = tier.differs or _differs(view, tier, run)
    if better(value, tier.best.value if tier.best else None, direction):
        tier.best = run
        tier.quiet_streak = 0


def _differs(view: View, tier: Tier, run: Run) -> bool:
    """Whether it makes a run again, or with another the same one, and came to another value.

    It is held against the best and the newest runs: more are not kept here.
    """
    again = _made_again(run)
    return again != run.run_id and any(
        _made_again(each) == again and each.value not in (None, run.value)
        for each in (*view.recent, tier.best)
        if each is not None and each.tier == run.tier
    )


def _made_again(run: Run) -> str:
    """The run whose parameters it was given again; else itself."""
    origin = run.origin
    return origin.parents[0] if origin is not None and origin.kind == REPLAY and origin.parents else run.run_id


def _decision(view: View, item: Item, event: events.Event) -> None:
    if event.type not in DECISIONS:  # counted; quoted, they would push decisions off
        _unquoted(view, event)
        return
    what, view.pursuit = event.type, pursuit.after(view.pursuit, event, view.generation)
    match event.type:
        case events.EXPERIMENT_CREATED:
            # An imported experiment is as old as it was where it came from.
            view.created_at, view.created_by = str(event.facts.get("created_at") or event.ts), event.actor
            view.created_from, view.created_in = event.name, str(event.facts.get("created_in") or "")
            view.phase, view.phase_since, view.tier = event.phase or QUEUED, event.ts, event.tier or view.tier
            view.announced, view.lent = event.spec, str(event.facts.get(pursuit.LENT) or "")
        case events.SPEC_EDITED:
            view.announced = event.spec
        case events.PHASE_CHANGED:
            what = f"phase {view.phase} -> {event.phase}"
            view.phase, view.phase_since, view.phase_reason = event.phase, event.ts, event.reason
            view.lent = str(event.facts.get(pursuit.LENT) or "")
            if event.phase in OPEN_PHASES:
                view.runs_since_opened = 0
                view.losses, view.loss_reason = 0, ""
                view.failure_streak = 0  # or the next failure after a person's `resume` would stop it at once again
            if event.phase != AWAITING:  # somebody decided otherwise: there is nothing left to approve
                view.waiting = [each for each in view.waiting if each.kind != RESUME]
        case events.TIER_CHANGED:
            what = f"tier {view.tier} -> {event.tier}"
            view.tier = event.tier
            if event.tier in view.tiers:  # what it did there before is no reason to leave it again at once
                view.tiers[event.tier].success_streak = 0
        case events.RUN_SUPERSEDED | events.LEASE_TAKEN_OVER:
            _lost(view, event)
        case events.LOOP_STEERED:
            what, view.steering = _steering(event)
        case events.PROPOSAL_MADE | events.PROPOSAL_APPROVED | events.PROPOSAL_REJECTED:
            what = f"{event.type} {event.name}"
            _proposal(view, event)
        case _:
            pass
    quoted = Decision(seq=item.key[0], ts=event.ts, type=event.type, what=what, actor=event.actor, reason=event.reason)
    view.decisions = [*view.decisions, quoted][-RECENT_DECISIONS:]


def _unquoted(view: View, event: events.Event) -> None:
    if event.type == events.RUN_REFUSED:
        view.stuck = stuck_by(event)
    else:
        view.model = _spent(view.model, event)


def _lost(view: View, event: events.Event) -> None:
    """Count a loss. Runs that were out together are one: a rack that goes down takes many at once."""
    if event.type == events.LEASE_TAKEN_OVER:
        if event.facts.get("person"):
            view.losses, view.loss_reason = 0, ""  # whoever broke it has seen it
        return
    view.superseded += 1
    if event.generation <= view.lost_to:
        return
    view.losses, view.loss_reason = view.losses + 1, event.reason
    view.lost_to = max(event.generation, int(_number(event, "highest")))


def _steering(event: events.Event) -> tuple[str, Steering | None]:
    """What a person says to the proposers from now on; nothing where they took it back."""
    if not event.reason:
        return "steering taken back", None
    left = int(_number(event, "candidates")) or None
    return "steered", Steering(text=event.reason, actor=event.actor, ts=event.ts, left=left)


def _told_once_more(steering: Steering | None, run: Run) -> Steering | None:
    """What is left of a person's words after one more candidate. One that had begun before them did not know them."""
    made = run.candidate
    if steering is None or steering.left is None or made is None or made.kind == BASELINE or made.kind in APART:
        return steering
    if run.outcome == CANCELLED or run.started_at < steering.ts:
        return steering
    return msgspec.structs.replace(steering, left=steering.left - 1) if steering.left > 1 else None


def _spent(before: Spent, event: events.Event) -> Spent:
    """What the models have taken after this. What was set aside counts as spent until the answer says what it took."""
    number = event.name.rpartition("-")[2]
    asks = max(before.asks, int(number) if number.isdecimal() and len(number) < _DIGITS else 0)
    calls, usd, tokens = int(_number(event, "calls")), _number(event, "usd"), int(_number(event, "tokens"))
    mine = [each for each in before.reserved if each.ask == event.name]
    others = [each for each in before.reserved if each.ask != event.name]
    had_calls, had_usd = sum(each.calls for each in mine), sum(each.usd for each in mine)
    if event.type == events.MODEL_ASKED:
        more = Reserved(
            ask=event.name, calls=had_calls + calls, usd=round(had_usd + usd, 9), at=event.ts,
            by=str(event.facts.get("by", "")),
        )  # fmt: skip
        others = [*others, more][-_RESERVED:]
    elif not mine:
        calls, usd, tokens = 0, 0.0, 0  # nothing was asked; or so long ago that what was set aside stays spent
    else:
        calls, usd = calls - had_calls, usd - had_usd
    return Spent(
        asks=asks,
        calls=before.calls + calls,
        usd=round(before.usd + usd, 9),
        tokens=before.tokens + tokens,
        reserved=tuple(others),
    )


def _number(event: events.Event, name: str) -> float:
    given = event.facts.get(name)
    return given if isinstance(given, int | float) else 0


def _proposal(view: View, event: events.Event) -> None:
    """A proposal waits until a person decides, or it expires, or its experiment moves on without it."""
    view.waiting = [each for each in view.waiting if each.proposal != event.name]
    number = event.name.rpartition("-")[2]
    if number.isdecimal() and len(number) < _DIGITS:
        view.proposals = max(view.proposals, int(number))
        if event.type == events.PROPOSAL_REJECTED and event.facts.get("kind") == RUN:
            # One that expired says nothing against its parameters: nobody looked at them.
            said_no = event.facts.get("verdict") == REJECTED
            view.rejected = (*view.rejected, int(number)) if said_no else view.rejected
    if event.type == events.PROPOSAL_MADE:
        kind, sha256, expires_at = (str(event.facts.get(name, "")) for name in ("kind", "sha256", "expires_at"))
        made = Waiting(proposal=event.name, kind=kind, sha256=sha256, expires_at=expires_at, reason=event.reason)
        view.waiting = [*view.waiting, made]
