"""What a briefing is made from, read from the disk. Writes nothing: a read-only copy will do."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from lab.core import layout
from lab.core.errors import LabError
from lab.projections import status
from lab.projections.standing import TOLD_AMONG, Briefing
from lab.projections.tier import spec_in
from lab.scheduler import places
from lab.scheduler.loop import ideas, scripts, tries
from lab.scheduler.results import table
from lab.scheduler.search import spaces
from lab.store import leases, reading

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.core.spec import Spec
    from lab.core.view import View
    from lab.projections.tables import Line
    from lab.store.root import Root

_ROW_BYTES = 400  # a row is shorter, but for one whose words are in letters of several bytes
_COLUMNS = 7
_OF_A_LOOP = b"commit\t"


def read(root: Root, name: str) -> tuple[Briefing, tuple[str, ...]]:
    """The parts, and what is not in order. `Unavailable` when the pages have to be written again first."""
    found = table.read(root, name)
    space, trouble = spaces.shown(root, found.spec, found.view)
    state = status.fold_state(reading.read(root.layout.status(name)) or b"")
    is_loop = found.spec is not None and scripts.is_loop(found.spec)
    made = Briefing(
        view=found.view,
        spec=found.spec,
        space=space,
        lines=found.lines,
        told=told(root, name, lines=found.lines),
        findings=tuple(dict.fromkeys((*(state.findings if state else ()), *found.findings, *trouble))),
        under_way=under_way(root, name),
        tried=tuple(tries.recent(root, name, found.view.tier)) if is_loop else (),
        ideas=_ideas(root, found.spec, found.view) if is_loop else (),
    )
    return made, found.warnings


def _ideas(root: Root, spec: Spec | None, view: View) -> tuple[str, ...]:
    """What is on the list of a code loop, and was not tried."""
    if spec is None:
        return ()
    here = spec_in(spec, view.tier)
    try:
        listed = ideas.listed(root, here, places.workspace(root, here, view))
    except (LabError, OSError):  # a list that cannot be read keeps nobody from the rest
        return ()
    return tuple(each.text for each in listed if each.is_open)


def under_way(root: Root, name: str) -> tuple[str, ...]:
    """The runs that somebody alive is at."""
    return tuple(sorted(held.seen.claim.run_id for held in leases.survey(root, name).held))


def told(root: Root, name: str, last: int = TOLD_AMONG, *, lines: Sequence[Line] = ()) -> dict[str, str]:
    """What the last runs said of themselves, by run: the last column of results.tsv. Its cost does not grow.

    The table of a code loop does not name its runs: there `lines`, which are in the same order, tell whose row it is.
    """
    path = root.layout.page(name, layout.RESULTS)
    data = reading.read_from(path, max(reading.size_of(path) - last * _ROW_BYTES, 0))
    rows = [row.split("\t") for row in data.decode(errors="replace").split("\n")[1:]]
    if reading.read_head(path, len(_OF_A_LOOP)) == _OF_A_LOOP:
        newest = zip(reversed(rows[:-1]), reversed(lines), strict=False)
        return {line.run_id: row[-1] for row, line in islice(newest, last) if row[-1] not in ("", "-")}
    return {row[0]: row[-1] for row in rows[-last - 1 :] if len(row) == _COLUMNS and row[-1] not in ("", "-")}
