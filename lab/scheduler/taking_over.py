"""How a change gets from an agent's copy into the workspace: all drafts beside the files first, then one rename each.

A file of the workspace may be the only copy of what nobody committed. So whatever is killed, and however full the disk
is, it is there whole at every moment: as it was, or as it is to be. A kill between two renames leaves a part of a
change; the next mutation finds the drafts, and says so.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from lab.core import canonical, layout
from lab.scheduler import change
from lab.scheduler.change import FILE, REMOVED, Change, Seen
from lab.store import log, machine

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lab.store.files import Files

_NAME_CHARS = 50


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """What came over, and what somebody changed meanwhile. With a `why` it broke off, and the rest is as it was."""

    done: tuple[Change, ...] = ()
    missed: tuple[Change, ...] = ()
    why: str = ""


class Back(msgspec.Struct, frozen=True, kw_only=True):
    """What became of what was changed past the copy, and whether anything could not be put back."""

    told: tuple[str, ...] = ()
    failed: bool = False


def take_over(
    files: Files, workspace: str, box: str, before: Mapping[str, Seen], changes: Sequence[Change]
) -> Taken:  # fmt: skip
    """A full disk is met while drafts are written, when nothing has come over yet. Removals last: they need no room."""
    ordered = sorted(changes, key=lambda each: (each.kind == REMOVED, each.path))
    drafts: dict[str, str] = {}
    done: list[Change] = []
    missed: list[Change] = []
    why = ""
    try:
        for each in ordered:
            if each.kind != REMOVED:
                source = f"{box}/{each.path}"
                mode = stat.S_IMODE(os.lstat(source).st_mode) & 0o777
                drafts[each.path] = _draft_beside(f"{workspace}/{each.path}")
                _write(files, source, drafts[each.path], mode)
        for each in ordered:
            place = f"{workspace}/{each.path}"
            if not change.is_still(place, before.get(each.path)):  # judging takes seconds, and a person saves meanwhile
                missed.append(each)
                continue
            if each.kind == REMOVED:
                files.discard(place)
            else:
                files.move(drafts[each.path], place)
                del drafts[each.path]
            done.append(each)
    except OSError as error:
        why = error.strerror or str(error)
    for draft in drafts.values():
        with suppress(OSError):  # the next mutation finds it
            files.discard(draft)
    return Taken(done=tuple(done), missed=tuple(missed), why=why)


def put_back(
    files: Files, workspace: str, box: str, before: Mapping[str, Seen], past: Sequence[Change], *, exclusive: bool
) -> Back:
    """What is different in the workspace itself, where the agent had no business.

    Put back only where nobody else works in it, and while the copy still has the bytes: else it is told.
    """
    told, failed = [], False
    # What was made goes first: a folder may stand where a file was.
    for each in sorted(past, key=lambda each: (each.path in before, each.path)):
        place, name, old = f"{workspace}/{each.path}", canonical.plain(each.path), before.get(each.path)
        try:
            if exclusive and old is None:
                files.discard(place)
                told.append(f"{name} was made past the copy, and is removed")
            elif exclusive and old is not None and _is_true(f"{box}/{each.path}", old):
                _replace(files, f"{box}/{each.path}", place, old.mode)
                told.append(f"{name} was changed past the copy, and is put back")
            else:
                told.append(f"{name} was changed meanwhile, by whoever it was, and stays so")
        except OSError as error:
            failed = True
            told.append(f"{name} was changed past the copy, and cannot be put back: {error.strerror or error}")
    return Back(told=tuple(told), failed=failed)


def _draft_beside(place: str) -> str:
    """A draft's name, of which a long one is cut to fit."""
    folder, name = os.path.split(place)
    return log.draft_of(f"{folder}/{name[:_NAME_CHARS]}")


def _write(files: Files, source: str, draft: str, mode: int) -> None:
    files.copy(source, draft, mode=mode)
    if files.durable:  # or a power cut could leave the new name with nothing in it
        files.sync_file(draft)


def _replace(files: Files, source: str, place: str, mode: int) -> None:
    draft = _draft_beside(place)
    try:
        _write(files, source, draft, mode)
        files.move(draft, place)
    except OSError:
        with suppress(OSError):
            files.discard(draft)
        raise


def _is_true(path: str, old: Seen) -> bool:
    """Whether the copy still has what was there. The size first: a file of holes takes hours to read."""
    try:
        return old.kind == FILE and os.lstat(path).st_size == old.size and change.look_at(path).digest == old.digest
    except OSError:
        return False


def swept(files: Files, workspace: str, seen: dict[str, Seen]) -> Iterator[str]:
    """Remove the drafts of mutations that were killed here while they took over, and tell that there was one."""
    for path in list(seen):
        folder, _, name = path.rpartition("/")
        owner = layout.draft_owner(name, machine.HERE_CHARS) if layout.is_draft(name) else None
        if owner is None or not machine.is_gone(*owner):
            continue
        files.discard(f"{workspace}/{path}")
        del seen[path]
        target = name.removeprefix(".").removesuffix(layout.DRAFT_SUFFIX).rpartition(".")[0]
        shown = canonical.plain(f"{folder}/{target}".lstrip("/"))
        yield f"a mutation was killed here before {shown} came over, and others of its files may have: look at them"
