"""The steps of a candidate: one program after the other, each in its budget, each with a folder of logs of its own.

What a step may write to is its tree and its folder, where the kernel can see to that. It is not shown where its run's
bundle lies as a whole: LAB_RUN_DIR is the folder of the step.
"""

from __future__ import annotations

import os
import re
import time
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec

from lab.core import crash, layout
from lab.core.errors import LabError
from lab.core.launch import CANCELLED, INTERRUPTED, LIMIT, MEMORY, SUPERSEDED, TIMEOUT, Exit, Fence
from lab.core.manifest import Usage
from lab.core.world import stamp
from lab.executors import environment, fence, outcome
from lab.executors.command import Command
from lab.scheduler import launching, passing, places

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lab.core.launch import Stop
    from lab.core.spec import Spec
    from lab.core.view import View
    from lab.scheduler.cycle import Running
    from lab.store.root import Root

SETUP, BASELINE, MUTATION, CHECKS, VALIDATION, HOLDOUT = (
    "setup", "baseline", "mutation", "checks", "validation", "holdout",
)  # fmt: skip
_SCRATCH = "scratch/tmp"
_DIGESTS = "digests"
_TAIL_BYTES, _TAIL_LINES = 16_384, 200
_MEASURING = frozenset({BASELINE, VALIDATION, HOLDOUT})
_MOST_LOG_MB = 1.0  # of what measures nothing: an agent that prints all it reads would fill bundles for weeks
_LETTING_GO = frozenset({CANCELLED, INTERRUPTED, LIMIT, SUPERSEDED})


class Stopped(Exception):
    """Somebody ended the run, or its lease was lost: nothing is judged any more."""

    def __init__(self, exit_: Exit) -> None:
        super().__init__(exit_.stopped)
        self.exit = exit_


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One program that has ended. `problem` is why it did not end well, in words; empty when it did."""

    label: str
    folder: str
    exit: Exit
    problem: str = ""

    @property
    def tail(self) -> str:
        """The end of what it printed, errors last."""
        logs = (f"{self.folder}/{name}" for name in (layout.STDOUT, layout.STDERR))
        return "\n".join(line for log in logs for line in outcome.tail(log, _TAIL_BYTES, _TAIL_LINES))


class Steps:
    """Starts the programs of one run, and adds up what they took."""

    def __init__(
        self,
        root: Root,
        running: Running,
        view: View,
        spec: Spec,
        *,
        path: str,
        interrupted: Callable[[], str],
        hidden: tuple[str, ...] = (),
    ) -> None:
        """`spec` is the one whose commands are meant; `path` is where the run writes.

        `hidden` is for no step but the hidden measurement, where bwrap can see to that.
        """
        self.hidden = hidden
        self.wall_s = 0.0
        self.cpu_s = 0.0
        self.peak_memory_mb: float | None = None
        self._fences: tuple[str, ...] = ()
        self.confined = ""
        self._root = root
        self._running = running
        self._view = view
        self._spec = spec
        self._path = path
        self._watch = launching.Watch(root, running.lease, interrupted)
        self._word: Stop | None = None
        self._count = 0
        self._begun_s = time.monotonic()
        passing.sweep(root, root.layout.place(_SCRATCH))

    @property
    def guard(self) -> str:
        """Every fence that a step stood in, once; what holds where there was none."""
        return "; ".join(self._fences) or _DIGESTS

    @property
    def secrets(self) -> tuple[str, ...]:
        """The values that may be in nothing that is kept."""
        return environment.kept_secret(self._spec, self._root.world.environ)

    @property
    def elapsed_s(self) -> float:
        """Since the candidate began, what the lab itself took included."""
        return time.monotonic() - self._begun_s

    def is_over(self) -> bool:
        """Whether the run is not to go on. Keeps the lease alive on the way: for work that is no step, an agent's."""
        self._word = self._word or self._watch()
        return self._word is not None

    def let_go(self) -> None:
        """`Stopped` when `is_over` was so."""
        if self._word is not None:
            raise Stopped(Exit(stopped=self._word.how, why=self._word.why))

    def folder(self, label: str) -> str:
        """The folder of the next step."""
        self._count += 1
        return f"{self._path}/{layout.ARTIFACTS}/{layout.LOOP_STEPS}/{self._count:02d}-{label}"

    def run(
        self,
        label: str,
        command: str,
        tree: str,
        *,
        more: Mapping[str, str] | None = None,
        frozen: tuple[str, ...] = (),
        free: bool = False,
    ) -> Step:
        """Run one command in a tree. `free` for what judges its own work and needs to write elsewhere: an agent's.

        `Stopped` when the run is not to go on. A command that cannot be started is a step that did not end well.
        """
        folder = self.folder(label)
        workspace = places.workspace(self._root, self._spec, self._view)
        command = command if free else in_tree(command, workspace, tree)
        # Not in the bundle, whose path is long: the name of a socket has room for a hundred bytes.
        spare = passing.fresh(self._root.layout.place(_SCRATCH))
        for each in (f"{folder}/{layout.ARTIFACTS}", spare):
            self._root.files.folder(each)
        spec = self._spec_of(label, command)
        hidden = () if label == HOLDOUT else self.hidden
        confined = Fence(
            writable=(tree, folder, spare, *self._writable()),
            frozen=(*frozen, *_needed(command, hidden)),
            hidden=hidden,
            level="none" if free else "auto",
        )
        told = {
            **fence.environment(spare),
            "LAB_STEP": label,
            "LAB_EFFECTIVE_WORKSPACE_ROOT": tree,
            "LAB_ORIGINAL_WORKSPACE_ROOT": workspace,
            "LAB_RUN_ARTIFACTS_DIR": f"{folder}/{layout.ARTIFACTS}",
            "LAB_ASI_PATH": f"{folder}/asi.json",
            "LAB_DEADLINE": stamp(self._root.world.now() + timedelta(seconds=spec.time_budget_s)),
            "PYTHONPATH": tree,
            **(more or {}),
        }
        try:
            launch = launching.launch(
                self._root, self._running, spec, self._view, path=folder, workspace=tree, more=told
            )
            program = Command().prepare(launch)
        except LabError as refusal:
            self._root.files.discard_folder(spare)
            return _not_started(label, folder, refusal)
        program = msgspec.structs.replace(program, cwd=tree, fence=confined)
        how = launching.supervised(
            self._root.files, self._root.world, program, spec,
            path=folder, run_id=self._running.manifest.run_id, watch=self._watch,
        )  # fmt: skip
        self._root.files.discard_folder(spare)
        self._add(how)
        if how.stopped in _LETTING_GO:
            raise Stopped(how)
        return _ended(Step(label=label, folder=folder, exit=how, problem=_problem(label, how, spec.time_budget_s)))

    def usage(self) -> Usage:
        """What the steps used, all together."""
        return Usage(cpu_s=round(self.cpu_s, 6), peak_memory_mb=self.peak_memory_mb, confined=self.confined)

    def _spec_of(self, label: str, command: str) -> Spec:
        most_mb = self._spec.output_limit_mb
        if label not in _MEASURING:
            most_mb = min(most_mb, _MOST_LOG_MB)
        return msgspec.structs.replace(self._spec, executor_command=command, output_limit_mb=most_mb)

    def _writable(self) -> list[str]:
        """The folders that a SPEC names. One that went away since the run began can hold nothing, and ends no run."""
        return [path for path in map(os.path.expanduser, self._spec.writable_paths) if os.path.exists(path)]

    def _add(self, how: Exit) -> None:
        self.wall_s += how.wall_s
        self.cpu_s += how.usage.cpu_s or 0.0
        peaks = [peak for peak in (self.peak_memory_mb, how.usage.peak_memory_mb) if peak is not None]
        self.peak_memory_mb = max(peaks, default=None)
        if how.fenced and how.fenced not in self._fences:
            self._fences = (*self._fences, how.fenced)
        self.confined = how.usage.confined or self.confined


def in_tree(command: str, workspace: str, tree: str) -> str:
    """The command with what it names in the workspace by an absolute path named in the tree, where that has it too.

    An evaluator that is named so reads the files beside itself: it would measure the code that nobody changed. What no
    commit holds, such as an environment or data, stays where it is.
    """
    for place in dict.fromkeys(filter(None, (workspace, os.path.realpath(workspace)))):
        whole = re.compile(rf"(?<![\w.~/-]){re.escape(place)}(/[^\s'\"`;|&()<>:,]*)?(?![\w.-])")
        command = whole.sub(
            lambda found: f"{tree}{found[1] or ''}" if os.path.lexists(f"{tree}{found[1] or ''}") else found[0], command
        )
    return command


def _needed(command: str, hidden: tuple[str, ...]) -> tuple[str, ...]:
    """What a command names below a hidden folder, such as a proposer that was put beside its SPEC."""
    below = tuple(f"{path}/" for path in hidden)
    return tuple(word for word in command.split() if word.startswith(below) and word not in hidden) if hidden else ()


def _not_started(label: str, folder: str, refusal: LabError) -> Step:
    """A step whose program was refused, in the words of the field that its command is from."""
    said = f"{refusal.what}{f'; {refusal.fix}' if refusal.fix else ''}"
    problem = f"{label} could not be started: {said.replace('executor_command', f'{label}_command')}"
    return Step(label=label, folder=folder, exit=Exit(started=False, problem=problem), problem=problem)


def _ended(step: Step) -> Step:
    """With what its program said of the end: a number says nothing to whoever is to mend it.

    Not of the hidden measurement: the reason of a run is read by whoever makes the next change.
    """
    said = crash.what(step.tail) if step.exit.code and step.problem and step.label != HOLDOUT else ""
    return msgspec.structs.replace(step, problem=f"{step.problem}: {said}") if said else step


def _problem(label: str, how: Exit, budget_s: float) -> str:
    if how.stopped == TIMEOUT:
        return f"{label} was still running when its budget of {budget_s:g} s was used up"
    if how.stopped == MEMORY:
        return f"{label} used more memory than memory_limit_mb allows"
    if how.stopped:
        return f"{label} was ended: {how.stopped}{f', {how.why}' if how.why else ''}"
    if not how.started:
        return f"{label} could not be started: {how.problem or 'nothing says why'}"
    if how.signal:
        return f"{label} was killed by signal {how.signal}"
    if how.code is None:
        return f"{label}: {how.problem or 'nobody saw how it ended'}"
    return f"{label} ended with exit code {how.code}" if how.code else ""
