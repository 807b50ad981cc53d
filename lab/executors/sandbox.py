"""A copy of a workspace in which a change is tried out, and the rules of what a change may touch.

Judged first and whole: nothing is copied or written for a change of which one path is wrong. Confined are the paths
that a change names; what the program does that measures it is the supervisor's matter.
"""

from __future__ import annotations

import fnmatch
import os
import re
import stat
import unicodedata
from contextlib import suppress
from typing import TYPE_CHECKING

from lab.core.errors import BadInput, NotFound
from lab.store import reading

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from lab.store.files import Files

# Its hooks and its settings are programs; and no copy needs the history, or what Python compiled from other text.
LEFT_OUT = (".git", "__pycache__")
_MOST_PATH_CHARS, _MOST_NAME_BYTES = 1_000, 255
_DIFF_BYTES = 1 << 20
_SHOWN_CHARS, _SHOWN_PROBLEMS = 120, 20


def judge(
    workspace: str, changes: Mapping[str, str], *, mutable: Sequence[str] = (), read_only: Sequence[str] = ()
) -> dict[str, bytes]:
    """The files of a change, by relative path. `BadInput` with everything that is wrong with it.

    `mutable` and `read_only` are paths, folders (all below them), or patterns with `*`. Letters of read-only ones are
    compared without their case, as a file system may do.
    """
    problems: list[str] = []
    found: dict[str, bytes] = {}
    seen: dict[str, str] = {}
    for path, text in changes.items():
        wrong = refusal(workspace, path, mutable=mutable, read_only=read_only)
        key = folded(path)
        if not wrong and key in seen:
            wrong = f"it is the same file as {_shown(seen[key])}"
        if wrong:
            problems.append(f"  {_shown(path)}: {wrong}")
            continue
        seen[key] = path
        try:
            found[path] = text.encode()
        except UnicodeEncodeError:
            problems.append(f"  {_shown(path)}: its text is no UTF-8")
    problems += [f"  {_shown(seen[key])}: it is a folder of another change" for key in _parents(seen)]
    if problems:
        more = len(problems) - _SHOWN_PROBLEMS
        shown = problems[:_SHOWN_PROBLEMS] + ([f"  and {more} more"] if more > 0 else [])
        fix = "paths are relative to the workspace and stay in it; nothing was written, so mend it and submit again"
        raise BadInput("\n".join(("the change touches what it may not:", *shown)), fix=fix)
    return found


def refusal(workspace: str, path: str, *, mutable: Sequence[str] = (), read_only: Sequence[str] = ()) -> str:
    """Why one path may not be changed, in a word or two; empty when it may."""
    return _shape(path) or _rules(workspace, path, mutable, read_only) or _on_disk(workspace, path)


def _shape(path: str) -> str:
    if not path or len(path) > _MOST_PATH_CHARS:
        return "it is empty" if not path else "it is too long"
    if any(ord(sign) < ord(" ") or sign in "\x7f\\" for sign in path):
        return "it has a backslash or a control character"
    if path.startswith(("/", "~")) or path[1:2] == ":":
        return "it is absolute"
    parts = path.split("/")
    if any(part in ("", ".", "..") for part in parts):
        return "it has an empty part, a '.' or a '..'"
    if any(len(part.encode(errors="replace")) > _MOST_NAME_BYTES for part in parts):
        return "one of its names is too long"
    if any(folded(part) in LEFT_OUT for part in parts):
        return f"{' and '.join(LEFT_OUT)} are no part of the sandbox"
    return ""


def _rules(workspace: str, path: str, mutable: Sequence[str], read_only: Sequence[str]) -> str:
    for pattern in read_only:
        if matches(workspace, path, pattern):
            return f"{pattern} is read-only"
    # In doubt, no: a name that a careless file system takes for a read-only one is refused, and one that it takes for a
    # mutable one is not thereby allowed.
    if mutable and not any(matches(workspace, path, pattern, exactly=True) for pattern in mutable):
        return f"only {', '.join(mutable)} may be changed"
    return ""


def _on_disk(workspace: str, path: str) -> str:
    """What lies at the path and at its parents: nothing is written through a link, wherever it leads."""
    place = workspace
    parts = path.split("/")
    for part in parts[:-1]:
        place = f"{place}/{part}"
        if os.path.islink(place):
            return f"{os.path.relpath(place, workspace)} is a link"
        if os.path.lexists(place) and not os.path.isdir(place):
            return f"{os.path.relpath(place, workspace)} is no folder"
    if os.path.lexists(f"{workspace}/{path}") and not reading.is_file(f"{workspace}/{path}"):
        return "it is a link, a folder, or no plain file"
    return ""


def _parents(seen: Collection[str]) -> list[str]:
    return [key for key in seen if any(other.startswith(f"{key}/") for other in seen)]


def matches(workspace: str, path: str, pattern: str, *, exactly: bool = False) -> bool:
    """Whether a path is what a SPEC's pattern names, or lies below it."""
    wanted = pattern.strip()
    if wanted.startswith(f"{workspace}/"):
        wanted = wanted[len(workspace) + 1 :]
    wanted, given = os.path.normpath(wanted), path
    if not exactly:
        wanted, given = folded(wanted), folded(given)
    if wanted == ".":
        return True
    return given == wanted or given.startswith(f"{wanted}/") or fnmatch.fnmatchcase(given, wanted)


def matcher(workspace: str, patterns: Sequence[str]) -> Callable[[str], bool]:
    """`matches` for many paths and always the same patterns, letters without their case."""
    wanted = [each.strip().removeprefix(f"{workspace}/") for each in patterns]
    names = [folded(os.path.normpath(each)) for each in wanted]
    if "." in names:
        return lambda _: True
    known, below = frozenset(names), tuple(f"{each}/" for each in names)
    signs = [fnmatch.translate(each) for each in names if any(sign in each for sign in "*?[")]
    form = re.compile("|".join(signs)) if signs else None

    def is_one(path: str) -> bool:
        given = path if path.isascii() and path.islower() else folded(path)
        return given in known or given.startswith(below) or (form is not None and form.match(given) is not None)

    return is_one


def folded(text: str) -> str:
    """A name as the least careful file system compares it."""
    return unicodedata.normalize("NFKC", text).casefold()


def _shown(path: str) -> str:
    return repr(path[:_SHOWN_CHARS])


def copy(files: Files, workspace: str, target: str, *, apart_from: Iterable[str] = ()) -> None:
    """A copy of a workspace, without its history. Links stay links; sockets and pipes are passed over.

    `apart_from` are folders that are never part of it, such as the data root: a copy of that would hold itself.
    """
    if not os.path.isdir(workspace):
        raise NotFound("there is no workspace", where=workspace, fix="correct workspace_root in SPEC.yaml")
    skipped = {identity for identity in map(_identity, apart_from) if identity is not None}
    if _identity(workspace) in skipped:
        fix = "set workspace_root to the folder of the code; a lab is no workspace"
        raise BadInput("the workspace is the data root itself", where=workspace, fix=fix)
    files.folder(target)
    for place, folders, names in os.walk(workspace):
        inside = os.path.relpath(place, workspace)
        base = target if inside == "." else f"{target}/{inside}"
        kept = [name for name in folders if name not in LEFT_OUT and _identity(f"{place}/{name}") not in skipped]
        links = [name for name in kept if os.path.islink(f"{place}/{name}")]
        folders[:] = [name for name in kept if name not in links]
        for name in folders:
            files.folder(f"{base}/{name}")
        for name in (*names, *links):
            _copied(files, f"{place}/{name}", f"{base}/{name}")


def _copied(files: Files, source: str, target: str) -> None:
    with suppress(FileNotFoundError):  # gone since it was listed: an editor's, or that of a run beside this one
        mode = os.lstat(source).st_mode
        if stat.S_ISLNK(mode):
            files.point(target, os.readlink(source))
        elif stat.S_ISREG(mode):
            files.copy(source, target, mode=stat.S_IMODE(mode) | stat.S_IWUSR)


def _identity(path: str) -> tuple[int, int] | None:
    try:
        seen = os.stat(path)
    except OSError:
        return None
    return seen.st_dev, seen.st_ino


def apply(files: Files, sandbox: str, changes: Mapping[str, bytes]) -> list[str]:
    """Write a judged change into the copy. Returns the paths that are now different, in order."""
    different = []
    for path in changes:
        wrong = _on_disk(sandbox, path)  # somebody may have changed the workspace since the change was judged
        if wrong:
            raise BadInput(f"{_shown(path)} cannot be changed: {wrong}", fix="submit it again")
    for path, data in sorted(changes.items()):
        place = f"{sandbox}/{path}"
        before = reading.read(place) if reading.is_file(place) else None
        if before == data:
            continue
        different.append(path)
        mode = stat.S_IMODE(os.lstat(place).st_mode) if before is not None else 0o644
        files.discard(place)
        files.create(place, data, durable=False, mode=mode)
    return different


def patch(workspace: str, sandbox: str, paths: Iterable[str]) -> bytes:
    """What was changed, as `diff -u` would tell it. A file that is no text, or too long for it, is only named."""
    return b"".join(piece for path in paths for piece in _patch(workspace, sandbox, path))


def _patch(workspace: str, sandbox: str, path: str) -> Iterator[bytes]:
    old = reading.read(f"{workspace}/{path}") if reading.is_file(f"{workspace}/{path}") else None
    new = reading.read(f"{sandbox}/{path}") or b""
    from_name, to_name = ("/dev/null" if old is None else f"a/{path}"), f"b/{path}"
    yield f"diff --git a/{path} b/{path}\n".encode()
    if max(len(old or b""), len(new)) > _DIFF_BYTES or b"\0" in (old or b"") + new:
        yield f"Files {from_name} and {to_name} differ\n".encode()
        return
    import difflib  # noqa: PLC0415  # a turn of cron that changes no code has no use for it

    lines = difflib.diff_bytes(
        difflib.unified_diff, _lines(old or b""), _lines(new), from_name.encode(), to_name.encode()
    )
    for line in lines:
        yield line if line.endswith(b"\n") else line + b"\n\\ No newline at end of file\n"


def _lines(data: bytes) -> list[bytes]:
    """With their ends; a carriage return ends none, as it does for splitlines."""
    return re.findall(rb"[^\n]*\n|[^\n]+", data)


def inside(sandbox: str, workspace: str, word: str) -> str:
    """An argument that names something in the workspace, as it is called in the copy.

    A program that is named by its whole path would otherwise measure the original, whatever was changed.
    """
    if word == sandbox or word.startswith(f"{sandbox}/"):
        return word  # a lab inside its workspace has its copies there too
    for root in (workspace, os.path.realpath(workspace)):
        if word == root or word.startswith(f"{root}/"):
            return sandbox + word[len(root) :]
    return word
