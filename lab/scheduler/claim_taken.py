"""Taking a claim from its holder, and the line of the ledger that says so.

The line comes first: where a full disk refuses it, the claim stands, and whoever comes next does both. After a crash
between the two the line is there already, and is not written again.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from lab.store import leases, ledger

if TYPE_CHECKING:
    from lab.core.event import Event
    from lab.store.root import Root


def take(root: Root, told: Event) -> bool:
    """Take the claim that this event is about; False when nobody holds it any more. Inside the section."""
    if not os.path.lexists(root.layout.claim(told.experiment, told.generation)):
        return False
    if not _is_told(root, told):
        ledger.append(root, told)
    return leases.supersede(root, told.experiment, told.generation)


def _is_told(root: Root, told: Event) -> bool:
    """All of the ledger is read, for a kill in one moment."""
    lines = (entry.line.event for entry in ledger.of_kind(root, told.type) if entry.line is not None)
    return any((each.experiment, each.generation) == (told.experiment, told.generation) for each in lines)
