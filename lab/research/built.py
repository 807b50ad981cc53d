"""`built.json`: what the implementation left, and what nobody may change after it."""

from __future__ import annotations

import msgspec

from lab.core.record import Record

FILE = "built.json"
STUDY = "study/"  # the whole of what is run: SPEC.yaml, and the programs it names
DIFF = "change.diff"


class Built(Record, frozen=True, kw_only=True, omit_defaults=True):
    """`experiment` is the study's in this lab.

    `frozen` are the digests of what measures: the SPEC, and everything of the study that is not in `mutable`. Whoever
    trains or evaluates compares them first and last.
    """

    idea: str
    idea_sha256: str
    experiment: str
    folder: str  # where the study lies that is run: studies/NAME of the project's folder, absolute
    metric: str
    direction: str
    tiers: tuple[str, ...]
    mutable: tuple[str, ...] = ()
    frozen: dict[str, str] = msgspec.field(default_factory=dict)
    outside: dict[str, str] = msgspec.field(default_factory=dict)  # the same of files elsewhere that its commands name
    written: tuple[str, ...] = ()  # others of those, which the first run wrote: nobody holds them
    smoke_run: str = ""  # a sealed run of the study, with the baseline's parameters
    smoke_value: float | None = None
    smoke_wall_s: float = 0.0
    is_shipped: bool = False  # its program is the one that comes with labctl
    made_up_rows: int = 0  # and so is its table, of so many rows; 0: its data are others
    asks: str = ""  # the agent or the model that the SPEC of the study names
    by: str = ""
    is_by_others: bool = False  # somebody else than the lab wrote some of what is run, and nobody has read it
    is_fenced: bool = False  # where it was made, such runs can write to nothing but their own folders
    fence: str = ""  # what holds them, or why nothing does
