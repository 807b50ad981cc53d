"""What two runs of a code loop differ in as code: from the repository as the lab knows it. Writes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.core.errors import LabError
from lab.projections import status
from lab.projections.tier import spec_in
from lab.scheduler import places
from lab.scheduler.loop.grounds import OWN_REPOSITORY
from lab.store import experiments, reading
from lab.store.repository import looking

if TYPE_CHECKING:
    from lab.core.spec import Spec
    from lab.core.view import View
    from lab.store.repository.looking import Patch
    from lab.store.root import Root


def between(root: Root, experiment: str, base: str, commit: str, *, limit_bytes: int) -> Patch | str:
    """From one commit to the other; in words, why there is nothing to show."""
    try:
        spec = experiments.load(root, experiment).spec
        state = status.fold_state(reading.read(root.layout.status(experiment)) or b"")
    except (LabError, OSError) as trouble:
        return _why(trouble)
    view = state.view if state is not None else None
    return of(root, experiment, view, spec, base, commit, limit_bytes=limit_bytes)


def of(
    root: Root, experiment: str, view: View | None, spec: Spec | None, base: str, commit: str, *, limit_bytes: int
) -> Patch | str:
    """The same of an experiment that was read already. Its workspace is looked into, if anything still says where."""
    try:
        place = places.workspace(root, spec_in(spec, view.tier), view) if spec and view else ""
        own = f"{root.layout.experiment(experiment)}/{OWN_REPOSITORY}"
        found = looking.patch(own, place, base, commit, limit_bytes=limit_bytes)
    except (LabError, OSError) as trouble:
        return _why(trouble)
    if found is None:
        return f"the commits {base[:12]} and {commit[:12]} are not both in a repository that this lab can see"
    return found


def _why(trouble: LabError | OSError) -> str:
    return f"the code could not be compared: {trouble}".split("\n", maxsplit=1)[0]
