"""SUMMARY.md: where an experiment stands, on one screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.core.run import CLAIMED, FAILURES, came_to
from lab.projections import due, pursued, text, trained
from lab.projections.attention import opening
from lab.projections.tier import every, next_tier, spec_here

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lab.core.model import Model
    from lab.core.run import Run
    from lab.core.subject import Subject
    from lab.core.view import Spent

GOAL_CHARS = 600
REASON_CHARS = 300
CELL_CHARS = 100
_DECISIONS = 5
_SEVERAL = 2  # runs with a value: of one there is nothing to choose


def summary_page(subject: Subject) -> bytes:
    """The bytes of SUMMARY.md."""
    lines = opening(subject, "summary")
    lines += _facts(subject)
    is_project = pursued.is_project(subject.spec)
    lines += pursued.stands(subject) if is_project else _bests(subject)
    lines += ["", "## Last runs", ""]
    newest = subject.view.recent[::-1]
    shown = pursued.runs_table(newest) if is_project else runs_table(newest, _metric(subject))
    lines += shown if newest else ["No run yet."]
    lines += _decisions(subject)
    return text.page(lines)


def runs_table(runs: Sequence[Run], metric: str) -> list[str]:
    """Runs as a table, in the order given. A run without a value shows a dash."""
    head = ("run", "outcome", metric or "value", "tier", "ended", "took", "what")
    return text.table(head, map(_cells, runs))


def outcome(run: Run) -> str:
    """How a run ended; of a code loop also what was decided about it."""
    told = f"{run.outcome}, {run.verdict}" if run.verdict and run.verdict != run.outcome else run.outcome
    return f"{told}, {CLAIMED}" if run.claimed else told


def tally(outcomes: Mapping[str, int], unmeasured: int = 0, claimed: Mapping[str, int] | None = None) -> str:
    """`9 success, 2 failed`, in the order of the design and not of what happened first."""
    return ", ".join(f"{number} {name}" for name, number in came_to(outcomes, unmeasured, claimed).items())


def _cells(run: Run) -> tuple[str, ...]:
    return (
        text.md(run.run_id),
        outcome(run),
        text.number(run.value),
        text.md(run.tier),
        text.moment(run.ended_at or run.started_at),
        text.duration(run.wall_s),
        text.md(_words(run), CELL_CHARS) or text.NONE,
    )


def _words(run: Run) -> str:
    """Of a run that failed why; of another one what was tried."""
    return (run.reason or run.note) if run.outcome in FAILURES else (run.note or run.reason)


def _facts(subject: Subject) -> list[str]:
    view, spec = subject.view, subject.spec
    told = spec_here(view, spec)
    because = f" ({text.md(view.phase_reason, REASON_CHARS)})" if view.phase_reason else ""
    since = f" since {text.moment(view.phase_since)}" if view.phase_since else ""
    after = next_tier(subject)
    runs = f"{view.iterations} of at most {told.max_iterations_total}" if told else str(view.iterations)
    runs += f", and {view.unbegun} that never began" if view.unbegun else ""
    lines = [
        f"- Goal: {text.md(told.goal, GOAL_CHARS) or text.NONE}" if told else "- Goal: see SPEC.yaml",
        pursued.kind(text.md(view.experiment))
        if pursued.is_project(spec)
        else f"- Metric: {_metric(subject) or 'value'}, {view.direction}",
        f"- Phase: **{view.phase}**{since}{because}",
        f"- Tier: {text.md(view.tier)}" + (f" (next: {text.md(after)})" if after else ""),
        f"- Runs: {runs}" + (f": {tally(view.outcomes, view.unmeasured, view.claimed)}" if view.runs else ""),
    ]
    if view.failure_streak:
        what = "Runs in a row without a value" if view.unmeasured else "Failures in a row"
        lines.append(f"- {what}: {view.failure_streak}")
    if view.superseded:
        lines.append(f"- Superseded and not counted: {text.count(view.superseded, 'run')}")
    if view.last:
        why = text.md(view.last.reason, REASON_CHARS) if view.last.outcome in FAILURES else ""
        how = f"{outcome(view.last)}, {text.number(view.last.value)}"
        lines.append(f"- Last run: {text.md(view.last.run_id)} ({how})" + (f": {why}" if why else ""))
    budget = f"; at most {text.duration(told.time_budget_s)} a run" if told else ""
    lines.append(f"- Time used: {text.duration(view.wall_s)}{budget}")
    if view.cost:
        lines.append(f"- Cost, as the runs reported it: {view.cost!r}")
    lines += trained.lines(view, told)
    if view.model.calls:
        lines.append(f"- Models: {_models(view.model, told.llm if told else None)}")
    lines.append(f"- Next due: {next_due(subject)}")
    return lines


def _models(spent: Spent, model: Model | None) -> str:
    """What the models have taken, of how much they may."""
    of_calls = f" of at most {model.max_calls}" if model else ""
    of_money = f" of at most {model.max_usd:g}" if model and model.max_usd is not None else ""
    money = f", {spent.usd!r} USD{of_money}" if spent.usd or of_money else ""
    return f"{text.count(spent.calls, 'call')}{of_calls}{money}, {spent.tokens:,} tokens as they told"


def next_due(subject: Subject) -> str:
    """When the next run may start, in words."""
    moment = due.next_due_at(subject.view, subject.spec)
    if moment and not subject.view.runs:
        return "now"
    return text.moment(moment) if moment else f"never, while it is {subject.view.phase}"


def _metric(subject: Subject) -> str:
    last = subject.view.last
    told = spec_here(subject.view, subject.spec)
    return text.md(told.metric if told else last.metric if last else "")


def _bests(subject: Subject) -> list[str]:
    view = subject.view
    rows = [
        (
            text.md(name),
            str(tier.runs),
            f"{tier.successes - tier.claimed}" + (f" and {tier.claimed} {CLAIMED}" if tier.claimed else ""),
            text.number(tier.best.value if tier.best else None),
            text.md(tier.best.run_id) if tier.best else text.NONE,
        )
        for name in every(view, subject.spec, view.tiers)
        if (tier := view.tiers.get(name)) is not None
    ]
    if not rows:
        return []
    told = ["", "## Best per tier", "", *text.table(("tier", "runs", "succeeded", "best", "run"), rows)]
    luck = lucky(subject)
    return [*told, "", luck] if luck else told


def lucky(subject: Subject) -> str:
    """What is to be said of the best number of a search; empty where no luck is in it, or it is the only one.

    Whoever copied its parameters would else take the luckiest run home, and `labctl best` names another.
    """
    spec, view = subject.spec, subject.view
    noisy = view.noisy(declared=spec.noise) if spec else False
    if noisy is False or view.loop is not None or view.best is None:
        return ""
    tier = view.tiers.get(view.tier)
    if tier is None or tier.successes < _SEVERAL or tier.chain is not None:
        return ""
    weighs = f"`labctl best {view.experiment}` weighs which run to take"
    if noisy:
        return f"The metric is noisy, and a best number is partly luck: {weighs}."
    return f"The SPEC does not say whether the metric is noisy. If it is, a best number is partly luck: {weighs}."


def _decisions(subject: Subject) -> list[str]:
    decisions = subject.view.decisions[-_DECISIONS:]
    if not decisions:
        return []
    rows = [
        (
            text.moment(each.ts),
            text.md(each.what.replace("_", " "), CELL_CHARS),
            text.md(each.actor, CELL_CHARS) or text.NONE,
            text.md(each.reason, CELL_CHARS) or text.NONE,
        )
        for each in reversed(decisions)
    ]
    return ["", "## Last decisions", "", *text.table(("when", "what", "who", "why"), rows)]
