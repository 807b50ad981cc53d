"""What `labctl guided` asks somebody at a terminal right now, so that another terminal can see it.

It is no proposal and no history: it is answered where it is asked, and gone with its answer. Losing it loses nothing.
"""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from lab.core.claim import Owner  # msgspec resolves annotations
from lab.core.errors import Corrupt
from lab.core.record import Record, encode, parse
from lab.store import machine, reading

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.store.root import Root

SUFFIX = ".json"
_ASKER = "guided"


class Asked(Record, frozen=True, kw_only=True):
    """A question at a terminal: about run number `place` of `of`."""

    experiment: str
    place: int
    of: int
    params: dict[str, object]
    reason: str
    asked_by: str
    asked_at: str
    owner: Owner


@contextmanager
def shown(  # the parts of a question
    root: Root, experiment: str, *, place: int, of: int, params: dict[str, object], reason: str, actor: str
) -> Iterator[None]:
    """Let others see the question while it is asked. A disk that takes no file keeps nobody from answering."""
    asked = Asked(
        experiment=experiment, place=place, of=of, params=params, reason=reason, asked_by=actor, asked_at=root.now(),
        owner=machine.this_process(_ASKER),
    )  # fmt: skip
    path = root.layout.asking(experiment)
    with suppress(OSError):
        root.files.folder(os.path.dirname(path))
        root.files.replace(path, encode(asked))
    try:
        yield
    finally:
        with suppress(OSError):
            root.files.discard(path)


def listed(root: Root, experiment: str = "") -> list[Asked]:
    """What is asked, of one experiment or of all. Whose process is gone asks nothing any more."""
    try:
        there = os.listdir(os.path.dirname(root.layout.asking("")))
    except FileNotFoundError:
        return []
    names = sorted(name.removesuffix(SUFFIX) for name in there if name.endswith(SUFFIX) and not name.startswith("."))
    found = [_read(root, name) for name in names if experiment in ("", name)]
    return [each for each in found if each is not None and machine.alive(each.owner) is not False]


def _read(root: Root, experiment: str) -> Asked | None:
    path = root.layout.asking(experiment)
    data = reading.read(path)
    try:
        return None if data is None else parse(Asked, data, path)
    except Corrupt:
        return None
