"""What lies in a folder before and after somebody worked in it, and which of the differences are allowed.

By the digests of the files, so that nothing depends on git, on times, or on what anybody says was changed. Only of
files that are too large to be taken over at all is the time believed: a file of holes would take hours to read.
"""

from __future__ import annotations

import fnmatch
import hashlib
import os
import stat
from typing import TYPE_CHECKING

import msgspec

from lab.core import canonical, secret
from lab.core.errors import BadInput, Interrupted
from lab.executors import sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

FILE, LINK, FOLDER, OTHER = "file", "link", "folder", "other"
NEW, MODIFIED, REMOVED, MODE = "new", "modified", "removed", "mode"
MOST_FILES = 200_000
_MOST_CHANGES, _MOST_BYTES, _MOST_OF_ALL = 2_000, 16 << 20, 128 << 20
_BLOCK_BYTES = 1 << 20
_MOST_READ = 1 << 30  # of what is new or changed: as much as an agent may write
_PIECE = 1 << 20
_SPECIAL = stat.S_ISUID | stat.S_ISGID | stat.S_ISVTX
_PASSED_OVER = "__pycache__"
# What agents, editors and shells take as settings or orders when they start in a folder: it would work outside of any
# judgement.
_OF_AGENTS = (
    ".agents", ".aider*", ".claude", ".claude.json", ".clinerules", ".codex", ".continue", ".cursor", ".cursorrules",
    ".envrc", ".gemini", ".hermes", ".mcp.json", ".opencode", ".roo*", ".vscode", ".windsurf*", "agents.md",
    "agents.override.md", "claude.local.md", "claude.md", "copilot-instructions.md", "gemini.md", "opencode.json",
    "opencode.jsonc",
)  # fmt: skip
_ADAPTERS = "scripts/*_mutation_adapter.py"


class Seen(msgspec.Struct, frozen=True, gc=False):
    """One thing in a folder. `digest` is that of a file's bytes, or where a link leads; empty for what was not read."""

    kind: str
    mode: int = 0
    size: int = 0
    digest: str = ""
    stamp: tuple[int, int, int] = (0, 0, 0)  # which file, and its times: no write leaves them as they were


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


def look(
    folder: str, apart: Iterable[str] = (), *, known: Mapping[str, Seen] | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> dict[str, Seen]:  # fmt: skip
    """Everything in a folder by its relative path, less what Python compiled, and folders `apart`.

    A folder is told only where none is ever looked into: .git. `BadInput` for more files than can be judged. With
    `known`, what an earlier look found, what is too large to come over is not read again, or at all.
    """
    skipped = {os.path.realpath(each) for each in apart}
    found: dict[str, Seen] = {}
    eye = _Eye(known, stop)
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
                found[path] = eye(path, entry.path)
        if len(found) > MOST_FILES:
            fix = "name a smaller folder as workspace_root: each file of it is compared"
            raise BadInput(f"there are more than {MOST_FILES:,} files", where=folder, fix=fix)
    return found


def look_at(path: str) -> Seen:
    """One file, read whatever its size."""
    return _Eye(None, lambda: False)("", path)


def is_still(path: str, old: Seen | None) -> bool:
    """Whether what lies there is what was seen: nothing, or the file with these bytes."""
    try:
        held = os.lstat(path)
    except OSError:
        return old is None
    if old is None:
        return False
    return _stamp(held) == old.stamp or (old.kind == FILE and look_at(path).digest == old.digest)


def _stamp(held: os.stat_result) -> tuple[int, int, int]:
    return held.st_ino, held.st_mtime_ns, held.st_ctime_ns


class _Eye:
    """Reads files for their digests, as far as it is worth it, and as long as nobody wants an end."""

    def __init__(self, known: Mapping[str, Seen] | None, stop: Callable[[], bool]) -> None:
        self._known = known
        self._stop = stop
        self._read = 0

    def __call__(self, path: str, place: str) -> Seen:
        if self._stop():
            raise Interrupted("a person stopped it")
        try:
            held = os.lstat(place)
            if stat.S_ISLNK(held.st_mode):
                return Seen(LINK, digest=os.readlink(place))
            if not stat.S_ISREG(held.st_mode):
                return Seen(OTHER, digest="a pipe, a socket or a device")
            stamp = _stamp(held)
            digest = self._spared(path, held.st_size, stamp)
            if digest is None:
                digest = self._digest(place)
            return Seen(FILE, stat.S_IMODE(held.st_mode), held.st_size, digest, stamp)
        except OSError as error:
            return Seen(OTHER, digest=f"cannot be read: {error.strerror}")

    def _spared(self, path: str, size: int, stamp: tuple[int, int, int]) -> str | None:
        """The digest of what need not be read: it is as it was, or so large that it is refused whatever is in it."""
        if self._known is None:
            return None
        old = self._known.get(path)
        is_same = old is not None and (old.size, old.stamp) == (size, stamp)
        if old is not None and is_same and size > _MOST_BYTES:
            return old.digest
        if is_same:
            return None
        if size > _MOST_BYTES or self._read + size > _MOST_READ:
            return ""
        self._read += size
        return None

    def _digest(self, place: str) -> str:
        descriptor = os.open(place, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        found = hashlib.sha256()
        with open(descriptor, "rb", buffering=0) as file:
            while piece := file.read(_PIECE):
                found.update(piece)
                if self._stop():
                    raise Interrupted("a person stopped it")
        return found.hexdigest()


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
    forms = [form for each in rules.secrets for form in secret.forms(each)]
    found, total = [], 0
    for each in changes:
        new = after.get(each.path)
        is_odd = new is not None and new.kind in (LINK, OTHER)  # which tells more than any rule
        why = (_form(new, None) if is_odd and new is not None else "") or refusal(workspace, each.path, rules)
        if not why and new is not None:
            same = names.get(sandbox.folded(each.path), each.path)
            why = _form(new, before.get(each.path)) or ("" if same == each.path else f"it is the same file as {same!r}")
            total += 0 if why else new.size  # what is refused takes no room from the rest
            why = why or (f"all together are larger than {_MOST_OF_ALL >> 20} MB" if total > _MOST_OF_ALL else "")
            why = why or _holds(f"{box}/{each.path}", forms)
        # What is no UTF-8 can be shown by its numbers alone, and is never taken over.
        found.append(msgspec.structs.replace(each, path=canonical.plain(each.path), why=why))
    return found


def refusal(workspace: str, path: str, rules: Rules) -> str:
    """Why one path may not be changed; empty when it may."""
    if not canonical.is_text(path):
        return "its name is no UTF-8"
    if fnmatch.fnmatchcase(path, _ADAPTERS):
        return "it is an adapter, which starts agents"
    if _is_of_agents(path) and not any(
        _is_of_agents(each) and sandbox.matches(workspace, path, each, exactly=True) for each in rules.mutable
    ):
        return "what agents and editors take as settings or orders comes over only where it is named as mutable"
    return sandbox.refusal(workspace, path, mutable=rules.mutable, read_only=rules.read_only)


def _is_of_agents(path: str) -> bool:
    """Whether a path, or a pattern of mutable ones, names such a file or what lies below such a folder."""
    parts = sandbox.folded(path).split("/")
    return any(fnmatch.fnmatchcase(part, each) for part in parts for each in _OF_AGENTS)


def _form(new: Seen, old: Seen | None) -> str:
    if new.kind != FILE:
        return f"it is now a link to {new.digest!r}" if new.kind == LINK else f"it is no plain file: {new.digest}"
    if old is not None and old.kind != FILE:
        return "it was no plain file before"
    if new.mode & _SPECIAL:
        return "its mode would lend somebody's rights"
    if new.size > _MOST_BYTES:
        return f"it is larger than {_MOST_BYTES >> 20} MB"
    return "" if new.digest else f"it was not read: more than {_MOST_READ >> 20:,} MB are new or changed"


def holds_secret(path: str, secrets: Sequence[str]) -> str:
    """Whether the value of a secret, in any of its forms, is in a file; in words."""
    return _holds(path, [form for each in secrets for form in secret.forms(each)])


def _holds(path: str, forms: Sequence[bytes]) -> str:
    if not forms:
        return ""
    overlap = max(map(len, forms)) - 1  # a value may lie across two blocks
    with open(path, "rb") as file:
        data = file.read(_BLOCK_BYTES)
        while data:
            if any(form in data for form in forms):
                return "it holds the value of a secret"
            more = file.read(_BLOCK_BYTES)
            data = data[len(data) - overlap :] + more if more else b""
    return ""


def watched(seen: Mapping[str, Seen], workspace: str, read_only: Sequence[str]) -> dict[str, str]:
    """The digests of the read-only files: what measures, most of all."""
    return {
        path: each.digest
        for path, each in seen.items()
        if each.kind == FILE and any(sandbox.matches(workspace, path, pattern) for pattern in read_only)
    }
