"""Whether the runs of an experiment are a search: one answer for burst, cron, workers, and whoever judges a failure.

Asked at every visit, and most experiments search nothing: so no space is read here, it is only looked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.core.spec_tuning import is_chain
from lab.scheduler import places
from lab.scheduler.loop import scripts
from lab.store import reading

if TYPE_CHECKING:
    from lab.core.spec import Spec
    from lab.core.view import View
    from lab.store.root import Root

NAMES = ("search_space.json", "search_space.yaml", "search_space.yml")


def by_its_text(spec: Spec) -> bool:
    """Whether the SPEC alone says that it does."""
    return not is_chain(spec) and bool(spec.strategy or spec.search_space is not None)


def searches(root: Root, spec: Spec, view: View) -> bool:
    """Whether a strategy chooses the parameters of its runs, the default one where the SPEC names none.

    It does where there is a space: in the SPEC, or lying where `spaces.find` would find it. What lies in the workspace
    of a code loop belongs to the code.
    """
    if by_its_text(spec):
        return True
    if is_chain(spec) or scripts.is_loop(spec):
        return False
    folder = places.workspace(root, spec, view) or places.folders(root, view)[0]
    return any(reading.is_file(f"{folder}/{name}") for name in NAMES)
