"""The bytes that claims rest on: files of sealed runs, of this lab or beside an exported paper, and the paper's own.

Every file is proved against the seal of its run before a word of it is used. Whether the seals are those that the lab
made is asked elsewhere: only its ledger knows.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Protocol

import msgspec

from lab.core import canonical, ids, json_text, layout
from lab.core.errors import Corrupt, LabError, NotFound
from lab.core.record import Record, page, parse
from lab.core.seal import Seal
from lab.research import built, decision, evaluated, idea, source, trained
from lab.research.literature import rows
from lab.research.paper import told
from lab.research.paper.claim import Part
from lab.scheduler.results import located
from lab.store import reading

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.store.root import Root

FOLDER = "evidence"
MOST_BYTES = 16 << 20
SOURCES = f"{layout.ARTIFACTS}/{source.FILE}"
IDEAS = f"{layout.ARTIFACTS}/{idea.FOLDER}"
_RECORDS: dict[str, type[Record]] = {
    f"{layout.ARTIFACTS}/{built.FILE}": built.Built,
    f"{layout.ARTIFACTS}/{trained.FILE}": trained.Trained,
    f"{layout.ARTIFACTS}/{evaluated.FILE}": evaluated.Evaluated,
    f"{layout.ARTIFACTS}/{decision.FILE}": decision.Decision,
    layout.SEAL: Seal,
    told.FILE: told.Told,
}


class Bundles(Protocol):
    """Where sealed runs lie."""

    def seal(self, run_id: str) -> tuple[Seal, bytes]:
        """The seal of a run and its bytes, or a `LabError` that says why there is none."""
        ...

    def read(self, run_id: str, file: str) -> bytes:
        """A file of it as it was sealed, or a `LabError`."""
        ...

    def path(self, run_id: str) -> str:
        """The folder of its bundle; empty where it lies in an archive."""
        ...

    def has(self, run_id: str, file: str) -> bool:
        """Whether something lies there under that name, whatever it is."""
        ...


class InLab:
    """The bundles of a lab."""

    def __init__(self, root: Root) -> None:
        self._root = root
        self._found: dict[str, tuple[located.Located, Seal]] = {}

    def _sealed(self, run_id: str) -> tuple[located.Located, Seal]:
        if run_id not in self._found:
            self._found[run_id] = located.sealed(self._root, run_id)
        return self._found[run_id]

    def seal(self, run_id: str) -> tuple[Seal, bytes]:
        found, made = self._sealed(run_id)
        if found.archive:
            return made, page(made)  # the very bytes: an archive keeps the record
        data = reading.read(f"{found.path}/{layout.SEAL}")
        if data is None:
            raise NotFound(f"{run_id} has no seal any more", where=found.path, fix="labctl verify")
        return made, data

    def read(self, run_id: str, file: str) -> bytes:
        found, made = self._sealed(run_id)
        if file == layout.SEAL:
            return self.seal(run_id)[1]
        if found.archive:
            data = found.quoted(file)
            if data is None:
                fix = f"labctl prune --restore {found.archive}"
                raise NotFound(f"{run_id} is archived, and {file} is in its archive", where=found.path, fix=fix)
            return data
        return _proved(found.path, file, made)

    def path(self, run_id: str) -> str:
        found, _ = self._sealed(run_id)
        return "" if found.archive else found.path

    def has(self, run_id: str, file: str) -> bool:
        path = self.path(run_id)
        return bool(path) and os.path.lexists(f"{path}/{file}")


class InFolder:
    """The bundles that were exported with a paper: of each run its seal and the files that claims rest on."""

    def __init__(self, path: str) -> None:
        self._path = path

    def seal(self, run_id: str) -> tuple[Seal, bytes]:
        place = f"{self._path}/{ids.run_id(run_id)}/{layout.SEAL}"
        data = reading.read_head(place, MOST_BYTES)
        if data is None:
            raise NotFound(f"there is no evidence of {run_id}", where=place, fix="labctl research paper exports it")
        return parse(Seal, data, place), data

    def read(self, run_id: str, file: str) -> bytes:
        made, data = self.seal(run_id)
        return data if file == layout.SEAL else _proved(self.path(run_id), file, made)

    def path(self, run_id: str) -> str:
        return f"{self._path}/{ids.run_id(run_id)}"

    def has(self, run_id: str, file: str) -> bool:
        return os.path.lexists(f"{self.path(run_id)}/{file}")


def _proved(path: str, file: str, made: Seal) -> bytes:
    kept, place = made.files.get(file), f"{path}/{file}"
    if kept is None:
        raise NotFound(f"{made.run.run_id} was sealed without {file}", where=path)
    if kept.link or kept.size > MOST_BYTES:
        raise Corrupt(f"{file} is a link or larger than {MOST_BYTES >> 20} MB: no paper rests on it", where=place)
    data = reading.read_head(place, kept.size + 1)
    if data is None:
        raise NotFound(f"{file} of {made.run.run_id} is gone", where=place, fix="labctl verify")
    if canonical.digest(data) != kept.sha256:
        raise Corrupt(f"{file} of {made.run.run_id} is not as it was sealed", where=place, fix="labctl verify")
    return data


class Evidence:
    """Bundles and the paper's own files as values, each read once."""

    def __init__(self, bundles: Bundles, own: Mapping[str, bytes]) -> None:
        self.bundles = bundles
        self._own = dict(own)
        self.used: set[tuple[str, str]] = set()  # run and file, of everything that was asked for
        self._read: dict[tuple[str, str], tuple[object, Part]] = {}

    def document(self, run_id: str, file: str) -> tuple[object, Part]:
        """What a file says, with every default filled in, and the part of a claim that names it."""
        self.used.add((run_id, file))
        if (run_id, file) not in self._read:
            self._read[run_id, file] = self._document(run_id, file)
        return self._read[run_id, file]

    def _document(self, run_id: str, file: str) -> tuple[object, Part]:
        if not run_id:
            data = self._own.get(file)
            if data is None:
                raise NotFound(f"the paper has no {file}", where=file)
            return value(file, data), Part(file=file, sha256=canonical.digest(data))
        _, sealed = self.bundles.seal(run_id)
        data = self.bundles.read(run_id, file)
        part = Part(run=run_id, file=file, sha256=canonical.digest(data), seal=canonical.digest(sealed))
        return value(file, data), part

    def run(self, run_id: str) -> Seal:
        self.used.add((run_id, layout.SEAL))
        return self.bundles.seal(run_id)[0]


def value(file: str, data: bytes) -> object:
    """A file as plain values. What a record leaves out because it is the usual is there too."""
    kind = _RECORDS.get(file)
    if kind is not None:
        return _plain(parse(kind, data, file))
    if file == SOURCES:
        return {row.key: _plain(row) for row in rows.read(data, file)}
    if file.startswith(IDEAS):
        return _plain(idea.parse(data, file))
    try:
        return json_text.parse(data.decode())
    except (ValueError, RecursionError):
        raise Corrupt(f"{file} is no JSON", where=file) from None


def _plain(told: object) -> object:
    if isinstance(told, msgspec.Struct):
        pairs = ((name, getattr(told, name)) for name in told.__struct_fields__)
        return {name: _plain(each) for name, each in pairs if each is not msgspec.UNSET}
    if isinstance(told, dict):
        return {str(name): _plain(each) for name, each in told.items()}
    if isinstance(told, (list, tuple)):
        return [_plain(each) for each in told]
    return told


def step(pointer: str, name: str | int) -> str:
    """A pointer one step deeper."""
    return f"{pointer}/{str(name).replace('~', '~0').replace('/', '~1')}"


def at(document: object, pointer: str) -> object:
    """What a pointer leads to, or `NotFound`."""
    found = document
    for name in pointer.split("/")[1:]:
        key = name.replace("~1", "/").replace("~0", "~")
        if isinstance(found, dict) and key in found:
            found = found[key]
        elif isinstance(found, list) and key.isdecimal() and int(key) < len(found):
            found = found[int(key)]
        else:
            raise NotFound(f"nothing is at {pointer}", where=pointer)
    return found


def last(pointer: str) -> str:
    """The name that a pointer ends in."""
    return pointer.rpartition("/")[2].replace("~1", "/").replace("~0", "~")


def own(folder: str, name: str) -> bytes:
    """A file of the paper's own folder, or `LabError`."""
    data = reading.read_head(os.path.join(folder, name), MOST_BYTES)
    if data is None:
        raise LabError(f"there is no {name}", where=os.path.join(folder, name))
    return data
