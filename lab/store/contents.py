"""What lies in a bundle: looking at it, and making it ready for its seal.

A run owns its bundle while it lasts, and may leave anything there: folders a thousand deep or locked, links to files
outside, sockets, names that are no text. None of that may keep a run from being sealed, or reach beyond the bundle.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from lab.core import canonical, layout
from lab.core.seal import Seal, SealedFile
from lab.store import files, reading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lab.store.root import Root

# Told a file's name, what was read of it, and its size. What it raises ends the reading.
Beat: TypeAlias = "Callable[[str, int, int], None]"
_CHUNK = 1 << 20
_SMALL = 1 << 18
_APART_BYTES = 64 << 20
_MAX_DEPTH = 32
_MAX_PATH_CHARS = 2_000
_BYTES = "not-utf-8:"
# Of any name: a file of the run that has other names is detached from them by a draft too.
_OWN_DRAFT = re.compile(r"(?:.*/)?\.[^/]+\.[0-9a-f]{12}-[0-9]+-[0-9]+\.draft", re.DOTALL)


class Found(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Something below a bundle's folder. A folder that is too deep is named and not entered."""

    name: str
    is_folder: bool
    too_deep: bool = False


def nothing(name: str, done: int, size: int) -> None:
    """The beat of who does not want to know how far it is."""
    del name, done, size


def is_own_draft(name: str) -> bool:
    """Whether a file below a bundle's folder is a draft of labctl's own: in no seal, and recovery moves it aside."""
    return _OWN_DRAFT.fullmatch(name) is not None


def take_stock(
    root: Root,
    experiment: str,
    run_id: str,
    *,
    durability: str = "full",
    apart: bool = False,
    beat: Beat = nothing,
) -> dict[str, SealedFile]:
    """Digest every file of the bundle, make it read-only, and wait until the disk has it.

    `beat` is called again and again meanwhile: a checkpoint may take longer than a lease lasts. `apart` is for a run
    whose processes may come back and hold files open: what is not large is copied, and they write to what it was.

    Done outside the section: hashing a large artifact must not hold up anybody else. Our own drafts are left out; a
    socket or a pipe holds nothing and is passed over; what cannot be kept in a bundle is moved aside and noted in it.
    """
    path = root.layout.run(experiment, run_id)
    found = _kept(root, path, run_id)
    names = [item.name for item in found if not item.is_folder]
    full = durability == "full"
    many = full and len(names) >= files.SYNCFS_FROM
    contents: dict[str, SealedFile] = {}
    for name in names:
        whole = f"{path}/{name}"
        if is_own_draft(name):
            continue  # somebody may be writing it just now
        beat(name, 0, 0)
        kept = root.files.settle(
            whole, partial(_digest_of, beat=partial(beat, name)), durable=full and not many,
            apart_bytes=_APART_BYTES if apart else -1,
        ) or look(whole)  # fmt: skip
        if kept is not None:
            contents[sealed_name(name)] = kept
    if full and not (many and root.files.sync_all(path)):
        for name in names if many else ():
            if reading.is_file(f"{path}/{name}"):
                beat(name, 0, 0)
                root.files.sync_file(f"{path}/{name}")
        for folder in (path, *(f"{path}/{item.name}" for item in found if item.is_folder), os.path.dirname(path)):
            root.files.sync_folder(folder)
    return contents


def stray(path: str, made: Seal) -> Iterator[str]:
    """Files that lie in a sealed bundle and are not in its seal."""
    for item in walk(path):
        if item.too_deep:
            yield item.name
        if item.is_folder or item.name == layout.SEAL or sealed_name(item.name) in made.files:
            continue
        if is_own_draft(item.name):
            continue  # what a crash left of making the seal
        if look(f"{path}/{item.name}") is not None:
            yield item.name


def walk(path: str) -> Iterator[Found]:
    """Everything below a folder by relative name, parents first. Links are not followed."""
    waiting = [""]
    while waiting:
        inside = waiting.pop()
        with os.scandir(f"{path}/{inside}" if inside else path) as entries:
            listed = sorted((entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries)
        below = []
        for name, is_folder in listed:
            whole = f"{inside}/{name}" if inside else name
            deep = is_folder and (whole.count("/") >= _MAX_DEPTH or len(path) + len(whole) > _MAX_PATH_CHARS)
            yield Found(name=whole, is_folder=is_folder, too_deep=deep)
            if is_folder and not deep:
                below.append(whole)
        waiting.extend(reversed(below))


def _kept(root: Root, path: str, run_id: str) -> list[Found]:
    """What is to be sealed, once what the run locked is open and what no bundle can keep was moved aside."""
    moved: list[str] = []
    while True:
        try:
            found = list(walk(path))
        except PermissionError as error:
            if not root.files.unlock(str(error.filename)):
                raise
            continue
        deep = next((item.name for item in found if item.too_deep), None)
        if deep is None:
            break
        root.files.folder(root.layout.aside)
        target = f"{run_id}-{len(os.listdir(root.layout.aside))}-too-deep"
        for folder in (f"{path}/{deep}", os.path.dirname(f"{path}/{deep}")):
            root.files.unlock(folder)  # a folder that is moved to another one must let its owner write in it
        root.files.move(f"{path}/{deep}", f"{root.layout.aside}/{target}")
        moved.append(
            f"- `{deep}` is more than {_MAX_DEPTH} folders deep, or its path is too long: scratch/aside/{target}"
        )
    if moved:
        text = "# Left out of the seal\n\n" + "\n".join(moved) + "\n"
        root.files.replace(f"{path}/{layout.LEFT_OUT}", canonical.plain(text).encode())
        found.append(Found(name=layout.LEFT_OUT, is_folder=False))
    return found


def look(path: str, beat: Beat = nothing) -> SealedFile | None:
    """Digest and size of a file or link as it is now; None for what is neither, or not there."""
    try:
        mode = os.lstat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    if stat.S_ISLNK(mode):
        target = os.readlink(path).encode(errors="surrogateescape")
        return SealedFile(sha256=canonical.digest(target), size=len(target), link=True)
    if not stat.S_ISREG(mode):
        return None
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:  # a run may have put a pipe there since we looked
        return _digest_of(descriptor, partial(beat, path)) if stat.S_ISREG(os.fstat(descriptor).st_mode) else None
    finally:
        os.close(descriptor)


def _digest_of(descriptor: int, beat: Callable[[int, int], None]) -> SealedFile:
    """Digest and size of an open file, a piece at a time."""
    data = os.read(descriptor, _SMALL)
    if len(data) < _SMALL:
        return SealedFile(sha256=canonical.digest(data), size=len(data))
    running, size, whole = hashlib.sha256(data), len(data), os.fstat(descriptor).st_size
    while data := os.read(descriptor, _CHUNK):
        running.update(data)
        size += len(data)
        beat(size, whole)
    return SealedFile(sha256=running.hexdigest(), size=size)


def sealed_name(name: str) -> str:
    """A file's name as the seal writes it: JSON holds only text, and a run may name its files with any bytes."""
    data = os.fsencode(name)
    try:
        plain = data.decode()
    except UnicodeDecodeError:
        return f"{_BYTES}{data.hex()}"
    return f"{_BYTES}{data.hex()}" if plain.startswith(_BYTES) else plain


def name_on_disk(sealed: str) -> str:
    """The file's name again."""
    if not sealed.startswith(_BYTES):
        return sealed
    try:
        return os.fsdecode(bytes.fromhex(sealed.removeprefix(_BYTES)))
    except ValueError:
        return sealed
