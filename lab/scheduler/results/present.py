"""How an experiment is now, from the state that its pages carry: the same price after 100 runs and after 100,000.

What needs every run (drawings, what each improvement took) is in its picture, which costs more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.core.errors import Unavailable
from lab.core.spec import Spec  # msgspec resolves annotations
from lab.core.subject import Finding, Subject
from lab.core.view import View  # msgspec resolves annotations
from lab.projections import attention, status
from lab.projections.tier import spec_in
from lab.scheduler import subjects
from lab.store import experiments, reading

if TYPE_CHECKING:
    from lab.store.root import Root


class Present(msgspec.Struct, frozen=True, kw_only=True):
    """An experiment without its runs."""

    view: View
    spec: Spec | None
    wants: tuple[Finding, ...]

    def direction(self, tier: str = "") -> str:
        return self.view.direction_of(tier or self.view.tier)

    @property
    def metric(self) -> str:
        """The name of the number that counts in the tier that it is in."""
        if self.spec is None:
            return self.view.last.metric if self.view.last else ""
        return spec_in(self.spec, self.view.tier).metric


def read(root: Root, name: str) -> Present:
    """`NotFound` where there is no such experiment, `Unavailable` where its pages have to be written again."""
    experiments.require(root, name)
    loaded = experiments.load(root, name)
    state = status.fold_state(reading.read(root.layout.status(name)) or b"")
    if state is None:
        raise Unavailable(f"the pages of {name} are missing or damaged", fix="labctl refresh writes them again")
    loaded = subjects.held(loaded, state.view)
    findings = tuple(dict.fromkeys((*state.findings, *subjects.spec_findings(loaded))))  # the pages may be older
    subject = Subject(view=state.view, spec=loaded.spec, place=state.place, findings=findings)
    return Present(
        view=state.view,
        spec=loaded.spec,
        wants=tuple(attention.bounded(attention.wants(subject))),
    )
