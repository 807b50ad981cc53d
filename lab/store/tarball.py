"""Tars that packages travel in: written in pieces, and read as if their maker meant harm.

Only plain files and folders come out of one, below the folder that is asked for. A link, a device, a name that leaves
its folder, or more bytes than agreed refuses the whole tar before anything of it is written.

The last file of a tar that was made here is the digest of all bytes before it. So whether a copy has come whole is seen
from the copy alone, whatever brought it, in which order, and however often it was broken off.
"""

from __future__ import annotations

import hashlib
import lzma
import os
import stat
import tarfile
import zlib
from contextlib import suppress
from typing import IO, TYPE_CHECKING

from lab.core.errors import BadInput, NotFound
from lab.store import reading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lab.store.files import Files

MOST_BYTES, MOST_FILES = 64 << 30, 100_000
_PIECE, _BLOCK, _RECORD = 1 << 20, 512, 10_240
_MODE = 0o755
_NAME_BYTES, _PATH_BYTES = 255, 3_000  # of the 4,096 that a system takes, some are those of the data root
_SHOWN_CHARS = 120
# A header may say a size that no number of the machine holds; of what is packed each kind fails in its own way.
_UNREADABLE = (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, OSError, ValueError, OverflowError)
WHOLE = "whole-tar.sha256"  # the last file


def pieces(folders: dict[str, str], *, without: Callable[[str], bool] = lambda _: False) -> Iterator[bytes]:
    """A tar of these folders, each under its name, and its digest. Links, sockets and pipes are left out."""
    size, digest = 0, hashlib.sha256()
    for piece in _contents(folders, without):
        size += len(piece)
        digest.update(piece)
        yield piece
    yield (last := _last(next(iter(folders)), digest.hexdigest()))
    size += len(last)
    yield b"\0" * (2 * _BLOCK + -(size + 2 * _BLOCK) % _RECORD)


def _contents(folders: dict[str, str], without: Callable[[str], bool]) -> Iterator[bytes]:
    for top, folder in folders.items():
        for place, inside, names in os.walk(folder):
            inside[:] = sorted(name for name in inside if not without(name))
            below = os.path.relpath(place, folder)
            base = top if below == "." else f"{top}/{below}"
            yield _head(f"{base}/", tarfile.DIRTYPE, _MODE, 0)
            for name in sorted(names):
                if not without(name):
                    yield from _file(f"{place}/{name}", f"{base}/{name}")


def _last(top: str, digest: str) -> bytes:
    """The file that says that all before it is there. Two blocks, so that it is found from the end."""
    about = tarfile.TarInfo(f"{top}/{WHOLE}")
    text = f"{digest}\n".encode()
    about.type, about.mode, about.size = tarfile.REGTYPE, stat.S_IRUSR | stat.S_IRGRP | stat.S_IROTH, len(text)
    return about.tobuf(tarfile.USTAR_FORMAT, "utf-8", "surrogateescape") + text.ljust(_BLOCK, b"\0")


def digest_of(path: str) -> str:
    """The digest of a tar that is all there and as it was written; empty for one that is not, or not yet.

    A tar that another program made is never whole. One that grows is known from its end, without being read.
    """
    with suppress(OSError), open(path, "rb") as tar:
        size = os.fstat(tar.fileno()).st_size
        tar.seek(max(0, size - _RECORD - 4 * _BLOCK))  # the zeros at the end, and the last file
        start, tail = tar.tell(), tar.read()
        blocks = -(-len(tail.rstrip(b"\0")) // _BLOCK) - 2  # before the head of the last file
        head = tail[blocks * _BLOCK :][:_BLOCK] if blocks >= 0 and not size % _BLOCK and not start % _BLOCK else b""
        said = _said(head, tail[(blocks + 1) * _BLOCK :][:_BLOCK])
        if said and _digest(tar, start + blocks * _BLOCK) == said:
            return said
    return ""


def _said(head: bytes, data: bytes) -> str:
    try:
        about = tarfile.TarInfo.frombuf(head, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return ""
    fits = about.isreg() and about.name.endswith(f"/{WHOLE}") and about.size <= _BLOCK
    return data[: about.size].decode(errors="replace").strip() if fits else ""


def _digest(tar: IO[bytes], size: int) -> str:
    tar.seek(0)
    digest = hashlib.sha256()
    while size > 0 and (piece := tar.read(min(_PIECE, size))):
        digest.update(piece)
        size -= len(piece)
    return digest.hexdigest() if size == 0 else ""


def _head(name: str, kind: bytes, mode: int, size: int) -> bytes:
    about = tarfile.TarInfo(name)
    about.type, about.mode, about.size = kind, mode, size
    return about.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def _file(path: str, name: str) -> Iterator[bytes]:
    """One file as it is now. It may grow or shrink meanwhile: what the head promised is what comes."""
    if not reading.is_file(path):
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        seen = os.fstat(descriptor)
        yield _head(name, tarfile.REGTYPE, stat.S_IMODE(seen.st_mode) & _MODE | stat.S_IRUSR, seen.st_size)
        left = seen.st_size
        while left > 0:
            piece = os.read(descriptor, min(_PIECE, left)) or b"\0" * min(_PIECE, left)
            left -= len(piece)
            yield piece
        yield b"\0" * (-seen.st_size % _BLOCK)
    finally:
        os.close(descriptor)


def top(path: str) -> str:
    """The one folder that everything in a tar lies in. Judges the whole tar: `BadInput` for what it may not hold."""
    tops: set[str] = set()
    files: set[str] = set()
    folders: set[str] = set()
    size = count = 0
    for each in _members(path):
        name = _name(each)
        tops.add(name.partition("/")[0])
        size, count = size + each.size, count + 1
        if each.isreg() and name in files:
            raise _refusal(path, f"{name[:_SHOWN_CHARS]!r} is in it twice")
        (files if each.isreg() else folders).add(name)
        folders.update(_above(name))
        if size > MOST_BYTES or count > MOST_FILES:
            what = f"it holds more than {MOST_FILES} files or {MOST_BYTES >> 30} GiB"
            raise _refusal(path, what)
    if both := files & folders:
        raise _refusal(path, f"{min(both)[:_SHOWN_CHARS]!r} is a file in it, and a folder too")
    if len(tops) != 1:
        raise _refusal(path, "everything in it must lie in one folder, called after the package")
    return tops.pop()


def _above(name: str) -> Iterator[str]:
    """The folders that a name lies in."""
    while name := name.rpartition("/")[0]:
        yield name


def extract(files: Files, path: str, target: str, *, below: str) -> int:
    """Write what lies below a folder of the tar into a new folder. Returns how many files. `top` judges it first."""
    count = 0
    files.folder(target)
    with _opened(path) as tar:
        for each in _each(tar, path):
            name = _name(each)
            if not name.startswith(f"{below}/"):
                continue
            place = f"{target}/{name[len(below) + 1 :]}"
            if each.isdir():
                files.folder(place)
                continue
            source = tar.extractfile(each)
            if source is None:
                raise _refusal(path, f"{name[:_SHOWN_CHARS]!r} has no contents")
            files.create(place, _read(source), durable=False, mode=each.mode & _MODE | stat.S_IRUSR | stat.S_IWUSR)
            count += 1
    return count


def file_of(path: str, name: str, limit: int) -> bytes | None:
    """One small file of a tar."""
    with _opened(path) as tar:
        for each in _each(tar, path):
            if each.isreg() and _name(each) == name and each.size <= limit:
                source = tar.extractfile(each)
                return None if source is None else b"".join(_read(source))
    return None


def _read(source: IO[bytes]) -> Iterator[bytes]:
    try:
        while piece := source.read(_PIECE):
            yield piece
    except _UNREADABLE as error:
        raise BadInput(f"the tar cannot be read: {error}", fix="copy it again") from error


def _members(path: str) -> Iterator[tarfile.TarInfo]:
    with _opened(path) as tar:
        yield from _each(tar, path)


def _each(tar: tarfile.TarFile, path: str) -> Iterator[tarfile.TarInfo]:
    """The members of a tar that is read once, from its beginning to its end."""
    try:
        yield from tar
    except _UNREADABLE as error:
        raise _refusal(path, f"it cannot be read: {error}") from error


def _opened(path: str) -> tarfile.TarFile:
    if not os.path.isfile(path):
        raise NotFound(f"there is no file {path}", fix="name the tar that dispatch-pack or dispatch-work wrote")
    try:
        return tarfile.open(path, "r|*", errorlevel=1)
    except _UNREADABLE as error:
        raise _refusal(path, f"it is no tar: {error}") from error


def _name(each: tarfile.TarInfo) -> str:
    """The name of a member, or why the whole tar is refused."""
    shown = repr(each.name[:_SHOWN_CHARS])
    if not (each.isreg() or each.isdir()):
        raise BadInput(f"the tar holds {shown}, which is a link or a device", fix="pack only files and folders")
    name = each.name.removeprefix("./").rstrip("/")
    parts = name.split("/")
    if name.startswith("/") or "\0" in name or "\\" in name or any(part in ("", ".", "..") for part in parts):
        raise BadInput(f"the tar holds {shown}, which leads out of its folder", fix="pack it with dispatch-pack")
    if max(map(len, map(os.fsencode, parts))) > _NAME_BYTES or len(os.fsencode(name)) > _PATH_BYTES:
        raise BadInput(
            f"the tar holds {shown} and so on, a name that no disk takes", fix="give its files shorter names"
        )
    return name


def _refusal(path: str, what: str) -> BadInput:
    return BadInput(f"{os.path.basename(path)} cannot be unpacked: {what}", where=path, fix="nothing was written")
