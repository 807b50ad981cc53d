"""autoresearch-summary.md: what a code loop came to, how sure that is, and whether to merge it.

One value is made of the view, and both the page and `labctl autoresearch report --json` are made of that.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec

from lab.core import loop as loops
from lab.core.candidate import CHECKS_FAILED, CRASHED, DISCARD, IMPORTED
from lab.core.loop import Node  # msgspec resolves annotations
from lab.core.noise import t_tail
from lab.core.run import MINIMIZE
from lab.projections import text
from lab.projections.attention import opening
from lab.projections.autoresearch_log import COMMIT_CHARS, status
from lab.projections.autoresearch_progress import delta, direction, tally
from lab.projections.tier import spec_here

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.core.loop import Loop
    from lab.core.run import Run
    from lab.core.spec import Spec
    from lab.core.subject import Subject
    from lab.core.view import View

MERGE, LOOK, LEAVE = "merge", "look", "do not merge"
LEVEL = 0.95
NOTE_CHARS = 160
_HALVINGS, _LARGEST_T = 80, 1e6


class Gain(msgspec.Struct, frozen=True, kw_only=True):
    """By how much the best is better than the baseline; above 0 is better, whichever way the metric goes."""

    value: float
    low: float | None = None  # of the interval that holds the true gain 95 times in 100; None without a known noise
    high: float | None = None
    p: float | None = None  # how often noise alone would look as good


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """Every number of the page."""

    experiment: str
    tier: str
    metric: str
    direction: str
    branch: str
    loop: loops.Loop
    gain: Gain | None
    sigma: float | None
    false_keeps: float  # no more than so many of those kept are to be expected to be luck
    untested: float  # of that, what no test looked at; the rest is what the alpha of all tests allows
    unconfirmed: int  # of those kept as better, by a noisy metric: no test said so
    greedy_false_keeps: float  # as many a rule that keeps every better number would keep by luck
    alarms: tuple[str, ...]
    ranked: tuple[Node, ...]  # what was kept, the best first
    recommendation: str
    reasons: tuple[str, ...]
    next: tuple[str, ...]


def told(subject: Subject) -> Summary:
    """What there is to say of a loop, in the tier that it is in."""
    view, spec = subject.view, spec_here(subject.view, subject.spec)
    loop = view.loop or loops.Loop()
    way = view.direction_of(view.tier)
    gain = _gain(loop, way, spec.baseline_repeats if spec else 1)
    alarms = loops.alarms(loop)
    recommendation, reasons = _judged(loop, gain, alarms)
    greedy = 0.0 if loop.noise.none else sum(1 / number for number in range(2, loop.candidates + 2))
    unconfirmed = 0 if loop.noise.none else loop.unconfirmed
    untested = min(float(unconfirmed), greedy)
    last = view.last
    return Summary(
        experiment=view.experiment,
        tier=view.tier,
        metric=(spec.metric if spec else last.metric if last else "") or "value",
        direction=way,
        branch=f"lab/{spec.loop_tag or view.experiment}" if spec else "",
        loop=loop,
        gain=gain,
        sigma=loop.noise.sigma,
        false_keeps=0.0 if loop.noise.none else untested + min(loop.risk, max(loop.kept - untested, 0.0)),
        untested=untested,
        unconfirmed=unconfirmed,
        greedy_false_keeps=greedy,
        alarms=alarms,
        ranked=_ranked(loop, way),
        recommendation=recommendation,
        reasons=reasons,
        next=tuple(_next(subject, loop, recommendation, alarms)),
    )


def summary_page(subject: Subject) -> bytes:
    """The bytes of autoresearch-summary.md."""
    found = told(subject)
    lines = opening(subject, "what the code loop came to")
    lines += _session(subject, found)
    lines += ["", "## Baseline and best", "", *_compared(found)]
    lines += ["", f"## Merge: {found.recommendation}", "", *(f"- {text.md(each)}" for each in found.reasons)]
    lines += ["", "## What was kept, best first", "", *_kept(found)]
    lines += ["", "## What did not work", "", *_failed(subject, found)]
    lines += ["", "## How much of it may be luck", "", *_luck(found)]
    lines += ["", "## Next steps", "", *(f"- {each}" for each in found.next)]
    return text.page(lines)


def _gain(loop: Loop, way: str, repeats: int) -> Gain | None:
    base, best = loop.base, loop.best
    if base is None or best is None or base.value is None or best.value is None:
        return None
    value = base.value - best.value if way == MINIMIZE else best.value - base.value
    sigma = loop.noise.sigma
    if not math.isfinite(value) or best.run_id == base.run_id or sigma is None:
        return Gain(value=value if math.isfinite(value) else 0.0)
    if sigma == 0:
        return Gain(value=value, low=value, high=value, p=0.0 if value > 0 else 1.0)
    error = sigma * math.sqrt(1 / max(loop.repeats, 1) + 1 / max(repeats, 1))
    wide = _critical(loop.noise.df) * error
    return Gain(value=value, low=value - wide, high=value + wide, p=t_tail(value / error, loop.noise.df))


def _critical(df: int) -> float:
    """How many standard errors an interval reaches to either side."""
    low, high = 0.0, _LARGEST_T
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if t_tail(middle, df) > (1 - LEVEL) / 2 else (low, middle)
    return high


def _judged(loop: Loop, gain: Gain | None, alarms: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    if gain is None:
        return LEAVE, ("the unchanged code was not measured yet",)
    if not loop.keeps:
        return LEAVE, ("nothing was kept since the baseline",)
    if loop.kept == loop.simpler:
        return LOOK, ("what was kept is simpler, and no better", *alarms)
    if gain.value <= 0:
        return LEAVE, (f"the best measures {gain.value:.6g} against the baseline: it is no better",)
    doubts = [f"alarm: {alarm_words(alarm)}" for alarm in alarms]
    if gain.low is None:
        doubts.append("the noise was never measured: set baseline_repeats to 3 or more")
    elif gain.low <= 0:
        doubts.append(f"the interval of the gain, {gain.low:.6g} to {gain.high:.6g}, reaches down to no gain")
    if loop.unconfirmed and not loop.noise.none:
        doubts.append(
            f"{loop.unconfirmed} of the {loop.kept} kept are unconfirmed: it may be luck that they look better"
        )
    if doubts:
        return LOOK, tuple(doubts)
    sure = f"the interval of the gain, {gain.low:.6g} to {gain.high:.6g}, is above no gain"
    if loop.noise.none:
        sure = f"the gain is {gain.value:.6g}, and no repeat ever differed"
    return MERGE, (sure, "no alarm was raised")


def alarm_words(alarm: str) -> str:
    """An alarm as people read it."""
    return {
        loops.METRIC_DRIFT: "metric_drift, the same code measures otherwise than it did",
        loops.HOLDOUT_GAP: "holdout_gap, the hidden measurement shows less of the gain than it should",
    }.get(alarm, alarm)


def _ranked(loop: Loop, way: str) -> tuple[Node, ...]:
    sign = 1 if way == MINIMIZE else -1
    return tuple(sorted(loop.keeps, key=lambda node: (node.value is None, sign * (node.value or 0.0), node.run_id)))


def _next(subject: Subject, loop: Loop, recommendation: str, alarms: tuple[str, ...]) -> Iterator[str]:
    name = subject.view.experiment
    if loop.base is None:
        yield f"measure the unchanged code: `labctl run-once --experiment {name} --now`"
        return
    if recommendation == MERGE:
        yield f"make clean branches of what was kept: `labctl autoresearch finalize {name}`"
    if loops.METRIC_DRIFT in alarms:
        yield "find out what changed on this machine, and take the baseline again"
    if loops.HOLDOUT_GAP in alarms:
        yield "read what was kept for changes that please the measurement alone"
    for node in loop.nodes[::-1][:3]:
        what = "mend" if node.crash else "try again, or with another,"
        yield f"{what} {text.md(node.run_id)}: {text.md(node.note, NOTE_CHARS) or text.NONE}"
    yield text.md(direction(loop))


def _session(subject: Subject, found: Summary) -> list[str]:
    view, spec = subject.view, spec_here(subject.view, subject.spec)
    lines = [f"- Goal: {text.md(spec.goal, 600) or text.NONE}"] if spec else []
    lines.append(f"- Metric: {text.md(found.metric)}, {found.direction}; tier {text.md(view.tier)}")
    if spec:
        lines.append(f"- Workspace: {_workspace(view, spec)}, branch {text.md(found.branch)}")
    if spec and spec.platform:
        lines.append(f"- Platform: {text.md(spec.platform)}, as it was found at the start")
    began = text.moment(view.first_run_at) if view.first_run_at else "not yet"
    lines.append(f"- Session: {text.count(view.runs, 'run')}, began {began}, {text.duration(view.wall_s)} of running")
    lines.append(f"- {tally(found.loop)}; {found.loop.simpler} of the kept for being simpler")
    return lines


def _workspace(view: View, spec: Spec) -> str:
    """The folder; of one that is told as seen from somewhere, from where."""
    given = spec.workspace_root
    if not given or given.startswith(("/", "~")):
        return text.md(given) or text.NONE
    seen = view.created_from or view.created_in
    return f"{text.md(given)} as seen from {text.md(seen) or 'the folder of the experiment'}"


def _compared(found: Summary) -> list[str]:
    base, best, gain = found.loop.base, found.loop.best, found.gain
    if base is None or best is None:
        return ["The unchanged code was not measured yet, so there is nothing to compare with."]
    change = delta(base.value, best.value)
    lines = [
        f"- Baseline: {text.number(base.value)} ({text.md(base.run_id)}, commit {_commit(base)})",
        f"- Best: **{text.number(best.value)}** ({text.md(best.run_id)}, commit {_commit(best)}){change}",
    ]
    if gain is not None and gain.p is not None and gain.low is not None and gain.high is not None and found.sigma:
        between = f"between {gain.low:.6g} and {gain.high:.6g} ({LEVEL:.0%} interval), p = {gain.p:.3g}"
        lines.append(f"- Gain: {gain.value:.6g}, {between}")
    elif gain is not None:
        lines.append(f"- Gain: {gain.value:.6g}")
    return lines


def _kept(found: Summary) -> list[str]:
    if not found.ranked:
        return ["Nothing since the baseline."]
    rows = [
        (
            str(place),
            _commit(node),
            text.number(node.value),
            text.NONE if node.gain is None else f"{node.gain:.6g}",
            f"{node.lines:+d}",
            text.md(node.run_id),
            text.md(node.note, NOTE_CHARS) or text.NONE,
        )
        for place, node in enumerate(found.ranked, start=1)
    ]
    lines = text.table(("", "commit", text.md(found.metric), "gain then", "lines", "run", "what"), rows)
    return [*lines, "", f"The last {loops.KEEPS} at most; results.tsv has all."]


def _failed(subject: Subject, found: Summary) -> list[str]:
    runs = [run for run in subject.view.recent[::-1] if status(run) in (DISCARD, CRASHED, CHECKS_FAILED)]
    lines = [f"- {_why(run)}" for run in runs]
    known = {run.run_id for run in runs}
    near = [node for node in found.loop.nodes[::-1] if node.run_id not in known]
    for node in near:
        how = f"crashed ({text.md(node.crash)})" if node.crash else f"a near miss, gain {node.gain or 0.0:.6g}"
        lines.append(f"- {text.md(node.run_id)}: {how}: {text.md(node.note, NOTE_CHARS) or text.NONE}")
    return [*(lines or ["Nothing among the last runs."]), "", "The newest only; autoresearch.jsonl has all."]


def _why(run: Run) -> str:
    made = run.candidate
    if made is not None and made.kind == IMPORTED:
        why = "claimed by another harness"
    else:
        why = made.why if made and made.why else run.reason
    words = f": {text.md(why, NOTE_CHARS)}" if why else ""
    return f"{text.md(run.run_id)}, {status(run)}: {text.md(run.note, NOTE_CHARS) or text.NONE}{words}"


def false_keeps_words(found: Summary) -> str:
    """How many keeps may be luck: a bound, and what it is made of. Another rule is named where it would do worse."""
    said = f"the {found.loop.kept} kept, no more than {found.false_keeps:.3g} are to be expected to be luck"
    if found.untested:
        allowed = found.false_keeps - found.untested
        said += f" (a bound: {found.untested:.3g} that no test confirmed, {allowed:.3g} that all tests together allow)"
    if found.false_keeps < found.greedy_false_keeps:
        greedy = f"{found.greedy_false_keeps:.1f}"
        said += f"; a rule that keeps every better number would have kept about {greedy} by luck"
    return said


def _luck(found: Summary) -> list[str]:
    loop, noise = found.loop, found.loop.noise
    if not noise.df:
        return ["The noise was not measured: nothing was measured twice.", *_unconfirmed(found)]
    if noise.none:
        return [
            f"Every repeat was equal to the last digit ({noise.df + 1} measurements): a difference is a difference."
        ]
    freedom = text.count(noise.df, "degree")
    lines = [
        f"- Noise: repeats of the same code have a sigma of {found.sigma:.6g} ({freedom} of freedom)",
        f"- Tests that confirmed nothing: {loop.tests}; alpha spent on them: {loop.alpha:.4g}",
        f"- Of {false_keeps_words(found)}",
        *_unconfirmed(found),
    ]
    if loop.drift is not None:
        lines.append(f"- Drift of the best code's measurements: {loop.drift:.3g} sigmas of a mean")
    if loop.gap is not None:
        lines.append(f"- Share of the gain that the hidden measurement does not show: {loop.gap:.0%}")
    lines += [f"- **Alarm**: {alarm_words(alarm)}" for alarm in found.alarms]
    return lines


def _unconfirmed(found: Summary) -> list[str]:
    if not found.unconfirmed:
        return []
    return [f"- **Unconfirmed**: {found.unconfirmed} of the {found.loop.kept} kept looked better, and no test said so"]


def _commit(node: Node) -> str:
    return text.md(node.commit[:COMMIT_CHARS]) or text.NONE
