"""What measures, held by its digests: whoever trains or evaluates compares it first and last.

Not promised: that nobody read it, nor that nothing was changed and put back between two looks. What a run may write to
while it lasts is the matter of its fence.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from lab.core import canonical, layout
from lab.executors import sandbox
from lab.scheduler import change
from lab.store import reading

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from lab.research.built import Built
    from lab.store.root import Root

# A new file of these names can take the place of one that measures: Python finds it first.
_STARTED = (".py", ".pyc", ".so", ".pth", ".sh")
_MOST_READ = 256 << 20  # of a file elsewhere, which may be all of somebody's data
_PASSED_OVER = frozenset({"__pycache__", ".git"})


def taken(files: Mapping[str, bytes], mutable: Sequence[str]) -> dict[str, str]:
    """The digests of everything in a study that no change may touch."""
    return {name: canonical.digest(data) for name, data in sorted(files.items()) if not is_mutable(name, mutable)}


def elsewhere(places: Iterable[str]) -> dict[str, str]:
    """What is to be held of files that lie outside of a study, by their places."""
    return {place: _mark(place) for place in places}


def is_mutable(name: str, mutable: Sequence[str]) -> bool:
    """Whether a SPEC's mutable_paths name this file. Of a SPEC that names none, nothing is mutable."""
    return any(sandbox.matches("", name, pattern, exactly=True) for pattern in mutable)


def changed(built: Built, root: Root | None = None) -> list[str]:
    """Every file that is not what it was when the study was made, each with what became of it; none where all is well.

    With a lab, its own copy of the SPEC is looked at too: that is the one that runs follow.
    """
    found = list(_changed(built.folder, built.frozen))
    found += _new(built)
    found += (_became(place) for place, mark in built.outside.items() if _mark(place) != mark)
    if root is not None:
        wanted, place = built.frozen.get(layout.SPEC, ""), root.layout.spec(built.experiment)
        if wanted and canonical.digest(reading.read(place) or b"") != wanted:
            found.append(f"experiments/{built.experiment}/{layout.SPEC} was changed")
    return found


def _changed(folder: str, frozen: Mapping[str, str]) -> Iterator[str]:
    for name, digest in frozen.items():
        place = f"{folder}/{name}"
        if not os.path.lexists(place):
            yield f"{name} is gone"
        elif not reading.is_file(place):
            yield f"{name} is no plain file any more"
        elif change.look_at(place).digest != digest:
            yield f"{name} was changed"


def _mark(place: str) -> str:
    """The digest of a file's bytes, through links; of one too large to be read each time how it looks."""
    try:
        told = os.stat(place)
    except OSError:
        return ""
    if told.st_size > _MOST_READ:
        return f"{told.st_size} bytes of {told.st_mtime_ns}"
    return change.look_at(os.path.realpath(place)).digest if stat.S_ISREG(told.st_mode) else ""


def _became(place: str) -> str:
    return f"{place} was changed" if os.path.isfile(place) else f"{place} is gone"


def _new(built: Built) -> Iterable[str]:
    for parent, folders, names in os.walk(built.folder):
        folders[:] = sorted(each for each in folders if each not in _PASSED_OVER)
        for name in sorted(names):
            inside = os.path.normpath(os.path.join(os.path.relpath(parent, built.folder), name))
            if inside.endswith(_STARTED) and inside not in built.frozen and not is_mutable(inside, built.mutable):
                yield f"{inside} was not there"
