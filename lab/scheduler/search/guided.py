"""Guided runs: each proposal waits for a person's word, at a terminal or in control/approvals, and then runs.

Nothing is held while a person thinks. No word is not a yes: the end of the input, a proposal that expired and a person
who walks away all end it with nothing started.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec

from lab.core import assignment, proposal
from lab.core.errors import BadInput, Exhausted
from lab.core.origin import Origin
from lab.core.proposal import APPROVED, RUN
from lab.core.run import Run
from lab.core.space import Space  # msgspec resolves annotations
from lab.scheduler import cycle
from lab.scheduler.control import approvals, proposals
from lab.scheduler.control.approved import ORIGIN
from lab.scheduler.cycle import Errand

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.core.assignment import Params
    from lab.scheduler.search.burst import Burst
    from lab.store.root import Root

APPROVE, SKIP, REST, QUIT = "approve", "skip", "rest", "quit"
_LOOK_EVERY_S = 0.25


class Asking(msgspec.Struct, frozen=True, kw_only=True):
    """What a person is asked about: run number `place` of `of`, with these parameters, and what is known so far."""

    place: int
    of: int
    params: dict[str, object]
    origin: Origin | None
    space: Space | None
    best: Run | None


class Word(msgspec.Struct, frozen=True, kw_only=True):
    """What was said. `params` are a person's own, in the place of the proposed ones."""

    how: str
    params: dict[str, object] | None = None
    why: str = ""


class Guided:
    """A guided burst. `ask` is a person at a terminal; without one the words come through control/approvals."""

    def __init__(self, root: Root, burst: Burst, *, ask: Callable[[Asking], Word] | None, actor: str) -> None:
        self.burst = burst
        self.waiting = ""  # the proposal that waits for a word when this ended
        self.skipped = 0
        self._root = root
        self._ask = ask
        self._actor = actor
        self._name = burst.order.experiment
        self._passed_over: list[Params] = []
        self._rest = False

    def run(self, *, wait_s: float | None) -> None:
        """Ask and run until all is done or somebody stops. `wait_s` is how long to wait for a word in a file."""
        burst = self.burst
        place, of = 0, burst.left
        try:
            while burst.left and not burst.ends():
                place += 1
                if not self._step(place, of, wait_s):
                    return
        finally:
            burst.turn.publish()

    def _step(self, place: int, of: int, wait_s: float | None) -> bool:
        """One question and its run; False when it is over."""
        burst = self.burst
        if self._rest:
            return self._made(None)
        asking = self._asking(place, of)
        if asking is None:
            return self._made(None)  # the policy or the search has something to say first
        if self._ask is None:
            return self._by_file(asking, wait_s)
        word = self._ask(asking)
        if word.how == QUIT:
            burst.stopped = word.why or "a person stopped it"
            return False
        if word.how == SKIP:
            self._skip(asking)
            return True
        self._rest = word.how == REST
        return self._made(self._errand(asking, word))

    def _made(self, errand: Errand | None) -> bool:
        """Run it, waiting while somebody else is at it."""
        while not self.burst.one(errand):
            if self.burst.ends():
                return False
        self._passed_over.clear()
        self.burst.left -= 1
        return True

    def _asking(self, place: int, of: int) -> Asking | None:
        with self._root.section(self._name):
            view, loaded = cycle.observe(self._root, self._name)
            spec = cycle.usable(loaded)
            try:
                errand = self.burst.search.errand(view, spec, tuple(self._passed_over))
            except Exhausted:
                return None
            found = self.burst.search.space(view, spec)
            self._spec, self._tier = spec, errand.tier or view.tier
        return Asking(
            place=place, of=of, params=dict(errand.params or {}), origin=errand.origin,
            space=None if found is None else found.space, best=view.bests.get(self._tier),
        )  # fmt: skip

    def _skip(self, asking: Asking) -> None:
        self.skipped += 1
        self._passed_over.append(asking.params)  # type: ignore[arg-type]  # as the search made it

    def _errand(self, asking: Asking, word: Word) -> Errand:
        origin = asking.origin
        params = asking.params
        if word.params is not None and not assignment.alike(word.params, params):
            params, origin = word.params, None if origin is None else self.burst.search.of_person(self._spec)
        if asking.space is None:
            return Errand()
        seed = None if origin is None else origin.seed
        return Errand(params=params, tier=self._tier, origin=origin, seed=seed)

    # -- no terminal: through files ----------------------------------------------------------------------------------

    def _by_file(self, asking: Asking, wait_s: float | None) -> bool:
        if asking.space is None:
            raise BadInput(
                f"{self._name} has no search space, so there is nothing to approve",
                fix="labctl burst runs it without questions",
            )
        facts: dict[str, str | int | float | bool | None] = {"trial": asking.place}
        if asking.origin is not None:
            facts[ORIGIN] = msgspec.json.encode(asking.origin).decode()
        wanted = proposal.Proposal(
            kind=RUN, experiment=self._name, params=asking.params, reason=reason(asking), asked_by=self._actor,
            facts=facts,
        )  # fmt: skip
        asked = approvals.ask(self._root, wanted)
        verdict = self._word_on(asked.proposal_id, wait_s)
        if not verdict:
            self.waiting = asked.proposal_id
            return False
        if verdict == APPROVED:
            return self._made(None)  # the crank finds it among the approved runs
        if verdict == proposal.REJECTED:
            self._skip(asking)
            return True
        self.burst.stopped = f"the proposal {asked.proposal_id} is {verdict}"
        return False

    def _word_on(self, proposal_id: str, wait_s: float | None) -> str:
        """What was said to a proposal; empty when nobody said anything in time."""
        self.burst.note(f"{proposal_id} waits for a word: labctl approve {proposal_id}, or labctl reject {proposal_id}")
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


def reason(asking: Asking) -> str:
    """Why these parameters, in a sentence."""
    origin = asking.origin
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
