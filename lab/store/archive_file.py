"""The tar file of an archive: whole bundles, one after another. No run pays for it."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from typing import TYPE_CHECKING

from lab.core import canonical, layout
from lab.core.errors import Unavailable
from lab.core.seal import SealedFile
from lab.store import contents, reading

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lab.store.root import Root

_PIECE = 1 << 20


def write(root: Root, experiment: str, run_ids: Iterable[str], path: str) -> None:
    """Put whole bundles into a new tar file and wait until the disk has it. Not compressed: artifacts mostly are."""
    root.files.create(path, _pieces(root, experiment, run_ids), durable=True)


def _pieces(root: Root, experiment: str, run_ids: Iterable[str]) -> Iterator[bytes]:
    with tarfile.open(fileobj=io.BytesIO(), mode="w") as tar:  # only to word headers; the files pass by it
        size = 0
        for run_id in run_ids:
            tar.inodes.clear()  # type: ignore[attr-defined]  # what has several names; it keeps all: 300 B a file
            bundle = root.layout.run(experiment, run_id)
            for name in ("", *(item.name for item in contents.walk(bundle))):
                whole = f"{bundle}/{name}"
                if not (reading.is_file(whole) or os.path.islink(whole) or reading.is_folder(whole)):
                    continue  # a socket or a pipe holds nothing
                info = tar.gettarinfo(whole, arcname=f"{run_id}/{name}")
                info.mtime = int(info.mtime)  # a part of a second has no place but in two more blocks for each file
                for piece in _member_pieces(whole, info):
                    size += len(piece)
                    yield piece
        end = 2 * tarfile.BLOCKSIZE
        yield b"\0" * (end + -(size + end) % tarfile.RECORDSIZE)


def _member_pieces(path: str, info: tarfile.TarInfo) -> Iterator[bytes]:
    yield info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
    if not info.isreg():
        return
    with open(path, "rb") as file:
        while piece := file.read(_PIECE):
            yield piece
    yield b"\0" * (-info.size % tarfile.BLOCKSIZE)


def listed(path: str) -> Iterator[tuple[str, str, SealedFile]]:
    """Every file of an archive as (run id, name as a seal writes it, digest and size).

    `Unavailable` where the disk gives back what is no tar any more.
    """
    try:
        with tarfile.open(path, mode="r|", bufsize=_PIECE) as tar:
            for member in _members(tar):
                run_id, _, name = member.name.partition("/")
                found = _member(tar, member)
                if name and found is not None:
                    yield run_id, contents.sealed_name(name), found
    except (tarfile.TarError, ValueError, OverflowError) as error:
        raise Unavailable(f"the archive cannot be read back: {error}", where=path, fix="look at the disk") from error


def _members(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """One after another; each is forgotten when it is done. A TarFile keeps them all: 1 KB for every file in it."""
    while (member := tar.next()) is not None:
        yield member
        tar.members.clear()  # type: ignore[attr-defined]  # typeshed does not know it


def _member(tar: tarfile.TarFile, member: tarfile.TarInfo) -> SealedFile | None:
    if member.issym():
        target = member.linkname.encode(errors="surrogateescape")
        return SealedFile(sha256=canonical.digest(target), size=len(target), link=True)
    source = tar.extractfile(member) if member.isreg() else None
    if source is None:
        return None
    running, size = hashlib.sha256(), 0
    while piece := source.read(_PIECE):
        running.update(piece)
        size += len(piece)
    return SealedFile(sha256=running.hexdigest(), size=size)


def unpack(root: Root, path: str, experiment: str, wanted: frozenset[str]) -> Iterator[tuple[str, str]]:
    """Write the wanted bundles of an archive as drafts beside the others; yields (run id, draft) as each is whole.

    The caller has checked the archive's digest, compares each draft with its seal, and gives it its name.
    """
    current = target = ""
    with tarfile.open(path, mode="r|", bufsize=_PIECE) as tar:
        for member in _members(tar):
            run_id, _, name = member.name.partition("/")
            if run_id not in wanted or ".." in name.split("/") or name.startswith("/"):
                continue
            if run_id != current:
                if current:
                    yield current, target
                current, target = run_id, f"{root.layout.runs(experiment)}/.{run_id}{layout.RESTORED_SUFFIX}"
                root.files.discard_folder(target)
                root.files.folder(target)
            _put(root, tar, member, f"{target}/{name}" if name else target)
    if current:
        yield current, target


def _put(root: Root, tar: tarfile.TarFile, member: tarfile.TarInfo, path: str) -> None:
    if member.isdir():
        root.files.folder(path)
    elif member.issym():
        root.files.link_to(path, member.linkname)
    elif member.isreg() and (source := tar.extractfile(member)) is not None:
        root.files.create(path, iter(lambda: source.read(_PIECE), b""), durable=False)
