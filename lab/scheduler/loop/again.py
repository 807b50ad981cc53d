"""Measuring the commit of a run once more: no candidate, no decision, and nothing moves.

As often as it was measured then, in a tree made afresh, by the files that measure in that commit and the commands that
the SPEC has now.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.core import candidate as candidates
from lab.core.candidate import Candidate
from lab.core.ended import Ended
from lab.core.errors import BadInput
from lab.core.noise import mean
from lab.core.run import FAILED, SUCCESS
from lab.executors import outcome
from lab.scheduler.loop import harvested, measuring
from lab.scheduler.loop.grounds import Grounds
from lab.scheduler.loop.measuring import Bench
from lab.scheduler.loop.steps import Steps, Stopped

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.core.run import Run
    from lab.core.view import View
    from lab.scheduler.cycle import Running
    from lab.scheduler.loop.measuring import Reading
    from lab.store.root import Root


def require(run: Run) -> Candidate:
    """What the run measured, or `BadInput` where there is nothing to measure again."""
    made = run.candidate
    if made is None:
        what = f"{run.run_id} ended before it was known what it changed, so there is nothing to measure again"
        raise BadInput(what, fix=f"labctl show {run.run_id}")
    if not made.commit:
        raise BadInput(f"{run.run_id} has no commit: {run.reason or 'nothing was changed'}", fix="name another run")
    return made


def carry_out(
    root: Root, running: Running, view: View, before: Run, *, interrupted: Callable[[], str], path: str
) -> Ended:
    """Measure what `before` measured. `LabError` when that could not even begin."""
    made = require(before)
    grounds = Grounds(root, running, view, path=path)
    if not grounds.repo.commit_of(made.commit):
        fix = "bring it back (git fetch), or replay it where it ran"
        raise BadInput(f"the repository does not have the commit {made.commit[:12]} of {before.run_id}", fix=fix)
    steps = Steps(
        root, running, view, grounds.spec, path=path, interrupted=interrupted, hidden=grounds.secluded
    )  # fmt: skip
    bench = Bench(grounds, steps, made.commit, grounds.place("again"))
    try:
        return _measured(grounds, steps, bench, before, made)
    except Stopped as stopped:
        how, why = outcome.trouble(running.manifest, stopped.exit)
        return Ended(outcome=how, reason=why, wall_s=steps.wall_s, usage=steps.usage())
    finally:
        measuring.discard(grounds, bench.place)


def _measured(grounds: Grounds, steps: Steps, bench: Bench, before: Run, made: Candidate) -> Ended:
    values: list[float] = []
    failed = bench.make()
    if failed is None and made.kind not in (candidates.BASELINE, candidates.IMPORTED):
        # What was refused then was never run, and is not run now.
        refused = harvested.judged(grounds, bench.tree, grounds.repo.changes(made.base, made.commit), steps.secrets)
        if refused:
            return _ended(steps, before, made, bench, values, refused)
    failed = failed or bench.check()
    last: Reading | None = None
    while failed is None and len(values) < max(len(made.values), 1):
        last = bench.measure()
        if last.value is None:
            failed = last
        else:
            values.append(last.value)
    return _ended(steps, before, made, bench, values, failed.problem if failed else "", last)


def _ended(  # what is told of it
    steps: Steps,
    before: Run,
    made: Candidate,
    bench: Bench,
    values: list[float],
    problem: str,
    last: Reading | None = None,
) -> Ended:
    note = f"{before.run_id} again"
    value = None if problem else mean(values)
    told = Candidate(
        kind=candidates.REPLAYED,
        parent=before.run_id,
        base=made.commit,
        commit=made.commit,
        values=tuple(values),
        why=problem[:300] or "measured again, which decides nothing",
        guard=steps.guard,
        evaluator=bench.evaluator.digest if bench.evaluator else "",
    )
    metrics = dict(last.metrics) if last is not None else {}
    metrics.pop(before.metric, None)
    return Ended(
        outcome=FAILED if problem else SUCCESS,
        value=value,
        reason=problem,
        note=note,
        wall_s=steps.wall_s,
        cost=last.cost if last is not None else 0.0,
        metrics={**metrics},
        usage=steps.usage(),
        candidate=told,
    )
