"""What the SPEC says in the tier that an experiment is in."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lab.core.spec import Spec
    from lab.core.subject import Subject
    from lab.core.view import View


def spec_here(view: View, spec: Spec | None) -> Spec | None:
    """The SPEC with the overrides of the current tier. A tier that an edit took out of the SPEC overrides nothing."""
    if spec is None or not spec.overrides or view.tier not in spec.fidelity_tiers:
        return spec
    return spec.for_tier(view.tier)


def next_tier(subject: Subject) -> str:
    """The tier that a promotion would lead to; empty on the last one."""
    tiers = subject.spec.fidelity_tiers if subject.spec else ()
    here = subject.view.tier
    return tiers[tiers.index(here) + 1] if here in tiers[:-1] else ""
