"""Who came of whom: the runs that others were made from, as a forest."""

from __future__ import annotations

import msgspec

from lab.projections.picture.stairs import Sample  # msgspec resolves annotations


class Person(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A run among its kin. `parent` is the first of those it was made from that is shown; `others` the rest."""

    run_id: str
    kind: str  # as in stairs
    parent: str = ""
    others: tuple[str, ...] = ()
    by: str = ""  # strategy or arm
    value: float | None = None
    delta: float | None = None  # against the parent; above 0 is better, whichever way the metric goes
    says: str = ""
    on_path: bool = False  # an ancestor of the best, or the best itself


class Lineage(msgspec.Struct, frozen=True, kw_only=True):
    """In the order of history, so that a parent stands before its children."""

    people: tuple[Person, ...]
    sample: Sample
    depth: int = 0
