"""A burst: runs of one experiment back to back, as many as a person asked for, in one process or in several.

Each run is a visit like the crank's own. What a burst adds is to go on: to wait while somebody else holds the
experiment, to count, and to stop where the policy, the search or a person says so.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from lab.core import ids
from lab.core.errors import BadInput, Busy, LabError, Superseded, Taken
from lab.core.policy import Wait
from lab.core.run import FAILURES
from lab.core.spec_tuning import is_chain
from lab.core.view import COMPLETED, OPEN_PHASES, to_open
from lab.projections.pursued import is_project
from lab.scheduler import cycle, doubts, engines, refresh, sequels, unread, work
from lab.scheduler.crew import Crew
from lab.scheduler.search.plan import Search
from lab.scheduler.step import HELD, NOTED, PASSING, PROBLEM, RAN, Step
from lab.scheduler.turn import Turn
from lab.scheduler.visit import Request
from lab.store import experiments, leases, packages

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.core.job import Wants
    from lab.core.policy import Move
    from lab.core.spec import Spec
    from lab.core.view import View
    from lab.scheduler.cycle import Errand
    from lab.scheduler.search.plan import Wanted
    from lab.store.root import Root

RUNS = 10
# A pipe holds 64 KiB, and each run that is still to come is a byte in one.
MOST_RUNS = 60_000
_LOOK_EVERY_S = 0.1
_TOKEN = b"."
BUSY = "busy"
WAITS = "wait longer, or see who it is: labctl lease show"
# GONE: to an engine, and it goes on there whatever becomes of this process.
# FULL: no more until a run that is under way is over.
MADE, GONE, FULL, AGAIN, OVER, ANOTHERS = "made", "gone", "full", "again", "over", "another's"


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What a person asked for. With `resume`, `runs` counts what the search has done already."""

    experiment: str
    runs: int = RUNS
    jobs: int = 1
    pause_s: float = 0.0
    resume: bool = False
    engine: str = ""  # which a person named; `here` for none
    by: str = ""  # the research project whose study it is
    wait_s: float | None = None  # for whoever is at work on it; None: until they are done


class Burst:
    """A burst under way. `turn.steps` is what happened; `stopped` is why it ended before its time, if it did."""

    def __init__(
        self,
        root: Root,
        order: Order,
        wanted: Wanted,
        *,
        tell: Callable[[Step], None],
        interrupted: Callable[[], str],
        worker: str = "burst",
    ) -> None:
        self.order = order
        self.search = Search(root, order.experiment, msgspec.structs.replace(wanted, workers=order.jobs))
        self.left = order.runs
        self.stopped = ""
        self.spec: Spec | None = None
        self.view: View | None = None
        self.is_afar = False  # some of its runs go to an engine: `afar` makes them all
        self.handed: Step | None = None  # what was told of the last run that went to one
        self.refusal: LabError | None = None  # what ended it
        self.recoded = ""  # that its program was changed since the run before, in words
        self._root = root
        self._worker_name = ids.worker(worker)
        self._wait_told = False
        self._held_since_s: float | None = None
        self._parent: int | None = None
        request = Request(
            only=(order.experiment,), max_runs=order.runs, now=True, jobs=order.jobs, engine=order.engine, by=order.by
        )
        self.turn = Turn(root, request, tell=tell, interrupted=interrupted)
        self._interrupted = interrupted
        self._tell = tell

    def prepare(self) -> int:
        """Refuse now what no run could change. Returns how many runs are to come."""
        name = experiments.require(self._root, self.order.experiment)
        if not 1 <= self.order.runs <= MOST_RUNS:
            raise BadInput(f"a burst makes 1 to {MOST_RUNS:,} runs, not {self.order.runs:,}", fix="give another -n")
        self.turn.hear()
        self.turn.settle(name)  # what the last one left may be a run that had ended well, and counts
        with self._root.section(name):
            self.view, loaded = cycle.observe(self._root, name)
        if loaded.problem is not None:
            refresh.lab_pages(self._root, edited=(name,))  # or the lab's would say it only after the next turn
        self.spec = spec = cycle.usable(loaded)
        if self.order.jobs > 1 and is_chain(spec):
            fix = "leave -j out; several at once need a `strategy`, with which each run is a whole training"
            raise BadInput(f"the runs of {name} are chunks of one training, one after the other", fix=fix)
        sequels.require_single(spec, self.order.jobs)
        if self.view.phase not in OPEN_PHASES:
            if self.view.phase == COMPLETED and self.order.resume and self._has_all(spec):
                self.left = 0  # the very line that completed it, typed again, is done and not wrong
                self.stopped = self._all_there()
                return 0
            why = f" ({self.view.phase_reason})" if self.view.phase_reason else ""
            typed = f"labctl research status {name}" if is_project(spec) else to_open(name, self.view.phase)
            raise BadInput(f"{name} is {self.view.phase}{why}, so it runs nothing", fix=typed)
        found = self.search.ready(self.view, spec)
        tiers = map(spec.for_tier, spec.fidelity_tiers)
        wanted = [engines.chosen(self._root, tier, engine=self.order.engine) for tier in tiers]
        self.is_afar = any(each is not None for each in wanted)
        names = None if found is None else found.space.names
        here, away = spec.for_tier(self.view.tier), self._is_away(spec, wanted)
        work.require_work(self._root, here, self.view, names, away=away)
        if not away:
            lying = doubts.lying_for(self._root, spec, self.view)
            doubts.require_programs(here, lying, self._root.world.environ)
        work.require_ready(self._root, here, self.view, proposes=True)
        self.recoded = unread.recoded(self._root, self.view, here)
        # Else the SPEC's, which may be edited while this goes on: so two bursts are let run side by side.
        slots = self.order.jobs if self.order.jobs > spec.max_parallel else 0
        self.turn.request = msgspec.structs.replace(self.turn.request, slots=slots)
        if self.order.resume:
            self.left = max(0, self.order.runs - (self.view.runs if found is None else self._done()))
            self.stopped = "" if self.left else self._all_there()
        return self.left

    def _all_there(self) -> str:
        """Why a resumed search makes none: who typed `-n 2` may have meant two more."""
        made = self.view.runs if self.view is not None and not self.search.is_one else self._done()
        there = f"{made} of {self.order.runs} are there"
        return f"with --resume -n counts all runs, and {there}; without it, -n counts new ones"

    def _is_away(self, spec: Spec, wanted: list[Wants | None]) -> bool:
        """Whether its next run finds its variables where an engine places it. Refuses an engine that is not here."""
        if not self.is_afar or self.view is None:
            return False
        from lab.scheduler.placing import handing  # noqa: PLC0415  # most bursts have no engine

        for each in wanted:
            if each is not None:
                handing.ready(self._root, each)
        first = engines.chosen(self._root, spec.for_tier(self.view.tier), engine=self.order.engine)
        return first is not None and handing.sets_itself(first)

    def _done(self) -> int:
        """How many trials the search has behind it; what was imported or replayed is no work of its own."""
        with self._root.section(self.order.experiment):
            self.search.book.catch_up()
            return self.search.book.searched

    def look_again(self) -> None:
        """How the experiment stands now: its runs were made by workers, and by others."""
        name = self.order.experiment
        with suppress(LabError, OSError), self._root.section(name):
            self.view, _ = refresh.current(self._root, name)

    def _has_all(self, spec: Spec) -> bool:
        """Whether what was asked for in all is there already."""
        if self.view is None:
            return False
        searches = self.search.ready(self.view, spec) is not None
        return (self._done() if searches else self.view.runs) >= self.order.runs

    def run(self) -> None:
        """All of it, where no engine has a part in it. What was sealed is sealed, whatever ends it."""
        try:
            if self.order.jobs > 1 and self.left > 1:
                self._in_parallel()
            else:
                self._back_to_back()
        finally:
            self.turn.publish()

    def _back_to_back(self) -> None:
        while self.left and not self.ends():
            if self.one() == MADE:
                self.left -= 1
                self.turn.publish_now_and_then()
                if self.left:
                    self.wait(self.order.pause_s)

    def one(self, errand: Errand | None = None, proposal: str = "") -> str:
        """One run, and what came of it: one of the words above. After OVER `stopped` says why.

        `errand` is what a person has chosen, `proposal` what a person has approved; without them the search chooses.
        """
        name = self.order.experiment
        told, self.handed = len(self.turn.steps), None
        try:
            visit = self.turn.visit(name, search=self.search, errand=errand, proposal=proposal, owner=self._worker_name)
        except Taken:
            return ANOTHERS
        except Superseded as lost:  # a run of ours was lost; that is no "somebody else is at it"
            self._say(PROBLEM, lost.what, lost.fix)
            return AGAIN
        except Busy as busy:
            self.held(busy)
            return OVER if self.refusal else AGAIN
        except LabError as error:
            self._say(PROBLEM, error.what, error.fix)
            self.stopped, self.refusal = error.what, error
            return OVER
        self.view = visit.subject.view if visit.subject is not None else visit.before or self.view
        self._held_since_s = None
        self._wait_told = self._wait_told and self.is_afar  # where many are out, it is the rule that no more may be
        said = self.turn.steps[told:]
        self.handed = next((each for each in said if each.engine and each.run_id), None)
        if self.handed is not None:
            return GONE
        if isinstance(visit.move, Wait) and visit.move.for_runs and (self.is_afar or self._is_beside_others()):
            return FULL
        if visit.made is None:
            refused = next((each.what for each in said if each.kind == PROBLEM), "")
            self.stopped = _why(visit.move) or refused or "nothing is to be run"
            return OVER
        return MADE

    def _is_beside_others(self) -> bool:
        """In a worker: whether runs of others may make room. A package is not waited for: it may lie there for days."""
        name = self.order.experiment
        offered = packages.waiting(self._root).get(name, 0)
        return self._parent is not None and (not offered or bool(leases.survey(self._root, name).held))

    def ends(self) -> bool:
        """Whether something speaks against another run."""
        return bool(self.stopped or self._interrupted() or self._is_orphan())

    def _is_orphan(self) -> bool:
        """In a worker: whether the burst that it works for was killed. Nobody would hear of its runs."""
        return self._parent is not None and os.getppid() != self._parent

    def held(self, busy: Busy) -> None:
        """Wait a little for whoever is at it, and say so once; or go no further, where that was long enough."""
        if self._held_since_s is None:
            self._held_since_s = time.monotonic()
        if self.order.wait_s is not None and time.monotonic() - self._held_since_s >= self.order.wait_s:
            self.stopped, self.refusal = busy.what, busy
            return
        if not self._wait_told:
            self._wait_told = True
            self._say(HELD, f"{busy.what}; {self._until(busy)}")
        self.wait(_LOOK_EVERY_S)

    def _until(self, busy: Busy) -> str:
        """What is waited for, and the way out: who makes many runs takes it again as soon as one of them is over."""
        if self.spec is None or not isinstance(busy, leases.Occupied):
            return "waiting for it"
        waits = "waiting until all the runs that whoever holds it was asked for are made"
        if is_chain(self.spec) or sequels.is_followed(self.spec):
            return waits
        more = max(self.turn.request.slots, self.spec.max_parallel) + 1
        return f"{waits}; `max_parallel: {more}` in experiments/{self.spec.id}/SPEC.yaml lets both run, from now on too"

    def note(self, what: str) -> None:
        """Tell a person something that is no event."""
        self._tell(Step(kind=NOTED, experiment=self.order.experiment, what=what))

    def _say(self, kind: str, what: str, fix: str = "") -> None:
        self.tell(Step(kind=kind, experiment=self.order.experiment, what=what, fix=fix))

    def tell(self, step: Step) -> None:
        """Something happened."""
        if step.kind not in PASSING:
            self.turn.steps.append(step)
        self._tell(step)

    def wait(self, for_s: float) -> None:
        """Stay, unless a person interrupts."""
        until_s = time.monotonic() + for_s
        while (left_s := until_s - time.monotonic()) > 0 and not self._interrupted():
            time.sleep(min(left_s, _LOOK_EVERY_S))

    # -- several at a time -----------------------------------------------------------------------------------------

    def _in_parallel(self) -> None:
        """Workers that each take a byte out of one pipe before each run: nobody has to hand them out."""
        tokens, filling = os.pipe()
        os.write(filling, _TOKEN * self.left)
        os.close(filling)
        jobs = min(self.order.jobs, self.left)
        try:
            crew = Crew(
                jobs,
                lambda _name, send: self._worker(tokens, send),
                self._heard,
                self._lost,
                self._interrupted,
            )
            crew.work([self.order.experiment] * jobs, more=lambda _: True)
        finally:
            os.close(tokens)
        self.left = max(0, self.left - sum(step.kind == RAN for step in self.turn.steps))

    def _worker(self, tokens: int, send: Callable[[bytes], None]) -> None:
        """In a process of its own: runs, as long as there are tokens and nothing speaks against another one."""
        self._parent = os.getppid()
        self._tell = self.turn.tell_to(lambda step: send(msgspec.json.encode(step)))
        while not self.ends() and os.read(tokens, 1):
            while not self.ends() and (how := self.one()) != MADE:
                if how == FULL:
                    self.wait(_LOOK_EVERY_S)
            self.wait(self.order.pause_s)
        if self.stopped:
            how = BUSY if isinstance(self.refusal, Busy) else ""
            send(
                msgspec.json.encode(Step(kind=NOTED, experiment=self.order.experiment, what=self.stopped, outcome=how))
            )
        self.turn.tell_what_follows()

    def _heard(self, line: bytes) -> None:
        step = msgspec.json.decode(line, type=Step)
        if step.kind == NOTED:
            self.stopped = self.stopped or step.what
            if step.outcome == BUSY:
                self.refusal = Busy(step.what, fix=WAITS)
            return
        self.tell(step)
        self.turn.publish_now_and_then()

    def _lost(self, _name: str, what: str) -> None:
        self._say(PROBLEM, f"a worker failed: {what}", "what it left is settled next time")

    # -- how it went -----------------------------------------------------------------------------------------------

    @property
    def failed(self) -> bool:
        """Whether no run succeeded, or a fault ended it before its time."""
        ran = [step for step in self.turn.steps if step.kind == RAN]
        fault = any(step.kind == PROBLEM and step.what == self.stopped for step in self.turn.steps)
        return fault or (bool(ran) and all(step.outcome in FAILURES for step in ran))


def _why(move: Move | None) -> str:
    return move.reason if isinstance(move, Wait) else ""  # of anything else the steps have told
