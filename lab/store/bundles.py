"""Bundles: one folder a run, sealed once.

Opened whole (a visible bundle always has its manifest), filled by the run, closed with RESULT.md, metrics.json and the
manifest's last version, and sealed by SEAL.json, which is created after everything else is on the disk.
"""

from __future__ import annotations

import hashlib
import os
import stat
from typing import TYPE_CHECKING

from lab.core import canonical, event, layout
from lab.core.errors import BadInput, Corrupt
from lab.core.manifest import RUNNING, Manifest
from lab.core.record import page, parse
from lab.core.seal import Anchor, Seal, SealedFile
from lab.store import files, ledger, reading

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lab.core.run import Run
    from lab.store.root import Root

_CHUNK = 1 << 20
_SMALL = 1 << 18
_BYTES = "not-utf-8:"
QUOTED_BYTES = 1 << 20  # a larger metrics.json is evidence, but nothing to quote on a page


def open_bundle(root: Root, manifest: Manifest, contents: Mapping[str, bytes]) -> str:
    """Make the bundle's folder with its manifest and these files in it. Returns its path."""
    path = root.layout.run(manifest.experiment, manifest.run_id)
    root.files.create_folder(path, {layout.MANIFEST: page(manifest), **contents})
    return path


def close(root: Root, manifest: Manifest, *, result: str, metrics: Mapping[str, object]) -> None:
    """Say how the run ended: RESULT.md, then metrics.json, then the manifest. What the run wrote itself stays."""
    if manifest.status == RUNNING:
        message = "a run cannot be closed as running"
        raise BadInput(message)
    path = root.layout.run(manifest.experiment, manifest.run_id)
    for name, data in ((layout.RESULT, result.encode()), (layout.METRICS, canonical.page(dict(metrics)))):
        try:
            root.files.create(f"{path}/{name}", data, durable=False)
        except FileExistsError:
            continue
    root.files.replace(f"{path}/{layout.MANIFEST}", page(manifest))


def publish(  # the parts of a seal
    root: Root,
    run: Run,
    generation: int,
    *,
    sealed_by: str,
    durability: str = "full",
    contents: dict[str, SealedFile],
    imported_from: str = "",
) -> Seal:
    """Create SEAL.json and its ledger line.

    The caller is inside the experiment's section and has just checked its lease there, or has proof that the owner
    is dead: nothing here knows who may seal.
    """
    path = root.layout.run(run.experiment, run.run_id)
    made = Seal(
        run=run,
        generation=generation,
        anchor=ledger.anchor(root, durable=durability == "full"),
        sealed_at=root.now(),
        sealed_by=sealed_by,
        durability=durability,
        imported_from=imported_from,
        files=contents,
    )
    data = page(made)
    try:
        root.files.create(f"{path}/{layout.SEAL}", data, durable=durability == "full", mode=0o444)
    except FileExistsError:
        raise BadInput(
            f"{run.run_id} is sealed already; a seal is made once", where=path, fix="start a new run instead"
        ) from None
    record(root, made, data, durability=durability)
    return made


def record(root: Root, made: Seal, data: bytes, *, durability: str, reason: str = "") -> None:
    """The ledger line of a seal."""
    line = event.Event(
        type=event.RUN_SEALED,
        ts=made.sealed_at,
        experiment=made.run.experiment,
        run_id=made.run.run_id,
        seal=canonical.digest(data),
        generation=made.generation,
        actor=made.sealed_by,
        reason=reason,
        facts={"outcome": made.run.outcome, "value": made.run.value},
    )
    ledger.append(root, line, durable=durability == "full")


def take_stock(root: Root, experiment: str, run_id: str, *, durability: str = "full") -> dict[str, SealedFile]:
    """Digest every file of the bundle, make it read-only, and wait until the disk has it.

    Done outside the section: hashing a large artifact must not hold up anybody else. Drafts are left out and removed;
    so is what holds nothing and cannot be sealed, a socket or a pipe that the run left.
    """
    path = root.layout.run(experiment, run_id)
    found = [(name, f"{path}/{name}", is_file) for name, is_file in _walk(path)]
    names = [(name, whole) for name, whole, is_file in found if is_file]
    full = durability == "full"
    many = full and len(names) >= files.SYNCFS_FROM
    contents: dict[str, SealedFile] = {}
    for name, whole in names:
        if _own_draft(name):
            root.files.discard(whole)
            continue
        kept = root.files.settle(whole, _digest_of, durable=full and not many) or look(whole)
        if kept is not None:
            contents[sealed_name(name)] = kept
    if full and not (many and root.files.sync_all(path)):
        for _, whole in names if many else ():
            if reading.is_file(whole):
                root.files.sync_file(whole)
        for folder in (path, *(whole for _, whole, is_file in found if not is_file), os.path.dirname(path)):
            root.files.sync_folder(folder)
    return contents


def look(path: str) -> SealedFile | None:
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
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        return _digest_of(descriptor)
    finally:
        os.close(descriptor)


def _digest_of(descriptor: int) -> SealedFile:
    """Digest and size of an open file, a piece at a time."""
    data = os.read(descriptor, _SMALL)
    if len(data) < _SMALL:
        return SealedFile(sha256=canonical.digest(data), size=len(data))
    running, size = hashlib.sha256(data), len(data)
    while data := os.read(descriptor, _CHUNK):
        running.update(data)
        size += len(data)
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


def _own_draft(name: str) -> bool:
    """A draft of ours at the top of a bundle; what a run calls `.x.draft` in its artifacts is its own."""
    return layout.is_draft(name) and "/" not in name and layout.draft_owner(name, 0) is not None


def load_seal(path: str) -> tuple[Seal, bytes] | None:
    """The seal of a bundle and its exact bytes; None when it has none."""
    where = f"{path}/{layout.SEAL}"
    data = reading.read(where)
    if data is None:
        return None
    made = parse(Seal, data, where)
    name = os.path.basename(path)
    if made.run.run_id != name:
        message = f"the seal of {made.run.run_id} lies in the bundle {name}"
        raise Corrupt(message, where=where, fix="a bundle keeps its name; put it back, or labctl recover")
    return made, data


def load_manifest(path: str) -> Manifest | None:
    """The manifest of a bundle; None when it has none."""
    where = f"{path}/{layout.MANIFEST}"
    data = reading.read(where)
    return None if data is None else parse(Manifest, data, where)


def sealed_bytes(path: str, name: str, made: Seal) -> bytes | None:
    """A file of a sealed bundle, or None when it is not the file that was sealed, or is too large to quote."""
    kept = made.files.get(name)
    data = reading.read_head(f"{path}/{name}", QUOTED_BYTES) if kept and kept.size < QUOTED_BYTES else None
    if kept is None or data is None or canonical.digest(data) != kept.sha256:
        return None
    return data


def names(root: Root, experiment: str) -> list[str]:
    """The run ids of an experiment, oldest first. Drafts and strangers are left out."""
    try:
        found = os.listdir(root.layout.runs(experiment))
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(name for name in found if name.startswith("RUN-"))


def supersede(root: Root, experiment: str, run_id: str, generation: int, reason: str) -> None:
    """Mark a bundle whose holder lost its lease. It is kept as it is, may still be written to, and is never counted.

    Called again after a crash, it writes what is missing of the mark and of its ledger line.
    """
    path = root.layout.run(experiment, run_id)
    if reading.is_file(f"{path}/{layout.SEAL}"):
        return
    note = {"format": 1, "run_id": run_id, "generation": generation, "reason": reason, "marked_at": root.now()}
    try:
        root.files.create(f"{path}/{layout.SUPERSEDED}", canonical.page(note))
    except FileExistsError:
        if ledger.tells(root, event.RUN_SUPERSEDED, experiment, run_id):
            return
    line = event.Event(
        type=event.RUN_SUPERSEDED, ts=root.now(), experiment=experiment, run_id=run_id, generation=generation,
        reason=reason,
    )  # fmt: skip
    ledger.append(root, line)


def stray(path: str, made: Seal) -> Iterator[str]:
    """Files that lie in a sealed bundle and are not in its seal."""
    for name, kind in _walk(path):
        if not kind or name == layout.SEAL or sealed_name(name) in made.files or _own_draft(name):
            continue  # a draft beside SEAL.json is what a crash left of making it; recovery moves it aside
        if look(f"{path}/{name}") is not None:
            yield name


def _walk(path: str, inside: str = "") -> Iterator[tuple[str, bool]]:
    """Everything below a folder by relative name, in order; True for what is not a folder. Links are not followed."""
    with os.scandir(f"{path}/{inside}" if inside else path) as found:
        entries = sorted((entry.name, entry.is_dir(follow_symlinks=False)) for entry in found)
    for name, is_folder in entries:
        whole = f"{inside}/{name}" if inside else name
        yield whole, not is_folder
        if is_folder:
            yield from _walk(path, whole)


def anchor_known(anchor: Anchor, digests: Mapping[int, str]) -> bool:
    """Whether the ledger still has the record that a seal is tied to."""
    return anchor.seq == 0 or digests.get(anchor.seq) == anchor.sha256
