"""The trees that a loop keeps for its next candidate, removed when there is none: they are as large as the code.

Trees that somebody was handed stay: there may be work in them.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from lab.core.errors import LabError
from lab.scheduler import places
from lab.scheduler.loop import grounds, scripts
from lab.store import leases

if TYPE_CHECKING:
    from lab.core.spec import Spec
    from lab.core.view import View
    from lab.store.root import Root

_BEST, _SPARE, _READY = "best-", ".spare-", ".ready"


def clear(root: Root, spec: Spec, view: View) -> None:
    """Remove them, if nothing runs. What cannot be removed stays: no decision may fail for it."""
    folder = grounds.trees(root, view.experiment)
    names = _names(folder)
    if not names or leases.survey(root, view.experiment).held:
        return
    here = scripts.renamed(spec.for_tier(view.tier))
    with suppress(LabError, OSError, RecursionError):
        repo = grounds.opened(root, here, places.workspace(root, here, view))
        repo.drop_spares(folder)
        for name in {each.removesuffix(_READY) for each in names if each.startswith(_BEST)}:
            if repo.is_tree(f"{folder}/{name}"):
                repo.remove_tree(f"{folder}/{name}", is_spare=False)
            else:  # it came with a lab that was moved or copied
                root.files.discard_folder(f"{folder}/{name}")
            root.files.discard(f"{folder}/{name}{_READY}")


def _names(folder: str) -> list[str]:
    try:
        return [each for each in os.listdir(folder) if each.startswith((_BEST, _SPARE))]
    except OSError:
        return []
