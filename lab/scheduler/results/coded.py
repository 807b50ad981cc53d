"""What two runs of a code loop differ in as code: from the repository as the lab knows it. Writes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.core.errors import LabError
from lab.projections import status
from lab.scheduler import places
from lab.scheduler.loop.grounds import OWN_REPOSITORY
from lab.store import experiments, reading
from lab.store.repository import looking

if TYPE_CHECKING:
    from lab.store.repository.looking import Patch
    from lab.store.root import Root


def between(root: Root, experiment: str, base: str, commit: str, *, limit_bytes: int) -> Patch | str:
    """From one commit to the other; in words, why there is nothing to show."""
    try:
        own = f"{root.layout.experiment(experiment)}/{OWN_REPOSITORY}"
        found = looking.patch(own, _workspace(root, experiment), base, commit, limit_bytes=limit_bytes)
    except (LabError, OSError) as trouble:
        return f"the code could not be compared: {trouble}".split("\n", maxsplit=1)[0]
    if found is None:
        return f"the commits {base[:12]} and {commit[:12]} are not both in a repository that this lab can see"
    return found


def _workspace(root: Root, experiment: str) -> str:
    """Where the code lies, if anything still says so."""
    spec = experiments.load(root, experiment).spec
    state = status.fold_state(reading.read(root.layout.status(experiment)) or b"")
    return places.workspace(root, spec, state.view) if spec is not None and state is not None else ""
