"""Bundles: one folder a run, sealed once.

Opened whole (a visible bundle always has its manifest), filled by the run, closed with RESULT.md, metrics.json and the
manifest's last version, and sealed by SEAL.json, which is created after everything else is on the disk.
"""

from __future__ import annotations

import itertools
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from lab.core import canonical, event, layout
from lab.core.errors import BadInput, Corrupt, Unavailable
from lab.core.manifest import RUNNING, Manifest
from lab.core.record import page, parse
from lab.core.seal import Anchor, Seal, SealedFile
from lab.store import ledger, reading, standing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.core.run import Run
    from lab.store.ledger import Mark
    from lab.store.root import Root

_CHUNK = 1 << 20
_SMALL = 1 << 18
QUOTED_BYTES = 1 << 20  # a larger metrics.json is evidence, but nothing to quote on a page


def open_bundle(root: Root, manifest: Manifest, contents: Mapping[str, bytes]) -> str:
    """Make the bundle's folder with its manifest and these files in it. Returns its path."""
    runs = _runs(root, manifest.experiment)
    path = root.layout.run(manifest.experiment, manifest.run_id)
    texts = {layout.MANIFEST: page(manifest), **contents}
    root.files.create_folder(path, texts)
    if waits(root, manifest):
        with suppress(OSError):  # it is begun all the same: refused here, it would be begun a second time
            for name in texts:
                root.files.sync_file(f"{path}/{name}")
            for folder in (path, runs):
                root.files.sync_folder(folder)
    return path


def _runs(root: Root, experiment: str) -> str:
    runs = root.layout.runs(experiment)
    if os.path.lexists(runs) and not reading.is_folder(runs):
        fix = "put the real folder in its place; nothing is written through a link"
        raise Unavailable("runs/ is not a folder of this lab", where=runs, fix=fix)
    return runs


def made_anew(root: Root, manifest: Manifest) -> str:
    """Why a bundle is to be sealed as that of a failure: its run took it away, or put something else in its place.

    It is there again then, with its manifest alone. Empty where it is as it should be.
    """
    _runs(root, manifest.experiment)
    path, whole = root.layout.run(manifest.experiment, manifest.run_id), root.layout.experiment(manifest.experiment)
    if reading.is_folder(path):
        return ""
    if not reading.is_folder(whole):
        raise Unavailable(f"the folder of {manifest.experiment} is gone", where=whole, fix="put it back in its place")
    what = "put something else in place of its bundle" if not_a_folder_aside(root, path) else "took its bundle away"
    root.files.folder(path)
    root.files.replace(f"{path}/{layout.MANIFEST}", page(manifest))
    return f"the run {what}: nothing is left of what it made"


def not_a_folder_aside(root: Root, path: str) -> bool:
    """Whether something else lay in place of a bundle, such as a link: it is moved aside, for a folder."""
    if not os.path.lexists(path) or reading.is_folder(path):
        return False
    root.files.folder(root.layout.aside)
    count = len(os.listdir(root.layout.aside))
    root.files.move(path, f"{root.layout.aside}/{os.path.basename(path)}-{count}-no-folder")
    root.files.folder(path)
    return True


def waits(root: Root, manifest: Manifest) -> bool:
    """Whether what the lab writes into a bundle waits for the disk before its seal.

    Only where a power cut ends no run: a worker may be elsewhere, and its package may be complete already.
    """
    return bool(manifest.package) and root.files.durable


def begun(root: Root, manifest: Manifest) -> None:
    """Say who carries the run out, where that is not who opened its bundle."""
    path = root.layout.run(manifest.experiment, manifest.run_id)
    root.files.replace(f"{path}/{layout.MANIFEST}", page(manifest))


def close(root: Root, manifest: Manifest, *, result: str, metrics: Mapping[str, object]) -> None:
    """Say how the run ended: RESULT.md, then metrics.json, then the manifest. What the run wrote itself stays."""
    if manifest.status == RUNNING:
        message = "a run cannot be closed as running"
        raise BadInput(message)
    path, durable = root.layout.run(manifest.experiment, manifest.run_id), waits(root, manifest)
    for name, data in ((layout.RESULT, result.encode()), (layout.METRICS, canonical.page(dict(metrics)))):
        try:
            root.files.create(f"{path}/{name}", data, durable=durable, sync_name=False)
        except FileExistsError:
            continue
    root.files.replace(f"{path}/{layout.MANIFEST}", page(manifest), durable=durable)


def name_for_own_metrics(path: str) -> str:
    """The name under which a metrics.json is kept that is not the lab's; empty where there is none."""
    if not os.path.lexists(f"{path}/{layout.METRICS}"):
        return ""
    stem, ending = os.path.splitext(layout.METRICS)
    names = (f"{stem}.own{f'-{number}' if number else ''}{ending}" for number in itertools.count())
    return next(name for name in names if not os.path.lexists(f"{path}/{name}"))


def set_own_metrics_aside(root: Root, path: str) -> None:
    """Make room for the lab's metrics.json, where the lab was told the numbers: a run has not two of each."""
    if name := name_for_own_metrics(path):
        root.files.move(f"{path}/{layout.METRICS}", f"{path}/{name}")


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
    newest = ledger.newest(root, durable=durability == "full")
    made = Seal(
        run=run,
        generation=generation,
        anchor=Anchor(seq=newest.seq, sha256=newest.sha256),
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
    record(root, made, data, durability=durability, after=newest)
    return made


def record(  # the parts of a line
    root: Root,
    made: Seal,
    data: bytes,
    *,
    durability: str,
    reason: str = "",
    kept_ledger: str = "",
    after: Mark | None = None,
) -> None:
    """The ledger line of a seal. `kept_ledger` is the one that it is anchored in, of a run that was taken over."""
    line = event.Event(
        type=event.RUN_SEALED,
        ts=made.sealed_at,
        experiment=made.run.experiment,
        run_id=made.run.run_id,
        seal=canonical.digest(data),
        generation=made.generation,
        actor=made.sealed_by,
        reason=reason,
        name=kept_ledger,
        facts={"outcome": made.run.outcome, "value": made.run.value},
    )
    ledger.append(root, line, durable=durability == "full", after=after)


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
    """The run ids of an experiment, oldest first. Drafts, strangers and links (which lead elsewhere) are left out."""
    folder = root.layout.runs(experiment)
    if os.path.islink(folder):
        return []
    try:
        with os.scandir(folder) as found:
            return sorted(e.name for e in found if e.name.startswith("RUN-") and e.is_dir(follow_symlinks=False))
    except (FileNotFoundError, NotADirectoryError):
        return []


def is_superseded(path: str) -> bool:
    """Whether a bundle is marked as one that does not count. Its program may live, and write there what it likes."""
    return reading.is_file(f"{path}/{layout.SUPERSEDED}")


def set_seal_aside(root: Root, path: str) -> None:
    """A seal that a run itself wrote, or a damaged one: kept, and not believed. Whoever comes second finds none."""
    if os.path.lexists(f"{path}/{layout.SEAL}"):
        with suppress(
            FileNotFoundError
        ):  # a holder that lost its lease, and whoever settles its run, may both be at it
            root.files.move(f"{path}/{layout.SEAL}", f"{path}/{layout.DAMAGED_SEAL}")


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
        reason=reason, facts={"highest": max((each for each, _ in standing.found(root, experiment)), default=0)},
    )  # fmt: skip
    ledger.append(root, line)


def anchor_known(anchor: Anchor, digests: Mapping[int, str]) -> bool:
    """Whether the ledger still has the record that a seal is tied to."""
    return anchor.seq == 0 or digests.get(anchor.seq) == anchor.sha256
