"""Whether the runs that a phase tells of are those that it measured: what was put in their place takes its word back.

Asked of the phases that tell of runs of a study. A run that an archive holds is where it belongs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.core import canonical, layout
from lab.core.errors import Corrupt
from lab.core.record import parse
from lab.research import built, evaluated, trained
from lab.research.built import Built
from lab.research.evaluated import Evaluated
from lab.research.project import EVALUATION, IMPLEMENTATION, TRAINING
from lab.research.trained import Trained
from lab.research.walk import vouched
from lab.store import archives, reading

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.research.work.inputs import Done
    from lab.store.root import Root


def trouble(root: Root, done: Done) -> str:
    """Why what a phase tells of runs holds no more; empty where it does, or tells of none."""
    try:
        experiment, told = _told(done)
    except Corrupt:
        return ""  # who is given it says so, and names the file
    known = vouched.seals(root, experiment) if told else {}
    archived: dict[str, str] | None = None
    for run_id, seal in told.items():
        recorded = known.get(run_id, "")
        if not recorded or (seal and seal != recorded):
            return f"{run_id} of {experiment} is not in the ledger as it was told of"
        data = reading.read(f"{root.layout.run(experiment, run_id)}/{layout.SEAL}")
        if data is None:
            archived = _archived(root, experiment) if archived is None else archived
            if archived.get(run_id) != recorded:
                return f"{run_id} of {experiment} is gone"
        elif canonical.digest(data) != recorded:
            return f"the seal of {run_id} of {experiment} is not the one that the ledger recorded"
    return ""


def _told(done: Done) -> tuple[str, dict[str, str]]:
    """The experiment, and of each run of it that the phase tells of the digest of its seal; empty where it has none."""
    match done.order.phase:
        case phase if phase == IMPLEMENTATION:
            data = done.output(built.FILE)
            made = parse(Built, data, built.FILE) if data is not None else None
            return ("", {}) if made is None else (made.experiment, {made.smoke_run: ""} if made.smoke_run else {})
        case phase if phase == TRAINING:
            data = done.output(trained.FILE)
            table = parse(Trained, data, trained.FILE) if data is not None else None
            return ("", {}) if table is None else (table.experiment, {each.run_id: each.seal for each in table.made})
        case phase if phase == EVALUATION:
            data = done.output(evaluated.FILE)
            found = parse(Evaluated, data, evaluated.FILE) if data is not None else None
            return ("", {}) if found is None else (found.experiment, dict(_measured(found)))
    return "", {}


def _measured(found: Evaluated) -> Iterator[tuple[str, str]]:
    for side in (found.baseline, found.candidate):
        yield from ((each.run_id, each.seal) for each in side.made)
    yield from ((each.run_id, each.seal) for each in found.among)


def _archived(root: Root, experiment: str) -> dict[str, str]:
    found = (each for each in archives.every(root, experiment) if isinstance(each, tuple))
    return {kept.run_id: kept.seal_sha256 for kept, _ in found}
