"""`research.json` of a run: what it did, or why that is not to be believed. For people; nothing is decided by it."""

from __future__ import annotations

from lab.core.record import Record

FILE = "research.json"
DONE = "phases_done"  # the metric of a project's runs


class Worked(Record, frozen=True, kw_only=True, omit_defaults=True):
    """`void`: what it was given, or what judges it, was changed meanwhile. Whatever it left is not counted."""

    phase: str
    worker: str
    round: int = 1
    idea: str = ""
    problems: tuple[str, ...] = ()
    void: bool = False
