"""What a loop knows once another candidate was kept: who was overtaken is compared with that one before it is judged.

The other one may have been decided and not be sealed yet, so the line of commits is asked, and then the decisions.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from lab.core import loop
from lab.core.decided import Decided
from lab.core.errors import Corrupt
from lab.core.record import parse
from lab.executors import reference
from lab.scheduler import refresh
from lab.scheduler.loop.grounds import BEST
from lab.store import bundles, reading

if TYPE_CHECKING:
    from lab.core.candidate import Candidate
    from lab.core.loop import Loop
    from lab.core.run import Run
    from lab.scheduler.loop.grounds import Grounds

_RUN = re.compile(r"^Lab-Run: (\S+)$", re.MULTILINE)
_MOST_UNSEALED, _MOST_BYTES = 20, 4 << 20


def known(grounds: Grounds) -> Loop | None:
    """What the loop knows by now, what is not sealed yet included. None when the line was moved by something else."""
    with grounds.root.section(grounds.experiment):
        view, _ = refresh.current(grounds.root, grounds.experiment)
        tier = view.tiers.get(grounds.manifest.fidelity_tier)
        found, at = (tier.loop if tier else None), grounds.repo.commit_of(grounds.ref(BEST))
        unsealed: list[tuple[Run, Candidate]] = []
        while at and found is not None and found.best is not None and at != found.best.commit:
            one = _decided(grounds, at) if len(unsealed) < _MOST_UNSEALED else None
            if one is None:
                return None
            unsealed.append(one)
            at = grounds.repo.commit_of(f"{at}^")
    for run, candidate in reversed(unsealed):
        found = loop.fold(found, run, candidate)
    return found if at and found is not None and found.best is not None else None


def _decided(grounds: Grounds, commit: str) -> tuple[Run, Candidate] | None:
    """The run that a commit of the line names, as its lab decided it, where that was in this tier."""
    named = _RUN.search(grounds.repo.message(commit))
    if named is None:
        return None
    path = grounds.root.layout.run(grounds.experiment, named[1])
    place = f"{path}/{reference.DECISION}"
    data, manifest = reading.read_head(place, _MOST_BYTES), bundles.load_manifest(path)
    if data is None or manifest is None or manifest.fidelity_tier != grounds.manifest.fidelity_tier:
        return None
    try:
        found = parse(Decided, data, place)
    except Corrupt:
        return None
    if found.candidate.commit != commit:
        return None
    return msgspec.structs.replace(
        manifest, status=found.outcome, value=found.candidate_value, verdict=found.verdict, note=found.note,
        candidate=found.candidate,
    ).run(), found.candidate  # fmt: skip
