"""Reading the notes that a proposer left about its candidate, and keeping them in the run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.core.asi import Asi  # msgspec resolves annotations

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lab.store.root import Root


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """The notes. With a `problem` there are none, and why is said in the run's remarks: it costs no candidate."""

    asi: Asi = Asi()
    problem: str = ""


def read(*places: str, secrets: Iterable[str] = ()) -> Found:
    """The notes in the first of these files that is there: $LAB_ASI_PATH, then asi.json of the run's artifacts."""
    raise NotImplementedError


def keep(root: Root, artifacts: str, notes: Asi) -> str:
    """Write asi.json into the run's artifacts, over what the proposer left there. Its path; nothing where all is empty.

    Called once, before the seal, with the notes that `core.asi.completed` gave.
    """
    raise NotImplementedError
