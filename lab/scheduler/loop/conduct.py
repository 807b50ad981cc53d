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
from lab.core import crash, frontier, loop
from lab.core.asi import Asi
from lab.core.ended import Ended
from lab.core.errors import BadInput
from lab.core.frontier import Start
from lab.executors import outcome, reference
from lab.scheduler.loop import (
    brief,
    combining,
    deciding,
    harvested,
    ideas,
    judging,
    keeping,
    known,
    measuring,
    overtaken,
    renewing,
    steps,
)  # fmt: skip
from lab.scheduler.loop.attempt import Attempt
from lab.scheduler.loop.brief import Crashed
from lab.scheduler.loop.grounds import Grounds
from lab.scheduler.loop.harvested import Harvested
from lab.scheduler.loop.judging import Judged
from lab.scheduler.loop.keeping import Overtaken
from lab.scheduler.loop.measuring import Bench, Reading, Standing
from lab.scheduler.loop.proposing import Proposed, Proposer
from lab.scheduler.loop.steps import Steps, Stopped
from lab.scheduler.loop.sweeping import sweep

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.core.decided import Decided, Handed
    from lab.core.loop import Node
    from lab.core.view import View
    from lab.scheduler.cycle import Running
    from lab.store.root import Root

# Starts that take the next idea on the list. With any other it would count as tried: a repair has its idea already,
# and whoever hands in a change had one of their own.
_FREE = frozenset({candidates.IMPROVE, candidates.DRAFT})

_OVERTAKEN = 5  # times that a candidate is compared with another best, before it is given up


def carry_out(root: Root, running: Running, view: View, *, interrupted: Callable[[], str], path: str) -> Ended:
    """Conduct one candidate, and leave what was decided in `path`. `LabError` when it could not even begin."""
    grounds = Grounds(root, running, view, path=path)
    taken = Steps(
        root, running, view, grounds.spec, path=path, interrupted=interrupted, hidden=grounds.secluded
    )  # fmt: skip
    sweep(grounds)
    remarks = keeping.caught_up(grounds)
    start = _start(grounds, running.handed)
    bench = Bench(grounds, taken, "", grounds.place("candidate"))
    at = Attempt(root=root, grounds=grounds, steps=taken, start=start, bench=bench, remarks=[*remarks])
    return _Candidate(at, running).over()


def _start(grounds: Grounds, handed: Handed | None) -> Start:
    rng = Random(f"{grounds.spec.seed}:{grounds.experiment}:{grounds.manifest.iteration}")  # no secret
    start = frontier.choose(grounds.loop, rng)
    if handed is None or start.kind == candidates.BASELINE:
        return renewing.or_baseline(grounds, start)
    parent = loop.node_of(grounds.loop, handed.parent, handed.base) if handed.base else None
    return Start(kind=candidates.TRY, parent=parent or grounds.loop.best)


class _Candidate:
    """One candidate on its way."""

    def __init__(self, at: Attempt, running: Running) -> None:
        self._at = at
        self._running = running
        self._handed = running.handed
        self._changing = at.grounds.place("change")
        self._ours: tuple[str, ...] = ()  # what the lab itself put into the tree of the change
        self._answered: set[str] = set()  # kinds of crashes that something was done about

    def over(self) -> Ended:
        """All of it."""
        at = self._at
        try:
            judged = self._baseline() if at.start.kind == candidates.BASELINE else self._changed()
            return reference.as_ended(self._decided(judged))
        except Stopped as stopped:
            how, why = outcome.trouble(self._running.manifest, stopped.exit)
            return Ended(outcome=how, reason=why, wall_s=at.steps.wall_s, usage=at.steps.usage())
        finally:
            beside = at.grounds.place(
                measuring.BESIDE
            )  # of its own, where another candidate may keep something meanwhile
            for place in (at.bench.place, beside, *(() if self._handed else (self._changing,))):
                measuring.discard(at.grounds, place)

    def _decided(self, judged: Judged) -> Decided:
        """What is decided. Whoever was overtaken by another candidate is compared with that one first."""
        at = self._at
        for _ in range(_OVERTAKEN):
            try:
                return deciding.decide(at, self._running, judged, is_last=False)
            except Overtaken:
                known_ = overtaken.known(at.grounds)
                if known_ is None or known_.best is None:
                    break
                at.grounds.loop = known_
                at.remarks.append(f"{known_.best.run_id} was kept meanwhile, and it was compared with that one")
                judged = self._compared(judged)
        return deciding.decide(at, self._running, judged)

    def _compared(self, judged: Judged) -> Judged:
        """The same change against what is the best now. What it was selected by stays; its pairs are new ones."""
        first = Reading(value=judged.measured.values[0], metrics=judged.metrics, cost=judged.cost,
                        signals=judged.signals, memory_mb=judged.memory_mb)  # fmt: skip
        return self._judged(first)

    def _baseline(self) -> Judged:
        """Measure the code as it is. Its verdict is keep: it is what there is."""
        grounds, bench = self._at.grounds, self._at.bench
        if self._handed is not None:
            raise BadInput(
                "there is no baseline yet to compare a change with", fix=f"labctl burst {grounds.experiment} -n 1"
            )
        bench.commit, self._at.note = renewing.as_it_is(grounds)
        self._at.remarks += grounds.remarks(bench.commit)
        keeping.begun(grounds, bench.commit)
        judged = judging.baseline(grounds.terms, bench, steps.BASELINE)
        self._at.harvested = Harvested(base=bench.commit, commit=bench.commit)
        return self._with_hidden(judged)

    def _with_hidden(self, judged: Judged) -> Judged:
        """The baseline with its hidden measurement: one that fails here would fail at every milestone, unseen."""
        at = self._at
        if judged.verdict != candidates.KEEP or not at.grounds.spec.holdout_command:
            return judged
        at.holdout = measuring.hidden(at.grounds, at.steps, at.bench.commit)
        if at.holdout.value is not None:
            return judged
        why = f"the hidden measurement failed: {at.holdout.problem}"
        return Judged(verdict=candidates.CRASHED, why=why, measured=judged.measured, crash=crash.OTHER)

    def _changed(self) -> Judged:
        """Get a change made, and measure it."""
        at, parent = self._at, self._parent()
        if at.start.kind in _FREE:
            at.idea = ideas.following(ideas.listed(at.root, at.grounds.spec, at.grounds.workspace))
        proposer = Proposer(at.grounds, at.steps, at.start, at.idea)
        proposed = self._made(parent, proposer)
        refusal = self._taken(proposed, parent)
        return refusal or self._measured(parent, proposer)

    def _parent(self) -> Node:
        """The node whose commit it begins at: near misses are combined on top of the best."""
        parent = self._at.start.parent if self._at.start.other is None else self._at.grounds.loop.best
        if parent is None:
            raise BadInput("there is nothing to begin at", fix=f"labctl burst {self._at.grounds.experiment} -n 1")
        return parent

    def _made(self, parent: Node, proposer: Proposer) -> Proposed:
        """The change in a tree of its own."""
        grounds, repo = self._at.grounds, self._at.grounds.repo
        self._ours = brief.documents(grounds.workspace)
        if self._handed is not None:
            self._changing = self._handed.tree
            return Proposed(notes=self._handed.notes)
        measuring.discard(grounds, self._changing)
        union, one, other = "", self._at.start.parent, self._at.start.other
        if one is not None and other is not None:
            union = combining.union(grounds, parent, one, other)
        repo.mutation_tree(union or parent.commit, self._changing)
        tree = repo.inside(self._changing)
        for name in grounds.hidden:
            with suppress(OSError):
                self._at.root.files.discard(f"{tree}/{name}")
        if union and one is not None and other is not None:
            return Proposed(notes=Asi(change=combining.told(one, other)))
        if self._ours:
            brief.put_document(self._at.root, grounds.spec, grounds.view, grounds.workspace, tree)
        if grounds.spec.setup_command:
            step = self._at.steps.run(steps.SETUP, grounds.spec.setup_command, tree)
            if step.problem:
                return Proposed(problem=step.problem)
        return proposer(tree)

    def _taken(self, proposed: Proposed, parent: Node) -> Judged | None:
        """The change as a commit. A verdict where it need not be measured."""
        grounds = self._at.grounds
        self._hear(proposed)
        if proposed.problem:
            verdict_ = candidates.CHECKS_FAILED if proposed.tampered else candidates.CRASHED
            return Judged(verdict=verdict_, why=proposed.problem, crash="" if proposed.tampered else crash.OTHER)
        base = self._handed.base if self._handed is not None and self._handed.base else parent.commit
        secrets = self._at.steps.secrets
        without = (*grounds.hidden, *self._ours)
        found = harvested.harvest(grounds, self._changing, base, self._at.note, secrets=secrets, without=without)
        self._at.harvested = found
        unkept = harvested.keep_files(grounds, found)
        if found.empty:
            return Judged(verdict=candidates.DISCARD, why="nothing was changed")
        if found.refused or unkept:
            return Judged(verdict=candidates.CHECKS_FAILED, why=found.refused or unkept)
        if found.seed_only:
            return Judged(verdict=candidates.DISCARD, why="only seeds were changed, and luck is not kept")
        same = known.find(
            self._at.root, grounds.experiment, found.diff,
            tier=grounds.manifest.fidelity_tier, evaluator=grounds.loop.evaluator,
        )  # fmt: skip
        if same:
            return Judged(verdict=candidates.DISCARD, why=f"the same change was tried in {same}")
        if found.cosmetic:
            self._at.remarks.append(f"only {found.cosmetic} was changed")
        tree = renewing.measured_alike(grounds, found.commit) if self._handed is not None else ""
        if tree:
            self._at.harvested = harvested.with_tree(grounds, found, tree, self._at.note)
        return None

    def _hear(self, proposed: Proposed) -> None:
        secrets = self._at.steps.secrets
        self._at.notes = notes.redacted(proposed.notes, secrets)
        described = notes.redacted(Asi(change=self._handed.description), secrets).change if self._handed else ""
        self._at.note = self._at.note or described or self._at.notes.note
        self._at.note = self._at.note or (self._at.idea.text if self._at.idea else "")
        self._at.remarks += proposed.remarks
        self._at.tokens += proposed.tokens
        self._at.cost += proposed.cost

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
                    self._at.remarks.append("it ran out of memory and was measured again with half the device batch")
                    self._at.bench.halve()
                case crash.Repair() if self._handed is None:
                    crashed = Crashed(kind=judged.crash, what=judged.what, tail=judged.tail, repair=True)
                    again = proposer(self._at.grounds.repo.inside(self._changing), crashed)
                    refusal = self._taken(again, parent)
                    if refusal is not None:
                        return msgspec.structs.replace(judged, why=f"{judged.why}; its repair: {refusal.why}")
                    self._at.remarks.append(f"it was repaired once: {judged.what}")
                case _:
                    return judged

    def _measured_once(self) -> Judged:
        bench = self._at.bench
        bench.commit = self._at.harvested.commit
        failed = bench.make() or bench.check()
        first = failed or bench.measure()
        return self._judged(first)

    def _judged(self, first: Reading) -> Judged:
        """What follows from a first measurement."""
        grounds, bench, best = self._at.grounds, self._at.bench, self._at.grounds.best
        standing = Standing(grounds, self._at.steps, best.commit)
        lines = self._at.harvested.added - self._at.harvested.removed + (self._parent().lines - best.lines)
        return judging.candidate(grounds.terms, grounds.loop, bench, standing, lines, first)
