"""A worker that does it all: claim a package, run what its SPEC names in `run/`, complete it.

The lease is renewed while the program runs. The claim names this process, so that on this machine its death is known
at once, and a run that had ended by then is not lost with it (`dispatch_mend`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.core.errors import LabError, Superseded
from lab.core.package import RUN
from lab.scheduler import work
from lab.scheduler.dispatch import completing, offers
from lab.scheduler.dispatch.completing import Word
from lab.scheduler.dispatch.offers import DONE, PROBLEM, Said, of
from lab.store import leases, machine

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from lab.core.ended import Ended
    from lab.scheduler.dispatch.offers import Held
    from lab.store.root import Root


def work_on(
    root: Root,
    worker: str,
    *,
    max_runs: int = 1,
    classes: Collection[str] = (),
    only: Collection[str] = (),
    interrupted: Callable[[], str] = lambda: "",
    tell: Callable[[Said], None] = lambda said: None,  # noqa: ARG005  # the signature of a listener
) -> list[Said]:
    """Claim and run packages, one after the other, until there are no more or `max_runs` were done."""
    said: list[Said] = []
    passed: set[str] = set()

    def add(one: Said) -> None:
        said.append(one)
        tell(one)

    for _ in range(max_runs):
        if interrupted():
            break
        me = machine.this_process("dispatch-work")
        held, also = offers.claim(root, worker, classes=classes, only=only, process=me, interrupted=interrupted)
        for one in also:
            if one.kind != offers.CLAIMED and one.dispatch_id + one.experiment not in passed:
                passed.add(one.dispatch_id + one.experiment)
                add(one)
        if not held:
            break
        add(_worked(root, held[0], interrupted))
    return said


def _worked(root: Root, held: Held, interrupted: Callable[[], str]) -> Said:
    return finished(root, held, carried_out(root, held, interrupted))


def finished(root: Root, held: Held, ended: Ended) -> Said:
    """Complete a package whose run has ended. Told as a problem where its lease was lost meanwhile."""
    try:
        completing.write_exit(root, held, ended)
        word = Word(ended.outcome, reason=ended.reason, verdict=ended.verdict, note=ended.note)
        completing.complete(root, held.place.dispatch_id, held.place.worker, word)
    except (LabError, OSError) as error:
        lost = error if isinstance(error, Superseded) else _lost(root, held)
        if lost is None:
            raise
        return told(of(PROBLEM, held), lost)
    return _ended(of(DONE, held), ended)


def _lost(root: Root, held: Held) -> Superseded | None:
    """Whether the lease was lost: the package is elsewhere then, and what lies in its place its program made anew."""
    try:
        leases.held(root, held.place.experiment, held.taken.generation)
    except Superseded as lost:
        return lost
    return None


def carried_out(root: Root, held: Held, interrupted: Callable[[], str]) -> Ended:
    """Run what the SPEC names, in the package."""
    return work.carry_out(
        root,
        held.running,
        held.view,
        interrupted=interrupted,
        path=f"{held.path}/{RUN}",
        more={"LAB_DISPATCH_DIR": held.path},
    )


def told(said: Said, error: LabError) -> Said:
    """What went wrong with it."""
    return Said(
        kind=said.kind, dispatch_id=said.dispatch_id, experiment=said.experiment, run_id=said.run_id,
        worker=said.worker, what=error.what, fix=error.fix,
    )  # fmt: skip


def _ended(said: Said, ended: Ended) -> Said:
    return Said(
        kind=said.kind, dispatch_id=said.dispatch_id, experiment=said.experiment, run_id=said.run_id, tier=said.tier,
        role=said.role, worker=said.worker, outcome=ended.outcome, verdict=ended.verdict, value=ended.value,
        what=ended.reason,
    )  # fmt: skip
