"""The difference of two commits: path by path, line by line, as a patch, and as a digest of the idea."""

from __future__ import annotations

import hashlib
import os
import re
from typing import TYPE_CHECKING

from lab.core.errors import BadInput
from lab.store.repository.changed import ADDED, DELETED, NOTHING, RENAMED, SUBMODULE, Changed, Harvest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.store.repository.site import Site

_DIFF = ("diff-tree", "-r", "--no-ext-diff", "--no-textconv", "--no-color", "--diff-algorithm=myers")
_RENAMES = ("-M", "-l200")  # beyond it, git would compare every new file with every old one
_POINTER = b"version https://git-lfs"
_POINTER_BYTES = range(100, 1024)
_HUNK = re.compile(rb"@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@ ?(.*)")
_SPACE = re.compile(r"\s+")
_ESCAPED = {"a": "\a", "b": "\b", "t": "\t", "n": "\n", "v": "\v", "f": "\f", "r": "\r", '"': '"', "\\": "\\"}


def between(site: Site, base: str, other: str, *, place: str = "") -> Harvest:
    """What differs between two commits or trees. With `place`, sizes are those of the files there."""
    fields = iter(site.git.names(*_DIFF, *_RENAMES, "--raw", "--numstat", "-z", "--abbrev=64", base, other))
    raw: list[Changed] = []
    counts: dict[str, tuple[str, str]] = {}
    for field in fields:
        if field.startswith(":"):
            old_mode, new_mode, _, blob, status = field[1:].split(" ")
            path = next(fields)
            if status[0] == RENAMED:
                raw.append(Changed(path=path, status=DELETED, old_mode=old_mode))
                source, path = path, next(fields)
            else:
                source = ""
            blob = "" if new_mode == NOTHING else blob
            made = Changed(path=path, status=status[0], old_mode=old_mode, new_mode=new_mode, source=source, blob=blob)
            raw.append(made)
        else:
            added, removed, path = field.split("\t", 2)
            if not path:
                next(fields)
                path = next(fields)
            counts[path] = (added, removed)
    sizes = _sizes(site, raw, place)
    numbers = [pair for pair in counts.values() if pair[0] != "-"]
    return Harvest(
        tree=other,
        changes=tuple(_finished(site, change, counts, sizes) for change in raw),
        added=sum(int(added) for added, _ in numbers),
        removed=sum(int(removed) for _, removed in numbers),
        files=len(counts),
    )


def _finished(site: Site, change: Changed, counts: dict[str, tuple[str, str]], sizes: dict[str, int]) -> Changed:
    return Changed(
        path=site.named(change.path), status=change.status, old_mode=change.old_mode, new_mode=change.new_mode,
        blob=change.blob, size=sizes.get(change.path, 0), source=site.named(change.source) if change.source else "",
        is_binary=counts.get(change.path, ("", ""))[0] == "-",
    )  # fmt: skip


def _sizes(site: Site, raw: list[Changed], place: str) -> dict[str, int]:
    blobs = {change.path: change.blob for change in raw if change.blob and change.new_mode != SUBMODULE}
    if place:
        return {path: os.lstat(f"{place}/{path}").st_size for path in blobs if os.path.lexists(f"{place}/{path}")}
    if not blobs:
        return {}
    given = "\n".join(blobs.values()).encode() + b"\n"
    lines = site.git.out("cat-file", "--batch-check=%(objectsize)", given=given).splitlines()
    return {path: int(size) for path, size in zip(blobs, lines, strict=True) if size.isdecimal()}


def patch(site: Site, base: str, commit: str, *, limit_bytes: int = 0, paths: tuple[str, ...] = ()) -> bytes:
    """The difference as `git apply` takes it."""
    words = (*_DIFF, "-p", "--binary", "--full-index", "--no-renames", base, commit)
    answer = site.git.ask(*words, *(("--", *paths) if paths else ()), most=limit_bytes)
    if answer.cut:
        raise BadInput(
            f"the patch is longer than {limit_bytes} bytes, and part of one applies to nothing",
            where=site.common,
            fix=f"read it where it is: git diff --binary {base[:12]} {commit[:12]}",
        )
    return answer.out


def stat(site: Site, base: str, commit: str) -> str:
    """The difference as a table."""
    return site.git.out(*_DIFF, *_RENAMES, "--stat=100", "--summary", base, commit)


def lines(site: Site, base: str, commit: str) -> Iterator[tuple[str, str, str]]:
    """Path, sign and text of each line that came or went."""
    for path, _, sign, text in _hunks(site, base, commit):
        yield site.named(path), sign, text


def normalised(site: Site, base: str, commit: str) -> str:
    """A digest that is the same for the same idea.

    The heading of a hunk (the function that it lies in) is part of it: the same line changed in two functions is two
    ideas. Indentation is too: in Python it is meaning.
    """
    told: dict[str, list[str]] = {}
    for change in between(site, base, commit).changes:
        # A renamed file counts as an added one: the old path is there as deleted.
        status, old_mode = (ADDED, NOTHING) if change.source else (change.status, change.old_mode)
        modes = f"{old_mode} {change.new_mode}" if old_mode != change.new_mode else ""
        told[change.path] = [f"{status} {modes} {change.blob if change.is_binary else ''}"]
    if not told:
        return ""
    for path, heading, sign, text in _hunks(site, base, commit):
        if text.strip():
            told.setdefault(site.named(path), []).append(f"{sign} {heading} | {text.rstrip()}")
    whole = "\0".join(f"{path}\0" + "\n".join(told[path]) for path in sorted(told))
    return hashlib.sha256(os.fsencode(whole)).hexdigest()


def _hunks(site: Site, base: str, commit: str) -> Iterator[tuple[str, str, str, str]]:
    """Path, heading, sign and text. Lines are counted: one that was removed may look like a header."""
    data = site.git.ask(*_DIFF, "-p", "-U0", "--no-renames", base, commit).out
    path, heading, old, new = "", "", 0, 0
    for line in data.split(b"\n"):
        if (old or new) and line[:1] in (b"-", b"+"):
            old, new = old - (line[:1] == b"-"), new - (line[:1] == b"+")
            yield path, heading, line[:1].decode(), os.fsdecode(line[1:])
        elif line.startswith(b"diff --git "):
            path = ""
        elif line.startswith((b"--- ", b"+++ ")):
            path = _path(os.fsdecode(line[4:])) or path
        elif hunk := _HUNK.match(line):
            old, new = (1 if number is None else int(number) for number in hunk.groups()[:2])
            heading = _SPACE.sub(" ", os.fsdecode(hunk.group(3)))


def _path(told: str) -> str:
    """The path of a header; empty for /dev/null. Git puts a tab after one with spaces, and quotes what it must."""
    told = told.removesuffix("\t")
    if told.startswith('"'):
        told = re.sub(r"\\([0-7]{3}|.)", _unescaped, told[1:-1])
    return told[2:] if told != "/dev/null" else ""


def _unescaped(found: re.Match[str]) -> str:
    sign = found.group(1)
    return os.fsdecode(bytes([int(sign, 8) & 0xFF])) if len(sign) > 1 else _ESCAPED.get(sign, sign)


def content(site: Site, commit: str, path: str) -> bytes | None:
    """The bytes of one file; None when there is none of that name."""
    whole = os.path.normpath(f"{site.prefix}/{path}") if site.prefix else os.path.normpath(path)
    answer = site.git.ask("cat-file", "blob", f"{commit}:{whole}", codes=(0, 128))
    return answer.out if answer.code == 0 else None


def pointers(site: Site, commit: str) -> tuple[str, ...]:
    """Files that hold the place of a larger one."""
    small: dict[str, str] = {}
    for entry in site.git.names("ls-tree", "-r", "-z", "-l", commit):
        about, _, path = entry.partition("\t")
        _, kind, blob, size = about.split()
        if kind == "blob" and size.isdecimal() and int(size) in _POINTER_BYTES:
            small[path] = blob
    if not small or not _has_attributes(site, commit):
        return ()
    given = "\n".join(dict.fromkeys(small.values())).encode() + b"\n"
    data = site.git.ask("cat-file", "--batch", given=given).out
    found = set()
    while data:
        head, _, data = data.partition(b"\n")
        name, _, length = head.split(b" ")
        if data.startswith(_POINTER):
            found.add(name.decode())
        data = data[int(length) + 1 :]
    return tuple(sorted(site.named(path) for path, blob in small.items() if blob in found))


def _has_attributes(site: Site, commit: str) -> bool:
    names = site.git.names("ls-tree", "-r", "-z", "--name-only", commit)
    return any(os.path.basename(name) == ".gitattributes" for name in names)
