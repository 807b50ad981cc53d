"""The answers of the verbs that make runs."""

from __future__ import annotations

from typing import Literal

import msgspec

from lab.cli.shapes.words import Outcome
from lab.scheduler.search.board import Arm
from lab.scheduler.step import Step


class Turn(msgspec.Struct):
    """`run-once`: how many runs were made, and everything that was done."""

    ran: int
    steps: list[Step]


class Burst(msgspec.Struct):
    """`burst`. `new_best` is one of these runs that is better than any before, `best` the best there is now.

    `stopped` says why it ended before `asked` runs were made.
    """

    experiment: str
    asked: int
    ran: int
    succeeded: int
    failed: int
    best: Step | None
    new_best: Step | None
    stopped: str
    steps: list[Step]


class Guided(Burst):
    """`guided`."""

    skipped: int


class Swarm(Burst):
    """`swarm`."""

    arms: list[Arm]


class Replayed(msgspec.Struct):
    """One of the two runs of a replay."""

    run: str
    outcome: Outcome
    value: float | None
    wall_s: float
    reason: str


class Replay(msgspec.Struct):
    """`replay`. `difference` is of the values, the new one less the old one."""

    experiment: str
    tier: str
    before: Replayed
    after: Replayed
    equal: bool
    difference: float | None
    commit: str


class Touched(msgspec.Struct):
    """A file that an agent changed, and how."""

    path: str
    kind: Literal["new", "modified", "removed", "mode"]


class Kept(Touched):
    """One that stayed as it was, and why."""

    why: str


class Mutated(msgspec.Struct):
    """`mutate`. `problem` is blank where the change came over; `behind` is what was changed past the agent's copy."""

    provider: str
    model: str
    changed: list[Touched]
    refused: list[Kept]
    behind: list[str]
    text: str
    tokens_sent: int | None
    tokens_answered: int | None
    usd: float | None
    wall_s: float
    problem: str
    what: str
    record: str
