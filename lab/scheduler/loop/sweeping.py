"""Removing the trees that a killed lab left behind: its own run cannot do it any more.

They would fill the disk, and the linked ones stand in `git worktree list` of the user's repository.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from lab.scheduler.loop import measuring
from lab.scheduler.loop.grounds import trees
from lab.store import leases

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.scheduler.loop.grounds import Grounds

_RUN, _BEST, _READY = "RUN-", "best-", ".ready"


def sweep(grounds: Grounds) -> None:
    """Remove the trees of runs that are over, and those that are no longer to be beaten. Once a run, before it begins.

    Nothing that may be alive is touched: a run of which there is a claim still, and a tree that somebody was handed.
    """
    folder = trees(grounds.root, grounds.experiment)
    names = {name.removesuffix(_READY) for name in _listed(folder)}
    for name in _spent(grounds, sorted(names)):
        measuring.discard(grounds, f"{folder}/{name}", is_spare=False)
    grounds.repo.sweep(folder)


def _spent(grounds: Grounds, names: list[str]) -> Iterator[str]:
    runs = [name for name in names if name.startswith(_RUN)]
    if runs:
        seen = leases.survey(grounds.root, grounds.experiment)
        held, lost = (each.seen.claim for each in seen.held), (each.seen.claim for each in seen.lost)
        alive = tuple(f"{claim.run_id}-" for claim in (*held, *lost, *(each.claim for each in seen.unsettled)))
        yield from (name for name in runs if not name.startswith(alive))
    if grounds.spec.max_parallel == 1:
        loops = [tier.loop for tier in grounds.view.tiers.values() if tier.loop is not None]
        standing = {os.path.basename(grounds.standing(loop.best.commit)) for loop in loops if loop.best is not None}
        yield from (name for name in names if name.startswith(_BEST) and name not in standing)


def _listed(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []
