"""The last word on a candidate: what is written of it, and what follows from that, in this order.

A kill between the two leaves a decision that whoever settles the run reads, and the rest to the next run.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from lab.core import asi as notes
from lab.core import candidate as candidates
from lab.core import layout, loop, verdict
from lab.core.candidate import Candidate
from lab.core.decided import BASELINE, BEST, NO_REFERENCE, Decided
from lab.core.launch import Exit
from lab.core.record import page
from lab.core.run import FAILED, SUCCESS
from lab.executors import reference
from lab.scheduler.loop import asi, harvested, keeping, measuring

if TYPE_CHECKING:
    from lab.core.asi import Asi
    from lab.core.loop import Loop
    from lab.scheduler.cycle import Running
    from lab.scheduler.loop.attempt import Attempt
    from lab.scheduler.loop.grounds import Grounds
    from lab.scheduler.loop.judging import Judged

_WHY_CHARS = 300


def decide(at: Attempt, running: Running, judged: Judged, *, is_last: bool = True) -> Decided:
    """Write down what became of it, then let the rest follow. The decision is the run's last word.

    Unless it `is_last`, `Overtaken` when another candidate was kept meanwhile: then nothing was written.
    """
    grounds = at.grounds
    commit = ""
    if judged.verdict == candidates.KEEP and at.start.kind != candidates.BASELINE:
        commit = _line(at, judged)
    decided = _decided(at, judged, commit)
    files = at.root.files
    with at.root.section(grounds.experiment):
        running.lease.check()  # who was superseded meanwhile moves nothing
        if commit:
            try:
                keeping.require_current(grounds, at.grounds.best)
            except keeping.Overtaken:
                if not is_last:
                    raise
                commit = ""
                why = f"another candidate was kept meanwhile, and it was not compared with that one ({judged.why})"
                judged = msgspec.structs.replace(judged, verdict=candidates.DISCARD, why=why)
                # It was not judged, so it was not tried: it may be offered again.
                at.harvested, at.idea = msgspec.structs.replace(at.harvested, diff=""), None
                decided = _decided(at, judged, "")
        if decided.verdict == candidates.KEEP and not commit and keeping.comes_late(grounds):
            why = f"another baseline was measured meanwhile, and the loop went on from there ({judged.why})"
            judged = msgspec.structs.replace(judged, verdict=candidates.DISCARD, why=why)
            decided = _decided(at, judged, "")
        asi.keep(at.root, f"{grounds.path}/{layout.ARTIFACTS}", _completed(at, judged))
        told = Exit(run_id=grounds.run_id, code=0, wall_s=decided.wall_s, usage=decided.usage)
        # Before the decision: without it, whoever settles a killed run would not look for one.
        files.replace(f"{grounds.path}/{layout.EXIT}", page(told), durable=True)
        files.replace(f"{grounds.path}/{reference.DECISION}", page(decided), durable=True)
        if decided.verdict != candidates.KEEP:
            return decided
        remarks = list(keeping.move(grounds, commit or at.harvested.commit))
        if commit and at.grounds.best.commit != at.harvested.base:  # it began elsewhere: what it adds to the best
            remarks += _kept_anew(at)
        decided = msgspec.structs.replace(decided, remarks=tuple(dict.fromkeys((*decided.remarks, *remarks))))
        files.replace(f"{grounds.path}/{reference.DECISION}", page(decided), durable=True)
    _stand(at, commit)
    return decided


def _kept_anew(at: Attempt) -> list[str]:
    found = msgspec.structs.replace(at.harvested, base=at.grounds.best.commit)
    why = harvested.keep_files(at.grounds, found)
    return [f"diff.patch is what was changed since {at.harvested.base[:12]}: {why}"] if why else []


def _line(at: Attempt, judged: Judged) -> str:
    grounds = at.grounds
    commit = keeping.commit_of(grounds, at.harvested, at.grounds.best, at.note, judged.value)
    grounds.repo.put(grounds.ref(grounds.run_id), commit)
    return commit


def _stand(at: Attempt, commit: str) -> None:
    """The tree of what was kept is the one that the next candidates are measured beside."""
    grounds = at.grounds
    if not commit or grounds.spec.max_parallel > 1:
        return
    with suppress(OSError):
        measuring.stand(grounds, at.bench, commit, at.grounds.best.commit)


def _completed(at: Attempt, judged: Judged) -> Asi:
    return notes.completed(
        at.notes,
        verdict=judged.verdict,
        why=judged.why,
        gain=judged.ruling.gain if judged.ruling else None,
        metric=at.grounds.spec.metric,
    )


def _decided(at: Attempt, judged: Judged, commit: str) -> Decided:
    grounds, manifest = at.grounds, at.grounds.manifest
    one = _record(at, judged, commit)
    best = grounds.loop.best
    is_baseline = one.kind == candidates.BASELINE
    measured = judged.verdict in (candidates.KEEP, candidates.DISCARD) and judged.value is not None
    decided = Decided(
        run_id=manifest.run_id,
        outcome=SUCCESS if measured else FAILED,
        verdict=judged.verdict,
        accepted=judged.verdict == candidates.KEEP,
        candidate_value=judged.value if measured else None,
        previous_best_value=best.value if best and not is_baseline else None,
        reference_source=_source(grounds.loop, is_baseline=is_baseline),
        metric=manifest.metric,
        metric_direction=manifest.metric_direction,
        changed_files=at.harvested.paths,
        reason=judged.why,
        note=at.note,
        candidate=one,
        metrics={name: number for name, number in judged.metrics.items() if name != manifest.metric},
        remarks=tuple(dict.fromkeys((*at.remarks, *judged.remarks))),
        signals=judged.signals,
        wall_s=round(at.steps.elapsed_s, 6),
        cost=at.cost + judged.cost,
        usage=at.steps.usage(),
    )
    blind = (candidates.HOLDOUT_FAILED,) if at.holdout is not None and at.holdout.value is None else ()
    return msgspec.structs.replace(decided, signals=(*judged.signals, *blind, *_alarms(grounds, decided)))


def _record(at: Attempt, judged: Judged, commit: str) -> Candidate:
    grounds, found, ruling = at.grounds, at.harvested, judged.ruling
    evaluator = at.bench.evaluator
    base, best = grounds.loop.base, grounds.loop.best
    sample = (*grounds.loop.sample, *(() if judged.value is None else (judged.value,)))
    is_kept = judged.verdict == candidates.KEEP
    return Candidate(
        kind=at.start.kind,
        parent=at.start.parent.run_id if at.start.parent else "",
        base=found.base,
        commit=commit or found.commit,
        diff=found.diff,
        idea=at.idea.key if at.idea else "",
        added=found.added,
        removed=found.removed,
        files=len(found.paths),
        values=judged.measured.values,
        against=judged.measured.against,
        gain=ruling.gain if ruling else None,
        p=ruling.p if ruling else None,
        alpha=ruling.alpha if ruling else 0.0,
        rule=ruling.rule if ruling else "",
        why=judged.why[:_WHY_CHARS],
        confidence=verdict.confidence(
            judged.value if is_kept else (best.value if best else None), base.value if base else None, sample
        ),
        crash=judged.crash,
        guard=at.steps.guard,
        evaluator=evaluator.digest if evaluator else "",
        commands=grounds.commands,
        holdout=_held(at, judged),
        tokens=at.tokens,
        memory_mb=judged.memory_mb,
    )


def _held(at: Attempt, judged: Judged) -> float | None:
    """The hidden measurement, where one is due: at the baseline, and at every so many kept changes."""
    grounds, spec = at.grounds, at.grounds.spec
    is_baseline = at.start.kind == candidates.BASELINE
    due = is_baseline or (grounds.loop.kept + 1) % spec.holdout_every == 0
    if not spec.holdout_command or judged.verdict != candidates.KEEP or not due:
        return None
    if at.holdout is None:
        at.holdout = measuring.hidden(grounds, at.steps, at.harvested.commit)
        if at.holdout.value is None:
            at.remarks.append(f"the hidden measurement failed: {at.holdout.problem}")
    return at.holdout.value


def _source(known_: Loop, *, is_baseline: bool) -> str:
    if known_.best is None or is_baseline:
        return NO_REFERENCE
    return BASELINE if known_.base is not None and known_.best.run_id == known_.base.run_id else BEST


def _alarms(grounds: Grounds, decided: Decided) -> tuple[str, ...]:
    """What this run adds to what a person should look at. It stands in the run, where `escalate_when` looks."""
    run = msgspec.structs.replace(
        grounds.manifest,
        status=decided.outcome,
        value=decided.candidate_value,
        verdict=decided.verdict,
        candidate=decided.candidate,
    ).run()
    before = loop.alarms(grounds.loop)
    return tuple(each for each in loop.alarms(loop.fold(grounds.loop, run, decided.candidate)) if each not in before)
