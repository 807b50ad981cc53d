"""What the policy decides about an experiment, carried out, and what follows for people. The same for every mode."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.core import proposal
from lab.core.policy import Proceed, Promote, Wait
from lab.core.pursuit import RELEASE
from lab.core.view import AWAITING
from lab.scheduler import cycle, decisions, refresh
from lab.scheduler.control import notices

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from lab.core.policy import Escalate, Finish, Move, Pause
    from lab.core.spec import Spec
    from lab.core.subject import Subject
    from lab.core.view import View
    from lab.store.root import Root

    Judge = Callable[[View, Spec], Move]
    Tell = Callable[[View, Pause | Escalate | Promote | Finish], None]
    Change = tuple[View | None, Subject]  # an experiment as it was, if that is known, and as it is


def settled(root: Root, view: View, spec: Spec, judge: Judge, tell: Tell) -> tuple[View, Move, Subject | None]:
    """Carry out what is decided until the answer is run, or not now. Inside the section. None when nothing changed."""
    subject = None
    while True:
        move = judge(view, spec)
        if isinstance(move, Proceed | Wait):
            return view, move, subject
        subject = decisions.carry_out(root, view, move, actor=decisions.POLICY)
        view = subject.view
        tell(view, move)
        if not isinstance(move, Promote):
            return view, Wait(reason=f"it is {view.phase}"), subject


def after_run(root: Root, subject: Subject, judge: Judge, tell: Tell) -> Subject:
    """What a run changed: promoted, handed over, finished. Asked without a lock first: mostly it changed nothing."""
    if subject.spec is None or isinstance(judge(subject.view, subject.spec), Proceed | Wait):
        return subject
    name = subject.view.experiment
    with root.section(name):
        view, loaded = cycle.observe(root, name)
        return settled(root, view, cycle.usable(loaded), judge, tell)[2] or refresh.catch_up(root, name)


def asked(root: Root, subject: Subject) -> Subject:
    """Leave a proposal to go on, where an experiment was handed to a person and none waits yet. Outside the section."""
    view = subject.view
    if view.phase != AWAITING or any(each.kind == proposal.RESUME for each in view.waiting):
        return subject
    from lab.scheduler.control import approvals  # noqa: PLC0415  # only for who is handed to a person

    waits = view.pursuit.unapproved if view.pursuit is not None else ""
    wanted = proposal.Proposal(
        kind=proposal.RESUME, experiment=view.experiment, reason=view.phase_reason, asked_by=decisions.POLICY,
        facts={RELEASE: waits} if waits else {},
    )  # fmt: skip
    approvals.ask(root, wanted)
    with root.section(view.experiment):
        return refresh.catch_up(root, view.experiment)


def tell_people(root: Root, changes: Iterable[Change]) -> tuple[str, ...]:
    """Ask, and send notices. Once, outside every section: an address that does not answer takes its time."""
    final = [(before, asked(root, subject)) for before, subject in changes]
    return notices.after(root, final) if final else ()
