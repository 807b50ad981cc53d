"""A run by its id alone, wherever it lies: in the bundles of some experiment, or in an archive. Writes nothing."""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager, nullcontext
from threading import RLock
from typing import TYPE_CHECKING

import msgspec

from lab.core import ids, layout
from lab.core.errors import LabError, NotFound
from lab.core.manifest import Manifest
from lab.core.record import parse
from lab.core.seal import Seal  # msgspec resolves annotations
from lab.store import archives, bundles, experiments, reading, refusals
from lab.store.archives import Kept
from lab.store.root import still_there

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lab.store.root import Root

_LARGE_BYTES = 1 << 20  # of a seal: some 7,000 files
_large = RLock()


class Located(msgspec.Struct, frozen=True, kw_only=True):
    """Where a run lies. `made` is None while it is not sealed; `kept` is there for a run that was archived."""

    run_id: str
    experiment: str
    path: str  # of its bundle, or of its archive
    made: Seal | None = None
    archive: str = ""
    kept: Kept | None = None

    def quoted(self, name: str) -> bytes | None:
        """A file of the run as it was sealed; None when it is not, and of an archived run for all but a few."""
        if self.made is None:
            return None
        if self.kept is not None:
            return self.kept.quoted(name, self.made)
        return bundles.sealed_bytes(self.path, name, self.made)

    def params(self) -> dict[str, object] | None:
        """The parameters that it was given; None where it was given none."""
        data = self.quoted(layout.PARAMS)
        try:
            return None if data is None else msgspec.json.decode(data, type=dict[str, object])
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None  # a run sealed whatever it had written there

    def manifest(self) -> Manifest | None:
        """What it set out to do. None for an archived run: its companion does not hold that."""
        data = self.quoted(layout.MANIFEST)
        return None if data is None else parse(Manifest, data, f"{self.path}/{layout.MANIFEST}")


@contextmanager
def one_at_a_time(root: Root, *run_ids: str) -> Iterator[None]:
    """Read these runs while no other thread reads one with a large seal. The caller lets go of the seal inside.

    A seal of 100,000 files takes 40 MB while its page is made, and a server may be asked for it 60 times at once.
    """
    with _large if any(_is_large(root, run_id) for run_id in run_ids) else nullcontext():
        yield


def _is_large(root: Root, run_id: str) -> bool:
    """By the size of its seal. An archived run counts as large: its seal lies in one file with those of others."""
    try:
        ids.run_id(run_id)
        path = next((path for path in _places(root, run_id) if os.path.isdir(path)), "")
        return not path or reading.size_of(f"{path}/{layout.SEAL}") > _LARGE_BYTES
    except (LabError, OSError):  # whoever reads it says so
        return False


def _places(root: Root, run_id: str) -> Iterator[str]:
    return (root.layout.run(name, run_id) for name in experiments.names(root))


def find(root: Root, run_id: str) -> Located:
    """The run of that id, or `NotFound`. `Unavailable` where it may lie in a folder that cannot be looked into."""
    ids.run_id(run_id)
    names = experiments.names(root)
    owner, closed = _owner(root, names, run_id)
    if owner:
        path = root.layout.run(owner, run_id)
        found = bundles.load_seal(path)
        return Located(run_id=run_id, experiment=owner, path=path, made=found[0] if found else None)
    for name in names:
        archived = archives.find(root, name, run_id)
        if archived is not None:
            archive, kept, made = archived
            path = root.layout.archive(archive)
            return Located(run_id=run_id, experiment=name, path=path, made=made, archive=archive, kept=kept)
    still_there(root)
    if closed is not None:
        raise refusals.refused(closed)
    raise NotFound(f"there is no run {run_id}", fix="labctl list ID shows the runs of an experiment")


def archive_of(root: Root, experiment: str, run_id: str) -> str:
    """The archive that a run of this experiment is in; empty while its bundle is here."""
    if reading.is_folder(root.layout.run(experiment, run_id)):
        return ""
    archived = archives.find(root, experiment, run_id)
    return archived[0] if archived is not None else ""


def _owner(root: Root, names: Sequence[str], run_id: str) -> tuple[str, OSError | None]:
    """The experiment that has this run; and what was in the way where it could not be looked for."""
    closed = None
    for name in names:
        try:
            if stat.S_ISDIR(os.stat(root.layout.run(name, run_id)).st_mode):
                return name, None
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            closed = closed or error
    return "", closed


def sealed(root: Root, run_id: str) -> tuple[Located, Seal]:
    """The run of that id, once it has ended: there is nothing to say of one that is under way."""
    found = find(root, run_id)
    if found.made is None:
        what = f"{run_id} is not sealed yet, so nothing is known of how it ended"
        raise LabError(what, where=found.path, fix=f"labctl show {run_id} says whether it is under way")
    return found, found.made
