"""What is known of one candidate while it is under way: filled step by step, and read when it is decided."""

from __future__ import annotations

import msgspec

from lab.core.asi import Asi
from lab.core.frontier import Start
from lab.scheduler.loop.grounds import Grounds
from lab.scheduler.loop.harvested import Harvested
from lab.scheduler.loop.ideas import Idea
from lab.scheduler.loop.measuring import Bench, Reading
from lab.scheduler.loop.steps import Steps
from lab.store.root import Root


class Attempt(msgspec.Struct, kw_only=True):
    """One candidate. It lives in one process, and in no file."""

    root: Root
    grounds: Grounds
    steps: Steps
    start: Start
    bench: Bench  # the tree that it is measured in
    remarks: list[str]
    notes: Asi = Asi()
    note: str = ""
    tokens: int = 0
    cost: float = 0.0
    idea: Idea | None = None
    harvested: Harvested = Harvested(base="")
    holdout: Reading | None = None
