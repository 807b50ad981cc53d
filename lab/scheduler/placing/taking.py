"""Taking a run out of an engine's hands, and bringing it to its end.

What is known of its end is written beside the claim first; then the claim is taken, so that no body can seal any more;
then its jobs are cancelled; then the run is settled. Whoever comes after a crash goes on from what it finds.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from lab.core import event, layout
from lab.core.errors import BadInput
from lab.core.job import REFUSED, Take, judge, prefix
from lab.scheduler import claim_taken, decisions, reclaim
from lab.scheduler.placing import placed
from lab.scheduler.step import SETTLED, Step
from lab.store import identity, jobs, leases, reading

if TYPE_CHECKING:
    from lab.core.claim import Claim
    from lab.core.job import Report
    from lab.store.root import Root


def take(
    root: Root, claim: Claim, reports: tuple[Report, ...], *, forgets_after_s: float, refused: str = ""
) -> Take | None:
    """Take one claim, if it is still so that it must be: judged again in the section, where no body begins or seals.

    None when it is not. `refused` is why its engine will never have it.
    """
    with root.section(claim.experiment):
        reading.afresh(root.layout.claims(claim.experiment))
        for suffix in (layout.CLAIM_SUFFIX, layout.STARTED_SUFFIX):  # their ages are what is judged
            reading.afresh(root.layout.claim(claim.experiment, claim.generation, suffix))
        now_s = leases.server_time(root)
        found = placed.look(root, claim, prefix(identity.of(root)))
        if found is None:
            return None
        verdict = judge(found.seen(reports, now_s), forgets_after_s=forgets_after_s)
        if refused and found.started is None and not (found.job is not None and found.job.ended):
            verdict = Take(ended=REFUSED, why=refused)
        if not isinstance(verdict, Take):
            return None
        if found.job is not None and not found.job.ended:
            jobs.write(root, msgspec.structs.replace(found.job, ended=verdict.ended, why=verdict.why))
        told = event.Event(
            type=event.LEASE_TAKEN_OVER, ts=root.now(), experiment=claim.experiment, run_id=claim.run_id,
            generation=claim.generation, reason=verdict.why, actor=claim.engine,
        )  # fmt: skip
        claim_taken.take(root, told)
        return verdict


def settle(root: Root, experiment: str) -> list[Step]:
    """Bring the runs of an experiment to their end that were taken. After their jobs were cancelled."""
    return [
        Step(kind=SETTLED, experiment=experiment, run_id=item.run_id, what=item.what)
        for item in reclaim.reclaim(root, experiment)
    ]


def pause(root: Root, experiment: str, engine: str, what: str) -> bool:
    """Stop an experiment whose jobs are refused. False when it was stopped before: then people were told."""
    with suppress(BadInput):  # it is over, or archived: nothing more is claimed for it anyway
        return decisions.pause(root, experiment, reason=f"{engine} refuses its jobs: {what}", actor=engine).changed
    return False
