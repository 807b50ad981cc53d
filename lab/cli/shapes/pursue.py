"""The answers of `labctl research`; `new`, `status` and `steer` answer with the records of `lab.research`."""

from __future__ import annotations

import msgspec

from lab.research.paper.verifying import Verified
from lab.research.projects.checked import Look
from lab.research.projects.overview import Overview
from lab.research.release.manifest import Receipt
from lab.scheduler.step import Step


class ProjectChecked(msgspec.Struct):
    """`check`. Without an experiment: of any project of that mode, on this machine."""

    experiment: str
    checks: list[Look]
    failed: int
    absent: int


class ProjectRan(msgspec.Struct):
    """`run`, `resume`. `failed` says that the last phase did; `standing` is where the project stands after it."""

    experiment: str
    ran: int
    failed: bool
    stopped: str
    steps: list[Step]
    standing: Overview


class ProjectApproved(msgspec.Struct):
    """`approve`. One of `gate`, the phase that may begin, and `release`, the hash of what may be sent."""

    experiment: str
    gate: str
    release: str


class Leaving(msgspec.Struct):
    """A file of a release."""

    path: str
    size: int
    sha256: str


class ProjectPublished(msgspec.Struct):
    """`publish`. `release` is the hash of the list; `receipt` is there once it was sent."""

    experiment: str
    run: str
    release: str
    to: str
    destination: str
    files: list[Leaving]
    unverified: list[str]
    approved_by: str
    stale: str  # why this is not what would be sent now
    receipt: Receipt | None


class PhaseWorked(msgspec.Struct):
    """`work`, which the lab starts itself."""

    experiment: str
    run: str
    phase: str


class PaperVerified(Verified, frozen=True, kw_only=True):
    """`paper verify`. `holds`: everything was looked at, and nothing drifted."""

    holds: bool
