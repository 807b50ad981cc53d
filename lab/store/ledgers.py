"""Ledgers of other labs whose runs were taken over: plain files, each named by its digest.

A seal is anchored in the ledger of the lab that made it, so that ledger comes with the run. A line of ours names its
digest, which chains it: nobody can change it unnoticed. It may name others in turn, of labs that it had taken over.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from lab.core import canonical, event
from lab.core.errors import Corrupt, NotFound
from lab.store import ledger, reading

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.core.event import Line
    from lab.core.run import Run
    from lab.store.root import Root

_SUFFIX = ".jsonl"
_FIX = "bring it back from a copy of this lab, or of the lab that it came from"


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What a kept ledger says."""

    digests: dict[int, str]  # of its records, to which seals are tied
    seals: dict[tuple[str, str], str]  # (experiment, run) -> digest of its seal
    names: tuple[str, ...]  # the ledgers that it keeps itself


def keep(root: Root, data: bytes) -> str:
    """Keep a ledger. Returns its name."""
    name = canonical.digest(data)
    try:
        root.files.create(root.layout.kept_ledger(name), data, mode=0o444)
    except FileExistsError:
        load(root, name)
    return name


def load(root: Root, name: str) -> Kept:
    """A kept ledger. `NotFound` where it is not there, `Corrupt` where it is another one than its name says."""
    where = root.layout.kept_ledger(name)
    data = reading.read(where)
    if data is None:
        raise NotFound("a ledger that ours names is gone", where=where, fix=_FIX)
    if canonical.digest(data) != name:
        raise Corrupt("a ledger that ours names was changed", where=where, fix=_FIX)
    return read(data, where)


def read(data: bytes, where: str) -> Kept:
    """What a whole ledger says."""
    entries = [entry for entry in ledger.split(data, 0, where) if entry.line is not None]
    told = [entry.line.event for entry in entries if entry.line is not None]
    return Kept(
        digests={entry.line.seq: entry.sha256 for entry in entries if entry.line is not None},
        seals={(each.experiment, each.run_id): each.seal for each in told if each.type == event.RUN_SEALED},
        names=tuple(dict.fromkeys(name for each in told if (name := named(each)))),
    )


def named(told: event.Event) -> str:
    """The kept ledger that an event brought; empty where it brought none."""
    return told.seal if told.type == event.ROOT_IMPORTED else ""


def telling(root: Root, run: Run, seal: bytes) -> str:
    """The kept ledger that tells of this seal; empty where none does. Reads all of them: for mending."""
    for name in _names(root):
        try:
            if load(root, name).seals.get((run.experiment, run.run_id)) == canonical.digest(seal):
                return name
        except (Corrupt, NotFound):
            continue  # `verify` names it
    return ""


def places(root: Root, experiment: str) -> dict[str, int]:
    """The runs of an experiment that were taken over, each with the record that says so."""
    return {line.event.run_id: line.seq for line in _taken(root, experiment)}


def source(root: Root, experiment: str, run_id: str) -> str:
    """The data root that a run was taken over from; empty for one of our own."""
    name = next((line.event.name for line in _taken(root, experiment) if line.event.run_id == run_id), "")
    lines = ledger.mentioning(root, 0, experiment) if name else ()
    told = (entry.line.event for entry in lines if entry.line is not None)
    return next(
        (each.name for each in told if named(each) == name), f"registry/ledgers/{name}{_SUFFIX}" if name else ""
    )


def _taken(root: Root, experiment: str) -> Iterator[Line]:
    if not _names(root):  # as nearly everywhere: the ledger need not be read
        return
    for entry in ledger.mentioning(root, 0, experiment):
        told = entry.line.event if entry.line else None
        if entry.line and told and (told.type, told.experiment) == (event.RUN_SEALED, experiment) and told.name:
            yield entry.line


def _names(root: Root) -> list[str]:
    try:
        names = sorted(os.listdir(root.layout.kept_ledgers))
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [name.removesuffix(_SUFFIX) for name in names if name.endswith(_SUFFIX)]
