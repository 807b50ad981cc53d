"""One candidate, from the commit that it begins at to what is decided of it. docs/decisions/0029-the-code-loop.md.

start -> a tree to change -> the change -> a commit -> a tree to measure -> measurements -> a decision -> refs
"""

from __future__ import annotations

from contextlib import suppress
from random import Random
from typing import TYPE_CHECKING

import msgspec

from lab.core import asi as notes
from lab.core import candidate as candidates
from lab.core import crash, frontier, layout, loop, verdict
from lab.core.asi import Asi
from lab.core.candidate import Candidate
from lab.core.decided import BASELINE, BEST, NO_REFERENCE, Decided
from lab.core.ended import Ended
from lab.core.errors import BadInput
from lab.core.frontier import Start
from lab.core.launch import Exit
from lab.core.record import page
from lab.core.run import FAILED, SUCCESS
from lab.executors import outcome, reference
from lab.scheduler.loop import asi, brief, combining, harvested, ideas, judging, keeping, known, measuring, steps
from lab.scheduler.loop.brief import Crashed
from lab.scheduler.loop.grounds import Grounds
from lab.scheduler.loop.harvested import Harvested
from lab.scheduler.loop.judging import Judged
from lab.scheduler.loop.measuring import Bench, Reading, Standing
from lab.scheduler.loop.proposing import Proposed, Proposer
from lab.scheduler.loop.renewing import as_it_is, or_baseline
from lab.scheduler.loop.steps import Steps, Stopped
from lab.scheduler.loop.sweeping import sweep
from lab.store import reading

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.core.loop import Loop, Node
    from lab.core.view import View
    from lab.scheduler.cycle import Running
    from lab.scheduler.loop.ideas import Idea
    from lab.store.root import Root

_WHY_CHARS = 300
_DIGESTS = "digests"
# Starts that take the next idea on the list. With any other it would count as tried: a repair has its idea already,
# and whoever hands in a change had one of their own.
_FREE = frozenset({candidates.IMPROVE, candidates.DRAFT})


def carry_out(root: Root, running: Running, view: View, *, interrupted: Callable[[], str], path: str) -> Ended:
    """Conduct one candidate, and leave what was decided in `path`. `LabError` when it could not even begin."""
    return _Candidate(root, running, view, path, interrupted).over()


class _Candidate:
    """What is known of one candidate while it is under way."""

    def __init__(self, root: Root, running: Running, view: View, path: str, interrupted: Callable[[], str]) -> None:
        self._root = root
        self._running = running
        self._grounds = Grounds(root, running, view, path=path)
        self._handed = running.handed
        self._steps = Steps(root, running, view, self._grounds.spec, path=path, interrupted=interrupted)
        self._notes = Asi()
        self._note = ""
        self._remarks: list[str] = []
        self._tokens = 0
        self._cost = 0.0
        self._idea: Idea | None = None
        self._harvested = Harvested(base="")
        self._ours: tuple[str, ...] = ()  # what the lab itself put into the tree of the change
        self._holdout: Reading | None = None
        self._answered: set[str] = set()  # kinds of crashes that something was done about

    def over(self) -> Ended:
        """All of it."""
        grounds = self._grounds
        sweep(grounds)
        self._remarks += keeping.caught_up(grounds)
        self._start = self._begin()
        self._bench = Bench(grounds, self._steps, "", grounds.place("candidate"))
        self._changing = grounds.place("change")
        try:
            decided = self._baseline() if self._start.kind == candidates.BASELINE else self._changed()
        except Stopped as stopped:
            how, why = outcome.trouble(self._running.manifest, stopped.exit)
            return Ended(outcome=how, reason=why, wall_s=self._steps.wall_s, usage=self._steps.usage())
        finally:
            for place in (self._bench.place, *(() if self._handed else (self._changing,))):
                measuring.discard(grounds, place)
        return reference.as_ended(decided)

    def _begin(self) -> Start:
        grounds = self._grounds
        rng = Random(f"{grounds.spec.seed}:{grounds.experiment}:{grounds.manifest.iteration}")  # no secret
        start = frontier.choose(grounds.loop, rng)
        if self._handed is None or start.kind == candidates.BASELINE:
            return or_baseline(grounds, start)
        parent = loop.node_of(grounds.loop, self._handed.parent, self._handed.base) if self._handed.base else None
        return Start(kind=candidates.TRY, parent=parent or grounds.loop.best)

    def _baseline(self) -> Decided:
        """Measure the code as it is. Its verdict is keep: it is what there is."""
        grounds, bench = self._grounds, self._bench
        if self._handed is not None:
            raise BadInput(
                "there is no baseline yet to compare a change with", fix=f"labctl burst {grounds.experiment} -n 1"
            )
        bench.commit, self._note = as_it_is(grounds)
        self._remarks += grounds.remarks(bench.commit)
        keeping.begun(grounds, bench.commit)
        judged = judging.baseline(grounds.terms, bench, steps.BASELINE)
        self._harvested = Harvested(base=bench.commit, commit=bench.commit)
        return self._decide(judged)

    def _changed(self) -> Decided:
        """Get a change made, and measure it."""
        parent = self._parent()
        if self._start.kind in _FREE:
            self._idea = ideas.following(ideas.listed(self._root, self._grounds.spec, self._grounds.workspace))
        proposer = Proposer(self._grounds, self._steps, self._start, self._idea)
        proposed = self._made(parent, proposer)
        refusal = self._taken(proposed, parent)
        if refusal is not None:
            return self._decide(refusal)
        return self._decide(self._measured(parent, proposer))

    def _parent(self) -> Node:
        """The node whose commit it begins at: near misses are combined on top of the best."""
        parent = self._start.parent if self._start.other is None else self._grounds.loop.best
        if parent is None:
            raise BadInput("there is nothing to begin at", fix=f"labctl burst {self._grounds.experiment} -n 1")
        return parent

    def _made(self, parent: Node, proposer: Proposer) -> Proposed:
        """The change in a tree of its own."""
        grounds, repo = self._grounds, self._grounds.repo
        if self._handed is not None:
            self._changing = self._handed.tree
            return Proposed(notes=self._handed.notes)
        measuring.discard(grounds, self._changing)
        union, one, other = "", self._start.parent, self._start.other
        if one is not None and other is not None:
            union = combining.union(grounds, parent, one, other)
        repo.mutation_tree(union or parent.commit, self._changing)
        tree = repo.inside(self._changing)
        for name in grounds.hidden:
            with suppress(OSError):
                self._root.files.discard(f"{tree}/{name}")
        if union and one is not None and other is not None:
            return Proposed(notes=Asi(change=combining.told(one, other)))
        self._document(tree)
        if grounds.spec.setup_command:
            step = self._steps.run(steps.SETUP, grounds.spec.setup_command, tree)
            if step.problem:
                return Proposed(problem=step.problem)
        return proposer(tree)

    def _document(self, tree: str) -> None:
        """The project's autoresearch.md with what is known by now, where it has one. It is no part of the change."""
        grounds = self._grounds
        if reading.is_file(f"{grounds.workspace}/{brief.DOCUMENT}"):
            page_ = brief.document(self._root, grounds.spec, grounds.view, grounds.workspace)
            with suppress(OSError):  # the code at this commit may have a folder there
                self._root.files.replace(f"{tree}/{brief.DOCUMENT}", page_)
                self._ours = (brief.DOCUMENT,)

    def _taken(self, proposed: Proposed, parent: Node) -> Judged | None:
        """The change as a commit. A verdict where it need not be measured."""
        grounds = self._grounds
        self._hear(proposed)
        if proposed.problem:
            verdict_ = candidates.CHECKS_FAILED if proposed.tampered else candidates.CRASHED
            return Judged(verdict=verdict_, why=proposed.problem, crash="" if proposed.tampered else crash.OTHER)
        base = self._handed.base if self._handed is not None and self._handed.base else parent.commit
        secrets = self._steps.secrets
        without = (*grounds.hidden, *self._ours)
        found = harvested.harvest(grounds, self._changing, base, self._note, secrets=secrets, without=without)
        self._harvested = found
        harvested.keep_files(grounds, found)
        if found.empty:
            return Judged(verdict=candidates.DISCARD, why="nothing was changed")
        if found.refused:
            return Judged(verdict=candidates.CHECKS_FAILED, why=found.refused)
        if found.seed_only:
            return Judged(verdict=candidates.DISCARD, why="only seeds were changed, and luck is not kept")
        same = known.find(
            self._root, grounds.experiment, found.diff,
            tier=grounds.manifest.fidelity_tier, evaluator=grounds.loop.evaluator,
        )  # fmt: skip
        if same:
            return Judged(verdict=candidates.DISCARD, why=f"the same change was tried in {same}")
        if found.cosmetic:
            self._remarks.append(f"only {found.cosmetic} was changed")
        return None

    def _hear(self, proposed: Proposed) -> None:
        self._notes = notes.redacted(proposed.notes, self._steps.secrets)
        self._note = self._note or (self._handed.description if self._handed else "") or proposed.notes.note
        self._note = self._note or (self._idea.text if self._idea else "")
        self._remarks += proposed.remarks
        self._tokens += proposed.tokens
        self._cost += proposed.cost

    def _measured(self, parent: Node, proposer: Proposer) -> Judged:
        """Measure; where it crashed for a reason that can be mended, mend it once and measure again."""
        while True:
            judged = self._measured_once()
            if not judged.crash:
                return judged
            answer = crash.answer(judged.crash, self._answered)
            self._answered.add(judged.crash)
            match answer:
                case crash.Halve():
                    self._remarks.append("it ran out of memory and was measured again with half the device batch")
                    self._bench.halve()
                case crash.Repair() if self._handed is None:
                    crashed = Crashed(kind=judged.crash, what=judged.what, tail=judged.tail, repair=True)
                    again = proposer(self._grounds.repo.inside(self._changing), crashed)
                    refusal = self._taken(again, parent)
                    if refusal is not None:
                        return msgspec.structs.replace(judged, why=f"{judged.why}; its repair: {refusal.why}")
                    self._remarks.append(f"it was repaired once: {judged.what}")
                case _:
                    return judged

    def _measured_once(self) -> Judged:
        grounds, bench = self._grounds, self._bench
        best = grounds.loop.best
        if best is None:
            message = "a candidate before its baseline"
            raise AssertionError(message)
        bench.commit = self._harvested.commit
        failed = bench.make() or bench.check()
        first = failed or bench.measure()
        standing = Standing(grounds, self._steps, best.commit)
        lines = self._harvested.added - self._harvested.removed + (self._parent().lines - best.lines)
        return judging.candidate(grounds.terms, grounds.loop, bench, standing, lines, first)

    def _decide(self, judged: Judged) -> Decided:
        """Write down what became of it, then let the rest follow. The decision is the run's last word."""
        grounds = self._grounds
        commit = ""
        if judged.verdict == candidates.KEEP and self._start.kind != candidates.BASELINE:
            commit = self._line(judged)
        decided = self._decided(judged, commit)
        files = self._root.files
        with self._root.section(grounds.experiment):
            self._running.lease.check()  # who was superseded meanwhile moves nothing
            if commit:
                try:
                    keeping.require_current(grounds, self._best())
                except keeping.Overtaken:
                    commit = ""
                    why = f"another candidate was kept meanwhile, and it was not compared with that one ({judged.why})"
                    judged = msgspec.structs.replace(judged, verdict=candidates.DISCARD, why=why)
                    decided = self._decided(judged, "")
            asi.keep(self._root, f"{grounds.path}/{layout.ARTIFACTS}", self._completed(judged))
            told = Exit(run_id=grounds.run_id, code=0, wall_s=decided.wall_s, usage=decided.usage)
            # Before the decision: without it, whoever settles a killed run would not look for one.
            files.replace(f"{grounds.path}/{layout.EXIT}", page(told), durable=True)
            files.replace(f"{grounds.path}/{reference.DECISION}", page(decided), durable=True)
            if decided.verdict != candidates.KEEP:
                return decided
            remarks = keeping.move(grounds, commit or self._harvested.commit)
            if commit and self._best().commit != self._harvested.base:  # it began elsewhere: what it adds to the best
                harvested.keep_files(grounds, msgspec.structs.replace(self._harvested, base=self._best().commit))
        self._stand(commit)
        return msgspec.structs.replace(decided, remarks=(*decided.remarks, *remarks))

    def _best(self) -> Node:
        best = self._grounds.loop.best
        if best is None:
            message = "a candidate before its baseline"
            raise AssertionError(message)
        return best

    def _line(self, judged: Judged) -> str:
        grounds = self._grounds
        commit = keeping.commit_of(grounds, self._harvested, self._best(), self._note, judged.value)
        grounds.repo.put(grounds.ref(grounds.run_id), commit)
        return commit

    def _stand(self, commit: str) -> None:
        """The tree of what was kept is the one that the next candidates are measured beside."""
        grounds = self._grounds
        if not commit or grounds.spec.max_parallel > 1:
            return
        with suppress(OSError):
            measuring.stand(grounds, self._bench, commit, self._best().commit)

    def _completed(self, judged: Judged) -> Asi:
        return notes.completed(
            self._notes,
            verdict=judged.verdict,
            why=judged.why,
            gain=judged.ruling.gain if judged.ruling else None,
            metric=self._grounds.spec.metric,
        )

    def _decided(self, judged: Judged, commit: str) -> Decided:
        grounds, manifest = self._grounds, self._grounds.manifest
        one = self._record(judged, commit)
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
            changed_files=self._harvested.paths,
            reason=judged.why,
            note=self._note,
            candidate=one,
            metrics={name: number for name, number in judged.metrics.items() if name != manifest.metric},
            remarks=tuple(dict.fromkeys((*self._remarks, *judged.remarks))),
            signals=judged.signals,
            wall_s=round(self._steps.elapsed_s, 6),
            cost=self._cost + judged.cost,
            usage=self._steps.usage(),
        )
        return msgspec.structs.replace(decided, signals=(*judged.signals, *_alarms(grounds, decided)))

    def _record(self, judged: Judged, commit: str) -> Candidate:
        grounds, found, ruling = self._grounds, self._harvested, judged.ruling
        evaluator = self._bench.evaluator
        base, best = grounds.loop.base, grounds.loop.best
        sample = (*grounds.loop.sample, *(() if judged.value is None else (judged.value,)))
        is_kept = judged.verdict == candidates.KEEP
        return Candidate(
            kind=self._start.kind,
            parent=self._start.parent.run_id if self._start.parent else "",
            base=found.base,
            commit=commit or found.commit,
            diff=found.diff,
            idea=self._idea.key if self._idea else "",
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
            guard=self._steps.fenced or _DIGESTS,
            evaluator=evaluator.digest if evaluator else "",
            commands=grounds.commands,
            holdout=self._held(judged),
            tokens=self._tokens,
            memory_mb=judged.memory_mb,
        )

    def _held(self, judged: Judged) -> float | None:
        """The hidden measurement, where one is due: at the baseline, and at every so many kept changes."""
        grounds, spec = self._grounds, self._grounds.spec
        is_baseline = self._start.kind == candidates.BASELINE
        due = is_baseline or (grounds.loop.kept + 1) % spec.holdout_every == 0
        if not spec.holdout_command or judged.verdict != candidates.KEEP or not due:
            return None
        if self._holdout is None:
            self._holdout = measuring.hidden(grounds, self._steps, self._harvested.commit)
            if self._holdout.value is None:
                self._remarks.append(f"the hidden measurement failed: {self._holdout.problem}")
        return self._holdout.value


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
