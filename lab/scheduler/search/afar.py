"""The runs of a burst that engines have: handed over one after another, and waited for, by one process.

Nothing has to live for them: what was handed over goes on when this process ends. Whether a run is over is seen by its
claim, a stat each. Its engine is asked by one question, however many are out: a second after something happened, and
ever more rarely while nothing does.
"""

from __future__ import annotations

import math
import os
import time
from typing import TYPE_CHECKING

import msgspec

from lab.core import layout
from lab.core.errors import Busy, Corrupt, LabError, Unavailable
from lab.scheduler import reclaim, rows, step
from lab.scheduler.placing import placed, reconciling
from lab.scheduler.search.burst import AGAIN, FULL, GONE, MADE, OVER
from lab.scheduler.step import HELD, NOTED, PROBLEM, SETTLED, Step
from lab.store import bundles, jobs, leases, reading

if TYPE_CHECKING:
    from lab.core.seal import Seal
    from lab.scheduler.search.burst import Burst
    from lab.store.root import Root

LOOK_EVERY_S = 0.25
ASK_EVERY_S, ASK_AT_LEAST_EVERY_S = 1.0, 10.0
SAY_EVERY_S = 600.0
SILENT_S = 120.0  # without any answer in this burst: its commands are there, and most likely nobody behind them
_SLOWER = 1.5
_LONGEST_WAIT_S = 2.0


class Out(msgspec.Struct, frozen=True, kw_only=True):
    """A run that an engine has."""

    run_id: str
    generation: int
    engine: str


class Afar:
    """What a burst has out. `out` are the runs that go on when this process ends; `sealed` says how many came back."""

    def __init__(self, root: Root, burst: Burst) -> None:
        self.out: dict[str, Out] = {}
        self._root = root
        self._burst = burst
        self._name = burst.order.experiment
        self._looked_at_s = self._asked_at_s = self._again_at_s = 0.0
        self._ask_s, self._again_s = ASK_EVERY_S, LOOK_EVERY_S
        self._trouble = ""  # why the engine cannot be asked now, or takes nothing
        self._again = False  # whether it may take it after all: one of ours is over
        self._said_at_s = 0.0
        self._has_answered = False  # in this burst, or before it of a run that is out
        self._silent_since_s = 0.0
        self._is_given_up = False
        self._states: dict[str, str] = {}
        self._held_up = ""

    def run(self) -> None:
        """All of the burst. An interruption ends the handing over and the waiting, and none of the runs."""
        burst = self._burst
        try:
            if burst.order.resume:
                self.adopt()
            while burst.left > 0 and not self._is_over() and (self.out or not burst.ends()):
                self._hand_over()
                if not self._count():
                    self._ask()
                    burst.wait(LOOK_EVERY_S)
        finally:
            burst.turn.publish()

    def adopt(self) -> None:
        """Count what engines have of this experiment already as what this burst has out."""
        for held in leases.survey(self._root, self._name).held:
            claim = held.seen.claim
            if claim.engine and claim.run_id:
                self.out[claim.run_id] = Out(run_id=claim.run_id, generation=claim.generation, engine=claim.engine)
        self._has_answered |= self.unsubmitted() < len(self.out)
        if self.out:
            self._burst.note(f"{len(self.out)} under way already, and counted when over: {', '.join(sorted(self.out))}")

    def handed_over(self, told: Step) -> None:
        """Wait for this one too."""
        manifest = bundles.load_manifest(self._root.layout.run(self._name, told.run_id))
        if told.closed:  # it waits with us until its engine answers again, or takes it
            self._trouble = told.what
            self._said_at_s = time.monotonic()
            self._heard(is_silent=told.closed == told.engine)
        else:
            self._has_answered = True
        if manifest is not None:
            self.out[told.run_id] = Out(run_id=told.run_id, generation=manifest.generation, engine=told.engine)
            self._ask_s = ASK_EVERY_S

    def unsubmitted(self) -> int:
        """How many of those that are out no engine has taken yet."""
        found = (jobs.load(self._root, self._name, each.generation) for each in self.out.values())
        return sum(job is not None and not job.number for job in found)

    def awaited(self) -> str:
        """Stay until something that is out is over, and tell meanwhile how it is: MADE, or AGAIN where none counts."""
        burst = self._burst
        while self.out and not self._is_over():
            before = len(self.out)
            sealed = self._gathered()
            if sealed or len(self.out) < before:
                return MADE if sealed else AGAIN
            self._ask()
            self._tell_states()
            burst.wait(LOOK_EVERY_S)
        return AGAIN

    def _is_over(self) -> bool:
        """Whether nothing that is out is waited for any more."""
        return self._is_given_up or bool(self._burst.turn.interrupted())

    def _heard(self, *, is_silent: bool) -> None:
        """Whether there is an engine at all. One that never answered is not waited for like one that is away."""
        now_s = time.monotonic()
        if not is_silent:
            self._has_answered = True
        if self._has_answered:
            return
        name, run = self._name, "the run waits, and a later turn submits it"
        if not self._silent_since_s:
            self._silent_since_s = now_s
            self._burst.note(
                f"tried for {SILENT_S:.0f} s, then this ends; Ctrl-C ends it now: {run}. Without the engine: "
                f"labctl burst {name} --engine here. To give the run up: labctl cancel {name}"
            )
        elif now_s - self._silent_since_s >= SILENT_S:
            self._is_given_up = True
            what = f"nothing was submitted in {SILENT_S:.0f} s, as {self._trouble.partition('; the run waits')[0]}"
            fix = f"{run}: labctl doctor tells how the engine is; without it: labctl burst {name} --engine here"
            self._burst.stopped, self._burst.refusal = what, Unavailable(what, fix=fix)

    # -- handing over ----------------------------------------------------------------------------------------------

    def _hand_over(self) -> None:
        """As many as may be out, or until somebody else is in the way."""
        burst = self._burst
        if self._trouble and not self.out:  # what would have told that it is over: no engine is asked now
            self._trouble = ""
            burst.turn.ask_again()
        while self._has_room():
            how = burst.one()
            if how == GONE and burst.handed is not None:
                self.handed_over(burst.handed)
            elif how == MADE:  # its tier runs in this process
                burst.left -= 1
            elif how == OVER and self.out and isinstance(burst.refusal, Unavailable):
                burst.stopped = ""  # an engine that is away for a moment ends no burst that waits for it anyway
                self._wait_before_another()
            else:
                if how == FULL:
                    self._again_at_s = math.inf if self.out else time.monotonic() + _LONGEST_WAIT_S
                elif how == AGAIN:
                    self._wait_before_another()
                return
            if time.monotonic() - self._looked_at_s >= LOOK_EVERY_S:
                self._count()
            if burst.order.pause_s and self._has_room():
                burst.wait(burst.order.pause_s)

    def _has_room(self) -> bool:
        burst = self._burst
        room = len(self.out) < min(burst.order.jobs, burst.left)
        return room and not self._trouble and time.monotonic() >= self._again_at_s and not burst.ends()

    def _wait_before_another(self) -> None:
        """Whoever is in the way is asked less and less often, until something of ours is over."""
        self._again_at_s = time.monotonic() + self._again_s
        self._again_s = min(2 * self._again_s, _LONGEST_WAIT_S)

    # -- what came back --------------------------------------------------------------------------------------------

    def _count(self) -> int:
        """Take in what is over. Returns how many are not out any more, those that do not count too."""
        before = len(self.out)
        self._burst.left -= self._gathered()
        return before - len(self.out)

    def _gathered(self) -> int:
        """Tell of each run that is over. Returns how many of them count."""
        self._looked_at_s = time.monotonic()
        claim = self._root.layout.claim
        over = [each for each in self.out.values() if not os.path.lexists(claim(self._name, each.generation))]
        if any(self._is_taken(each) for each in over):
            self._settle()
        sealed = sum(self._ended(each) for each in over if not self._is_taken(each))
        if over:
            self._again = True
            self._ask_s, self._again_s, self._again_at_s = ASK_EVERY_S, LOOK_EVERY_S, 0.0
            self._burst.turn.publish_now_and_then()
        return sealed

    def _is_taken(self, each: Out) -> bool:
        """Whether somebody took it from its engine, and has not settled it yet."""
        claim = self._root.layout.claim
        taken = (layout.SUPERSEDED_SUFFIX, layout.ABANDONED_SUFFIX)
        return any(os.path.lexists(claim(self._name, each.generation, suffix)) for suffix in taken)

    def _settle(self) -> None:
        try:
            settled = reclaim.reclaim(self._root, self._name)
        except Busy:
            return  # somebody else is at it
        for item in settled:
            if item.run_id not in self.out:
                self._burst.tell(Step(kind=SETTLED, experiment=self._name, run_id=item.run_id, what=item.what))

    def _ended(self, each: Out) -> bool:
        """Tell how a run ended. False for one that does not count."""
        del self.out[each.run_id]
        path = self._root.layout.run(self._name, each.run_id)
        made = self._sealed(path)
        if made is not None:
            written = reading.read(f"{path}/{layout.PARAMS}")
            params = None if written is None else rows.mapping(written)  # a run sealed whatever it had written there
            self._burst.tell(step.ran(made.run, params))
            return True
        what = f"{_why_lost(path)}; it does not count, and another run takes its place"
        self._burst.tell(Step(kind=SETTLED, experiment=self._name, run_id=each.run_id, what=what, engine=each.engine))
        return False

    def _sealed(self, path: str) -> Seal | None:
        try:
            found = bundles.load_seal(path)
        except Corrupt as error:
            self._say_problem(error)
            return None
        return None if found is None else found[0]

    # -- what its engine says --------------------------------------------------------------------------------------

    def _ask(self) -> None:
        """Let the word of engines be judged: what is lost is taken, what ended is settled, what waits is submitted."""
        now_s = time.monotonic()
        if not self.out or now_s - self._asked_at_s < self._ask_s:
            return
        try:
            said = reconciling.look(self._root, self._name, again=self._again)
        except Busy:
            return
        except LabError as error:
            said = [Step(kind=PROBLEM, experiment=self._name, what=error.what, fix=error.fix)]
        self._asked_at_s = time.monotonic()
        self._ask_s = min(self._ask_s * _SLOWER, ASK_AT_LEAST_EVERY_S)
        self._again = False
        trouble = next((each.what for each in said if each.kind == PROBLEM or each.closed), "")
        if self._trouble and not trouble:
            self._burst.note(f"goes on, after: {self._trouble}")
            self._burst.turn.ask_again()
            self._ask_s = ASK_EVERY_S
        for each in said:
            if not self._is_known(each):
                self._burst.tell(each)
        if trouble and self._trouble and self._asked_at_s - self._said_at_s >= SAY_EVERY_S:
            self._burst.note(f"still: {trouble}")
        if trouble and (not self._trouble or self._asked_at_s - self._said_at_s >= SAY_EVERY_S):
            self._said_at_s = self._asked_at_s
        self._trouble = trouble
        if said or not trouble:
            self._heard(is_silent=any(each.closed and each.closed == each.engine for each in said))

    def _is_known(self, said: Step) -> bool:
        """Whether it has been said, or will be when the run is over."""
        if said.kind == NOTED:
            return bool(self._trouble)
        if said.kind == PROBLEM or said.closed:
            return self._trouble.startswith(said.what)
        if said.kind == HELD:  # at another cluster, say
            before, self._held_up = self._held_up, said.what
            return before == said.what
        return said.kind == SETTLED and said.run_id in self.out

    def _say_problem(self, error: LabError) -> None:
        self._burst.tell(Step(kind=PROBLEM, experiment=self._name, what=error.what, fix=error.fix))

    def _tell_states(self) -> None:
        """Where each run is, whenever that has changed: for a person who waits for this one run."""
        for state in placed.states(self._root, self._name):
            if state.run_id not in self.out:
                continue
            told = " ".join(word for word in (state.state, state.where and f"on {state.where}", state.why) if word)
            if self._states.get(state.run_id) != told:
                self._states[state.run_id] = told
                self._burst.note(f"{state.run_id} at {state.engine}: {told}")


def _why_lost(path: str) -> str:
    """What the mark in its bundle says."""
    data = reading.read(f"{path}/{layout.SUPERSEDED}")
    try:
        note = {} if data is None else msgspec.json.decode(data, type=dict[str, object])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        note = {}
    return str(note.get("reason") or "it never began")
