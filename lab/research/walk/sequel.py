"""What follows a run of a research project: the next phase, a person's word, or the end. Looked at by the scheduler."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.core.errors import BadInput
from lab.core.policy import Escalate, Finish
from lab.core.pursuit import GATE, INPUTS, RELEASE
from lab.research import declared
from lab.research.projects import opened
from lab.research.walk import registered
from lab.research.walk.pipeline import Due, Ready, Walk
from lab.research.walk.shelf import Shelf
from lab.scheduler.cycle import Errand
from lab.scheduler.decisions import POLICY

if TYPE_CHECKING:
    from lab.core.spec import Spec
    from lab.core.view import View
    from lab.research.walk.pipeline import Next, Over
    from lab.scheduler.sequels import Following
    from lab.store.root import Root


class Phases:
    def following(self, root: Root, view: View, spec: Spec) -> Following:
        """The next phase as a run in the tier of its name. Costs what the project itself has, and no more."""
        look = Look(root, view)
        match look.next():
            case Due() as due if due.asks:
                return _asked(due)
            case Due() as due:
                look.shelf.require_all(view, due.phase.name)
                return look.errand(due, spec)
            case Ready() as ready:
                return _offered(ready, view.experiment)
            case over:
                return _finished(over)


class Look:
    """A project as it is now, with what its runs left."""

    def __init__(self, root: Root, view: View) -> None:
        found = opened.project(root, view.experiment)
        self.project, self.folder = found.project, found.folder
        self.shelf = Shelf(root, view.experiment, self.project, self.folder)
        self.planned = declared.planned(self.project)
        self._root = root
        self._view = view

    def walk(self) -> Walk:
        return Walk(self.project, self.planned, self.shelf, self._view.pursuit)

    def next(self) -> Next:
        return self.walk().next()

    def errand(self, due: Due, spec: Spec) -> Errand:
        """The run that does a phase."""
        name = due.phase.name
        if name not in spec.fidelity_tiers:
            where = self._root.layout.spec(spec.id)
            raise BadInput(
                f"the SPEC has no tier for the phase {name}", where=where, fix=f"add {name} to fidelity_tiers"
            )
        ideas = () if name in registered.BEFORE else self.shelf.written_ideas(due.known)
        told = registered.events(
            self._view.experiment, ideas, self._view.pursuit, ts=self._root.now(), actor=POLICY
        )  # fmt: skip
        return Errand(params=due.order.params(), tier=name, events=told, plan=plan(due))


def again(root: Root, view: View, spec: Spec, phase: str) -> Errand:
    """The run that does one phase again, alone, whether it is done or not. What builds on it is due afterwards."""
    look = Look(root, view)
    return look.errand(look.walk().again(phase), spec)


def plan(due: Due) -> str:
    """What the run is to do, for plan.md."""
    order = due.order
    lines = [f"# {due.phase.name}", "", due.phase.about, "", f"- by: {order.worker}"]
    if order.idea:
        lines += [f"- round: {order.round}", f"- idea: {order.idea}"]
    if order.step:
        lines += [f"- step: {order.step}", f"- release: {order.release}"]
    lines += [f"- given: {key} of {run}" for key, run in order.given.items()]
    lines += ["- must leave:", *(f"  - {each}" for each in due.phase.outputs), f"- inputs: {order.inputs}"]
    return "\n".join(lines) + "\n"


def _asked(due: Due) -> Escalate:
    reason = f"the phase {due.phase.name} waits for a person's word before it begins"
    return Escalate(reason=reason, facts={GATE: due.phase.name, INPUTS: due.order.inputs, "round": due.order.round})


def _offered(ready: Ready, experiment: str) -> Escalate:
    """Nothing but the approval of this hash lets it go: whoever only resumes is asked again."""
    reason = (
        f"a release is listed and scanned, and waits: labctl research approve {experiment} --release {ready.release}"
    )
    return Escalate(reason=reason, facts={RELEASE: ready.release, "run": ready.run_id})


def _finished(over: Over) -> Finish:
    sent = "; the release was sent" if over.sent else ""
    last = f", the last decision {over.decision}" if over.decision else ""
    reason = f"every phase is done{last}{sent}"
    return Finish(reason=reason, facts={"rounds": over.rounds, "release": over.sent or None})
