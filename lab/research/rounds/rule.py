"""What follows from a round: a rule on what was measured, the same for whoever asks it. Pure.

In this order, and the first that holds decides:

1. A person's word. It makes no more rounds than the project has.
2. Measured better, by what was predicted or more, and not below what the idea asked for: keep, goal_met.
3. After as many runs as the idea asked for, a gain below what it asked for: killed. It was written down before.
4. Measured worse: worse.
5. Measured better, by less than was predicted: below_prediction. More rounds of it, then it is kept for what it is.
6. Anything else is within noise, `no candidate` too: more rounds of it while there is patience, then stagnation.

What is killed, worse or stagnant makes way for the next idea. Where none is left, or no round, or no budget for one, it
ends: with the best that any round has shown to be better, by what its idea asked for or more; else with nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.research.decision import KEEP, PIVOT, REFINE, STOP, Decision, Past
from lab.research.idea import Kill  # msgspec resolves annotations

if TYPE_CHECKING:
    from lab.research.decision import Reason

RULE = "rule"
GOAL: Reason = "goal_met"
BELOW: Reason = "below_prediction"
NOISE: Reason = "within_noise"
KILLED: Reason = "killed"
WORSE: Reason = "worse"
STAGNANT: Reason = "stagnation"
SPENT: Reason = "budget_exhausted"
HUMAN_STOP: Reason = "human_stop"
HUMAN: Reason = "human"


class Ruling(msgspec.Struct, frozen=True, kw_only=True):
    """A person's word."""

    decision: str
    why: str
    by: str


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What is known after a round. `gain` is None where there was no candidate."""

    round: int
    idea: str
    believable: int  # runs of training, in all rounds of this idea
    gain: float | None = None
    low: float | None = None
    high: float | None = None
    is_better: bool = False
    is_worse: bool = False
    predicted: float | None = None  # None: nobody predicted anything
    kill: Kill | None = None
    past: tuple[Past, ...] = ()
    ideas_left: tuple[str, ...] = ()
    max_rounds: int = 1
    patience: int = 1
    spent: str = ""  # which budget does not bear another round
    ruling: Ruling | None = None


def decide(known: Standing) -> Decision:
    """The decision, with its reason."""
    if known.ruling is not None:
        return _ruled(known, known.ruling)
    gain, predicted = known.gain, known.predicted
    is_met = gain is not None and (predicted is None or gain >= predicted)
    if known.is_better and is_met and _is_worth(_this(known)):
        return _made(known, KEEP, GOAL, _against(known))
    kill = known.kill
    if kill is not None and known.believable >= kill.after_runs and (gain is None or gain < kill.gain_below):
        found = "no run is better than the baseline" if gain is None else f"the gain is below {kill.gain_below:g}"
        what = f"after {known.believable} runs {found}, where the idea was to be given up"
        return _gave_up(known, KILLED, what)
    if known.is_worse:
        return _gave_up(known, WORSE, "measured worse than the baseline")
    if known.is_better:
        return _more(known, BELOW, "better than the baseline, by less than was predicted")
    if _without_gain(known) >= known.patience:
        return _gave_up(known, STAGNANT, f"{_rounds(_without_gain(known))} of it without a gain")
    what = "no run was better than the baseline" if gain is None else "not to be told from noise"
    return _more(known, NOISE, what)


def _without_gain(known: Standing) -> int:
    """Rounds of this idea in a row, this one included, in which it was not measured better."""
    count = 1
    for each in reversed(known.past):
        if each.idea != known.idea or each.is_better:
            break
        count += 1
    return count


def _more(known: Standing, reason: Reason, what: str) -> Decision:
    """Another round of the same idea, where there is one to be had."""
    closed = _closed(known)
    if closed:
        return _end(known, SPENT, f"{what}; {closed}")
    return _made(known, REFINE, reason, what)


def _gave_up(known: Standing, reason: Reason, what: str) -> Decision:
    """The next idea, where there is one and a round for it."""
    closed = _closed(known)
    if known.ideas_left and not closed:
        return _made(known, PIVOT, reason, f"{what}; next comes {known.ideas_left[0]}", next_idea=known.ideas_left[0])
    return _end(known, reason, f"{what}; {closed or 'no other idea is left'}")


def _end(known: Standing, reason: Reason, what: str) -> Decision:
    """With the largest gain that any round has shown to be more than noise; a project that found something says so.

    One below what its idea asked for, before anything ran, is told, and is not kept.
    """
    shown = [each for each in (*known.past, _this(known)) if each.is_better and each.gain is not None]
    better = [each for each in shown if _is_worth(each)]
    if not better:
        told = [each for each in shown if reason != KILLED or each.round != known.round]  # what was killed is told
        little = "".join(f"; in round {each.round} a gain below {each.least:g} was not to be kept" for each in told)
        return _made(known, STOP, reason, what + little)
    best = max(better, key=lambda each: (each.gain or 0.0, each.round))
    kept = "it is kept for what it is" if best.round == known.round else f"round {best.round} ({best.idea}) is kept"
    return _made(known, KEEP, reason, f"{what}; {kept}, with a gain of {best.gain:.6g}", kept_round=best.round)


def _is_worth(each: Past) -> bool:
    """Whether a gain is what the idea asked for, if it asked: who wrote down what is not worth it is held to that."""
    return each.least is None or (each.gain is not None and each.gain >= each.least)


def _closed(known: Standing) -> str:
    """Why there is no other round; empty where there is one."""
    if known.round >= known.max_rounds:
        return f"all {_rounds(known.max_rounds)} are used"
    return known.spent


def _ruled(known: Standing, ruling: Ruling) -> Decision:
    """What a person wants, as far as there are rounds and ideas for it."""
    if ruling.decision == STOP:
        return _made(known, STOP, HUMAN_STOP, ruling.why, by=ruling.by)
    if ruling.decision == KEEP:
        return _made(known, KEEP, HUMAN, ruling.why, by=ruling.by)
    if known.round >= known.max_rounds:  # a person may go beyond a budget in money; the rounds are in project.yaml
        told = f"{ruling.by} wanted {ruling.decision} ({ruling.why}), and {_closed(known)}: iteration.max_rounds"
        return _end(known, SPENT, told)
    if ruling.decision == REFINE:
        return _made(known, REFINE, HUMAN, ruling.why, by=ruling.by)
    if not known.ideas_left:
        return _end(known, STAGNANT, f"{ruling.by} wanted another idea ({ruling.why}), and none is left")
    return _made(known, PIVOT, HUMAN, ruling.why, by=ruling.by, next_idea=known.ideas_left[0])


def _made(known: Standing, decision: str, reason: Reason, why: str, **more: object) -> Decision:
    told: dict[str, object] = {"kept_round": known.round if decision == KEEP else 0, "by": RULE, **more}
    return msgspec.convert(
        {
            "decision": decision, "reason": reason, "why": f"{_measured(known)}: {why}", "round": known.round,
            "idea": known.idea, "gain": known.gain, "predicted_gain": known.predicted, "low": known.low,
            "high": known.high, "rounds_left": max(known.max_rounds - known.round, 0), "past": known.past,
            "spent": known.spent, **told,
        },
        Decision,
    )  # fmt: skip


def _measured(known: Standing) -> str:
    if known.gain is None:
        return f"round {known.round} has no candidate"
    where = "" if known.low is None or known.high is None else f" ({known.low:.6g} to {known.high:.6g})"
    return f"round {known.round} has a gain of {known.gain:.6g}{where}"


def _against(known: Standing) -> str:
    return (
        "nothing was predicted, and it is better" if known.predicted is None else f"{known.predicted:g} was predicted"
    )


def _this(known: Standing) -> Past:
    least = None if known.kill is None else known.kill.gain_below
    return Past(round=known.round, idea=known.idea, gain=known.gain, is_better=known.is_better, least=least)


def _rounds(count: int) -> str:
    return f"{count} round{'s' if count != 1 else ''}"
