"""What phases made of runs, means, gains and intervals: made again from the runs, and those held to their seals."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

import msgspec

from lab.core import canonical, layout
from lab.core.errors import LabError
from lab.research import evaluated, order, trained
from lab.research.paper.placed import Drift
from lab.research.trained import Made
from lab.research.work.out import Out

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.research.paper.evidence import Evidence

CHECKS = {
    f"{layout.ARTIFACTS}/{trained.FILE}": "lab.research.phases.training",
    f"{layout.ARTIFACTS}/{evaluated.FILE}": "lab.research.phases.evaluation",
}


def made_of(document: object) -> list[Made]:
    """The runs that a training or an evaluation is made of; none of another file."""
    if not isinstance(document, dict):
        return []
    sides = [document, *(document.get(side) for side in ("baseline", "candidate"))]
    rows = [row for side in sides if isinstance(side, dict) for row in side.get("made", None) or ()]
    rows += document.get("among", None) or ()
    return msgspec.convert(rows, list[Made])


def again(sources: Evidence, run_id: str, file: str) -> Iterator[Drift]:
    """Whether the numbers of the file follow from its own runs."""
    params, _ = sources.document(run_id, layout.PARAMS)
    wish = order.read(params) if isinstance(params, dict) else None
    path = sources.bundles.path(run_id)
    if wish is not None and path:
        check = import_module(CHECKS[file]).problems
        for wrong in check(wish, Out(f"{path}/{layout.ARTIFACTS}"), None):
            yield Drift(where=f"{file} of {run_id}", what=str(wrong))


def as_sealed(sources: Evidence, run_id: str, file: str) -> Iterator[tuple[str, Drift | None]]:
    """Each run of the file that is not what its seal says; None for a run whose seal is not at hand."""
    document, _ = sources.document(run_id, file)
    for made in made_of(document):
        try:
            seal, data = sources.bundles.seal(made.run_id)
        except LabError:
            yield made.run_id, None
            continue
        is_same = bool(made.void) or (seal.run.outcome, seal.run.value) == (made.outcome, made.value)
        if canonical.digest(data) != made.seal or not is_same:
            what = f"{made.run_id} is not the run that was measured: its seal says something else"
            yield made.run_id, Drift(where=f"{file} of {run_id}", what=what, should=made.seal)
