"""What a run is followed by, where that is neither the SPEC's word nor a search's: the phases of a research project.

Asked where the policy says that a run may begin now. Its answer is carried out as the policy's own would be.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from lab.core.errors import BadInput
from lab.core.policy import Escalate, Finish, Wait
from lab.executors.door import BUILT_IN as EXECUTORS
from lab.scheduler.cycle import Errand
from lab.store.plug_ins import Door

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.core.spec import Spec
    from lab.core.view import View
    from lab.store.root import Root

Following = Errand | Finish | Escalate | Wait
GROUP = "lab.sequels"
BUILT_IN: Mapping[str, str] = {"research": "lab.research.walk.sequel:Phases"}


class Sequel(Protocol):
    """Of one executor, by whose name it is found."""

    def following(self, root: Root, view: View, spec: Spec) -> Following:
        """What comes now. Inside the experiment's section, and also without it, to look: it writes nothing.

        Asked again after a crash or by another process it says the same, or what was meant twice would happen twice.
        """
        ...


_DOOR: Door[Sequel] = Door(GROUP, "sequel", BUILT_IN, ("following",))
find, names, problems = _DOOR.find, _DOOR.names, _DOOR.problems


def is_followed(spec: Spec) -> bool:
    """Whether something else than its SPEC says what its runs do."""
    if spec.executor in BUILT_IN:
        return True
    return spec.executor not in EXECUTORS and spec.executor in names()


def following(root: Root, view: View, spec: Spec) -> Following | None:
    """What comes now; None where its SPEC, or a search, says it."""
    return find(spec.executor).following(root, view, spec) if is_followed(spec) else None


def require_single(spec: Spec, at_once: int) -> None:
    """Refuse several runs at once: each builds on what the one before it left."""
    if at_once > 1 and is_followed(spec):
        what = f"the runs of {spec.id} build on each other, one after the other"
        raise BadInput(what, fix="leave the number of runs at once out")
