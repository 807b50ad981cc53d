"""What lies in a folder before and after somebody worked in it, and which of the differences are allowed.

By the digests of the files, so that nothing depends on git, on times, or on what anybody says was changed.
"""

from __future__ import annotations

import fnmatch
import hashlib
import os
import stat
from typing import TYPE_CHECKING

import msgspec

from lab.core import canonical, secret
from lab.core.errors import BadInput
from lab.executors import sandbox

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

FILE, LINK, FOLDER, OTHER = "file", "link", "folder", "other"
NEW, MODIFIED, REMOVED, MODE = "new", "modified", "removed", "mode"
MOST_FILES = 200_000
_MOST_CHANGES, _MOST_BYTES, _MOST_OF_ALL = 2_000, 16 << 20, 128 << 20
_SPECIAL = stat.S_ISUID | stat.S_ISGID | stat.S_ISVTX
_PASSED_OVER = "__pycache__"
# What agents keep beside their work, and read when they start: a hook in there would run outside of any judgement.
_OF_AGENTS = (
    ".agents", ".aider*", ".claude", ".codex", ".cursor", ".gemini", ".hermes", ".mcp.json", ".opencode",
    "opencode.json",
)  # fmt: skip
_ADAPTERS = "scripts/*_mutation_adapter.py"


class Seen(msgspec.Struct, frozen=True, gc=False):
    """One thing in a folder. `digest` is that of a file's bytes, or where a link leads."""

    kind: str
    mode: int = 0
    size: int = 0
    digest: str = ""


class Change(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One difference. `why` is empty for one that is allowed."""

    path: str
    kind: str
    why: str = ""
    before: str = ""  # digests, as sha256sum prints them
    after: str = ""


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """What a change may touch. Nothing mutable named is everything that is not read-only."""

    mutable: tuple[str, ...] = ()
    read_only: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()  # values that may be in no file


def look(folder: str, apart: Iterable[str] = ()) -> dict[str, Seen]:
    """Everything in a folder by its relative path, less what Python compiled, and folders `apart`.

    A folder is told only where none is ever looked into: .git. `BadInput` for more files than can be judged.
    """
    skipped = {os.path.realpath(each) for each in apart}
    found: dict[str, Seen] = {}
    waiting = [""]
    while waiting:
        inside = waiting.pop()
        try:
            entries = sorted(os.scandir(f"{folder}/{inside}"), key=lambda entry: entry.name)
        except OSError as error:
            found[inside] = Seen(OTHER, digest=f"cannot be read: {error.strerror}")
            continue
        for entry in entries:
            path = f"{inside}/{entry.name}" if inside else entry.name
            if entry.is_dir(follow_symlinks=False):
                if entry.name == _PASSED_OVER or os.path.realpath(entry.path) in skipped:
                    continue
                if entry.name in sandbox.LEFT_OUT:
                    found[path] = Seen(FOLDER)
                else:
                    waiting.append(path)
            else:
                found[path] = look_at(entry.path)
        if len(found) > MOST_FILES:
            fix = "name a smaller folder as workspace_root: each file of it is compared"
            raise BadInput(f"there are more than {MOST_FILES:,} files", where=folder, fix=fix)
    return found


def look_at(path: str) -> Seen:
    try:
        held = os.lstat(path)
        if stat.S_ISLNK(held.st_mode):
            return Seen(LINK, digest=os.readlink(path))
        if not stat.S_ISREG(held.st_mode):
            return Seen(OTHER, digest="a pipe, a socket or a device")
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        with open(descriptor, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return Seen(FILE, stat.S_IMODE(held.st_mode), held.st_size, digest)
    except OSError as error:
        return Seen(OTHER, digest=f"cannot be read: {error.strerror}")


def differences(before: Mapping[str, Seen], after: Mapping[str, Seen]) -> list[Change]:
    """What is different, by path. The right to write that a copy is given back is no difference."""
    found = []
    for path in sorted({*before, *after}):
        old, new = before.get(path), after.get(path)
        if old is None or new is None:
            kind = NEW if old is None else REMOVED
        elif (old.kind, old.digest) != (new.kind, new.digest):
            kind = MODIFIED
        elif old.kind == FILE and (old.mode ^ new.mode) & ~stat.S_IWUSR:
            kind = MODE
        else:
            continue
        digests = (each.digest if each is not None and each.kind == FILE else "" for each in (old, new))
        found.append(Change(path=path, kind=kind, before=next(digests), after=next(digests)))
    return found


def judged(
    changes: Sequence[Change], *, workspace: str, box: str, before: Mapping[str, Seen], after: Mapping[str, Seen],
    rules: Rules,
) -> list[Change]:  # fmt: skip
    """The same with a reason for each that is not allowed."""
    if len(changes) > _MOST_CHANGES:
        why = f"{len(changes):,} files were changed, more than {_MOST_CHANGES:,}"
        return [msgspec.structs.replace(each, why=why) for each in changes]
    names = {sandbox.folded(path): path for path in before}
    found, total = [], 0
    for each in changes:
        new = after.get(each.path)
        is_odd = new is not None and new.kind in (LINK, OTHER)  # which tells more than any rule
        why = (_form(new, None) if is_odd and new is not None else "") or _rule(workspace, each.path, rules)
        if not why and new is not None:
            total += new.size
            same = names.get(sandbox.folded(each.path), each.path)
            why = _form(new, before.get(each.path)) or ("" if same == each.path else f"it is the same file as {same!r}")
            why = why or (f"all together are larger than {_MOST_OF_ALL >> 20} MB" if total > _MOST_OF_ALL else "")
            why = why or _holds_secret(f"{box}/{each.path}", rules.secrets)
        # What is no UTF-8 can be shown by its numbers alone, and is never taken over.
        found.append(msgspec.structs.replace(each, path=canonical.plain(each.path), why=why))
    return found


def _rule(workspace: str, path: str, rules: Rules) -> str:
    try:
        path.encode()
    except UnicodeEncodeError:
        return "its name is no UTF-8"
    if fnmatch.fnmatchcase(path, _ADAPTERS):
        return "it is an adapter, which starts agents"
    first = path.partition("/")[0]
    if any(fnmatch.fnmatchcase(first, each) for each in _OF_AGENTS) and path not in rules.mutable:
        return "an agent's own settings are no part of a change"
    return sandbox.refusal(workspace, path, mutable=rules.mutable, read_only=rules.read_only)


def _form(new: Seen, old: Seen | None) -> str:
    if new.kind != FILE:
        return f"it is now a link to {new.digest!r}" if new.kind == LINK else f"it is no plain file: {new.digest}"
    if old is not None and old.kind != FILE:
        return "it was no plain file before"
    if new.mode & _SPECIAL:
        return "its mode would lend somebody's rights"
    return f"it is larger than {_MOST_BYTES >> 20} MB" if new.size > _MOST_BYTES else ""


def _holds_secret(path: str, secrets: Sequence[str]) -> str:
    if not secrets:
        return ""
    with open(path, "rb") as file:
        data = file.read(_MOST_BYTES)
    held = any(form in data for each in secrets for form in secret.forms(each))
    return "it holds the value of a secret" if held else ""


def watched(seen: Mapping[str, Seen], workspace: str, read_only: Sequence[str]) -> dict[str, str]:
    """The digests of the read-only files: what measures, most of all."""
    return {
        path: each.digest
        for path, each in seen.items()
        if each.kind == FILE and any(sandbox.matches(workspace, path, pattern) for pattern in read_only)
    }
