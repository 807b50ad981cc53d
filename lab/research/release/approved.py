"""What the ledger has of a person's word for a release: whether it was given, and still holds.

It holds until it is withdrawn, or until the lab has asked about another list; and only where the chain of the ledger
holds from that line to the end. Who can write the whole ledger anew can forge it: `labctl verify` and the seals, which
are tied to it, show that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.core import event
from lab.core.event import Event  # msgspec resolves annotations
from lab.core.pursuit import RELEASE
from lab.core.view import AWAITING
from lab.store import ledger

if TYPE_CHECKING:
    from lab.store.ledger import Entry
    from lab.store.root import Root


class Word(msgspec.Struct, frozen=True, kw_only=True):
    """`given` where it holds. `first` is when the first one for this list was given: a commit made again has its date.

    `doubt` says why one that stands there does not hold.
    """

    given: Event | None = None
    first: str = ""
    doubt: str = ""


def word(root: Root, experiment: str, sha256: str) -> Word:
    """A person's word for exactly this list."""
    newest: Entry | None = None
    first, is_void, why = "", False, ""
    for entry in ledger.mentioning(root, 0, experiment):
        said = entry.line.event if entry.line is not None else None
        if said is None or said.experiment != experiment:
            continue
        if said.type == event.RELEASE_APPROVED and said.name == sha256:
            newest, is_void = entry, False
            first = first or (said.ts if _hangs_on(root, entry) else "")
        elif _voids(said, sha256) and newest is not None and not is_void:
            is_void, why = True, _why(said)
    if newest is None or newest.line is None:
        return Word()
    if is_void:
        return Word(first=first, doubt=why)
    broken = _broken(root, newest)
    if broken:
        return Word(first=first, doubt=f"the chain of the ledger does not hold where it was given: {broken}")
    return Word(given=newest.line.event, first=first or newest.line.event.ts)


def _voids(said: Event, sha256: str) -> bool:
    if said.type == event.RELEASE_WITHDRAWN:
        return said.name == sha256
    offered = said.facts.get(RELEASE) if said.type == event.PHASE_CHANGED and said.phase == AWAITING else None
    return bool(offered) and offered != sha256


def _why(said: Event) -> str:
    if said.type == event.RELEASE_WITHDRAWN:
        return f"{said.actor} withdrew the approval on {said.ts[:10]}"
    return f"another list was made on {said.ts[:10]}, after it was approved"


def _broken(root: Root, entry: Entry) -> str:
    """What is wrong with the chain at this line or behind it."""
    line = entry.line
    if line is None:
        return "it cannot be read"
    audit, start = ledger.Audit(), 0  # of one behind what a crash tore, all of the ledger is followed
    if _hangs_on(root, entry):
        start = entry.end - len(entry.raw) - 1
        audit.mark = ledger.Mark(seq=line.seq - 1, sha256=line.prev, end=start)
    for each in ledger.entries(root, start):
        wrong = audit.feed(each)
        if wrong and each.end >= entry.end:
            return wrong
    return audit.finish()


def _hangs_on(root: Root, entry: Entry) -> bool:
    """Whether the record that a line says it follows stands right before it."""
    return entry.line is not None and ledger.has(root, entry.end - len(entry.raw) - 1, entry.line.prev)
