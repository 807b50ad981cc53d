"""The tiers of an experiment, and what the SPEC says in each."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lab.core.spec import Spec
    from lab.core.subject import Subject
    from lab.core.view import View


def spec_here(view: View, spec: Spec | None) -> Spec | None:
    """The SPEC with the overrides of the current tier."""
    return None if spec is None else spec_in(spec, view.tier)


def spec_in(spec: Spec, tier: str) -> Spec:
    """The SPEC with the overrides of a tier. One that an edit took out of the SPEC overrides nothing."""
    return spec.for_tier(tier) if spec.overrides and tier in spec.fidelity_tiers else spec


def every(view: View, spec: Spec | None, of_runs: Iterable[str]) -> tuple[str, ...]:
    """Every tier that the SPEC names, the one that it is in, and those that runs were in."""
    return tuple(dict.fromkeys((*(spec.fidelity_tiers if spec else ()), view.tier, *of_runs)))


def next_tier(subject: Subject) -> str:
    """The tier that a promotion would lead to; empty on the last one."""
    tiers = subject.spec.fidelity_tiers if subject.spec else ()
    here = subject.view.tier
    return tiers[tiers.index(here) + 1] if here in tiers[:-1] else ""


def is_loop(subject: Subject) -> bool:
    """Whether an experiment is a code loop, or was one."""
    told = subject.spec
    return (told is not None and told.executor == "reference") or any(each.loop for each in subject.view.tiers.values())
