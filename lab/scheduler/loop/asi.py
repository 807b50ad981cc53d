"""Reading the notes that a proposer left about its candidate, and keeping them in the run."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from lab.core import asi, canonical
from lab.core.asi import Asi  # msgspec resolves annotations
from lab.core.errors import BadInput
from lab.scheduler import change
from lab.store import reading

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Sequence

    from lab.store.root import Root


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """The notes. With a `problem` there are none, and why is said in the run's remarks: it costs no candidate."""

    asi: Asi = Asi()
    problem: str = ""


def read(*places: str, secrets: Iterable[str] = ()) -> Found:
    """The notes in the first of these files that is there: $LAB_ASI_PATH, then asi.json of the run's artifacts.

    A link is not followed: it could lead to what the proposer may not read, and the notes are shown to the next one.
    """
    for place in places:
        data = reading.read_head(place, asi.MOST_BYTES + 1) if reading.is_file(place) else None
        if data is None or not data.strip():
            continue
        try:
            notes = asi.parse(data.decode(), place)
        except UnicodeDecodeError:
            return Found(problem="the notes of its proposer are no text in UTF-8")
        except BadInput as refusal:
            return Found(problem=f"the notes of its proposer were not kept: {refusal.what}")
        return Found(asi=asi.redacted(notes, secrets))
    return Found()


def blotted(root: Root, folder: str, secrets: Sequence[str], *, but: Container[str] = ()) -> tuple[str, ...]:
    """Remove the files that a proposer left in its folder with the value of a secret in them; which they were.

    What it said in its notes is kept elsewhere, without the value. The folder is to be sealed: nothing comes out then.
    """
    gone = []
    for above, _, names in os.walk(folder) if secrets else ():
        for path in (f"{above}/{name}" for name in names):
            if os.path.relpath(path, folder) not in but and reading.is_file(path) and _leaks(path, secrets):
                root.files.discard(path)
                gone.append(os.path.relpath(path, folder))
    return tuple(sorted(gone))


def _leaks(path: str, secrets: Sequence[str]) -> bool:
    try:
        return bool(change.holds_secret(path, secrets))
    except OSError:  # one that its program locked: nobody else will read it either
        return True


def keep(root: Root, artifacts: str, notes: Asi) -> str:
    """Write asi.json into the run's artifacts, over what the proposer left there. Its path; nothing where all is empty.

    Called once, before the seal, with the notes that `core.asi.completed` gave.
    """
    said = asi.told(notes)
    path = f"{artifacts}/{asi.FILE}"
    if not said:
        return ""
    root.files.folder(artifacts)
    root.files.replace(path, canonical.page(said))
    return path
