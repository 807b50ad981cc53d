"""The evidence/ beside an exported paper, where a lab is at hand: a stranger will have nothing else."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from lab.core import canonical, layout
from lab.core.errors import LabError
from lab.research.paper import evidence
from lab.research.paper.placed import Drift
from lab.store import reading

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lab.core.seal import Seal
    from lab.research.paper.claim import Claim
    from lab.research.paper.evidence import Bundles

MOST_FILES = 100_000


def drifts(folder: str, claims: Iterable[Claim], bundles: Bundles) -> Iterator[Drift]:
    """What lies in it and is not what the lab has, and what a claim names and is not in it."""
    place = f"{folder}/{evidence.FOLDER}"
    seals: dict[str, tuple[Seal, bytes] | None] = {}
    there: set[tuple[str, str]] = set()
    for run_id, file in _files(place):
        where = f"{evidence.FOLDER}/{run_id}/{file}" if run_id else f"{evidence.FOLDER}/{file}"
        if len(there) >= MOST_FILES:
            yield Drift(where=evidence.FOLDER, what=f"more than {MOST_FILES:,} files lie in it")
            return
        there.add((run_id, file))
        if run_id not in seals:
            seals[run_id] = _sealed(bundles, run_id)
        wanted = _wanted(seals[run_id], file)
        data = _read(f"{place}/{run_id}/{file}") if wanted else None
        if not wanted:
            yield Drift(where=where, what=f"{where} is no file of a sealed run of this lab")
        elif data is None or canonical.digest(data) != wanted:
            yield Drift(where=where, what=f"{where} is not as the lab has it", should=wanted)
    named = {(part.run, name) for each in claims for part in each.of if part.run for name in (part.file, layout.SEAL)}
    for run_id, file in sorted(named - there):
        where = f"{evidence.FOLDER}/{run_id}/{file}"
        yield Drift(where=where, what=f"{where} is gone: without it nobody else can prove the paper")


def _files(place: str) -> Iterator[tuple[str, str]]:
    """The run and the file, of everything below it that is no folder."""
    for path, folders, names in os.walk(place):
        linked = [name for name in folders if os.path.islink(os.path.join(path, name))]
        for name in (*names, *linked):
            run_id, _, file = os.path.relpath(os.path.join(path, name), place).partition("/")
            yield (run_id, file) if file else ("", run_id)


def _sealed(bundles: Bundles, run_id: str) -> tuple[Seal, bytes] | None:
    try:
        return bundles.seal(run_id) if run_id else None
    except LabError:
        return None


def _wanted(sealed: tuple[Seal, bytes] | None, file: str) -> str:
    """The digest that a file must have; empty where there is no such file."""
    if sealed is None:
        return ""
    made, data = sealed
    if file == layout.SEAL:
        return canonical.digest(data)
    return made.files[file].sha256 if file in made.files and not made.files[file].link else ""


def _read(path: str) -> bytes | None:
    """None of what is no regular file."""
    try:
        is_regular = stat.S_ISREG(os.lstat(path).st_mode)
    except OSError:
        return None
    return reading.read_head(path, evidence.MOST_BYTES) if is_regular else None
