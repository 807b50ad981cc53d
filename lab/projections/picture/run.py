"""One run, as its page shows it.

Everything that a run, a person or a model wrote is as it was written: who shows it cleans it.
"""

from __future__ import annotations

import msgspec

from lab.core.candidate import Candidate  # msgspec resolves annotations
from lab.core.origin import Origin  # msgspec resolves annotations

SEALED, ARCHIVED, RUNNING, SUPERSEDED, LOST = "sealed", "archived", "under way", "superseded", "lost"


class Kept(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A file of the bundle, as the seal has it; without a digest while there is no seal."""

    name: str
    size: int
    sha256: str = ""
    changed: str = ""  # how it differs from what was sealed, where it was looked at
    readable: bool = True  # a plain file that can be fetched


class Log(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The end of what it wrote, and how much there is."""

    size: int = 0
    lines: tuple[str, ...] = ()
    cut: bool = False
    problem: str = ""


class Differs(msgspec.Struct, frozen=True, kw_only=True):
    """A parameter of this run and of the best; `UNSET` is null in JSON and told by `has`."""

    name: str
    here: object = None
    there: object = None
    has: tuple[bool, bool] = (True, True)


class RunPage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Of a run under way only some of it is there."""

    run_id: str
    experiment: str
    state: str
    outcome: str = ""
    verdict: str = ""
    value: float | None = None
    metric: str = ""
    direction: str = ""
    tier: str = ""
    role: str = ""
    iteration: int = 0
    started_at: str = ""
    ended_at: str = ""
    wall_s: float = 0.0
    cost: float = 0.0
    worker: str = ""
    where: str = ""  # of a run that an engine has
    reason: str = ""
    note: str = ""
    origin: Origin | None = None
    candidate: Candidate | None = None
    params: dict[str, object] | None = None
    against: str = ""  # the run that `differs` compares it with: the best
    differs: tuple[Differs, ...] = ()
    alike: int = 0
    plan: str = ""
    result: str = ""
    diff: str = ""  # of a code loop, against the commit it began at
    diff_cut: bool = False
    metrics: dict[str, object] = {}
    logs: dict[str, Log] = {}  # stdout, stderr
    files: tuple[Kept, ...] = ()
    files_left_out: int = 0
    generation: int = 0
    sealed_at: str = ""
    sealed_by: str = ""
    seal_sha256: str = ""
    intact: bool | None = None  # None: nobody has looked
    revision: str = ""
    program: dict[str, str] = {}  # the files that its command named, and their digests
    seed: int | None = None
    problems: tuple[str, ...] = ()  # what could not be read, in words
