"""Which seals the ledger tells of: a bundle that lies among the runs, and was never sealed by the lab, is nobody's run.

Whoever can write a bundle can write a SEAL.json that fits it. What the ledger has is a chain, and each line of it a
digest of the very seal. Not promised: that nobody wrote into the ledger as well, which `labctl verify` looks at.
"""

from __future__ import annotations

import os
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from lab.core import canonical, event, layout
from lab.store import bundles, ledger, reading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from lab.core.seal import Seal
    from lab.store.root import Root

_KEPT, _MOST_RUNS = 64, 2_000  # experiments and runs of which this process remembers what it has read
_Looks = tuple[int, int, int, int]


class _Known(msgspec.Struct, frozen=True, kw_only=True):
    """What a ledger told of an experiment, and how far it was read."""

    seals: dict[str, str] = {}
    looks: _Looks = (0, 0, 0, 0)
    end: int = 0  # of a line that is in it
    sha256: str = ""


class _Shelf:
    """Of one experiment of a lab."""

    def __init__(self) -> None:
        self.known = _Known()


@lru_cache(maxsize=_KEPT)
def _remembered(_events: str, _experiment: str) -> _Shelf:
    return _Shelf()


def seals(root: Root, experiment: str) -> Mapping[str, str]:
    """By run the digest of its SEAL.json, of all that were sealed in an experiment. A seal is made once: the first.

    A ledger that has grown is read from where it was left; one that has another line there, from its beginning.
    """
    looks = _looks(root.layout.events)
    if looks is None:
        return {}  # no ledger vouches for anything
    shelf = _remembered(root.layout.events, experiment)
    known = shelf.known
    if known.looks != looks:
        goes_on = known.looks[0] == looks[0] and known.end > 0 and ledger.has(root, known.end, known.sha256)
        known = shelf.known = _read(root, experiment, looks, known if goes_on else _Known())
    return known.seals


def _read(root: Root, experiment: str, looks: _Looks, before: _Known) -> _Known:
    found, end, sha256 = dict(before.seals), before.end, before.sha256
    for entry in ledger.mentioning(root, before.end, experiment):
        if entry.line is None:
            continue
        end, sha256, told = entry.end, entry.sha256, entry.line.event
        if told.type == event.RUN_SEALED and told.experiment == experiment:
            found.setdefault(told.run_id, told.seal)
    return _Known(seals=found, looks=looks, end=end, sha256=sha256)


def _looks(path: str) -> _Looks | None:
    try:
        about = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns


def seal(path: str, recorded: str) -> tuple[Seal, bytes] | None:
    """The seal of a bundle and its bytes; None where there is none, or another than was recorded: unread."""
    looks = _looks(f"{path}/{layout.SEAL}") if recorded else None
    return None if looks is None or _digest(path, looks) != recorded else _loaded(path, looks)


@lru_cache(maxsize=_MOST_RUNS)
def _digest(path: str, _looked: _Looks) -> str:
    """Of SEAL.json. A look at a project asks for each run's, and a visit looks twice, the second time in a section."""
    data = reading.read(f"{path}/{layout.SEAL}")
    return "" if data is None else canonical.digest(data)


@lru_cache(maxsize=_MOST_RUNS)
def _loaded(path: str, _looked: _Looks) -> tuple[Seal, bytes] | None:
    return bundles.load_seal(path)


def told(root: Root, experiment: str, say: Callable[[str], None]) -> tuple[str, ...]:
    """Name them, each with why; for a phase that looks for measurements there."""
    found = tuple(disowned(root, experiment))
    for run_id, why in found:
        say(f"{run_id} of {experiment} does not count: {why}")
    return tuple(run_id for run_id, _ in found)


def disowned(root: Root, experiment: str) -> Iterator[tuple[str, str]]:
    """The bundles with a seal that is not the ledger's, each with why it does not count."""
    known = seals(root, experiment)
    for run_id in bundles.names(root, experiment):
        path = root.layout.run(experiment, run_id)
        looks = _looks(f"{path}/{layout.SEAL}")
        if looks is None or os.path.lexists(f"{path}/{layout.SUPERSEDED}"):
            continue
        if run_id not in known:
            yield run_id, "the ledger knows of no such run"
        elif _digest(path, looks) != known[run_id]:
            yield run_id, "its seal is not the one that the ledger recorded"
