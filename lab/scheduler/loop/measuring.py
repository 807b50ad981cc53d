"""Trees in which code is measured, and what the measurements say.

A tree is exactly one commit, made afresh. What it becomes while it is measured is its own doing: a file that measures
and is not what it was makes every number from there on worthless, and is told.
"""

from __future__ import annotations

import os
from collections.abc import Mapping  # msgspec resolves the annotations below
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from lab.core import crash, layout
from lab.executors import metrics
from lab.scheduler import boxed
from lab.scheduler.loop import leavings, steps
from lab.scheduler.loop.evaluator import Evaluator
from lab.scheduler.loop.steps import Step
from lab.store import reading

if TYPE_CHECKING:
    from lab.scheduler.loop.grounds import Grounds
    from lab.scheduler.loop.steps import Steps

HALVED = {"LAB_DEVICE_BATCH_DIVISOR": str(crash.DIVISOR), "LAB_GRAD_ACCUM_FACTOR": str(crash.DIVISOR)}

BESIDE = "beside"  # the tree of what is to be beaten, where each candidate has one of its own


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """One measurement, or why there is none. `tampered` names files that measure and were changed."""

    value: float | None = None
    problem: str = ""
    tampered: tuple[str, ...] = ()
    metrics: Mapping[str, float] = {}
    remarks: tuple[str, ...] = ()
    cost: float = 0.0
    signals: tuple[str, ...] = ()
    memory_mb: float | None = None
    step: Step | None = None


class Bench:
    """One tree that is measured. Made when it is first needed."""

    def __init__(self, grounds: Grounds, running: Steps, commit: str, place: str) -> None:
        self.commit = commit
        self.place = place
        self.evaluator: Evaluator | None = None
        self._grounds = grounds
        self._steps = running
        self._more: dict[str, str] = {}
        self._settled: Mapping[str, leavings.Stamp] = {}
        self._is_whole = False
        self._is_used = False  # a step ran in it since

    @property
    def tree(self) -> str:
        """Where the workspace lies in it."""
        return self._grounds.repo.inside(self.place)

    def make(self, *, whole: bool = False) -> Reading | None:
        """The tree and its setup. A reading only when that failed. Only the hidden measurement's is `whole`."""
        repo, spec = self._grounds.repo, self._grounds.spec
        self._is_whole = whole
        discard(self._grounds, self.place)
        repo.plain_tree(self.commit, self.place)
        for path in () if whole else self._grounds.hidden:
            with suppress(OSError):
                self._grounds.root.files.discard(f"{self.tree}/{path}")
        self.evaluator = Evaluator(self.tree, spec)
        failed = self._failed(self._run(steps.SETUP, spec.setup_command)) if spec.setup_command else None
        self.settle()
        return failed

    def settle(self) -> None:
        """What is here now is what each step is to find."""
        self._settled, self._is_used = leavings.seen(self.place), False

    def tidy(self) -> Reading | None:
        """Let the next step find what the first one found. A reading only when it cannot be made so again."""
        if not self._is_used or leavings.swept(self._grounds.root.files, self.place, self._settled):
            self._is_used = False
            return None
        return self.make(whole=self._is_whole)

    def check(self) -> Reading | None:
        """The checks. A reading only when they failed."""
        command = self._grounds.spec.checks_command
        return (self.tidy() or self._failed(self._run(steps.CHECKS, command))) if command else None

    def halve(self) -> None:
        """From here on the programs are told to use half the device batch at the same total batch."""
        self._more.update(HALVED)

    def measure(self, label: str = steps.VALIDATION) -> Reading:
        """Measure once."""
        failed = self.tidy()
        if failed is not None:
            return failed
        spec = self._grounds.spec
        own = {steps.BASELINE: spec.baseline_command, steps.HOLDOUT: spec.holdout_command}
        command = own.get(label) or spec.validation_command
        before = boxed.seen(f"{self.tree}/{layout.METRICS}")
        step = self._run(label, command)
        if before != boxed.seen(f"{self.tree}/{layout.METRICS}"):
            boxed.collect(self._grounds.root.files, self.tree, step.folder)
        return self._failed(step) or self._read(step)

    def _run(self, label: str, command: str) -> Step:
        frozen = self.evaluator.paths() if self.evaluator else ()
        self._is_used = True
        return self._steps.run(label, command, self.tree, more=self._more, frozen=frozen)

    def _failed(self, step: Step) -> Reading | None:
        changed = self.evaluator.changed() if self.evaluator else ()
        if changed:
            problem = f"{', '.join(changed[:3])} measures, and was changed while {step.label} ran"
            return Reading(problem=problem, tampered=changed, step=step)
        return Reading(problem=step.problem, step=step) if step.problem else None

    def _read(self, step: Step) -> Reading:
        found = metrics.read(step.folder, self._grounds.spec.metric)
        return Reading(
            value=found.value,
            problem=found.problem,
            metrics=found.metrics,
            remarks=found.remarks,
            cost=found.cost,
            signals=found.signals,
            memory_mb=step.exit.usage.gpu_peak_memory_mb or step.exit.usage.peak_memory_mb,
            step=step,
        )


class Standing:
    """The tree of what is to be beaten. Kept between candidates, where only one runs at a time."""

    def __init__(self, grounds: Grounds, running: Steps, commit: str) -> None:
        shared = grounds.spec.max_parallel > 1
        place = grounds.place(BESIDE) if shared else grounds.standing(commit)
        self._bench = Bench(grounds, running, commit, place)
        self._grounds = grounds
        self._is_ready = False

    def measure(self) -> Reading:
        """Measure it. The first time in a tree that was just made does not count: the other one is warm by then."""
        if not self._is_ready:
            failed = self._ready()
            if failed is not None:
                return failed
            self._is_ready = True
        return self._bench.measure()

    def _ready(self) -> Reading | None:
        bench, grounds = self._bench, self._grounds
        mark = f"{bench.place}.ready"
        is_there = os.path.isfile(mark) and os.path.isdir(bench.place)
        is_there = is_there and grounds.repo.is_tree(bench.place)
        if is_there and not grounds.repo.strayed(bench.place, bench.commit, without=grounds.hidden):
            bench.evaluator = Evaluator(bench.tree, grounds.spec)
            bench.settle()
            return None
        failed = bench.make()
        if failed is None:
            warmed = bench.measure()
            failed = warmed if warmed.value is None else None
        if failed is None:
            grounds.root.files.replace(mark, b"")
        return failed


def discard(grounds: Grounds, place: str, *, is_spare: bool = True) -> None:
    """Remove a tree. What cannot be removed is left to whoever comes next."""
    files = grounds.root.files
    with suppress(OSError, RecursionError):
        files.discard(f"{place}.ready") if os.path.lexists(f"{place}.ready") else None
        if grounds.repo.is_tree(place):
            grounds.repo.remove_tree(place, is_spare=is_spare)
        elif os.path.lexists(place):  # it came with a lab that was moved or copied, and lies among our trees
            files.discard_folder(place) if reading.is_folder(place) else files.discard(place)


def stand(grounds: Grounds, bench: Bench, commit: str, before: str) -> None:
    """Let a measured tree be the one that later candidates are measured beside, in the place of the one before."""
    if bench.tidy() is not None:
        return
    discard(grounds, grounds.standing(before))
    place = grounds.standing(commit)
    discard(grounds, place)
    grounds.repo.move_tree(bench.place, place, commit)
    grounds.root.files.replace(f"{place}.ready", b"")


def hidden(grounds: Grounds, running: Steps, commit: str) -> Reading:
    """The hidden measurement, in a tree of its own that has what the others were made without."""
    bench = Bench(grounds, running, commit, grounds.place("hidden"))
    try:
        return bench.make(whole=True) or bench.measure(steps.HOLDOUT)
    finally:
        discard(grounds, bench.place, is_spare=False)  # kept, it would show what is hidden to whoever changes next
