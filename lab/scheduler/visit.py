"""One experiment's share of a turn: look, judge and claim in one section; run; seal; judge again.

A pause comes before the claim or after it, and is never lost between.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.core import policy, proposal
from lab.core.policy import Escalate, Proceed, Promote, Wait
from lab.scheduler import approved, cycle, decisions, reclaim, refresh, step, work
from lab.scheduler.cycle import Errand
from lab.scheduler.step import SETTLED, Step
from lab.store import leases, packages

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.core.claim import Owner
    from lab.core.policy import Move
    from lab.core.spec import Spec
    from lab.core.subject import Subject
    from lab.core.view import View
    from lab.scheduler.cycle import Running
    from lab.store.root import Root

POLICY = "policy"
MAX_RUNS = 3


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What a turn is asked to do. Empty `classes` and `only` mean all."""

    max_runs: int = MAX_RUNS
    classes: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    now: bool = False  # whatever the cadence says
    jobs: int = 1


class Visit:
    """What happens to one experiment now. Afterwards `before` and `subject` tell what it was and what it is."""

    def __init__(
        self,
        root: Root,
        name: str,
        request: Request,
        *,
        owner: Owner,
        tell: Callable[[Step], None],
        interrupted: Callable[[], str],
    ) -> None:
        self.before: View | None = None
        self.subject: Subject | None = None  # None when nothing changed
        self._root = root
        self._name = name
        self._request = request
        self._owner = owner
        self._tell = tell
        self._interrupted = interrupted
        self._handed_over: Escalate | None = None

    def pay(self) -> None:
        """All of it. Raises what goes wrong; what was sealed until then is sealed."""
        begun = self._begun()
        if begun is not None:
            running, view = begun
            ended = work.carry_out(self._root, running, view, interrupted=self._interrupted)
            made, self.subject = cycle.sealed(self._root, running, ended)
            self._tell(step.ran(made.run))
            self._follow_up(self.subject)
        if self._handed_over is not None:
            self._ask(self._handed_over)

    def _begun(self) -> tuple[Running, View] | None:
        """Judge the experiment and, if it is to run, claim it and open its bundle, in one section."""
        for item in reclaim.make_way(self._root, self._name):
            self._tell(Step(kind=SETTLED, experiment=item.experiment, run_id=item.run_id, what=item.what))
        with self._root.section(self._name):
            view, loaded = cycle.observe(self._root, self._name)
            spec = cycle.usable(loaded)
            self.before = view
            view, move = self._moved(view, spec)
            if not isinstance(move, Proceed):
                if self._name in self._request.only and isinstance(move, Wait) and self.subject is None:
                    self._tell(step.waiting(self._name, move))
                return None
            if self._request.classes and spec.for_tier(view.tier).executor_class not in self._request.classes:
                return None  # its SPEC was edited since the index told of it
            work.require_work(self._root, spec.for_tier(view.tier))
            ruling = approved.next_run(self._root, self._name)
            lease = cycle.claim(self._root, view, spec, owner=self._owner)
            errand = Errand()
            if ruling is not None:
                approved.spend(self._root, ruling, lease.claim.run_id)
                errand = Errand(params=ruling.params, proposal=ruling.proposal_id)
            return cycle.opened(self._root, lease, view, spec, loaded.sha256, errand), view

    def _moved(self, view: View, spec: Spec) -> tuple[View, Move]:
        """Carry out what the policy decides until it says run, or not now. Inside the section."""
        while True:
            move = self._judged(view, spec)
            if isinstance(move, Proceed | Wait):
                return view, move
            self.subject = decisions.carry_out(self._root, view, move, actor=POLICY)
            view = self.subject.view
            self._tell(step.moved(view, move))
            if isinstance(move, Escalate):
                self._handed_over = move
            if not isinstance(move, Promote):
                return view, Wait(reason=f"it is {view.phase}")

    def _judged(self, view: View, spec: Spec) -> Move:
        offered = packages.waiting(self._root).get(self._name, 0)
        held = len(leases.survey(self._root, self._name).held) if spec.max_parallel > 1 else 0
        now = self._root.world.now()
        move = policy.decide(view, spec, now, under_way=offered + held, at_once=self._request.now)
        if isinstance(move, Proceed) and offered and offered + held >= spec.max_parallel:
            return Wait(reason=f"packed for workers: {offered} in dispatch/ready")
        return move

    def _follow_up(self, subject: Subject) -> None:
        """What the run changed: promote, escalate, finish. Asked without a lock first: mostly it changed nothing."""
        if subject.spec is None or isinstance(self._judged(subject.view, subject.spec), Proceed | Wait):
            return
        with self._root.section(self._name):
            view, loaded = cycle.observe(self._root, self._name)
            self._moved(view, cycle.usable(loaded))

    def _ask(self, move: Escalate) -> None:
        """Leave a proposal to go on, for whoever the experiment was handed to. Outside the section."""
        from lab.scheduler import approvals  # noqa: PLC0415  # only for who is handed to a person

        wanted = proposal.Proposal(
            kind=proposal.RESUME,
            experiment=self._name,
            reason=move.reason,
            asked_by=POLICY,
            facts=dict(move.facts),
        )
        approvals.ask(self._root, wanted)
        with self._root.section(self._name):
            self.subject = refresh.catch_up(self._root, self._name)
