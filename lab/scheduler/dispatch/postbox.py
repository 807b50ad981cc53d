"""A folder that tars come into and go out of, by any copier: its own, or a command that is configured.

`DIR/*.tar` has come, `DIR/out/` is to go. A tar counts as come once its digest says that it is whole, so that a copier
may write in place, break off, and begin again. What cannot be used is put into `DIR/refused/`, with the reason.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from lab.core import package, secret
from lab.core.errors import BadInput, LabError
from lab.core.package import Place  # msgspec resolves annotations
from lab.executors import environment
from lab.store import reading, tarball

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from lab.core.world import World
    from lab.store.files import Files

OUT, DONE, REFUSED = "out", "done", "refused"
CANCEL = ".cancel"  # beside the tars: a package is to be ended
COPY_LIMIT_S = 3600.0
STILL_S = 60.0  # a tar that is not whole, and does not grow: its copier was broken off, or another program made it
NOT_WHOLE = "copy it again; only tars that labctl packed can be told to be whole"
_ASIDE = 1000
_READ_CHARS, _SAID_CHARS = 10_000, 200
_BLANK = re.compile(r"\{[a-z_]+\}")


class Came(msgspec.Struct, frozen=True, kw_only=True):
    """A tar that has come whole: where it lies, its digest, and which package it says it is."""

    path: str
    sha256: str
    folder: str
    place: Place


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """A tar that was put aside."""

    path: str
    why: str


class Copier(msgspec.Struct, frozen=True, kw_only=True):
    """A command that brings tars or takes them away. It is run without a shell; words in braces are filled in."""

    words: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.words)

    def run(self, world: World, values: Mapping[str, str]) -> str:
        """What went wrong; empty when nothing did."""
        argv = [_BLANK.sub(lambda found: values.get(found[0][1:-1], found[0]), word) for word in self.words]
        done = world.run(argv, limit_s=COPY_LIMIT_S)
        if done.code == 0:
            return ""
        how = f"ended with {done.code}" if done.code is not None else "did not run"
        said = _last_line(done.problem, world.environ)
        return f"{argv[0]} {how}{f': {said}' if said else ''}"


def _last_line(said: str, environ: Mapping[str, str]) -> str:
    """What a copier complained of, for logs and the mail of cron: without secrets, and as much as a person reads."""
    line = ["", *said.strip().splitlines()][-1][:_READ_CHARS]
    line = "".join(each if each.isprintable() else " " for each in line)
    known = {value for name, value in environ.items() if environment.is_secret(name, value)}
    for value in sorted(known, key=len, reverse=True):
        line = line.replace(value, secret.BLOT)
    line = secret.guessed(line)
    return line if len(line) <= _SAID_CHARS else f"{line[: _SAID_CHARS - 1]}…"


def copier(text: str, flag: str, *, blanks: tuple[str, ...], needs: str = "") -> Copier:
    """The command that a person gave, or why it cannot be meant. `{dir}` is the folder, `{file}` the tar that goes."""
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise BadInput(
            f"{flag} cannot be read: {error}", fix="quote it as in a shell, which it is not given to"
        ) from None
    known = ", ".join(f"{{{name}}}" for name in blanks)
    for found in _BLANK.findall(text):
        if found[1:-1] not in blanks:
            raise BadInput(f"{flag} has {found}, which nothing stands for", fix=f"known are {known}")
    if words and needs and f"{{{needs}}}" not in text:
        raise BadInput(f"{flag} does not say where the tar goes in", fix=f"put {{{needs}}} where its path is to stand")
    if words and shutil.which(words[0]) is None:
        raise BadInput(f"{flag}: there is no program {words[0]}", fix="install it, or give its whole path")
    return Copier(words=tuple(words))


class Postbox:
    """One such folder. Remembers which tars were not whole, so that a large one that still grows is not read again."""

    def __init__(self, files: Files, path: str) -> None:
        self.files = files
        self.path = path
        self._seen: dict[str, tuple[tuple[int, int, int], str]] = {}
        self.partial: tuple[str, ...] = ()

    def place(self, name: str) -> str:
        """A folder or a file in it."""
        return f"{self.path}/{name}"

    def make(self, *more: str) -> None:
        """The folders, where they are missing."""
        for name in (OUT, DONE, REFUSED, *more):
            self.files.folder(self.place(name))

    def come(self, now: datetime) -> Iterator[Came | Refused]:
        """What has come whole, by name. A tar that may not be unpacked is put aside, and told.

        `partial` are then those that are not whole, and that nobody has written to for a while.
        """
        partial: list[str] = []
        for path in self._tars():
            sha256 = self._digest(path)
            if not sha256:
                with suppress(FileNotFoundError):
                    if now.timestamp() - os.stat(path).st_mtime > STILL_S:
                        partial.append(os.path.basename(path))
                continue
            try:
                folder = tarball.top(path)
                found = package.place(folder)
                if found is None:
                    fix = "send what labctl packed"
                    raise BadInput(f"{folder[:80]!r} is not the folder of a package", where=path, fix=fix)
            except LabError as error:
                if os.path.lexists(path):  # else another worker took it meanwhile
                    yield Refused(path=self.refuse(path, error.what), why=error.what)
                continue
            yield Came(path=path, sha256=sha256, folder=folder, place=found)
        self.partial = tuple(partial)

    def _tars(self) -> list[str]:
        with os.scandir(self.path) as entries:
            return sorted(
                entry.path
                for entry in entries
                if entry.name.endswith(".tar") and entry.name[0] != "." and entry.is_file(follow_symlinks=False)
            )

    def _digest(self, path: str) -> str:
        try:
            seen = os.stat(path)
        except FileNotFoundError:
            return ""
        key = (seen.st_ino, seen.st_size, seen.st_mtime_ns)
        before, sha256 = self._seen.get(path, ((0, 0, 0), ""))
        if before != key:
            sha256 = tarball.digest_of(path)
            self._seen[path] = (key, sha256)
        return sha256

    def outgoing(self) -> list[str]:
        """What is to go: tars, and words to end."""
        with os.scandir(self.place(OUT)) as entries:
            return sorted(
                entry.path
                for entry in entries
                if entry.name.endswith((".tar", CANCEL))
                and entry.name[0] != "."
                and entry.is_file(follow_symlinks=False)
            )

    def refuse(self, path: str, why: str) -> str:
        """Put a tar aside with the reason beside it. Nothing of it is deleted. Returns where it lies."""
        stem = os.path.basename(path).removesuffix(".tar")
        for number in range(_ASIDE):
            target = self.place(f"{REFUSED}/{stem}{f'-{number}' if number else ''}.tar")
            if not os.path.lexists(target):
                self.files.folder(self.place(REFUSED))
                self.files.move(path, target)
                self.files.replace(
                    f"{target.removesuffix('.tar')}.md", f"# Refused\n\n{why}\n".encode(errors="replace")
                )
                return target
        raise LabError("a thousand tars of one name were refused", where=self.place(REFUSED), fix="clear it out")

    def is_there(self, name: str) -> bool:
        """Whether a plain file of this name is in it."""
        return reading.is_file(self.place(name))
