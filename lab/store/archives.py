"""Archives: whole bundles of old runs in one tar file, and beside the living bundles a companion that speaks for them.

The companion holds what history needs of a run: the exact bytes of its seal, which the ledger's digest proves, and of
the files that the tables quote, which the seal proves. So the pages, and `verify`, do without the archive: it may be
moved to another disk.
"""

from __future__ import annotations

import os
from itertools import islice
from typing import TYPE_CHECKING

from lab.core import canonical, layout
from lab.core.errors import Corrupt
from lab.core.record import Record, encode, parse
from lab.core.seal import Seal
from lab.store import bundles, contents, reading

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from lab.store.root import Root

_AT_ONCE, _MANY = 8, 64
_BLOCK = 1 << 18
RESULT_BYTES = 16_000  # as many as 4,000 characters, which is what the pages quote of a result, can take
_QUOTED = (layout.METRICS, layout.PARAMS, layout.CURVE, layout.ASI)


class Head(Record, frozen=True, kw_only=True):
    """The first line of a companion."""

    archive: str
    sha256: str
    size: int
    runs: int


class Kept(Record, frozen=True, kw_only=True, gc=False):
    """One archived run: a line of the companion. Bytes that are no text are written in base64."""

    run_id: str
    seal: str
    texts: dict[str, str]
    others: dict[str, bytes]
    result: bytes = b""

    @property
    def seal_sha256(self) -> str:
        return canonical.digest(self.seal.encode())

    def quoted(self, name: str, made: Seal) -> bytes | None:
        """A file that the tables quote; None when it is not the one that was sealed."""
        data = self.texts[name].encode() if name in self.texts else self.others.get(name)
        sealed = made.files.get(name)
        return data if sealed is not None and data is not None and canonical.digest(data) == sealed.sha256 else None


def keep(path: str, made: Seal, data: bytes) -> Kept:
    """What a companion holds of a bundle that is still there."""
    texts: dict[str, str] = {}
    others: dict[str, bytes] = {}
    for name in _QUOTED:
        found = bundles.sealed_bytes(path, name, made)
        if found is None:
            continue
        try:
            texts[name] = found.decode()
        except UnicodeDecodeError:
            others[name] = found
    result = reading.read_head(f"{path}/{layout.RESULT}", RESULT_BYTES) or b""
    return Kept(run_id=made.run.run_id, seal=data.decode(), texts=texts, others=others, result=result)


def companion(head: Head, kept: Iterable[Kept]) -> Iterator[bytes]:
    """The bytes of a companion, line by line."""
    yield encode(head)
    yield from map(encode, kept)


def names(root: Root, experiment: str) -> list[str]:
    """The archives of an experiment that have a companion, in order of name."""
    folder = root.layout.archived(experiment)
    if not reading.is_folder(folder):
        return []
    return sorted(
        name.removesuffix(".jsonl") for name in os.listdir(folder) if name[:1] != "." and name[-6:] == ".jsonl"
    )


def head(root: Root, experiment: str, archive: str) -> Head:
    """What a companion says of its archive."""
    where = root.layout.companion(experiment, archive)
    return parse(Head, next(_lines(where), b""), where)


def runs(root: Root, experiment: str, archive: str) -> Iterator[tuple[Kept, Seal]]:
    """The runs of one archive, one by one: there may be a hundred thousand. `Corrupt` at a line that is none."""
    where = root.layout.companion(experiment, archive)
    for line in islice(_lines(where), 1, None):
        kept = parse(Kept, line, where)
        made = parse(Seal, kept.seal.encode(), where)
        if (made.run.run_id, made.run.experiment) != (kept.run_id, experiment):
            raise Corrupt(f"the seal of {made.run.run_id} stands for {kept.run_id}", where=where)
        yield kept, made


def _lines(path: str) -> Iterator[bytes]:
    """One by one: of a hundred thousand runs they are 300 MB."""
    for _, data in reading.lines_from(path, 0, _BLOCK):
        yield from data[:-1].split(b"\n")


def every(root: Root, experiment: str) -> Iterator[tuple[Kept, Seal] | Corrupt]:
    """The runs of all archives of an experiment. Damage ends one archive, and is told in its place."""
    for archive in names(root, experiment):
        try:
            yield from runs(root, experiment, archive)
        except Corrupt as error:
            yield error


def find(root: Root, experiment: str, run_id: str) -> tuple[str, Kept, Seal] | None:
    """The archive that a run is in, and what its companion says of it. Reads companions: not for every day."""
    for archive in names(root, experiment):
        try:
            for kept, made in runs(root, experiment, archive):
                if kept.run_id == run_id:
                    return archive, kept, made
        except Corrupt:
            continue
    return None


def remove_bundles(root: Root, experiment: str, run_ids: Iterable[str]) -> list[str]:
    """Take bundles that an archive holds out of sight, each by one rename. Returns the drafts, to be discarded.

    On the disk before this returns: from then on no crash can show half a bundle.
    """
    drafts = []
    for run_id in run_ids:
        drafts.append(f"{root.layout.runs(experiment)}/.{run_id}{layout.PRUNED_SUFFIX}")
        root.files.discard_folder(drafts[-1])
        root.files.move(root.layout.run(experiment, run_id), drafts[-1])
    if drafts and root.files.durable:
        root.files.sync_folder(root.layout.runs(experiment))
    return drafts


def discard(root: Root, spent: Sequence[str]) -> None:
    """Remove drafts, several at once where there are many: the order is nobody's matter any more.

    Removing a file takes no work and a wait: 1.4 ms on a disk that is told of every block that is free again, as much
    on one that is far away. One after another, that is a quarter of an hour for 90,000 runs.
    """
    if len(spent) < _MANY:
        for draft in spent:
            root.files.discard_folder(draft)
        return
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415  # only where a large lab is pruned

    with ThreadPoolExecutor(_AT_ONCE) as crew:
        for first in range(0, len(spent), _MANY):  # not all at once: who interrupts it does not wait for the rest
            for _ in crew.map(root.files.discard_folder, spent[first : first + _MANY]):
                pass


def drafts(root: Root, experiment: str) -> list[str]:
    """What a killed prune or restore left beside the bundles; whoever prunes next may discard it."""
    folder = root.layout.runs(experiment)
    if not reading.is_folder(folder):
        return []
    left = [
        name for name in sorted(os.listdir(folder)) if name.endswith((layout.PRUNED_SUFFIX, layout.RESTORED_SUFFIX))
    ]
    return [f"{folder}/{name}" for name in left if name.startswith(".RUN-")]


def digest(path: str) -> tuple[str, int] | None:
    """The SHA-256 and the size of an archive; None when it is not there."""
    found = contents.look(path)
    return None if found is None else (found.sha256, found.size)
