"""What this machine itself has of schedules of labctl's: the lines of its crontab, its units, its agents.

What a lab remembers of its schedule goes with it when it is copied or moved, and the lines do not. So whose they are is
read from the lines: each names the data root that it turns.
"""

from __future__ import annotations

import os
import plistlib
from contextlib import suppress
from typing import TYPE_CHECKING
from xml.parsers.expat import ExpatError

import msgspec

from lab.core.errors import LabError, Unavailable
from lab.scheduler import units
from lab.scheduler.units import CRON, LAUNCHD, SYSTEMD
from lab.store import reading
from lab.store import root as roots

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lab.store.root import Root

_NO_CRONTAB = ("no crontab for", "no such file")
_FLAG = "--data-root"


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One schedule that a machine has. `lab` is the data root that it names; empty where it names none."""

    name: str
    backend: str
    places: tuple[str, ...]
    lab: str = ""
    program: str = ""
    every_s: float = 0.0


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """All of them, and why some could not be looked at."""

    lines: tuple[Line, ...] = ()
    problem: str = ""


def look(root: Root) -> Found:
    """Every schedule of labctl's that this user has on this machine, of whichever lab."""
    found, problem = [*_systemd(root), *_launchd(root)], ""
    try:
        found[:0] = _cron(crontab(root))
    except Unavailable as refusal:
        problem = refusal.what
    return Found(lines=tuple(found), problem=problem)


def is_of(line: Line, path: str, name: str) -> bool:
    """Whether a line turns the lab at this path; `name` is what such a line is called now."""
    return is_same(line.lab, path) if line.lab else line.name == name


def is_same(one: str, other: str) -> bool:
    """Whether two paths are one place, by whichever links."""
    return os.path.realpath(one) == os.path.realpath(other)


def is_stale(line: Line) -> bool:
    """Whether it names a place where no lab is, so that every turn of it is refused."""
    if not line.lab:
        return False
    try:
        roots.require(line.lab)
    except LabError:
        return True
    return False


def named(command: Sequence[str]) -> str:
    """The data root that a command names; empty where it names none."""
    for word, after in zip(command, (*command[1:], ""), strict=True):
        if word == _FLAG:
            return after
        if word.startswith(f"{_FLAG}="):
            return word.partition("=")[2]
    return ""


def crontab(root: Root) -> str:
    """The crontab as it is; empty when there is none."""
    done = root.world.run(["crontab", "-l"])
    if done.code == 0:
        return done.out
    if done.code is not None and any(word in done.problem.lower() for word in _NO_CRONTAB):
        return ""
    raise Unavailable(f"the crontab cannot be read: {done.problem}", fix="install cron, or choose another --backend")


def unit_folder(root: Root) -> str:
    """Where systemd reads units of this user; root has the machine's own."""
    if os.geteuid() == 0:
        return "/etc/systemd/system"
    config = root.world.environ.get("XDG_CONFIG_HOME", "")
    return f"{config if config.startswith('/') else f'{home(root)}/.config'}/systemd/user"


def agent_folder(root: Root) -> str:
    """Where launchd reads the agents of this user."""
    return f"{home(root)}/Library/LaunchAgents"


def home(root: Root) -> str:
    """The home of the user, or `Unavailable`."""
    found = root.world.environ.get("HOME", "")
    if not found.startswith("/"):
        raise Unavailable("HOME is not set, and the units of a person lie there", fix="export HOME, or --backend cron")
    return found


def _cron(text: str) -> Iterator[Line]:
    for name, every_s, command in units.cron_found(text):
        yield _line(name, CRON, ("crontab",), command, every_s)


def _systemd(root: Root) -> Iterator[Line]:
    with suppress(Unavailable):
        folder = unit_folder(root)
        for name in _named(folder, "labctl-", ".service"):
            places = (f"{folder}/{name}.service", f"{folder}/{name}.timer")
            texts = [(reading.read(place) or b"").decode(errors="surrogateescape") for place in places]
            yield _line(name, SYSTEMD, places, units.service_command(texts[0]), units.timer_every_s(texts[1]))


def _launchd(root: Root) -> Iterator[Line]:
    with suppress(Unavailable):
        folder = agent_folder(root)
        for label in _named(folder, "org.labctl.", ".plist"):
            place = f"{folder}/{label}.plist"
            try:
                told = plistlib.loads(reading.read(place) or b"")
            except (plistlib.InvalidFileException, ExpatError, ValueError):
                continue
            if not isinstance(told, dict):
                continue
            command, every_s = told.get("ProgramArguments"), told.get("StartInterval")
            words = [str(word) for word in command] if isinstance(command, list) else []
            name = label.removeprefix("org.").replace(".", "-", 1)
            yield _line(name, LAUNCHD, (place,), words, float(every_s) if isinstance(every_s, int) else 0.0)


def _line(name: str, backend: str, places: tuple[str, ...], command: Sequence[str], every_s: float) -> Line:
    program = command[0] if command else ""
    return Line(name=name, backend=backend, places=places, lab=named(command), program=program, every_s=every_s)


def _named(folder: str, first: str, last: str) -> list[str]:
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return []
    return [name.removesuffix(last) for name in names if name.startswith(first) and name.endswith(last)]
