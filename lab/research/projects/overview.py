"""Where a project stands: each phase, what it left, why it is due again, and what to type. Reads, and writes nothing.

The same look that the scheduler takes before a run, told to people.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Literal

import msgspec

from lab.core import layout
from lab.core.errors import LabError
from lab.core.run import FAILURES
from lab.core.view import AWAITING, COMPLETED, PAUSED, Pursuit, Waiting
from lab.research import decision
from lab.research.decision import Decision
from lab.research.project import ITERATION, LITERATURE, PUBLISHING
from lab.research.projects import limits, opened
from lab.research.studies import bundled
from lab.research.walk import shelf
from lab.research.walk.pipeline import Due, Over, Ready
from lab.research.walk.sequel import Look
from lab.research.work import noted
from lab.research.work.out import Out
from lab.scheduler import briefed, refresh
from lab.scheduler.results import present
from lab.scheduler.search.burst import MOST_RUNS
from lab.store import bundles, experiments

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from lab.core.spec import Spec
    from lab.core.view import View
    from lab.research.declared import Phase
    from lab.research.walk.pipeline import Next
    from lab.research.work.inputs import Done
    from lab.store.root import Root

State = Literal["done", "due", "running", "failed", "waiting", "not yet", "unknown"]
DONE: State = "done"
DUE: State = "due"
RUNNING: State = "running"
FAILED: State = "failed"
WAITING: State = "waiting"
LATER: State = "not yet"
UNKNOWN: State = "unknown"
_HOUR_S = 3600.0


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """A phase. `run` is the newest that did it, of whatever round, or failed at it; `why` says why it is not done.

    Of a literature that is done it says what of the user's own sources was not read.
    """

    phase: str
    worker: str
    state: State
    run: str = ""
    round: int = 0
    idea: str = ""
    wall_s: float = 0.0
    gate: str = "none"
    why: str = ""


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """`standing` is the experiment's own phase. `release` is the hash that waits for a person, `sent` the one that was.

    `gate` is the phase that a person is asked about. `limit` would end it now, whoever opened it; its key in the SPEC.
    `problem`: why nobody can say what comes next.
    """

    experiment: str
    mode: str
    folder: str
    standing: str
    reason: str
    stages: tuple[Stage, ...]
    round: int = 1
    idea: str = ""
    decision: Decision | None = None
    gate: str = ""
    release: str = ""
    sent: str = ""
    said: str = ""
    waiting: tuple[Waiting, ...] = ()
    wall_s: float = 0.0
    budget_s: float | None = None
    runs: int = 0
    limit: str = ""
    limit_key: str = ""
    placeholder: str = ""  # said where the study is the one that comes with labctl, on made-up rows
    disowned: tuple[str, ...] = ()  # bundles of it that do not count, each with why
    problem: str = ""
    fix: str = ""
    next: tuple[str, ...] = ()


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """A project in a line. `phase` is the one that comes now; empty where none does, or where nobody can say."""

    experiment: str
    mode: str
    standing: str
    reason: str
    phase: str
    runs: int


class Projects(msgspec.Struct, frozen=True, kw_only=True):
    """Every project of the lab."""

    projects: tuple[Listed, ...]


def every(root: Root) -> Projects:
    """All of them. Its cost grows with the experiments of the lab: each SPEC is looked at."""
    found = []
    for name in experiments.names(root):
        loaded = experiments.load(root, name)
        if loaded.spec is None or not opened.is_project(loaded.spec):
            continue
        seen = of(root, name)
        comes = next((each.phase for each in seen.stages if each.state not in (DONE, LATER, UNKNOWN)), "")
        found.append(
            Listed(
                experiment=name, mode=seen.mode, standing=seen.standing, reason=seen.reason, phase=comes, runs=seen.runs
            )
        )  # fmt: skip
    return Projects(projects=tuple(found))


def of(root: Root, name: str, *, strict: bool = False) -> Overview:
    """A project as it is now. `BadInput` for an experiment that is none.

    `strict`: what keeps us from saying what comes next is raised, and not told.
    """
    spec = opened.spec(root, name)
    view = _view(root, name)
    out = _under_way(root, name)
    try:
        look = Look(root, view)
        comes = look.next()
    except LabError as wrong:
        if strict:
            raise
        return _unknown(spec, view, wrong)
    done: dict[str, Done] = {each.order.phase: each for each in look.shelf.done_runs}  # the newest of each
    stages = tuple(_stages(look.planned, done, comes, view, out, look.shelf.doubt))
    due = comes if isinstance(comes, Due) else None
    gate = due.phase.name if due is not None and due.asks else ""
    release = comes.release if isinstance(comes, Ready) else ""
    latest = done.get(ITERATION)
    limit, key = limits.met(view, spec, root.world.now()) or ("", "")
    return Overview(
        experiment=name, mode=look.project.mode, folder=look.folder, standing=view.phase, reason=view.phase_reason,
        stages=stages, round=max((each.round for each in stages), default=1),
        idea=_idea(due, done), decision=_decided(latest),
        gate=gate, release=release, sent=comes.sent if isinstance(comes, Over) else "",
        said=_said(view.pursuit or Pursuit()),
        waiting=tuple(view.waiting), wall_s=view.wall_s, budget_s=_budget(spec), runs=view.runs,
        limit=limit, limit_key=key, placeholder=bundled.said(look.project, f"{look.folder}/{look.project.study}"),
        disowned=tuple(f"{run}: {why}" for run, why in look.shelf.disowned.items()),
        next=tuple(f"labctl tail {run}" for run in out.values()) or tuple(_next(name, view, comes, gate, limit)),
    )  # fmt: skip


def _view(root: Root, name: str) -> View:
    """Up to the ledger's end; of a copy that nobody may write, as its pages say."""
    try:
        with root.section(name):
            return refresh.current(root, name)[0]
    except OSError as away:
        if away.errno not in (errno.EROFS, errno.EACCES, errno.EPERM):
            raise
        return present.read(root, name).view


def _said(known: Pursuit) -> str:
    ruling = f"{known.ruling.ruled}: {known.ruling.text}" if known.ruling is not None else ""
    return "; ".join(filter(None, (ruling, known.said.text if known.said is not None else "")))


def most(root: Root, name: str) -> int:
    """How many runs it may make at all."""
    return min(MOST_RUNS, opened.spec(root, name).max_iterations_total)


def _unknown(spec: Spec, view: View, wrong: LabError) -> Overview:
    stages = tuple(Stage(phase=each, worker="", state=UNKNOWN) for each in spec.fidelity_tiers)
    problem = f"{wrong.where}: {wrong.what}" if wrong.where else wrong.what
    return Overview(
        experiment=spec.id, mode="", folder=spec.workspace_root, standing=view.phase, reason=view.phase_reason,
        stages=stages, waiting=tuple(view.waiting), wall_s=view.wall_s, budget_s=_budget(spec), runs=view.runs,
        problem=problem, fix=opened.addressed(wrong.fix, spec.id), next=(f"labctl research check {spec.id}",),
    )  # fmt: skip


def _budget(spec: Spec) -> float | None:
    hours = spec.stop_conditions.budget_hours
    return None if hours is None else hours * _HOUR_S


def _under_way(root: Root, name: str) -> dict[str, str]:
    """By phase the run that somebody alive is at."""
    found: dict[str, str] = {}
    for run_id in briefed.under_way(root, name):
        path = root.layout.run(name, run_id)
        told = bundles.load_manifest(path) if os.path.isdir(path) else None
        if told is not None:
            found[told.fidelity_tier] = run_id
    return found


def _stages(
    planned: Sequence[Phase],
    done: dict[str, Done],
    comes: Next,
    view: View,
    out: dict[str, str],
    doubt: Callable[[Done], str],
) -> Iterator[Stage]:
    is_past = True
    for phase in planned:
        if isinstance(comes, Due) and comes.phase.name == phase.name and not comes.order.step:
            is_past = False
        last = done.get(phase.name)
        state, why = _state(phase, last, comes, view, is_past=is_past)
        if state == DUE and last is not None:
            why = doubt(last) or why
        if state == DONE and last is not None and phase.name == LITERATURE:
            why = noted.unread(Out(f"{last.path}/{layout.ARTIFACTS}"))
        if phase.name in out:
            state, why = RUNNING, ""
        tried = view.last.run_id if state == FAILED and view.last is not None else ""
        yield Stage(
            phase=phase.name, worker=phase.executor, state=state, why=why, gate=phase.gate,
            run=out.get(phase.name) or tried or (last.run_id if last is not None else ""),
            round=last.order.round if last is not None else 0,
            idea=last.order.idea if last is not None else "",
            wall_s=last.seal.run.wall_s if last is not None else 0.0,
        )  # fmt: skip


def _state(phase: Phase, last: Done | None, comes: Next, view: View, *, is_past: bool) -> tuple[State, str]:
    if isinstance(comes, Ready) and phase.name == PUBLISHING:
        return WAITING, f"for the approval of {comes.release[:12]}"
    if isinstance(comes, Due) and comes.phase.name == phase.name:
        if comes.asks:
            return WAITING, "for a person's word before it begins"
        if view.last is not None and view.last.tier == phase.name and view.last.outcome in FAILURES:
            return FAILED, view.last.reason
        return DUE, "approved: it is to be sent" if comes.order.step else _again(comes, last)
    return (DONE, "") if is_past else (LATER, "")


def _again(due: Due, last: Done | None) -> str:
    """Why a phase that was done is due; nothing where it never was."""
    if last is None:
        return ""
    order, was = due.order, last.order
    if order.round > was.round:
        return f"round {order.round}" + (f", of the idea {order.idea}" if order.idea != was.idea else "")
    if order.worker != was.worker:
        return f"{order.worker} does it now, and {was.worker} did it"
    new = sorted(name for name, run in order.given.items() if was.given.get(name) != run)
    if new:
        return f"what {', '.join(new)} left is new"
    return "what it is given was edited since" if order.inputs != was.inputs else "a person has ruled on it since"


def _idea(due: Due | None, done: dict[str, Done]) -> str:
    if due is not None and due.order.idea:
        return due.order.idea
    return next((each.order.idea for each in reversed(done.values()) if each.order.idea), "")


def _decided(done: Done | None) -> Decision | None:
    try:
        return None if done is None else shelf.record(done, decision.FILE, Decision)
    except LabError:
        return None  # `labctl verify` tells of what was changed; the walk has refused it before


def _next(name: str, view: View, comes: Next, gate: str, limit: str) -> Iterator[str]:
    """What to type."""
    if isinstance(comes, Ready):
        yield f"labctl research publish {name}"
        yield f"labctl research approve {name} --release {comes.release}"
    elif isinstance(comes, Over):
        if view.phase != COMPLETED:
            yield f"labctl research run {name}"
        yield f"labctl research paper {name} -o {name}-paper"
        yield f"labctl paper verify {name}"
    elif gate and view.phase == AWAITING:
        yield f"labctl research approve {name}"
    elif limit:  # resuming would not change it: check names what to edit
        yield f"labctl research check {name}"
    elif view.phase in (COMPLETED, PAUSED, AWAITING):
        yield f"labctl research resume {name}"
    elif comes.order.step:  # any run of it sends it; this one says what came of it
        yield f"labctl research publish {name} --send"
    else:
        yield f"labctl research run {name}"
