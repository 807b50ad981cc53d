"""What the pages of one experiment are made from: its view, its SPEC, and the few texts that the pages quote."""

from __future__ import annotations

import msgspec

from lab.core.spec import Spec  # msgspec resolves annotations
from lab.core.view import View


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is wrong and belongs to one experiment; it stops nothing else."""

    what: str
    where: str = ""  # relative to the data root: a page may be read on another machine
    fix: str = ""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """How far into the ledger a page has read: the last record that concerns it, and the byte just after it."""

    seq: int = 0
    sha256: str = ""
    end: int = 0


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """One experiment, ready to be told."""

    view: View
    spec: Spec | None  # None when SPEC.yaml cannot be used; `findings` says why
    is_refused: bool = False  # no run is begun under it, though it may be read
    place: Place = Place()
    best_params: dict[str, object] | None = None
    results: dict[str, str] = {}  # run id -> the beginning of its RESULT.md, for the recent runs and the best
    baton: str = ""  # the "## Next" section of the last result
    findings: tuple[Finding, ...] = ()
    proposed: dict[str, dict[str, object]] = {}  # proposal -> its parameters, of those that wait
    table_bytes: tuple[int, ...] = (0, 0)  # sizes of the tables that only grow, so that an append is safe
