"""What a run costs, and whether that is left: what no run may begin without. Pure.

Nobody knows what a run costs before it is over. So what is set aside for the next one, and for each that is under way,
is the dearest so far of its tier, or what the SPEC says, whichever is more. The first run of a tier of which nothing is
known may begin, alone.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from lab.core.pursuit import EXECUTOR
from lab.core.spec_fields import ASHA
from lab.core.spec_tuning import TINKER
from lab.core.view import Tier

if TYPE_CHECKING:
    from lab.core.spec_fields import Spec
    from lab.core.view import View

UNKNOWN = "what a run costs is not known before its first is over"
USES_IT_UP, USES_DAY_UP = (
    "what is under way will use its cost budget up",
    "what is under way will use its day's cost up",
)
DAY_USED = "its cost budget of the day is used"
NO_DAY_PAYS = "one run may cost more than its cost budget of a day"
_DIGITS = 9  # as the fold rounds: three runs at 0.1 cost 0.3


def of_a_run(view: View, spec: Spec) -> float | None:
    """What is set aside for a run; None while nothing tells. In a race it may be any tier's.

    A remote training needs none of it: its steps are bounded by what is left. Nor has the phase of a project: the one
    before it was other work.
    """
    if spec.executor in (TINKER, EXECUTOR):
        return 0.0
    racing = spec.fidelity_promotion_rule == ASHA
    tiers = list(view.tiers.values()) if racing else [view.tiers.get(view.tier, Tier())]
    stated, dearest = spec.stop_conditions.cost_per_run, max((each.dearest for each in tiers), default=0.0)
    if stated is not None:
        return max(stated, dearest)
    # Of one that failed at its first line nothing is learned: the next may be the first that costs anything.
    return dearest if dearest or any(each.successes for each in tiers) else None


def kept(view: View, spec: Spec, under_way: int) -> str:
    """Why another run beside so many would not fit in `budget_cost`; empty where it does."""
    rest, each, runs = left(view, spec), of_a_run(view, spec), view.whole_runs or view.runs
    if rest is None:
        return ""
    if spec.executor == TINKER:  # which ends by itself: that the last one is too short is all there is to keep from
        return USES_IT_UP if under_way * view.cost / (runs or 1) >= rest else ""
    if each is None:
        return UNKNOWN if under_way else ""
    return "" if fits(under_way + 1, each, rest) else USES_IT_UP


def kept_for_today(view: View, spec: Spec, now: datetime, under_way: int) -> str:
    """Why another run beside so many would not fit in `budget_cost_per_day`; empty where it does."""
    rest, each = left_of_day(view, spec, now), of_a_run(view, spec)
    if rest is None:
        return ""
    if each is not None and each > (spec.stop_conditions.budget_cost_per_day or 0.0):
        return NO_DAY_PAYS
    if not rest or (each is not None and not fits(1, each, rest)):
        return DAY_USED
    if each is None:
        return UNKNOWN if under_way else ""
    return "" if fits(under_way + 1, each, rest) else USES_DAY_UP


def left(view: View, spec: Spec) -> float | None:
    """What is left of `budget_cost`; None where there is none."""
    most = spec.stop_conditions.budget_cost
    return None if most is None else max(round(most - view.cost, _DIGITS), 0.0)


def left_of_day(view: View, spec: Spec, now: datetime) -> float | None:
    """What is left of `budget_cost_per_day`; None where there is none. A clock that went back begins no new day."""
    most = spec.stop_conditions.budget_cost_per_day
    spent = view.day_cost if day_of(now) <= view.day else 0.0
    return None if most is None else max(round(most - spent, _DIGITS), 0.0)


def fits(runs: int, each: float, left: float) -> bool:
    """Whether so many runs fit in what is left."""
    return round(runs * each, _DIGITS) <= left


def day_of(now: datetime) -> str:
    """The day in UTC, as stamps begin."""
    return now.astimezone(UTC).date().isoformat()


def tomorrow(view: View, now: datetime) -> datetime:
    """When the next day begins, after the last one in which a run ended. After today where what is told is no day."""
    today, one = day_of(now), timedelta(days=1)
    try:
        return datetime.fromisoformat(max(today, view.day)).replace(tzinfo=UTC) + one
    except (ValueError, OverflowError):  # of a ledger that was edited by hand: every turn would end here
        return datetime.fromisoformat(today).replace(tzinfo=UTC) + one
