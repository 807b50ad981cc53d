"""What a phase is given: its declared inputs, found, and proved when they are read.

`folder:KEY` are files of the project's folder, called by where they lie below what the key names: with
`data: inputs/rows.csv` it is `folder:data/rows.csv`, with `study: study` it is `folder:study/SPEC.yaml`. Of a key that
is a list, each entry stands as it was written: `folder:literature.own/notes/a.md`. `PHASE/FILE` is a file of the run
that did that phase, as it was sealed, by its name below artifacts/; what comes after the rounds is also given those of
earlier ones, as `round-1/PHASE/FILE`. No name is a pattern, and no link is followed.
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

import msgspec

from lab.core import layout
from lab.core.errors import BadInput, Corrupt, NotFound
from lab.research import declared, idea, order
from lab.research.bundle import Bundle
from lab.research.order import Order  # msgspec resolves annotations
from lab.research.project import FILE, IDEATION, PUBLISHING, Project
from lab.research.work.digests import Digests
from lab.research.work.given import Piece
from lab.research.work.out import safe
from lab.store import contents, reading

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lab.core.seal import Seal
    from lab.research.declared import Phase

MOST_FILES = 20_000
MOST_BYTES = 16 << 30


class Done(Bundle, frozen=True, kw_only=True):
    """A sealed run that did what its order says."""

    order: Order

    def files(self, below: str) -> Iterator[tuple[str, str]]:
        """The plain files of its outputs that begin so, or are so, with their digests."""
        for name, kept in sorted(self.seal.files.items()):
            own = name.removeprefix(f"{layout.ARTIFACTS}/")
            is_meant = own.startswith(below) if below.endswith("/") or not below else own == below
            if own != name and is_meant and not kept.link:
                yield own, kept.sha256


class Provided:
    """The pieces of a phase: what `lab.research.work.given.Given` says."""

    def __init__(self, pieces: Sequence[Piece], by_phase: Mapping[str, Done]) -> None:
        self._pieces = {each.name: each for each in pieces}
        self._by_phase = dict(by_phase)

    def names(self, below: str = "") -> tuple[str, ...]:
        return tuple(sorted(name for name in self._pieces if name.startswith(below)))

    def read(self, name: str) -> bytes:
        if name not in self._pieces:
            fix = f"it is given {', '.join(self.names()[:20]) or 'nothing'}"
            raise NotFound(f"this phase is not given {name}", fix=fix)
        piece = self._pieces[name]
        data = reading.read(piece.path) if reading.is_file(piece.path) else None
        if data is None or hashlib.sha256(data).hexdigest() != piece.sha256:
            raise _changed(piece)
        return data

    def find(self, name: str) -> bytes | None:
        return self.read(name) if name in self._pieces else None

    def pieces(self) -> tuple[Piece, ...]:
        return tuple(self._pieces.values())

    def seal(self, phase: str) -> Seal | None:
        done = self._by_phase.get(phase)
        return None if done is None else done.seal

    def prove(self) -> None:
        """Look whether each is what it was, whatever its size. `Corrupt` naming the first that is not."""
        for piece in self._pieces.values():
            if not reading.is_file(piece.path) or _digest(piece.path) != piece.sha256:
                raise _changed(piece)


def _changed(piece: Piece) -> Corrupt:
    whose = f"a file of the sealed run {piece.run_id}" if piece.run_id else "a file that the phase was given"
    fix = "labctl verify names what else was changed" if piece.run_id else "let it be until the phase has ended"
    return Corrupt(f"{whose} is not what it was: {piece.name}", where=piece.path, fix=fix)


def earlier(number: int, phase: str) -> str:
    """What a phase of an earlier round is called, for phases that come after the rounds."""
    return f"round-{number}/{phase}"


def of_phase(  # the terms on which it is given
    project: Project,
    folder: str,
    phase: Phase,
    by_phase: Mapping[str, Done],
    *,
    sends: bool = False,
    digests: Digests | None = None,
) -> tuple[Piece, ...]:
    """Every file that it is given, by name. What a phase that was skipped would have left is not among them.

    `by_phase` has what it builds on and nothing else. Who sends a release is given all of that too. `digests` knows
    what was seen before; without them each file is read.
    """
    found: dict[str, Piece] = {}
    digests = digests or Digests()
    for each in (*phase.inputs, *([f"{PUBLISHING}/"] if sends else [])):
        if each.startswith(declared.OF_PROJECT):
            continue
        own = each.startswith(declared.OF_FOLDER)
        key = each.removeprefix(declared.OF_FOLDER)
        pieces = _of_folder(project, folder, key, digests) if own else _of_run(each, by_phase)
        found.update((each.name, each) for each in pieces)
        if len(found) > MOST_FILES:
            raise BadInput(f"the phase {phase.name} would be given more than {MOST_FILES:,} files", where=folder)
    return tuple(found[name] for name in sorted(found))


def of_ideas(project: Project, folder: str, ideation: Done | None, digests: Digests | None = None) -> tuple[Piece, ...]:
    """The files of the ideas, in the order of their names: those of the ideation, else the user's own."""
    if ideation is not None:
        return tuple(_of_run(f"{IDEATION}/{idea.FOLDER}", {IDEATION: ideation}))
    return tuple(_of_folder(project, folder, "hypothesis", digests or Digests()))


def digest(project: Project, phase: Phase, wanted: Order, pieces: Sequence[Piece]) -> str:
    """Of all that decides what the phase does: its pieces, its keys of the project, and who does it. No time."""
    keys = [each.removeprefix(declared.OF_PROJECT) for each in phase.inputs if each.startswith(declared.OF_PROJECT)]
    told: dict[str, object] = {key: msgspec.to_builtins(value_of(project, key)) for key in keys}
    if phase.executor == "command":
        told["command"] = project.commands.get(phase.name, "")
    if phase.executor == "agent":
        told["agent"] = msgspec.to_builtins(project.agent)
    return order.digest({
        "phase": phase.name, "worker": wanted.worker, "round": wanted.round, "idea": wanted.idea,
        "step": wanted.step, "release": wanted.release,
        "minimal": phase.name in declared.mode(project.mode).minimal,
        "project": told, "pieces": {each.name: each.sha256 for each in pieces},
    })  # fmt: skip


def value_of(project: Project, key: str) -> object:
    """What a dotted key of the project says."""
    found: object = project
    for part in key.split("."):
        found = getattr(found, part)
    return found


def _of_run(name: str, by_phase: Mapping[str, Done]) -> Iterator[Piece]:
    phase, _, below = name.partition("/")
    for key, done in by_phase.items():
        if key.rpartition("/")[2] == phase:
            for own, sha256 in done.files(below):
                path = f"{done.path}/{layout.ARTIFACTS}/{own}"
                yield Piece(name=f"{key}/{own}", path=path, sha256=sha256, run_id=done.run_id)


def _of_folder(project: Project, folder: str, key: str, digests: Digests) -> Iterator[Piece]:
    value = value_of(project, key)
    if isinstance(value, str):
        if value:
            may_lack = value == value_of(Project(mode=project.mode), key)  # nobody has named it
            for name, path in _files(folder, key, value, "", may_lack=may_lack):
                yield Piece(name=name, path=path, sha256=digests.of(path))
        return
    for each in value if isinstance(value, tuple) else ():
        for name, path in _files(folder, key, str(each), str(each).rstrip("/"), may_lack=False):
            yield Piece(name=name, path=path, sha256=digests.of(path))


def _files(folder: str, key: str, given: str, called: str, *, may_lack: bool) -> Iterator[tuple[str, str]]:
    """The file of that name, or all plain files below the folder of that name; with what each is called."""
    top = placed(folder, given, key)
    if reading.is_file(top):
        yield f"{declared.OF_FOLDER}{key}/{called or os.path.basename(top)}", top
        return
    if not reading.is_folder(top):
        if may_lack:
            return
        what = f"{key} names {given}, and there is no such file" if not os.path.islink(top) else f"{given} is a link"
        raise NotFound(what, where=top, fix=f"correct {key} in {FILE}, or put the file there itself")
    total = 0
    for parent, folders, names in os.walk(top):
        folders.sort()
        for name in sorted(names):
            path = f"{parent}/{name}"
            if reading.is_file(path):
                inside = os.path.relpath(path, top)
                total += reading.size_of(path)
                if total > MOST_BYTES:
                    raise BadInput(f"{key} holds more than {MOST_BYTES >> 30} GiB", where=top, fix="name less of it")
                yield f"{declared.OF_FOLDER}{key}/{f'{called}/{inside}' if called else inside}", path


def placed(folder: str, given: str, key: str) -> str:
    """Where a name of the project's folder leads. Refused where that is elsewhere, links on the way included."""
    try:
        path = f"{folder}/{safe(given.rstrip('/'))}"
    except BadInput as unfit:
        raise BadInput(f"{key}: {unfit.what}", where=f"{folder}/{FILE}", fix="name it relative, without ..") from None
    inside = os.path.realpath(os.path.dirname(path))
    if inside != os.path.realpath(folder) and not inside.startswith(os.path.realpath(folder) + "/"):
        fix = "put the file itself into the project's folder"
        raise BadInput(f"{key}: {given} leads out of the project's folder", where=f"{folder}/{FILE}", fix=fix)
    return path


def _digest(path: str) -> str:
    found = contents.look(path)
    return "" if found is None or found.link else found.sha256
