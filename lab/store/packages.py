"""Packages on disk: finding, reading and moving them. Each move is one rename, which the file system lets one win.

Nothing here knows who may claim or ingest: that is judged in the experiment's section by `scheduler.dispatch`.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from lab.core import layout, package
from lab.core.chunk import ORDER
from lab.core.errors import Corrupt, LabError, NotFound, Superseded
from lab.core.package import CLAIM, COMPLETE, DONE, OFFER, READY, REFUSED, RUN, RUNNING, WHY, Done, Offer, Place, Taken
from lab.core.record import Record, page, parse
from lab.store import reading

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.core.claim import Claim
    from lab.store.root import Root

R = TypeVar("R", bound=Record)
STAGES = (READY, RUNNING, COMPLETE, REFUSED)
SPENT = ".spent"
FROM_WORKER = "from-worker"
# What the lab itself says of a run. A worker has no word in it.
_KEPT = frozenset(
    {layout.MANIFEST, layout.PLAN, layout.PARAMS, layout.SEAL, layout.SUPERSEDED, layout.DAMAGED_SEAL, OFFER, DONE}
    | {FROM_WORKER, ORDER, layout.LEFT_OUT, layout.CURVE}
)
RECORD_BYTES = 4 << 20  # a record of ours is far smaller; a worker may have put anything in its place
_ASIDE = 1000


def found(root: Root, stage: str) -> list[Place]:
    """The packages of a state, oldest first. One listing; strangers, drafts and links are left out."""
    try:
        with os.scandir(root.layout.stage(stage)) as entries:
            names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted((each for each in map(package.place, names) if each is not None), key=lambda each: each.name)


def under_way(root: Root) -> bool:
    """Whether a worker has a package, or brought one back. Two listings."""
    return any(found(root, stage) for stage in (RUNNING, COMPLETE))


def waiting(root: Root) -> dict[str, int]:
    """How many offers each experiment has. Those that were taken hold a lease, and are counted by it."""
    counts: dict[str, int] = {}
    for each in found(root, READY):
        counts[each.experiment] = counts.get(each.experiment, 0) + 1
    return counts


def speaks_for(root: Root, claim: Claim) -> bool:
    """Whether the run of a claim has ended and its package waits to be ingested: then nobody may take it over.

    Reads nothing for a claim that is no package's.
    """
    if not claim.owner.name.startswith(package.OWNER_PREFIX):
        return False
    for each in found(root, COMPLETE):
        if each.experiment != claim.experiment:
            continue
        taken = claimed(root, COMPLETE, each)
        if taken is not None and taken.generation == claim.generation:
            return True
    return False


def publish(root: Root, offer: Offer, inputs: Mapping[str, bytes]) -> str:
    """Put an offer into ready/, whole or not at all. Not synced: an offer that a power cut takes is queued again."""
    path = root.layout.package(READY, offer.dispatch_id)
    root.files.create_folder(path, {OFFER: page(offer), **inputs})
    return path


def where(root: Root, dispatch_id: str, *stages: str) -> tuple[str, Place] | None:
    """The state and the folder of a package."""
    for stage in stages or STAGES:
        for each in found(root, stage):
            if each.dispatch_id == dispatch_id:
                return stage, each
    return None


def require(root: Root, dispatch_id: str) -> tuple[str, Place]:
    """The same, or `NotFound`."""
    seen = where(root, dispatch_id)
    if seen is None:
        what = f"there is no package {dispatch_id}"
        fix = "a package that was ingested is gone, and its run is sealed: labctl list shows it"
        raise NotFound(what, where=root.layout.place("dispatch"), fix=fix)
    return seen


def offer_of(root: Root, stage: str, each: Place) -> Offer:
    """dispatch.json, or `Corrupt`."""
    made = _record(root, stage, each, OFFER, Offer)
    if (made.dispatch_id, made.experiment) != (each.dispatch_id, each.experiment):
        what = f"this is the package {made.dispatch_id} of {made.experiment}"
        raise Corrupt(what, where=root.layout.package(stage, each.name), fix="a package keeps its name")
    return made


def taken_of(root: Root, stage: str, each: Place) -> Taken:
    """claim.json, or `Corrupt`."""
    made = _record(root, stage, each, CLAIM, Taken)
    if (made.dispatch_id, made.experiment, made.worker) != (each.dispatch_id, each.experiment, each.worker):
        what = f"this claim is of {made.dispatch_id} by {made.worker}"
        raise Corrupt(what, where=root.layout.package(stage, each.name), fix="a package keeps its name")
    return made


def running_of(root: Root, each: Place) -> Taken:
    """What the worker of a running package was given. `Superseded` where it was moved since it was found."""
    try:
        return taken_of(root, RUNNING, each)
    except Corrupt:
        refuse_moved(root, each)
        raise


def refuse_moved(root: Root, each: Place) -> None:
    """`Superseded` where a running package is in its place no more: its lease was lost, and others settled it."""
    if not reading.is_folder(root.layout.package(RUNNING, each.name)):
        raise Superseded(f"{each.dispatch_id} was moved meanwhile", fix="labctl dispatch-ingest")


def done_of(root: Root, stage: str, each: Place) -> Done:
    """done.json, or `Corrupt`."""
    return _record(root, stage, each, DONE, Done)


def claimed(root: Root, stage: str, each: Place) -> Taken | None:
    """claim.json, or None where there is none that can be believed."""
    try:
        return taken_of(root, stage, each)
    except (Corrupt, OSError):
        return None


def _record(root: Root, stage: str, each: Place, name: str, kind: type[R]) -> R:
    path = f"{root.layout.package(stage, each.name)}/{name}"
    data = reading.read_head(path, RECORD_BYTES) if reading.is_file(path) else None
    if data is None:
        raise Corrupt(f"the package {each.dispatch_id} has no {name}", where=path, fix="labctl dispatch-ingest")
    return parse(kind, data, path)


def write(root: Root, stage: str, each: Place, name: str, record: Record) -> None:
    """Put a record into a package. On the disk when this returns: what a worker was told must outlive a power cut."""
    root.files.replace(f"{root.layout.package(stage, each.name)}/{name}", page(record), durable=root.files.durable)


def move(root: Root, stage: str, each: Place, to: str, *, worker: str = "") -> Place:
    """One rename from state to state. FileNotFoundError for whoever comes second."""
    moved = Place(dispatch_id=each.dispatch_id, experiment=each.experiment, worker=worker or each.worker)
    if to == READY:
        moved = Place(dispatch_id=each.dispatch_id, experiment=each.experiment)
    source, target = root.layout.package(stage, each.name), root.layout.package(to, moved.name)
    root.files.folder(root.layout.stage(to))
    if os.path.lexists(target):  # an empty folder would be replaced without a word
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target)
    root.files.move(source, target, durable=root.files.durable)
    return moved


def refuse(root: Root, stage: str, each: Place, why: str) -> str:
    """Set a package aside with the reason in it. Nothing of it is deleted. Returns where it lies."""
    source = root.layout.package(stage, each.name)
    with suppress(LabError, OSError):  # a package that cannot be written to is set aside all the same
        root.files.replace(f"{source}/{WHY}", f"# Refused\n\n{why}\n".encode(errors="replace"))
    root.files.folder(root.layout.stage(REFUSED))
    for number in range(_ASIDE):
        target = root.layout.package(REFUSED, each.dispatch_id + (f"-{number}" if number else ""))
        if not os.path.lexists(target):
            root.files.move(source, target)
            return target
    raise LabError("dispatch/refused has a thousand packages of one name", where=source, fix="clear it out")


def spend(root: Root, stage: str, each: Place) -> None:
    """Remove a package of which nothing is needed any more. First it stops being one, so that half of it is none."""
    source = root.layout.package(stage, each.name)
    spent = root.layout.package(stage, f".{each.name}{SPENT}{layout.DRAFT_SUFFIX}")
    try:
        root.files.move(source, spent)
    except FileNotFoundError:
        return
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        root.files.discard_folder(spent)  # an earlier one of this name, half removed
        root.files.move(source, spent)
    with suppress(OSError, RecursionError):  # it is no package any more; `clear` and `recover` see to the rest
        root.files.discard_folder(spent)


def clear(root: Root) -> None:
    """Remove what a crash left of packages that were spent."""
    for stage in (READY, COMPLETE):
        with suppress(OSError, RecursionError):
            for name in os.listdir(root.layout.stage(stage)):
                if name.startswith(".DISPATCH-") and name.endswith(f"{SPENT}{layout.DRAFT_SUFFIX}"):
                    root.files.discard_folder(root.layout.package(stage, name))


def pour(root: Root, stage: str, each: Place, bundle: str) -> None:
    """Move everything in run/ into the bundle. Called again after a crash, it goes on where it stopped.

    What is called like a file that the lab itself keeps in the bundle lies there under from-worker/.
    """
    source = f"{root.layout.package(stage, each.name)}/{RUN}"
    root.files.unlock(source)
    # The word of how it ended comes last: a bundle that has it has the rest too.
    for name in sorted(os.listdir(source), key=lambda name: (name == layout.EXIT, name)):
        target = f"{bundle}/{name}"
        if name in (layout.PARAMS, ORDER) and reading.read(f"{source}/{name}") == reading.read(target):
            root.files.discard(f"{source}/{name}")
            continue
        if name in _KEPT or os.path.lexists(target):
            root.files.folder(f"{bundle}/{FROM_WORKER}")
            target = _free(f"{bundle}/{FROM_WORKER}/{name}")
        try:
            _moved(root, f"{source}/{name}", target)
        except FileNotFoundError:
            continue
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            _carried(root, f"{source}/{name}", target)


def _moved(root: Root, source: str, target: str) -> None:
    if reading.is_folder(source):  # a folder that is given another parent must let its owner write in it
        root.files.unlock(source)
    root.files.move(source, target)


def _carried(root: Root, source: str, target: str) -> None:
    """The same onto another file system: a copy first, then its name, then the source goes."""
    if reading.is_file(source):
        draft = root.files.draft_beside(target)
        root.files.copy(source, draft, mode=os.lstat(source).st_mode & 0o777, durable=True)
        root.files.move(draft, target, durable=True)
        root.files.discard(source)
    elif reading.is_folder(source):
        root.files.unlock(source)
        root.files.folder(target)
        for name in os.listdir(source):
            _carried(root, f"{source}/{name}", f"{target}/{name}")
        root.files.discard_folder(source)
    # A link or a socket leads nowhere from another file system; it goes with the package.


def _free(path: str) -> str:
    return next(name for number in range(_ASIDE) if not os.path.lexists(name := f"{path}{f'-{number}' * bool(number)}"))
