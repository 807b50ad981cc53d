"""The study of a project: open to its phases alone, and paused between them, or cron would search on, and for ever.

An experiment that the user had before (mode E) is left as it is: its runs are not this project's alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.core import event, policy
from lab.core.record import parse
from lab.core.view import ARCHIVED, OPEN_PHASES, PAUSED, to_open
from lab.research import built
from lab.research.project import IMPLEMENTATION, RESEARCH
from lab.scheduler import decisions, refresh
from lab.store import experiments, ledger

if TYPE_CHECKING:
    from lab.core.view import View
    from lab.research.worker import Task
    from lab.store.root import Root


def take(task: Task) -> str:
    """Let a phase make runs of the study, and say which that is; empty where there is none yet.

    One that a person paused, or that is at its end, stays so. One that failures ended is tried again with its phase:
    the project's own failures are counted, and end that.
    """
    name = _named(task.given.find(f"{IMPLEMENTATION}/{built.FILE}"))
    view = _view(task.root, name)
    if view is not None and _is_ours(view, task):
        why = f"the phase {task.phase.name} of {task.spec.id}"
        decisions.lend(task.root, name, to=task.spec.id, reason=why, actor=RESEARCH)
    return name


def _is_ours(view: View, task: Task) -> bool:
    """Whether it is closed by its project, or by too many failures while it was lent."""
    if view.phase == PAUSED and view.phase_reason == _reason(task):
        return True
    is_closed = view.phase not in (*OPEN_PHASES, ARCHIVED)
    return is_closed and view.lent == task.spec.id and view.phase_reason == policy.FAILED_TOO_OFTEN


def give_back(task: Task, name: str) -> None:
    """Nobody makes runs of it until the next phase does. After a kill it stays open to that one, and to nobody else."""
    view = _view(task.root, name)
    if view is not None and view.phase in OPEN_PHASES:
        decisions.pause(task.root, name, reason=_reason(task), actor=RESEARCH, lent=task.spec.id)


def closed(root: Root, name: str, project: str = "", *, measured: bool = False) -> tuple[str, str] | None:
    """Why a project would make no run of an experiment that was there before it, with what to do; None where it may.

    `measured`: its runs are only measured again, which what is at its end may be.
    """
    view = _view(root, name)
    return None if view is None else shut(root, view, project, measured=measured)


def shut(root: Root, view: View, project: str, *, measured: bool) -> tuple[str, str] | None:
    """The same of one that was looked at."""
    name = view.experiment
    if view.lent not in ("", project):
        fix = f"labctl resume {name} takes it from {view.lent}"
        return f"{name} is the study of the project {view.lent}, which makes its runs", fix
    if view.phase in OPEN_PHASES or view.lent or (measured and view.phase != ARCHIVED and not _is_held(root, view)):
        return None
    why = f" ({view.phase_reason})" if view.phase_reason else ""
    return f"{name} is {view.phase}{why}, so no run of it is made", to_open(name, view.phase)


def _is_held(root: Root, view: View) -> bool:
    """Whether an experiment is paused by somebody else than its own limits or its project: that holds for all."""
    if view.phase != PAUSED or view.lent:
        return False
    told = (each.line.event for each in ledger.mentioning(root, 0, view.experiment) if each.line is not None)
    moves = [each for each in told if each.type == event.PHASE_CHANGED and each.experiment == view.experiment]
    return bool(moves) and moves[-1].actor not in (decisions.POLICY, RESEARCH)


def made(task: Task) -> str:
    """The study that an implementation has just made. Asked when its outputs were found to be right."""
    return _named(task.out.read(built.FILE) if task.phase.name == IMPLEMENTATION else None)


def _reason(task: Task) -> str:
    return f"its project makes its runs: labctl research run {task.spec.id}"


def _named(data: bytes | None) -> str:
    return parse(built.Built, data, built.FILE).experiment if data else ""


def _view(root: Root, name: str) -> View | None:
    if not name or not experiments.is_name(name) or experiments.load(root, name).spec is None:
        return None
    with root.section(name):
        return refresh.current(root, name)[0]
