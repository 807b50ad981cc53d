"""One experiment's share of a turn: look, judge and claim in one section; run; seal; judge again.

A pause comes before the claim or after it, and is never lost between.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

import msgspec

from lab.core import policy
from lab.core.claim import Owner
from lab.core.errors import Busy, Exhausted, Interrupted, LabError, Taken, Unadvised
from lab.core.launch import IN_PROCESS, Unfilled
from lab.core.policy import Proceed, Wait
from lab.core.view import ACTIVE, OPEN_PHASES
from lab.projections.pursued import is_project
from lab.scheduler import cycle, decisions, engines, moves, reclaim, refresh, sequels, step, work
from lab.scheduler.control import approved
from lab.scheduler.cycle import Errand
from lab.scheduler.loop import scripts
from lab.scheduler.patience import Patience
from lab.scheduler.search import sought
from lab.scheduler.step import QUEUED, SETTLED, Step
from lab.store import experiments, leases, packages, standing

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from lab.core.ended import Ended
    from lab.core.job import Job, Wants
    from lab.core.policy import Escalate, Finish, Move, Pause, Promote
    from lab.core.proposal import Ruling
    from lab.core.seal import Seal
    from lab.core.spec import Spec
    from lab.core.subject import Subject
    from lab.core.view import View
    from lab.scheduler.cycle import Running
    from lab.scheduler.search.plan import Search
    from lab.store.experiments import Loaded
    from lab.store.root import Root

T = TypeVar("T")
MAX_RUNS = 3


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What a turn is asked to do. Empty `classes` and `only` mean all."""

    max_runs: int = MAX_RUNS
    classes: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    now: bool = False  # whatever the cadence says
    jobs: int = 1
    slots: int = 0  # how many runs of an experiment may be under way, where a person said so
    engine: str = ""  # which a person named; `here` for none; otherwise engines.yaml says it
    by: str = ""  # the research project that asks for runs of its study
    in_process: bool = False  # whoever asks is the run's program himself


class Visit:
    """What happens to one experiment now.

    Afterwards `before` and `subject` tell what it was and what it is, `made` which run came of it, `placed` which was
    handed to an engine instead, and `move` what was decided where neither was; `used_up` is there where its search is
    at its end. `search` chooses its parameters; without one an experiment whose SPEC names a strategy gets its own.
    `errand` is what to run, where a person has chosen that already, and `proposal` the approved proposal that is to run
    and no other: `Taken` when somebody else has run it.
    """

    def __init__(  # noqa: PLR0913  # what is visited, by whom, and who chooses
        self,
        root: Root,
        name: str,
        request: Request,
        *,
        owner: Owner,
        tell: Callable[[Step], None],
        interrupted: Callable[[], str],
        search: Search | None = None,
        errand: Errand | None = None,
        proposal: str = "",
        closed: Collection[str] = (),
    ) -> None:
        """`closed` are engines that did not answer just now, or took nothing of a class: nothing goes to them."""
        self.before: View | None = None
        self.subject: Subject | None = None  # None when nothing changed
        self.made: Seal | None = None
        self.placed: Step | None = None
        self.move: Move | None = None
        self.used_up: Exhausted | None = None
        self._search = search
        self._errand = errand
        self._proposal = proposal
        self._root = root
        self._name = name
        self._request = request
        self._owner = owner
        self._tell = tell
        self._interrupted = interrupted
        self._closed = closed
        self._job: Job | None = None
        self._sequel: Errand | None = None  # what comes next, where something else than a search says it
        self._claims: list[tuple[int, str]] | None = None  # as the section found them in which this was judged

    def pay(self) -> None:
        """All of it. Raises what goes wrong; what was sealed until then is sealed."""
        begun = self.begun()
        if begun is not None and self._job is not None:
            self._hand_over(self._job, begun[0])
        elif begun is not None:
            running, view = begun
            ended = work.carry_out(self._root, running, view, interrupted=self._interrupted)
            self.sealed(running, ended)
        self.follow()

    def sealed(self, running: Running, ended: Ended) -> None:
        """Seal a run, and carry out what follows from it. Also for one that another process began."""
        self.made, self.subject = cycle.sealed(self._root, running, ended)
        self._tell(step.ran(self.made.run, running.params))
        with suppress(Busy):  # it is sealed; what follows from it is what the next turn judges first
            self.subject = moves.after_run(self._root, self.subject, self._judged, self._moved)

    def follow(self) -> None:
        """What is left to do after `sealed`."""
        if self.subject is not None:
            self.subject = moves.asked(self._root, self.subject)
            decisions.cleared(self._root, self._name, self.subject.view.phase)

    def _hand_over(self, job: Job, running: Running) -> None:
        """Give a claimed run to its engine. What an engine refuses has paused the experiment, and people are told."""
        from lab.scheduler.placing import handing  # noqa: PLC0415  # most runs happen in the process that asks for them

        told = handing.hand_over(self._root, job)
        self.placed = told if told.kind == QUEUED else None
        if told.kind == QUEUED and running.params is not None:
            told = msgspec.structs.replace(told, params=dict(running.params))
        self._tell(told)
        if told.kind != QUEUED:
            with self._root.section(self._name):
                self.subject = refresh.catch_up(self._root, self._name)

    def begun(self) -> tuple[Running, View] | None:
        """Judge the experiment and, if it is to run, claim it and open its bundle, in one section."""
        claims = standing.found(self._root, self._name)
        if not standing.all_are_with_engines(self._root, self._name, claims):
            beat = Patience(self._name, tell=self._tell, interrupted=self._interrupted)
            for item in reclaim.make_way(self._root, self._name, beat):
                self._tell(Step(kind=SETTLED, experiment=item.experiment, run_id=item.run_id, what=item.what))
            claims = standing.found(self._root, self._name)
        self._refuse_while_placed(standing.count(claims))
        if not self._is_for_workers():
            self._think()
        return self._advised(self._chosen_and_claimed)

    def _chosen_and_claimed(self) -> tuple[Running, View] | None:
        with self._root.section(self._name):
            self._claims = None
            view, loaded = cycle.observe(self._root, self._name)
            self.before = self.before or view  # what was decided before a model was asked is news of this visit too
            if loaded.problem is not None:
                self.subject = refresh.catch_up(self._root, self._name)  # for who is told of it
            spec = cycle.usable(loaded)
            view, move, subject = moves.settled(self._root, view, spec, self._judged, self._moved)
            self.subject = subject or self.subject
            if not isinstance(move, Proceed):
                self.move = move
                if self._name in self._request.only and isinstance(move, Wait) and self.subject is None:
                    self._tell(step.waiting(self._name, move, ACTIVE if is_project(spec) else view.phase))
                return None
            if self._is_for_workers(spec.for_tier(view.tier)):
                self.move = Wait(reason=f"it waits for a worker: labctl worker --executor-class {spec.executor_class}")
                if self._name in self._request.only:
                    self._tell(step.waiting(self._name, self.move))
                return None
            opened = self._opened(view, spec, loaded)
            if opened is not None:
                self.subject = decisions.begun(self._root, view) or self.subject
            return opened

    def _is_for_workers(self, spec: Spec | None = None) -> bool:
        """Whether engines.yaml leaves it to workers, and nobody says otherwise."""
        if self._request.engine or self._errand is not None:
            return False
        spec = experiments.load(self._root, self._name).spec if spec is None else spec
        return spec is not None and engines.is_for_workers(self._root, spec)

    def _opened(self, view: View, spec: Spec, loaded: Loaded) -> tuple[Running, View] | None:
        """Choose what to run, claim it and open its bundle: all of it in the section in which it was judged."""
        ruling = approved.next_run(self._root, self._name, self._proposal) if self._errand is None else None
        try:
            errand = self._chosen(view, spec) if ruling is None else self._approved(ruling, view, spec)
        except Exhausted as done:
            self._move(view, policy.exhausted(view, spec))
            self.move, self.used_up = Wait(reason=done.what), done
            return None
        if spec.tinker is not None:
            from lab.scheduler.chaining.order import ordered  # noqa: PLC0415  # for trainings alone

            errand = ordered(self._root, view, spec, errand, slots=self._request.slots)
        tier = errand.tier or view.tier
        if self._request.classes and spec.for_tier(tier).executor_class not in self._request.classes:
            return None  # its SPEC was edited since the index told of it, or its race goes on in another class
        wants = self._wants(spec.for_tier(tier))
        if not self._request.in_process:  # else it has begun, and is asking
            self._require_work(view, spec, tier, errand, away=self._is_away(wants))
        work.require_ready(self._root, spec.for_tier(tier), view, proposes=self._errand is None)
        if self._sequel is None:
            followed = decisions.follow(self._root, view, spec, tier)
        else:
            followed = decisions.go_to(self._root, view, tier)
        if followed is not None:
            self.subject, view = followed, followed.view
            self._tell(step.to_tier(view))
        engine = "" if wants is None else wants.engine
        owner = Owner(name=f"engine:{engine}", host="") if engine else self._owner
        lease = cycle.claim(
            self._root,
            view,
            spec,
            owner=owner,
            tier=tier,
            slots=1 if sequels.is_followed(spec) else self._request.slots,
            engine=engine,
            known=self._claims,
        )
        if ruling is not None:
            approved.spend(self._root, ruling, lease.claim.run_id)
        running = cycle.opened(self._root, lease, view, spec, loaded.sha256, errand)
        if wants is not None:
            from lab.scheduler.placing import handing  # noqa: PLC0415  # as above

            self._job = handing.noted(self._root, running, wants)
        return running, view

    def _require_work(self, view: View, spec: Spec, tier: str, errand: Errand, *, away: bool) -> None:
        """Refuse what no run could be started with. A parameter that does not count in this one fails it alone."""
        try:
            work.require_work(self._root, spec.for_tier(tier), view, errand.params, away=away)
        except Unfilled:
            search = None if errand.params is None else self._searched(view, spec)
            found = None if search is None else search.space(view, spec)
            if found is None:
                raise
            names = {*(errand.params or ()), *found.space.names}
            work.require_work(self._root, spec.for_tier(tier), view, names, away=away)

    def _refuse_while_placed(self, under_way: int) -> None:
        """`Busy` where engines have as many runs of it as may be under way: before a search thinks, or asks a model.

        A run may wait in a queue for days, and every turn comes by.
        """
        spec = experiments.load(self._root, self._name).spec
        most = self._request.slots
        if not most and spec is not None:
            most = max(spec.for_tier(tier).max_parallel for tier in spec.fidelity_tiers)
        if spec is None or under_way < most:
            return
        held = leases.survey(self._root, self._name).held
        if len(held) >= most and any(each.seen.claim.engine for each in held):
            raise leases.busy(self._root, self._name)

    def _wants(self, spec: Spec) -> Wants | None:
        """What the run's job asks of an engine; None where it happens here. Refuses what could not be handed over."""
        if self._errand is not None and self._errand.handed is not None:  # the tree of its change is on this machine
            return None
        wants = engines.chosen(self._root, spec, engine=self._request.engine)
        if wants is None:
            return None
        from lab.scheduler.placing import handing  # noqa: PLC0415  # as above

        if wants.engine in self._closed:
            raise Busy(f"{wants.engine} does not answer", fix="labctl doctor")
        if f"{wants.engine} {spec.executor_class}" in self._closed:
            what = f"{wants.engine} takes nothing of the class {spec.executor_class} now"
            raise Busy(what, fix="labctl status says which run waits for it, and why")
        handing.require(self._root, wants, spec.executor_class)
        return wants

    def _is_away(self, wants: Wants | None) -> bool:
        """Whether the variables that its SPEC names are not looked for here."""
        if wants is None:
            return False
        from lab.scheduler.placing import handing  # noqa: PLC0415  # as above

        return handing.sets_itself(wants)

    def _advised(self, act: Callable[[], T]) -> T | None:
        """Do it. Where the search waits for a model's word, the model is asked, with nothing held meanwhile."""
        try:
            return act()
        except Unadvised as wanting:
            from lab.scheduler.search.asking import asker  # noqa: PLC0415  # most searches ask nobody

            try:
                told = self._tell
                return asker.advised(self._root, act, interrupted=self._interrupted, tell=told, wanting=wanting)
            except Interrupted as stopped:
                self.move = Wait(reason=stopped.what)
                return None

    def _think(self) -> None:
        """A search that is asked for the first time may load a library for seconds: not while others wait.

        So may a project look at gigabytes of a user's: what it has seen it knows again inside the section.
        """
        loaded = experiments.load(self._root, self._name)
        if loaded.spec is not None and not self._is_chosen() and sequels.is_followed(loaded.spec):
            with self._root.section(self._name):
                view, _ = refresh.current(self._root, self._name)
            if view.phase in OPEN_PHASES:
                with suppress(LabError):  # said where it is decided for good
                    sequels.following(self._root, view, loaded.spec)
            return
        if loaded.spec is None or (self._search is None and not sought.by_its_text(loaded.spec)):
            return
        if self._search is None or not self._search.has_thought:
            with self._root.section(self._name):
                view, _ = refresh.current(self._root, self._name)
            search = self._searched(view, loaded.spec)
            if search is not None:
                search.think(view, loaded.spec)

    def _chosen(self, view: View, spec: Spec) -> Errand:
        """What a person has chosen, if it is still to be had, else what the search chooses."""
        search = self._searched(view, spec)
        if self._proposal:
            raise Taken(f"the approved proposal {self._proposal} was run by somebody else", fix="see: labctl board")
        if self._sequel is not None and not self._is_chosen():
            return self._sequel
        if search is None or (self._errand is not None and self._errand.params is None):
            return self._errand or Errand()
        if self._errand is None:
            return search.errand(view, spec)
        confirmed = search.confirmed(self._errand)
        if confirmed is None:
            raise Taken(f"somebody else has tried these parameters of {self._name} meanwhile", fix="choose others")
        return confirmed

    def _approved(self, ruling: Ruling, view: View, spec: Spec) -> Errand:
        return approved.errand(self._root, ruling, self._searched(view, spec), spec)

    def _searched(self, view: View, spec: Spec) -> Search | None:
        if self._search is None and sought.searches(self._root, spec, view):
            from lab.scheduler.search.plan import Search  # noqa: PLC0415  # most experiments search nothing

            self._search = Search(self._root, self._name)
        return self._search

    def _move(self, view: View, move: Escalate | Finish) -> None:
        """Carry out what follows from the search. Inside the section."""
        self.subject = decisions.carry_out(self._root, view, move, actor=decisions.POLICY)
        self._moved(self.subject.view, move)

    def _moved(self, view: View, move: Pause | Escalate | Promote | Finish) -> None:
        self._tell(step.moved(view, move))

    def _waits_for_hands(self, view: View, spec: Spec) -> bool:
        """Whether it is a code loop in which nobody makes changes, and which has its baseline."""
        if view.loop is None or view.loop.base is None:
            return False
        if self._errand is not None:  # a change, or the baseline that it is to be compared with
            return False
        return not scripts.has_proposer(spec.for_tier(view.tier))

    def _judged(self, view: View, spec: Spec) -> Move:
        offered = packages.waiting(self._root).get(self._name, 0)
        search = self._searched(view, spec)
        slots = self._request.slots or spec.max_parallel
        self._claims = standing.found(self._root, self._name) if slots > 1 else None
        held = standing.count(self._claims or ())
        move = policy.decide(
            view,
            spec,
            self._root.world.now(),
            under_way=offered + held,
            slots=self._request.slots,
            at_once=self._request.now,
            searching=search is not None and search.is_one,
            by=self._request.by,
        )
        if isinstance(move, Proceed) and spec.executor == IN_PROCESS and not self._request.in_process:
            return Wait(reason=f"a Python program makes its runs: lab.Lab()[{self._name!r}].trial()")
        if isinstance(move, Proceed) and self._waits_for_hands(view, spec):
            return Wait(reason=f"each change is made by hand: labctl try {self._name} --begin")
        if isinstance(move, Proceed) and offered and offered + held >= slots:
            return Wait(reason=f"packed for workers: {offered} in dispatch/ready")
        return self._followed(view, spec) if isinstance(move, Proceed) else move

    def _followed(self, view: View, spec: Spec) -> Move:
        """The move, where something else than a search says what comes next. A person's choice goes before it."""
        told = None if self._is_chosen() else sequels.following(self._root, view, spec)
        self._sequel = told if isinstance(told, Errand) else None
        return Proceed(tier=view.tier) if told is None or isinstance(told, Errand) else told

    def _is_chosen(self) -> bool:
        """Whether a person has chosen what is to run."""
        return self._errand is not None and self._errand.params is not None
