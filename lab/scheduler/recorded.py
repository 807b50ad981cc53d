"""What the ledger says of one experiment, without its lines: of 100,000 runs there are several each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.core import event, history
from lab.core.subject import Place

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lab.core.event import Line
    from lab.store.ledger import Entry, Mark


class Recorded:
    """It grows with the ledger."""

    def __init__(self) -> None:
        self.seals: dict[str, str] = {}  # run -> digest of its seal, in the order of the ledger
        self.places: dict[str, int] = {}  # run that was taken over -> the record that says so
        self.decisions: list[history.Item] = []
        self.last = Place()  # the last record that is about it

    def add(self, line: Line, mark: Mark) -> None:
        """A record that is about it."""
        told = line.event
        self.last = Place(seq=mark.seq, sha256=mark.sha256, end=mark.end)
        if told.type == event.RUN_SEALED:
            self.seals.setdefault(told.run_id, told.seal)  # a second line of a run is damage, which `verify` names
            if told.name:
                self.places[told.run_id] = line.seq
        elif item := history.of_line(line):
            self.decisions.append(item)


def of(experiment: str, entries: Iterable[Entry]) -> Recorded:
    """What these lines say of it."""
    found = Recorded()
    for entry in entries:
        if entry.line is not None and entry.line.event.experiment == experiment:
            found.add(entry.line, entry.mark)
    return found
