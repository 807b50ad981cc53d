"""What the watchdog sees of one experiment: what its pages tell, and whether its bundles are all there.

It is cheap enough for every few minutes, so nothing sealed is hashed: that a file was changed in its place is told by
`verify`, and by the pages once they are written anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.core.subject import Finding
from lab.projections import attention
from lab.scheduler import recorded, rows, subjects
from lab.store import archives, bundles, leases, ledger, reading

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.store.leases import Survey
    from lab.store.root import Root

_NAMED = 3


def on_pages(root: Root, name: str) -> Iterator[Finding]:
    """What is wrong with a SPEC, why the last turn could begin no run under it, and damage that the pages tell of."""
    loaded, state = subjects.known(root, name), subjects.state(root, name)
    where = f"experiments/{name}/SPEC.yaml"
    if loaded.problem is not None:
        problem = loaded.problem
        yield Finding(what=problem.what, where=problem.where or where, fix=problem.fix or f"labctl validate {name}")
    elif state is not None and (stuck := attention.stuck(state.view, loaded.sha256)) is not None:
        yield stuck
    if state is not None:
        lost = f"experiments/{name}/runs/"
        yield from (each for each in state.findings if each.where.startswith(lost))


def gone(root: Root, name: str, claims: Survey) -> Iterator[Finding]:
    """Sealed runs whose bundle is not there, and of which no page tells yet.

    The ledger is asked which only where the number of bundles is another than it should be.
    """
    state, there = subjects.state(root, name), bundles.names(root, name)
    begun = {each.seen.claim.run_id for each in claims.held} | {each.seen.claim.run_id for each in claims.lost}
    begun |= {each.claim.run_id for each in claims.unsettled}
    if state is not None and len(set(there) - begun) == state.view.runs + state.view.superseded:
        return
    missing = set(recorded.of(name, ledger.mentioning(root, 0, name)).seals) - set(there)
    missing = {each for each in missing if not reading.is_folder(root.layout.run(name, each))}  # made since
    if missing:
        missing -= {found[0].run_id for found in archives.every(root, name) if isinstance(found, tuple)}
    if state is not None:
        missing -= {each.where.rpartition("/")[2] for each in state.findings}
    if missing:
        few = sorted(missing)[:_NAMED]
        more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
        where = f"experiments/{name}/runs" + (f"/{few[0]}" if len(missing) == 1 else "")
        yield Finding(what=f"{rows.GONE}: {', '.join(few)}{more}", where=where, fix=rows.VERIFY)


def is_behind(root: Root, end: int) -> bool:
    """Whether the pages lack what nobody is at work on. Who is at it brings them up himself."""
    size = reading.size_of(root.layout.events)
    if size <= end:
        return size < end
    names = {entry.line.event.experiment if entry.line else "" for entry in ledger.entries(root, end)}
    return not names or not all(name and leases.survey(root, name).held for name in names)
