"""What a project's own rounds cannot answer for: runs of an experiment that it goes on from, made otherwise than now.

They are told, and not left out: to raise a budget makes another SPEC too. What is reported is measured anew in any
case, by the SPEC and the program as they are. Not promised: that a program which was changed is always seen. Where the
workspace is a git checkout its commit is; else the time of the last change of a file that the command names.
"""

from __future__ import annotations

import os
import shlex
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING

from lab.research.study import LOOP
from lab.scheduler import places

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lab.research.studies.sealed import Row
    from lab.research.study import Study
    from lab.store.root import Root


def remarks(root: Root, study: Study, rows: Sequence[Row]) -> Iterator[str]:
    """What is to be said of them; nothing where all were made alike."""
    found = [each for each in rows if each.is_chosen_from and each.manifest is not None]
    other = [each for each in found if each.manifest and each.manifest.spec_sha256 != study.spec_sha256]
    yield from _told(other, found, "by another SPEC than the one of now")
    if study.kind == LOOP or not found:
        return  # of a code loop the commit is what is varied
    now = found[-1].manifest.revision if found[-1].manifest else ""
    earlier = [each for each in found if each.manifest and each.manifest.revision != now]
    yield from _told(
        earlier, found, f"at another commit of its workspace than the last, {now[:12] or 'which has none'}"
    )
    for name, changed_s in _programs(root, study):
        before = [each for each in found if each.manifest and _ended_s(each.manifest.completed_at) < changed_s]
        yield from _told(before, found, f"before {name} was last changed")


def _told(some: Sequence[Row], among: Sequence[Row], how: str) -> Iterator[str]:
    if some:
        count = f"{len(some)} of {len(among)} runs {'was' if len(some) == 1 else 'were'} made {how}"
        yield f"{count}, such as {some[-1].run.run_id}: their values need not be of the same thing"


def _programs(root: Root, study: Study) -> Iterator[tuple[str, float]]:
    """The files of the study that its command names, each with when it was last changed."""
    spec = study.spec.for_tier(study.tier)
    folders = [places.workspace(root, spec, study.view), *places.folders(root, study.view)]
    try:
        words = shlex.split(spec.executor_command)
    except ValueError:
        words = spec.executor_command.split()
    for word in words[1:] if os.path.isabs(words[0] if words else "") else words:
        place = next((path for each in folders if each and os.path.isfile(path := os.path.join(each, word))), "")
        if place:
            with suppress(OSError):
                yield os.path.basename(word), os.stat(place).st_mtime


def _ended_s(at: str) -> float:
    try:
        return datetime.fromisoformat(at).timestamp()
    except ValueError:
        return float("inf")  # nobody knows: nothing is said of it
