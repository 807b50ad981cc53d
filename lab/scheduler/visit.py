"""One experiment's share of a turn: look, judge and claim in one section; run; seal; judge again.

A pause comes before the claim or after it, and is never lost between.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.core import policy
from lab.core.policy import Proceed, Wait
from lab.scheduler import cycle, moves, reclaim, refresh, step, work
from lab.scheduler.control import approved
from lab.scheduler.cycle import Errand
from lab.scheduler.step import SETTLED, Step
from lab.store import leases, packages

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.core.claim import Owner
    from lab.core.policy import Escalate, Finish, Move, Pause, Promote
    from lab.core.spec import Spec
    from lab.core.subject import Subject
    from lab.core.view import View
    from lab.scheduler.cycle import Running
    from lab.store.root import Root

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

    def pay(self) -> None:
        """All of it. Raises what goes wrong; what was sealed until then is sealed."""
        begun = self._begun()
        if begun is not None:
            running, view = begun
            ended = work.carry_out(self._root, running, view, interrupted=self._interrupted)
            made, self.subject = cycle.sealed(self._root, running, ended)
            self._tell(step.ran(made.run))
            self.subject = moves.after_run(self._root, self.subject, self._judged, self._moved)
        if self.subject is not None:
            self.subject = moves.asked(self._root, self.subject)

    def _begun(self) -> tuple[Running, View] | None:
        """Judge the experiment and, if it is to run, claim it and open its bundle, in one section."""
        for item in reclaim.make_way(self._root, self._name):
            self._tell(Step(kind=SETTLED, experiment=item.experiment, run_id=item.run_id, what=item.what))
        with self._root.section(self._name):
            view, loaded = cycle.observe(self._root, self._name)
            self.before = view
            if loaded.spec is None:
                self.subject = refresh.catch_up(self._root, self._name)  # for who is told of it
            spec = cycle.usable(loaded)
            view, move, self.subject = moves.settled(self._root, view, spec, self._judged, self._moved)
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

    def _moved(self, view: View, move: Pause | Escalate | Promote | Finish) -> None:
        self._tell(step.moved(view, move))

    def _judged(self, view: View, spec: Spec) -> Move:
        offered = packages.waiting(self._root).get(self._name, 0)
        held = len(leases.survey(self._root, self._name).held) if spec.max_parallel > 1 else 0
        now = self._root.world.now()
        move = policy.decide(view, spec, now, under_way=offered + held, at_once=self._request.now)
        if isinstance(move, Proceed) and offered and offered + held >= spec.max_parallel:
            return Wait(reason=f"packed for workers: {offered} in dispatch/ready")
        return move
