"""What was saved, on disk: a folder for each checkpoint, whole or not there, found again after a restart.

    FOLDER/runs/<run>/<kind>/<name>/checkpoint.json + the files of the adapter (+ the optimizer's)

A checkpoint that has a time to live is gone when the time is over, whether or not somebody looks.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Literal

import msgspec

from lab.core.errors import BadInput, Corrupt
from lab.core.record import Record, encode, parse
from lab.tinker import paths
from lab.tinker.local import disk
from lab.tinker.local.calls import Refusal
from lab.tinker.local.training import Lora, UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

RECORD = "checkpoint.json"
Kind = Literal["weights", "sampler_weights", "external_weights"]
KINDS: tuple[Kind, ...] = ("weights", "sampler_weights", "external_weights")
LONGEST_NAME = 128
LONGEST_TTL_S = 10 * 366 * 86_400


class Checkpoint(Record, frozen=True, kw_only=True):
    """`steps`: optimizer steps that are in the weights. Times are seconds of the epoch."""

    run_id: str
    kind: Kind
    name: str
    base_model: str
    lora: Lora
    steps: int
    saved_at: float
    size_bytes: int = 0
    user_metadata: dict[str, str] | None = None
    expires_at: float | None = None
    public: bool = False

    @property
    def path(self) -> str:
        return f"tinker://{self.run_id}/{self.kind}/{self.name}"


class Checkpoints:
    def __init__(self, folder: str, say: Callable[[str], None], *, now: Callable[[], float] = time.time) -> None:
        self._folder = f"{folder}/runs"
        self._now = now
        self._say = say
        self._stuck: set[str] = set()  # expired, and could not be taken away; it was said
        self._lock = threading.RLock()
        self._all: dict[str, Checkpoint] = {}  # by path
        for run in disk.folders_in(self._folder):
            for kind in KINDS:
                for name in disk.folders_in(f"{self._folder}/{run}/{kind}"):
                    where = f"{self._folder}/{run}/{kind}/{name}"
                    try:
                        found = self._found(where)
                    except (Corrupt, OSError) as error:
                        say(f"a checkpoint is left aside: {error}")
                    else:
                        self._all[found.path] = found

    def save(self, new: Checkpoint, fill: Callable[[str], None], *, overwrite: bool = False) -> Checkpoint:
        """Publish what `fill` writes into a folder. When it fails nothing is left of it, and the old one stays."""
        if not paths.is_name(new.name) or new.name.startswith(".") or len(new.name) > LONGEST_NAME:
            raise UserError(f"a checkpoint cannot be called {new.name!r}: letters, digits, '_', '-' and '.'")
        if not overwrite and self._live(new.path) is not None:
            raise UserError(f"{new.path} exists already; save under another name, or with overwrite")
        target = self.folder_of(new)
        draft = ""
        try:
            draft = disk.draft_beside(target)
            fill(draft)
            new = msgspec.structs.replace(new, size_bytes=disk.size_of(draft))
            disk.write(f"{draft}/{RECORD}", encode(new))
            with self._lock:
                disk.publish(draft, target)
                self._all[new.path] = new
        except BaseException as error:
            if draft:
                disk.drop(draft)
            error.add_note(
                f"{new.path} was not saved, and nothing of it was left behind: set that right, and save again"
            )
            raise
        return new

    def find(self, path: str, kinds: tuple[str, ...] = KINDS) -> Checkpoint:
        """The checkpoint at a `tinker://` path."""
        try:
            kind = paths.parse(path).kind
        except BadInput as error:
            raise Refusal(400, f"{error.what}; {error.fix}") from error
        found = self._live(path)
        if found is None:
            raise Refusal(404, f"there is no checkpoint {path}: it was never saved here, was deleted, or has expired")
        if kind not in kinds:
            raise Refusal(400, f"{path} is of the kind {kind}; here it must be {' or '.join(kinds)}")
        return found

    def folder_of(self, checkpoint: Checkpoint) -> str:
        return f"{self._folder}/{folder_name(checkpoint.run_id)}/{checkpoint.kind}/{checkpoint.name}"

    def newest_first(self, run_id: str | None = None) -> list[Checkpoint]:
        self.sweep()
        with self._lock:
            found = [each for each in self._all.values() if run_id in (None, each.run_id) and not self._is_over(each)]
        return sorted(found, key=lambda each: (each.saved_at, each.path), reverse=True)

    def delete(self, path: str) -> None:
        found = self.find(path)
        with self._lock:
            disk.discard(self.folder_of(found))
            self._all.pop(path, None)

    def change(self, path: str, **fields: object) -> None:
        """Change what is said of a checkpoint, never what is in it."""
        with self._lock:
            changed = msgspec.structs.replace(self.find(path), **fields)
            disk.write(f"{self.folder_of(changed)}/{RECORD}", encode(changed))
            self._all[path] = changed

    def expiry(self, ttl_s: int | None) -> float | None:
        """When something ends that lives so long from now on; None lives for ever."""
        if ttl_s is None:
            return None
        if not 0 < ttl_s <= LONGEST_TTL_S:
            raise UserError(f"ttl_seconds: {ttl_s} is not between 1 and {LONGEST_TTL_S}")
        return self._now() + ttl_s

    def sweep(self) -> None:
        """Take away what has expired. What the disk does not let go is told once, and tried again with every sweep."""
        with self._lock:
            for path, each in [item for item in self._all.items() if self._is_over(item[1])]:
                try:
                    disk.discard(self.folder_of(each))
                except OSError as error:
                    if path not in self._stuck:
                        self._say(f"{path} has expired, and cannot be taken away yet: {error}")
                        self._stuck.add(path)
                else:
                    self._stuck.discard(path)
                    del self._all[path]

    def _is_over(self, checkpoint: Checkpoint) -> bool:
        return checkpoint.expires_at is not None and checkpoint.expires_at <= self._now()

    def _found(self, where: str) -> Checkpoint:
        found = parse(Checkpoint, disk.read(f"{where}/{RECORD}"), f"{where}/{RECORD}")
        if self.folder_of(found) != where:
            raise Corrupt(f"it says that it is {found.path}", where=where)
        return found

    def _live(self, path: str) -> Checkpoint | None:
        self.sweep()
        with self._lock:
            found = self._all.get(path)
        return None if found is None or self._is_over(found) else found


def folder_name(run_id: str) -> str:
    """A colon is no character for a folder on every disk."""
    return run_id.replace(":", "-")


def described(checkpoint: Checkpoint, when: Callable[[float], str]) -> Mapping[str, object]:
    """As the API lists it."""
    kinds = {"weights": "training", "sampler_weights": "sampler", "external_weights": "external"}
    return {
        "checkpoint_id": f"{checkpoint.kind}/{checkpoint.name}",
        "checkpoint_type": kinds[checkpoint.kind],
        "time": when(checkpoint.saved_at),
        "tinker_path": checkpoint.path,
        "size_bytes": checkpoint.size_bytes,
        "public": checkpoint.public,
        "user_metadata": checkpoint.user_metadata,
        "expires_at": None if checkpoint.expires_at is None else when(checkpoint.expires_at),
    }
