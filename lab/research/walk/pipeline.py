"""Which phase of a project comes next: decided from what its sealed runs are, and from what people said. Pure.

A phase is done when a sealed run that succeeded was given exactly what it would be given now. So an edit of the
project makes those phases due again that it is about, and those that build on what they leave; a crash changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

from lab.core import layout
from lab.core.errors import BadInput
from lab.research.decision import PIVOT, REFINE
from lab.research.declared import Phase  # msgspec resolves annotations
from lab.research.order import SEND, Order
from lab.research.project import IMPLEMENTATION, ITERATION, PUBLISHING, TRAINING
from lab.research.work.inputs import Done, earlier  # msgspec resolves annotations

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lab.core.view import Pursuit
    from lab.research.decision import Decision
    from lab.research.project import Project

RELEASE = f"{layout.ARTIFACTS}/release.json"  # of publishing; its digest is what a person approves


class Due(msgspec.Struct, frozen=True, kw_only=True):
    """The phase that comes now. `asks`: a person is asked first, and has not said yes to exactly this."""

    phase: Phase
    order: Order
    by_phase: dict[str, Done]  # what it builds on
    known: dict[str, Done]  # all that is done
    asks: bool = False


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """A release waits for a person's approval of its hash."""

    release: str
    run_id: str


class Over(msgspec.Struct, frozen=True, kw_only=True):
    """Nothing is left to do."""

    rounds: int
    decision: str = ""  # of the last iteration
    sent: str = ""  # the release that was sent


Next = Due | Ready | Over


class Lookup(Protocol):
    """The disk, to whoever decides."""

    def inputs(self, phase: Phase, order: Order, by_phase: Mapping[str, Done]) -> str:
        """The digest of what a phase would be given."""
        ...

    def done(self, order: Order) -> Done | None:
        """The newest run that did exactly this, and succeeded."""
        ...

    def ideas(self, by_phase: Mapping[str, Done]) -> tuple[str, ...]:
        """The names of the ideas, in the order of their files."""
        ...

    def decision(self, done: Done) -> Decision:
        """What an iteration came to."""
        ...

    def begun(self, number: int, after: int) -> bool:
        """Whether a run of this round, or of a later one, had been claimed when this generation was the newest."""
        ...


class Walk:
    """From the first phase on, as far as there are runs. It comes to an end, whatever they say: rounds are counted."""

    def __init__(
        self, project: Project, planned: Sequence[Phase], lookup: Lookup, pursuit: Pursuit | None = None
    ) -> None:
        self._project = project
        self._planned = tuple(planned)
        self._names = tuple(each.name for each in planned)
        self._lookup = lookup
        self._pursuit = pursuit
        self._round, self._idea, self._decision = 1, "", ""
        self._tried: set[str] = set()
        self._by_phase: dict[str, Done] = {}
        self._seen: dict[str, Due] = {}

    def next(self) -> Next:
        """What comes now."""
        at = 0
        while at < len(self._planned):
            phase = self._planned[at]
            if phase.each_round and not self._tried:
                self._take_up(self._idea_after(""))
            due = self._order(phase)
            done = self._lookup.done(due.order)
            if done is None or self._is_overruled(phase, done):
                return due
            self._by_phase[phase.name] = done
            at += 1
            if phase.name == ITERATION:
                at = self._after(self._lookup.decision(done), at)
        return self._end()

    def listed(self) -> Done | None:
        """The run that listed what would be sent as the project is now."""
        self.next()
        return self._by_phase.get(PUBLISHING)

    def again(self, name: str) -> Due:
        """One phase as it would be done now, whether it is done or not: of the rounds, in the newest."""
        if name not in self._names:
            raise BadInput(f"this project has no phase {name}", fix=f"it goes through {', '.join(self._names)}")
        self.next()
        if name not in self._seen:
            raise BadInput(
                f"the phase {name} builds on phases that are not done", fix="labctl research run ID does them"
            )
        return msgspec.structs.replace(self._seen[name], asks=False)  # a person asks for it

    def _order(self, phase: Phase, step: str = "", release: str = "") -> Due:
        in_rounds = phase.each_round or self._tried
        bare = Order(
            phase=phase.name, worker=phase.executor, step=step, release=release,
            round=self._round if in_rounds else 1, idea=self._idea if in_rounds else "",
        )  # fmt: skip
        before = self._before(phase, step)
        order = msgspec.structs.replace(
            bare,
            inputs=self._lookup.inputs(phase, bare, before),
            given={name: done.run_id for name, done in sorted(before.items())},
        )
        passed = self._pursuit.passed if self._pursuit is not None else ()
        asks = phase.gate == "approve" and not step and order.inputs not in passed
        due = Due(phase=phase, order=order, by_phase=before, known=dict(self._by_phase), asks=asks)
        self._seen[phase.name] = self._seen.get(phase.name, due) if step else due
        return due

    def _before(self, phase: Phase, step: str) -> dict[str, Done]:
        """What it builds on: runs of the phases that its inputs name; of all rounds, once the rounds are over."""
        wanted = {each.partition("/")[0] for each in phase.inputs} | ({PUBLISHING} if step else set())
        return {
            key: done
            for key, done in self._by_phase.items()
            if key in wanted or (not phase.each_round and key.rpartition("/")[2] in wanted)
        }

    def _is_overruled(self, phase: Phase, done: Done) -> bool:
        """Whether a person has ruled on the round since: then it is decided again, by their word."""
        ruling = self._pursuit.ruling if self._pursuit is not None else None
        if phase.name != ITERATION or ruling is None:
            return False
        return done.seal.generation <= ruling.after and not self._lookup.begun(self._round + 1, ruling.after)

    def _after(self, found: Decision, at: int) -> int:
        """Where it goes on after an iteration. No file makes more rounds than the project has."""
        self._decision = found.decision
        if self._round >= self._project.iteration.max_rounds or TRAINING not in self._names:
            return at
        if found.decision == REFINE:
            return self._begin_round(TRAINING)
        following = self._idea_after(found.next_idea) if found.decision == PIVOT else ""
        if not following:
            return at
        begin = self._begin_round(IMPLEMENTATION if IMPLEMENTATION in self._names else TRAINING)
        self._take_up(following)
        return begin

    def _begin_round(self, name: str) -> int:
        """The next round begins with this phase. What the last one left is kept by its number."""
        begin = self._names.index(name)
        for phase in self._planned[begin:]:
            if phase.name in self._by_phase:
                self._by_phase[earlier(self._round, phase.name)] = self._by_phase.pop(phase.name)
        self._round += 1
        return begin

    def _take_up(self, idea: str) -> None:
        self._idea = idea
        self._tried.add(idea)

    def _idea_after(self, wanted: str) -> str:
        """The idea that is wanted, else the first that was not tried; nothing where none is left."""
        left = [each for each in self._lookup.ideas(self._by_phase) if each not in self._tried]
        return wanted if wanted in left else next(iter(left), "")

    def _end(self) -> Next:
        """All phases are done. What is to be sent waits for a person; nothing else opens that way."""
        over = Over(rounds=self._round, decision=self._decision)
        dry = self._by_phase.get(PUBLISHING)
        if dry is None or not self._project.publish.to:
            return over
        kept = dry.seal.files.get(RELEASE)
        release = kept.sha256 if kept is not None and not kept.link else ""
        if not release:
            raise BadInput("the release has no manifest", where=dry.path, fix="labctl verify")
        due = self._order(self._planned[self._names.index(PUBLISHING)], SEND, release)
        if self._lookup.done(due.order) is not None:
            return msgspec.structs.replace(over, sent=release)
        if self._pursuit is None or release not in self._pursuit.released:
            return Ready(release=release, run_id=dry.run_id)
        return due
