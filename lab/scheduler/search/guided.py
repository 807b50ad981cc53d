"""Guided runs: each proposal waits for a person's word, at a terminal or in control/approvals, and then runs.

Nothing is held while a person thinks. No word is not a yes: the end of the input, a proposal that expired and a person
who walks away all end it with nothing started.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec

from lab.core import assignment, proposal
from lab.core.errors import BadInput, Busy, Exhausted, Interrupted, LabError
from lab.core.origin import Origin
from lab.core.proposal import APPROVED, RUN, Proposal
from lab.core.run import Run
from lab.core.space import Space  # msgspec resolves annotations
from lab.core.spec_tuning import is_chain
from lab.scheduler import cycle, sequels
from lab.scheduler.control import approvals, proposals, untold
from lab.scheduler.control import asking as asked_at
from lab.scheduler.control.proposals import ORIGIN
from lab.scheduler.cycle import Errand
from lab.scheduler.search.asking.asker import advised
from lab.scheduler.search.burst import AGAIN, ANOTHERS, GONE, MADE

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.scheduler.search.afar import Afar
    from lab.scheduler.search.burst import Burst
    from lab.store.root import Root

APPROVE, SKIP, REST, QUIT = "approve", "skip", "rest", "quit"
SKIPPED = "skipped at the terminal"
_LOOK_EVERY_S = 0.25


class Asking(msgspec.Struct, frozen=True, kw_only=True):
    """What a person is asked about: run number `place` of `of`, with these parameters, and what is known so far."""

    place: int
    of: int
    params: dict[str, object]
    origin: Origin | None
    space: Space | None
    best: Run | None
    phase: str = ""  # of a project: what follows from it, whoever asks


class Word(msgspec.Struct, frozen=True, kw_only=True):
    """What was said. `params` are a person's own, in the place of the proposed ones."""

    how: str
    params: dict[str, object] | None = None
    why: str = ""


class Guided:
    """A guided burst. `ask` is a person at a terminal; without one the words come through control/approvals.

    With `afar`, each run may go to an engine, and is waited for like one that happens here.
    """

    def __init__(
        self,
        root: Root,
        burst: Burst,
        *,
        ask: Callable[[Asking], Word] | None,
        actor: str,
        afar: Afar | None = None,
        waits: Callable[[str], None] | None = None,
    ) -> None:
        """`waits` is told what a command without a terminal waits for."""
        self.burst = burst
        self._afar = afar
        self.waiting = ""  # the proposal that waits for a word when this ended
        self.skipped = 0
        self._root = root
        self._ask = ask
        self._actor = actor
        self._waits = waits or burst.note
        self._name = burst.order.experiment
        self._of = 0
        self._rest = False

    def run(self, *, wait_s: float | None) -> None:
        """Ask and run until all is done or somebody stops. `wait_s` is how long to wait for a word in a file."""
        burst = self.burst
        try:
            if burst.order.resume:
                self._come_back()
            self._of = burst.left
            while burst.left and not burst.ends():
                before = burst.left
                self._step(wait_s)
                if self.waiting:
                    return
                if burst.left < before and burst.left:
                    burst.wait(burst.order.pause_s)
        finally:
            burst.turn.publish()

    def _come_back(self) -> None:
        """Wait for what engines have of it already: what a person is asked next is better for what comes of that."""
        if self._afar is None:
            return
        self._afar.adopt()
        while self._afar.out and self.burst.left > 0 and not self.burst.ends():
            self.burst.left -= self._afar.awaited() == MADE

    def _step(self, wait_s: float | None) -> None:
        """One question, and its run if the answer is yes."""
        burst = self.burst
        if self._rest:
            self._make()
            return
        if (approved := self._approved_meanwhile()) and self._make(proposal=approved) != ANOTHERS:
            return
        chosen = self._chosen()
        if chosen is None:
            return
        asking, errand = chosen
        if self._ask is None:
            self._by_file(asking, errand, wait_s)
            return
        with asked_at.shown(
            self._root, self._name, place=asking.place, of=asking.of, params=asking.params, reason=reason(asking),
            actor=self._actor,
        ):  # fmt: skip
            word = self._ask(asking)
        if word.how == QUIT:
            burst.stopped = word.why or "a person stopped it"
        elif word.how == SKIP:
            self._skip(errand)
            if asking.space is not None:  # kept, or the next process would offer it again
                approvals.decline(
                    self._root, self._proposed(asking, errand), why=word.why or SKIPPED, actor=self._actor
                )
        else:
            self._rest = word.how == REST
            if self._make(self._edited(errand, word)) == ANOTHERS:
                burst.note("somebody else has tried these parameters meanwhile; here are others")

    def _approved_meanwhile(self) -> str:
        """A run that somebody approved elsewhere and that waits: it goes before another question, and that is said."""
        waits = [each for each in proposals.approved(self._root, self._name) if proposals.TAKEN not in each]
        name = waits[0].removesuffix(proposals.SUFFIX) if waits else ""
        if name:
            self.burst.note(f"{name} was approved elsewhere, and is run first")
        return name

    def _make(self, errand: Errand | None = None, proposal: str = "") -> str:
        """Run it, waiting while somebody else is at it."""
        how = AGAIN
        while how == AGAIN and not self.burst.ends():
            how = self.burst.one(errand, proposal)
            if how == GONE and self._afar is not None and self.burst.handed is not None:
                self._afar.handed_over(self.burst.handed)
                how = self._afar.awaited()
        if how == MADE:
            self.burst.left -= 1
        return how

    def _chosen(self) -> tuple[Asking, Errand] | None:
        """What a person is asked about; None when there is nothing, or not now."""
        burst = self.burst
        try:
            return advised(self._root, self._asked_of_search, interrupted=burst.turn.interrupted, tell=burst.tell)
        except Busy as busy:
            burst.held(busy)
        except Exhausted as done:
            burst.stopped = f"{done.what}, or was skipped" if self.skipped else done.what
        except Interrupted:
            pass  # `ends` knows of it
        return None

    def _asked_of_search(self) -> tuple[Asking, Errand]:
        """The same, where a model need not be asked first."""
        burst = self.burst
        with self._root.section(self._name):
            view, loaded = cycle.observe(self._root, self._name)
            spec = cycle.usable(loaded)
            errand = burst.search.errand(view, spec)
            found = burst.search.space(view, spec)
            self._spec, burst.view = spec, view
        comes = sequels.following(self._root, view, spec)  # a look, which may be at gigabytes: not while others wait
        shown = comes.params if isinstance(comes, Errand) else errand.params
        phase = (comes.tier or view.tier) if isinstance(comes, Errand) else ""
        wanted = Asking(
            place=self._of - burst.left + 1, of=self._of, params=dict(shown or {}), origin=errand.origin,
            space=None if found is None else found.space, best=view.bests.get(errand.tier or view.tier),
            phase=phase,
        )  # fmt: skip
        return wanted, errand

    def _skip(self, errand: Errand) -> None:
        self.skipped += 1
        self.burst.search.skip(errand)

    def _edited(self, errand: Errand, word: Word) -> Errand:
        """The errand with a person's parameters, if they are others."""
        if word.params is None or errand.params is None or assignment.alike(word.params, errand.params):
            return errand
        origin = None if errand.origin is None else self.burst.search.of_person(self._spec)
        return msgspec.structs.replace(errand, params=word.params, origin=origin)

    # -- no terminal: through files ----------------------------------------------------------------------------------

    def _by_file(self, asking: Asking, errand: Errand, wait_s: float | None) -> None:
        if asking.space is None and asking.phase:
            fix = f"labctl research run {self._name}; a gate asks before a phase: gates in project.yaml"
            what = f"{self._name} is a research project, and its phases are approved by gates, not by files"
            raise BadInput(what, fix=fix)
        if asking.space is None:
            training = "is a training in chunks, for which no search proposes parameters"
            none = training if is_chain(self._spec) else "has no search space"
            what = f"{self._name} {none}, so there is nothing to approve"
            raise BadInput(what, fix="labctl burst runs it without questions")
        asked = approvals.ask(self._root, self._proposed(asking, errand))
        self.burst.turn.warnings += untold.tell(self._root, [asked.proposal_id])
        verdict = self._word_on(asked.proposal_id, wait_s)
        if not verdict:
            self.waiting = asked.proposal_id
        elif verdict == APPROVED:
            if self._make(proposal=asked.proposal_id) == ANOTHERS:
                self.burst.left -= 1  # it was run, by whoever came first
                self.burst.note(f"{asked.proposal_id} was run by somebody else")
        elif verdict == proposal.REJECTED:
            self._skip(errand)
        else:
            self.burst.stopped = f"the proposal {asked.proposal_id} is {verdict}"

    def _proposed(self, asking: Asking, errand: Errand) -> Proposal:
        """The question as a proposal, which says what its search has it from."""
        facts: dict[str, str | int | float | bool | None] = {"trial": asking.place}
        if asking.origin is not None:
            facts[ORIGIN] = msgspec.json.encode(asking.origin).decode()
        return Proposal(
            kind=RUN, experiment=self._name, params=asking.params, tier=errand.tier, reason=reason(asking),
            asked_by=self._actor, facts=facts,
        )  # fmt: skip

    def _word_on(self, proposal_id: str, wait_s: float | None) -> str:
        """What was said to a proposal; empty when nobody said anything in time."""
        if wait_s is None or wait_s > 0:
            self._waits(self._awaited(proposal_id, wait_s))
        until_s = None if wait_s is None else time.monotonic() + wait_s
        while not self.burst.ends():
            ruling = proposals.ruling_of(self._root, proposal_id)
            if ruling is not None:
                return ruling.verdict
            if until_s is not None and time.monotonic() >= until_s:
                return ""
            approvals.expire(self._root)
            time.sleep(_LOOK_EVERY_S)
        return ""

    def _awaited(self, proposal_id: str, wait_s: float | None) -> str:
        """What is waited for, how long, and what ends it: whoever began this may be a program that sees no prompt."""
        found = proposals.load(self._root, proposal_id)
        until = "" if isinstance(found, LabError) else f" at {found[0].expires_at}"
        long = f"until it expires{until} (--wait 0 waits for none)" if wait_s is None else f"for {wait_s:g} s"
        said = f"{proposal_id} waits for a person's word, and so does this command, {long}"
        word = f"labctl approve {proposal_id}, or labctl reject {proposal_id} --why WHY"
        return f"{said}. From elsewhere: {word}; Ctrl-C ends this, and the proposal stays"


def reason(asking: Asking) -> str:
    """Why these parameters, in a sentence."""
    origin = asking.origin
    if asking.phase:
        return f"the phase {asking.phase}"
    if origin is None:
        return "a run without parameters"
    who = origin.arm or origin.strategy
    said = f"trial {origin.number} by {who}"
    if origin.note:
        said += f": {origin.note}"
    if asking.best is not None:
        said += f"; the best so far is {asking.best.value!r}"
    return said


def judged(space: Space, params: dict[str, object]) -> dict[str, object]:
    """Edited parameters, if they are a point of the space; `BadInput` with all that is wrong with them."""
    wrong = assignment.problems(space, params)
    if wrong:
        raise BadInput(f"these cannot be run: {'; '.join(wrong)}", fix="mend them and try again")
    return params
