"""What ran when and where, and when nobody did anything."""

from __future__ import annotations

import msgspec

from lab.projections.picture.stairs import Sample  # msgspec resolves annotations


class Stretch(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A run on its worker's row. Seconds count from `Timeline.began`; `end_s` is None while it is under way."""

    run_id: str
    kind: str
    start_s: float
    end_s: float | None = None
    says: str = ""


class Lane(msgspec.Struct, frozen=True, kw_only=True):
    """A row: one worker, or one of several rows of a worker that did several things at once."""

    worker: str
    stretches: tuple[Stretch, ...]
    busy_s: float = 0.0


class Timeline(msgspec.Struct, frozen=True, kw_only=True):
    """`idle_s` is how long, between the first start and the last end, nothing ran at all."""

    began: str
    length_s: float
    lanes: tuple[Lane, ...]
    sample: Sample
    idle_s: float = 0.0
    left_out: int = 0  # workers beyond those shown
