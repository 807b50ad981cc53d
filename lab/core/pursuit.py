"""What people said to a research project, and what it promised before anything ran. Folded from its events.

Here and not in `lab.research`: what an experiment is waiting for must be known without reading one run of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.core import event as events
from lab.core.view import AWAITING, OPEN_PHASES, Pursuit, Said

if TYPE_CHECKING:
    from lab.core.event import Event

GATE, INPUTS = "gate", "inputs"  # facts of the event that hands it to a person: before which phase, given what
RULED = "ruled"  # of what a person said: the decision that the next iteration is to come to
CLAIMED = "claimed"  # and the generation of the newest run that had been claimed when it was said
EXECUTOR = "research"  # of a project: its runs are phases
LENT = "lent"  # of the events that open a study: the project that makes its runs
RELEASE = "release"  # a fact of the event that hands it to a person: the hash of what would be sent
SHA256 = "sha256"  # of an idea, as it was written down
POLICY = "policy"
_PASSED, _REGISTERED, _RELEASED = 32, 256, 16


def after(known: Pursuit | None, event: Event, generation: int) -> Pursuit | None:
    """What is known after this event too. None for an experiment that pursues nothing.

    `generation` is the highest of the runs that were sealed before it.
    """
    match event.type:
        case events.PHASE_CHANGED:
            return _asked_or_passed(known, event)
        case events.HYPOTHESIS_REGISTERED:
            told = known or Pursuit()
            entry = registration(event.name, str(event.facts.get(SHA256, "")))
            names = [each for each in told.registered if each != entry]
            return msgspec.structs.replace(told, registered=(*names, entry)[-_REGISTERED:])
        case events.RESEARCH_STEERED:
            return _heard(known or Pursuit(), event, generation)
        case events.RELEASE_APPROVED:
            told = known or Pursuit()
            names = [each for each in told.released if each != event.name]
            # Whoever approves another one than was asked about has seen that it is what would be sent now.
            offered = event.name if told.offered else ""
            return msgspec.structs.replace(told, released=(*names, event.name)[-_RELEASED:], offered=offered)
        case events.RELEASE_WITHDRAWN:
            told = known or Pursuit()
            return msgspec.structs.replace(told, released=tuple(each for each in told.released if each != event.name))
        case _:
            return known


def registration(name: str, sha256: str) -> str:
    """An idea as it was registered: another text under the same name is another one."""
    return f"{name} {sha256}"


def _heard(known: Pursuit, event: Event, generation: int) -> Pursuit:
    """Words beside a ruling: the one is for whoever works next, the other for the next iteration."""
    claimed, ruled = event.facts.get(CLAIMED), str(event.facts.get(RULED) or "")
    newest = max(generation, claimed if isinstance(claimed, int) else 0)
    said = Said(text=event.reason, ruled=ruled, actor=event.actor, ts=event.ts, after=newest)
    if ruled:
        return msgspec.structs.replace(known, ruling=said)
    return msgspec.structs.replace(known, said=said)


def _asked_or_passed(known: Pursuit | None, event: Event) -> Pursuit | None:
    """A gate is passed by whoever opens the experiment again, if that is a person and the question was this one."""
    if event.phase == AWAITING:
        asked = str(event.facts.get(INPUTS) or "") if event.facts.get(GATE) else ""
        offered = str(event.facts.get(RELEASE) or "")
        if known is None and not asked and not offered:
            return None
        told = known or Pursuit()
        # A word for another list does not hold any more: it would go out when somebody makes that one again.
        released = tuple(each for each in told.released if each == offered) if offered else told.released
        return msgspec.structs.replace(told, asked=asked, offered=offered, released=released)
    if known is not None and known.offered:
        known = msgspec.structs.replace(known, offered="")
    if known is None or not known.asked or event.phase not in OPEN_PHASES or event.actor == POLICY:
        return known
    passed = [each for each in known.passed if each != known.asked]
    return msgspec.structs.replace(known, asked="", passed=(*passed, known.asked)[-_PASSED:])
