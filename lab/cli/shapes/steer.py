"""The answers of the verbs that decide, or ask for a decision."""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType

from lab.cli.shapes.words import Kind, Outcome, Params, Phase


class Moved(msgspec.Struct):
    """`pause`, `resume`, `complete` and `archive`. `changed` is false where it was so already."""

    experiment: str
    phase: Phase
    changed: bool


class Tiered(msgspec.Struct):
    """`set-fidelity`."""

    experiment: str
    tier: str
    changed: bool


class Proposed(msgspec.Struct):
    """`propose`. `made` is false where one of its kind waited already: that one is meant.

    `filled` are those of the parameters that nobody gave, and that have their default.
    """

    proposal: str
    experiment: str
    kind: Kind
    made: bool
    params: Params | None
    filled: Params


class Waiting(msgspec.Struct):
    """A proposal that waits. One that cannot be read has a `problem`, and nothing after it."""

    id: str
    state: str
    sha256: str
    problem: str | UnsetType = UNSET
    experiment: str | UnsetType = UNSET
    kind: Kind | UnsetType = UNSET
    reason: str | UnsetType = UNSET
    params: Params | UnsetType | None = UNSET
    tier: str | UnsetType = UNSET
    facts: Params | UnsetType = UNSET
    asked_by: str | UnsetType = UNSET
    asked_at: str | UnsetType = UNSET
    expires_at: str | UnsetType = UNSET


class Ready(msgspec.Struct):
    """A run that was approved and not made yet."""

    id: str
    experiment: str
    params: Params | None
    edited: bool
    approved_by: str
    approved_at: str


class Question(msgspec.Struct):
    """What somebody is asked at a terminal by `guided`, and answers there."""

    experiment: str
    place: int
    of: int
    params: Params
    reason: str
    asked_by: str
    asked_at: str
    host: str
    pid: int


class Approvals(msgspec.Struct):
    """`approvals`."""

    proposals: list[Waiting]
    approved_runs: list[Ready]
    at_terminals: list[Question]


class Rejected(msgspec.Struct):
    """`reject`."""

    proposal: str
    experiment: str
    kind: Kind
    verdict: str


class Approved(Rejected):
    """`approve`."""

    edited: bool
    params: Params | None
    tier: str


class Asked(msgspec.Struct):
    """A run that was asked to end; `outcome` is empty until it has."""

    experiment: str
    run: str
    owner: str
    changed: bool
    outcome: Outcome | str


class Cancelled(msgspec.Struct):
    """`cancel`."""

    runs: list[Asked]


class Said(msgspec.Struct):
    """What a person says to the proposers of a code loop. `left` counts candidates; null is until it is changed."""

    text: str
    actor: str
    ts: str
    left: int | None


class Steered(msgspec.Struct):
    """`steer`. `steering` is null where nothing is said."""

    experiment: str
    steering: Said | None
    changed: bool


class Way(msgspec.Struct):
    """A way out for notices."""

    name: str
    way: str
    to: str
    kinds: list[str]
    problem: str
    missed: int


class Notices(msgspec.Struct):
    """`notify show`."""

    configured: bool
    path: str
    channels: list[Way]
    always: list[str]
    sent_in_the_last_hour: int
    held_back: int


class Tried(msgspec.Struct):
    """What became of a test."""

    channel: str
    sent: bool
    problem: str


class Rehearsed(msgspec.Struct):
    """`notify test`."""

    channels: list[Tried]
