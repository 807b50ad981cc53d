"""What to do with an experiment next, decided from its view, its SPEC and the time. Pure.

The answer is a value; acting on it is the crank's. Each answer carries the numbers it rests on (`facts`), so that the
event written before the effect says why.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from lab.core import allowance, cost, failing
from lab.core.chunk import IS_SPENT
from lab.core.loop import gained
from lab.core.run import MINIMIZE
from lab.core.spec_fields import ASHA
from lab.core.spec_tuning import WHEN_FINISHED, is_chain
from lab.core.view import OPEN_PHASES, Tier

if TYPE_CHECKING:
    from lab.core.run import Run
    from lab.core.spec_fields import Spec
    from lab.core.view import View

ESCALATE_AFTER_FAILURES = 3
PAUSE_AFTER_FAILURES = 5
# Of a search: a point that fails tells something of the space, and where one in five does, three in a row come nightly.
ESCALATE_A_SEARCH_AFTER = 10
PAUSE_A_SEARCH_AFTER = 15
# Of runs that were lost: nothing was learned of them, so there is no more patience with them than with failures.
PAUSE_AFTER_LOSSES = 3
# Of runs in a row for which their service was not there. Between them it waits, each time for twice as long: two hours.
PAUSE_AFTER_OUTAGES = 8
_OUTAGE_S = 60.0
FAILED_TOO_OFTEN = "too many failures in a row"  # what an experiment that failures ended says of it
_TOKENS_USED, _COST_USED = "token budget used", "cost budget used"
_QUOTED_CHARS = 300
_HOUR_S = 3600.0
Facts = dict[str, str | int | float | bool | None]


class Proceed(msgspec.Struct, frozen=True, kw_only=True):
    """Start a run now."""

    tier: str


class Wait(msgspec.Struct, frozen=True, kw_only=True):
    """Nothing to do, or nothing before `until`; with `for_runs`, nothing until runs that are under way are over."""

    reason: str
    until: datetime | None = None
    for_runs: bool = False


class Pause(msgspec.Struct, frozen=True, kw_only=True):
    """Stop starting runs until a person resumes it."""

    reason: str
    facts: Facts = {}


class Escalate(msgspec.Struct, frozen=True, kw_only=True):
    """Hand it to a person."""

    reason: str
    facts: Facts = {}


class Promote(msgspec.Struct, frozen=True, kw_only=True):
    """Move on to the next tier."""

    tier: str
    reason: str
    facts: Facts = {}


class Finish(msgspec.Struct, frozen=True, kw_only=True):
    """The experiment is complete."""

    reason: str
    facts: Facts = {}


Move = Proceed | Wait | Pause | Escalate | Promote | Finish


def decide(  # noqa: PLR0913  # what a decision rests on
    view: View,
    spec: Spec,
    now: datetime,
    *,
    under_way: int = 0,
    slots: int = 0,
    at_once: bool = False,
    searching: bool = False,
    by: str = "",
) -> Move:
    """The next move. `spec` is the SPEC as it was read; tier overrides are applied here.

    `under_way` runs have begun and are in no view yet; `slots` may be at a time, where a person said so. `at_once`
    when somebody asked for a run now: the cadence is passed over, and nothing else. `searching` when each run
    tries other parameters: then more failures in a row are borne. In a race of tiers (`asha`) the view's tier is
    the highest that a candidate has got to: plateaus and signals are judged there, and the target in the last one. Who
    goes on is the race's word, so nothing is promoted here. `by` is the project that asks, where one does.
    """
    if view.phase not in OPEN_PHASES:
        why = f" ({view.phase_reason})" if view.phase_reason else ""
        return Wait(reason=f"it is {view.phase}{why}")
    if view.lent and view.lent != by:  # also of one that was killed: its pause would not be heeded
        return Wait(
            reason=f"the project {view.lent} makes its runs; labctl resume {view.experiment} takes it from that"
        )
    if view.tier not in spec.fidelity_tiers:
        reason = f"its tier {view.tier} is not in the SPEC any more"
        return Escalate(reason=reason, facts={"tiers": ", ".join(spec.fidelity_tiers)})
    here = spec.for_tier(view.tier)
    return (
        _finish(view, spec, now)
        or _paid_up(view, spec)
        or _worn_out(view, spec)
        or _trained(view, spec)
        or _halted(view, spec, now, slots=slots, at_once=at_once)
        or _failing(view, searching=searching or _tier(view).loop is not None)
        or losing(view, spec)
        or _unkept(view, here)
        or _escalate(view, here)
        or _promote(view, spec, here)
        or _last_ones(view, here, under_way)
        or _too_dear_today(view, here, now, under_way)
        or (Proceed(tier=view.tier) if at_once else _due(view, here, now))
    )


def exhausted(view: View, spec: Spec) -> Finish | Escalate:
    """What follows when a search has tried every point. There may be a next tier, which only a person can tell."""
    facts: Facts = {"runs": view.runs, "tier": view.tier}
    racing = spec.fidelity_promotion_rule == ASHA
    if racing or view.tier == spec.fidelity_tiers[-1]:
        return Finish(reason="every point of the search space was tried", facts=facts)
    return Escalate(reason=f"every point of the search space was tried in the tier {view.tier}", facts=facts)


def _tier(view: View) -> Tier:
    return view.tiers.get(view.tier, Tier())


def _finish(view: View, spec: Spec, now: datetime) -> Finish | Pause | Promote | None:
    stop, tier = spec.stop_conditions, _tier(view)
    is_final = tier.chain is not None and tier.chain.final and is_chain(spec)
    is_whole = is_final and allowance.is_over(view, spec, view.tier)  # no limit of runs ended that
    if view.iterations >= spec.max_iterations_total and not is_whole:
        return Finish(reason="max iterations", facts={"runs": view.iterations, "max": spec.max_iterations_total})
    if stop.target is not None and (best := _best_in_last(view, spec)) is not None:
        minimize = spec.for_tier(spec.fidelity_tiers[-1]).metric_direction == MINIMIZE
        if best <= stop.target if minimize else best >= stop.target:
            return Finish(reason="target reached", facts={"best": best, "target": stop.target})
    limit = stop.max_consecutive_failures
    if limit is not None and view.failure_streak >= limit:
        how = Pause if is_chain(spec) else Finish  # a training whose chunks fail is not at its end
        return how(reason=FAILED_TOO_OFTEN, facts={"failures": view.failure_streak, "max": limit})
    plateau = stop.plateau_after_consecutive_low_signal_runs
    if plateau is not None and tier.quiet_streak >= plateau:
        end = Finish(reason="plateau", facts={"runs_without_new_best": tier.quiet_streak, "max": plateau})
        return _flat(view, spec, end.facts) or end
    if stop.budget_hours is not None and view.wall_s >= stop.budget_hours * _HOUR_S:
        hours = round(view.wall_s / _HOUR_S, 4)
        return Finish(reason="time budget used", facts={"hours": hours, "max": stop.budget_hours})
    created = _moment(view.created_at)
    if stop.hard_stop_after_days is not None and created is not None:
        age = now - created
        if age >= timedelta(days=stop.hard_stop_after_days):
            days = round(age.total_seconds() / 86_400, 3)
            return Finish(reason="hard stop", facts={"days": days, "max": stop.hard_stop_after_days})
    return None


def _flat(view: View, spec: Spec, facts: Facts) -> Promote | None:
    """Of a training in stages a plateau ends the stage alone, where it left a state to go on from."""
    following, chain = spec.fidelity_tiers[spec.fidelity_tiers.index(view.tier) + 1 :], _tier(view).chain
    if spec.fidelity_promotion_rule == WHEN_FINISHED and following and chain is not None and chain.state_path:
        return Promote(tier=following[0], reason=f"plateau in the tier {view.tier}", facts=facts)
    return None


def _paid_up(view: View, spec: Spec) -> Finish | None:
    """The money is spent, or what is left does not pay for another run."""
    most, left, each = spec.stop_conditions.budget_cost, cost.left(view, spec), cost.of_a_run(view, spec) or 0.0
    if most is None or left is None or (view.cost < most and cost.fits(1, each, left)):
        return None
    if view.cost >= most:
        return Finish(reason=_COST_USED, facts={"cost": view.cost, "max": most})
    reason = f"cost budget used: {left:g} is left, and a run may cost {each:g}"
    return Finish(reason=reason, facts={"cost": view.cost, "max": most, "a_run": each})


def _too_dear_today(view: View, spec: Spec, now: datetime, under_way: int) -> Wait | Pause | None:
    """What may be spent in a day is spent. Where no day pays for a run it would wait for ever, from day to day."""
    why, most = cost.kept_for_today(view, spec, now, under_way), spec.stop_conditions.budget_cost_per_day
    if why == cost.NO_DAY_PAYS:
        return Pause(reason=why, facts={"a_run": cost.of_a_run(view, spec), "max": most})
    until = cost.tomorrow(view, now) if why == cost.DAY_USED else None
    return Wait(reason=why, until=until, for_runs=until is None) if why else None


def _worn_out(view: View, spec: Spec) -> Finish | None:
    """A code loop finds nothing larger than the noise any more; or its proposers, or remote trainings, took enough."""
    stop, loop = spec.stop_conditions, _tier(view).loop
    if loop is not None and stop.saturation is not None and loop.stale >= stop.saturation:
        return Finish(reason="saturated", facts={"candidates_without_a_gain": loop.stale, "max": stop.saturation})
    tokens = view.tokens + (loop.tokens if loop is not None else 0)
    if stop.budget_tokens is not None and tokens >= stop.budget_tokens:
        return Finish(reason=_TOKENS_USED, facts={"tokens": tokens, "max": stop.budget_tokens})
    return None


def _trained(view: View, spec: Spec) -> Move | None:
    """What stops a training in chunks, or moves it on. `kl` and trouble are those of its last chunk.

    Only what happened since a person last opened it pauses it: resuming must not be undone at once. So too a training
    that its recipe ended early goes on when somebody resumes it with more steps, and else would end again.
    """
    chain, tuning = _tier(view).chain, spec.tinker
    if chain is None or tuning is None or not is_chain(spec):
        return None
    facts: Facts = {"chunks": chain.chunks, "step": chain.next_step, "steps": tuning.steps, "tokens": chain.tokens}
    if view.runs_since_opened and chain.trouble:
        return Pause(reason=f"the training is in trouble: {chain.trouble[:_QUOTED_CHARS]}", facts=facts)
    if view.runs_since_opened and tuning.kl_limit is not None and (chain.kl or 0.0) > tuning.kl_limit:
        return Pause(reason="kl is above its limit", facts={**facts, "kl": chain.kl, "max": tuning.kl_limit})
    if allowance.is_over(view, spec, view.tier):
        if not chain.final:
            return Finish(reason="step budget used", facts=facts)
        return None if allowance.is_unmeasured(view, spec, view.tier) else _trained_to_its_end(view, spec, facts)
    left = allowance.of(view, spec, view.tier)
    if left.by_tokens is not None and left.by_tokens < 1:
        more: Facts = {"tokens_left": left.tokens, "tokens_a_step": round(left.tokens_a_step, 3)}
        return Finish(reason=_TOKENS_USED, facts={**facts, **more, "max": spec.stop_conditions.budget_tokens})
    if left.by_usd is not None and left.by_usd < 1:
        more = {"cost": view.cost, "cost_left": left.usd, "cost_a_step": round(left.usd_a_step, 9)}
        return Finish(reason=_COST_USED, facts={**facts, **more, "max": spec.stop_conditions.budget_cost})
    return None


def _halted(view: View, spec: Spec, now: datetime, *, slots: int, at_once: bool) -> Move | None:
    """What follows where the last remote training had no service, or no budget for a step: neither is a failure of it.

    Only what happened since a person last opened it counts. Trainings side by side had a share of the budget each: then
    the next one has all that is left, and only where that is too little as well, the budget is used.
    """
    chain, last = _tier(view).chain, view.last
    times = min(chain.halts, view.runs_since_opened) if chain is not None else 0
    if chain is None or last is None or not times:
        return None
    stop = spec.stop_conditions
    if chain.halted == IS_SPENT:
        most = slots or spec.for_tier(view.tier).max_parallel
        if times <= (most if most > 1 else 0):
            return None
        if stop.budget_tokens is not None:
            return Finish(reason=_TOKENS_USED, facts={"tokens": view.tokens, "max": stop.budget_tokens})
        return Finish(reason=_COST_USED, facts={"cost": view.cost, "max": stop.budget_cost})
    if times >= PAUSE_AFTER_OUTAGES:
        reason = f"the service was not there {times} times in a row; the last: {last.reason[:_QUOTED_CHARS]}"
        return Pause(reason=reason, facts={"outages": times, "max": PAUSE_AFTER_OUTAGES})
    ended = _moment(last.ended_at)
    until = ended + timedelta(seconds=_OUTAGE_S * 2 ** (times - 1)) if ended is not None and ended <= now else now
    if at_once or until <= now:
        return None
    return Wait(
        reason=f"the service was not there, and is asked again then: {last.reason[:_QUOTED_CHARS]}", until=until
    )


def _trained_to_its_end(view: View, spec: Spec, facts: Facts) -> Finish | Promote | Escalate:
    following, last = spec.fidelity_tiers[spec.fidelity_tiers.index(view.tier) + 1 :], view.last
    chain = _tier(view).chain
    but = (
        ""
        if chain is None or chain.measured or last is None
        else f", and its end has no value: {last.reason[:_QUOTED_CHARS]}"
    )
    if not following:
        return Finish(reason=f"the training is finished{but}", facts=facts)
    reason = f"the training in the tier {view.tier} is finished{but}"
    if spec.fidelity_promotion_rule == WHEN_FINISHED:
        return Promote(tier=following[0], reason=reason, facts=facts)
    return Escalate(reason=reason, facts={**facts, "next": following[0]})


def _best_in_last(view: View, spec: Spec) -> float | None:
    """The best of the last tier, where the experiment is in it or races to it: a cheaper tier's word ends nothing."""
    last = spec.fidelity_tiers[-1]
    tier = view.tiers.get(last)
    there = view.tier == last or spec.fidelity_promotion_rule == ASHA
    return tier.best.value if there and tier is not None and tier.best is not None else None


def _failing(view: View, *, searching: bool) -> Pause | Escalate | None:
    facts: Facts = {"failures": view.failure_streak}
    if view.failure_streak >= (PAUSE_A_SEARCH_AFTER if searching else PAUSE_AFTER_FAILURES):
        return Pause(reason=failing.streak(view), facts=facts)
    if view.failure_streak >= (ESCALATE_A_SEARCH_AFTER if searching else ESCALATE_AFTER_FAILURES):
        return Escalate(reason=failing.streak(view), facts=facts)
    return None


def losing(view: View, spec: Spec) -> Pause | None:
    """A run that takes its place down with it is never sealed, so it is no failure; it would be made again for ever."""
    limit = spec.stop_conditions.max_consecutive_failures or PAUSE_AFTER_LOSSES
    if view.losses < limit:
        return None
    reason = f"{view.losses} runs in a row were lost; the last: {view.loss_reason[:_QUOTED_CHARS]}"
    return Pause(reason=reason, facts={"lost": view.losses, "max": limit})


def _unkept(view: View, spec: Spec) -> Pause | None:
    """As many in a row as the SPEC bears, since a person last opened it: resuming gives it as many again."""
    limit, loop = spec.pause_after_unkept, _tier(view).loop
    if limit is None or loop is None or min(loop.unkept, view.runs_since_opened) < limit:
        return None
    return Pause(reason=f"{loop.unkept} candidates in a row were not kept", facts={"unkept": loop.unkept, "max": limit})


def _escalate(view: View, spec: Spec) -> Escalate | None:
    """Only what happened since a person last opened it: resuming must not hand it straight back."""
    if not view.runs_since_opened or view.last is None:
        return None
    tier = _tier(view)
    for word in spec.escalate_when:
        if word in view.last.signals:
            return Escalate(reason=word, facts={"run": view.last.run_id})
        if word == "new_best" and tier.best == view.last and tier.successes > 1 and _better(view.last):
            return Escalate(reason=word, facts={"run": view.last.run_id, "value": view.last.value})
        if word.startswith("metric_regression_") and word.endswith("_consecutive"):
            limit = int(word.removeprefix("metric_regression_").removesuffix("_consecutive"))
            worse = min(tier.worsening_streak, view.runs_since_opened)
            if worse >= limit:
                return Escalate(reason=word, facts={"worse_in_a_row": worse, "max": limit})
    if not spec.autonomous:
        return Escalate(reason="it runs only when asked (autonomous: false)", facts={"run": view.last.run_id})
    return None


def _better(run: Run) -> bool:
    """Whether a new best is better: in a code loop it may be the baseline, or have been kept for being simpler."""
    return run.candidate is None or gained(run)


def _promote(view: View, spec: Spec, here: Spec) -> Promote | None:
    """The next tier, after a streak of successes in which the best really moved."""
    if here.fidelity_promotion_rule != "after-success-streak":
        return None
    following = spec.fidelity_tiers[spec.fidelity_tiers.index(view.tier) + 1 :]
    tier, needed = _tier(view), here.promote_after_successes
    if not following or tier.success_streak < needed or tier.best is None or tier.quiet_streak >= needed:
        return None
    facts: Facts = {"successes_in_a_row": tier.success_streak, "needed": needed, "best": tier.best.value}
    return Promote(tier=following[0], reason="success streak with a new best", facts=facts)


def _last_ones(view: View, spec: Spec, under_way: int) -> Wait | None:
    """Not one run more than `max_iterations_total`, however many are under way at once; nor than a budget bears.

    What is under way will take what runs have taken that came to an end of their own; before the first of them, its
    whole time budget. One that was cancelled, or of whose time nothing is known, is no measure.
    """
    if not under_way:
        return None
    if view.iterations + under_way >= spec.max_iterations_total:
        return Wait(reason="its last runs are under way", for_runs=True)
    stop, runs = spec.stop_conditions, view.whole_runs
    each_s = view.whole_s / runs if runs else spec.time_budget_s
    if stop.budget_hours is not None and view.wall_s + under_way * each_s >= stop.budget_hours * _HOUR_S:
        return Wait(reason="what is under way will use its time budget up", for_runs=True)
    if why := cost.kept(view, spec, under_way):
        return Wait(reason=why, for_runs=True)
    each_tokens = view.tokens / (runs or view.runs or 1)
    if stop.budget_tokens is not None and each_tokens and view.tokens + under_way * each_tokens >= stop.budget_tokens:
        return Wait(reason="what is under way will use its token budget up", for_runs=True)
    return None


def _due(view: View, spec: Spec, now: datetime) -> Proceed | Wait:
    last = _moment(view.last.ended_at) if view.last else None
    if last is None or last > now:  # a clock that jumped back must not stop the lab until it has caught up
        return Proceed(tier=view.tier)
    due = spec.schedule().next_due(last)
    return Proceed(tier=view.tier) if due <= now else Wait(reason="not due yet", until=due)


def _moment(text: str) -> datetime | None:
    """A stamp of ours as a moment; None for an empty or foreign one."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
