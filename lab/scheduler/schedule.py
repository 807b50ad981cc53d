"""Let cron, systemd or launchd turn the crank: install, look, remove.

Two labs of one machine have two names, so they do not touch each other's lines, and a copy of a lab does not touch its
original's; whatever else a crontab or a folder of units holds is left as it is. Starting twice at once is harmless:
the leases see to that, not the schedule.
"""

from __future__ import annotations

import hashlib
import os
import sys
from typing import TYPE_CHECKING

import msgspec

from lab.core.errors import BadInput, LabError, Unavailable
from lab.scheduler import heartbeat, installed, units
from lab.scheduler.heartbeat import Scheduled
from lab.scheduler.installed import Line
from lab.scheduler.units import CRON, LAUNCHD, SYSTEMD, Plan
from lab.store import leftovers, machine, reading

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lab.core.world import Done
    from lab.scheduler.installed import Found
    from lab.store.root import Root

AUTO = "auto"
LEAST_S, MOST_S = 1.0, 604_800.0
_DIGEST_CHARS = 12
_PATH = ("/usr/local/bin", "/usr/bin", "/bin")


class Stale(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody may take for the schedule of this lab, and is not. `lab` is what it turns, or would."""

    name: str
    backend: str
    lab: str
    is_there: bool


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What is installed for this lab, as the machine tells it. `problem` says why it will not run."""

    name: str
    backend: str = ""
    every_s: float = 0.0
    installed_at: str = ""
    in_place: bool = False
    places: tuple[str, ...] = ()
    problem: str = ""
    stale: tuple[Stale, ...] = ()


def plan(root: Root, command: Sequence[str], every_s: float) -> Plan:
    """The plan for this lab: absolute paths, and a name of its own."""
    if not LEAST_S <= every_s <= MOST_S:
        what = f"--every {units.shown(every_s)} is not between {LEAST_S:g}s and {units.shown(MOST_S)}"
        raise BadInput(what, fix="--every 10m")
    units.plain(os.path.realpath(root.layout.root), "the path of the lab")
    path = units.plain(_path(root, command[0]), "PATH")
    words = tuple(units.plain(word, "the argument") for word in command)
    errors = f"{os.path.dirname(root.layout.log)}/launchd.err"
    return Plan(name=_name(root), every_s=every_s, command=words, path=path, errors=errors)


def _name(root: Root) -> str:
    lab = os.path.realpath(root.layout.root)
    return f"labctl-{hashlib.sha256(lab.encode(errors='surrogateescape')).hexdigest()[:_DIGEST_CHARS]}"


def _path(root: Root, program: str) -> str:
    """Where programs are looked for: beside ours, where they are found now, and the usual places. Each once."""
    now = root.world.environ.get("PATH", "").split(":")
    places = (os.path.dirname(program), *(part for part in now if part.startswith("/")), *_PATH)
    return ":".join(dict.fromkeys(places))


def chosen(root: Root, backend: str, *, shown: bool = False) -> str:
    """The backend that is meant by `auto`: what this machine has. To be shown only, it need have none: cron's lines."""
    if backend != AUTO:
        return backend
    if sys.platform == "darwin":
        return LAUNCHD
    if root.world.run([*_systemctl(), "show-environment"]).code == 0:
        return SYSTEMD
    if shown or root.world.run(["crontab", "-l"]).code is not None:
        return CRON
    raise Unavailable(
        "this machine has neither a running systemd nor a crontab to be scheduled by",
        fix="install cron (apt-get install cron), or start `labctl run-once` yourself every few minutes",
    )


def texts(root: Root, made: Plan, backend: str) -> dict[str, str]:
    """What would be installed: place -> text."""
    if backend == CRON:
        return {"crontab": units.cron_block(made)}
    if backend == LAUNCHD:
        return {f"{installed.agent_folder(root)}/{units.label(made)}.plist": units.plist(made)}
    folder = installed.unit_folder(root)
    return {
        f"{folder}/{made.name}.service": units.service(made),
        f"{folder}/{made.name}.timer": units.timer(made),
    }


def install(root: Root, made: Plan, backend: str) -> Standing:
    """Put it in place of whatever turned this lab before. The same plan again changes nothing but its moment."""
    wanted = texts(root, made, backend)
    before = _ours(root, installed.look(root))
    if backend == CRON:
        _write_crontab(root, units.crontab_with(_crontab(root), wanted["crontab"], made.name))
    else:
        for place, text in wanted.items():
            leftovers.clear(root.files, place)
            root.files.replace(place, text.encode(), durable=True)
        _start(root, made, backend, tuple(wanted))
    scheduled = Scheduled(
        name=made.name, backend=backend, every_s=made.every_s, installed_at=root.now(),
        installed_s=round(root.world.now().timestamp(), 3), host=machine.host(), units=tuple(wanted),
        command=made.command,
    )  # fmt: skip
    heartbeat.remember(root, scheduled)
    for line in before:
        if (line.name, line.backend) != (made.name, backend):
            _take_out(root, line)
    return standing(root)


def remove(root: Root) -> Standing | None:
    """Take out what turns this lab, and nothing else. None when nothing does.

    A lab that was copied or moved remembers what turns another place: that is forgotten, and left as it is.
    """
    scheduled = heartbeat.load(root)
    lines = _ours(root, installed.look(root))
    if scheduled is not None and scheduled.host != machine.host():
        if not lines:
            what = f"this lab was scheduled on {scheduled.host}, not on this machine"
            raise LabError(what, fix="labctl schedule remove, there")
        scheduled = None
    elif scheduled is not None:
        heartbeat.forget(root)
    remembered = _remembered(root, scheduled)
    if remembered is not None and not any(line.backend == remembered.backend for line in lines):
        lines = [*lines, remembered]  # it may be there in part, or cannot be looked at
    for line in lines:
        _take_out(root, line)
    if not lines:
        return None
    return Standing(name=lines[0].name, backend=lines[0].backend, places=_places(lines))


def remove_stale(root: Root) -> list[Line]:
    """Take out every schedule of this machine that names a place where no lab is any more."""
    lines = [line for line in installed.look(root).lines if installed.is_stale(line)]
    for line in lines:
        _take_out(root, line)
    return lines


def standing(root: Root) -> Standing:
    """What turns this lab, as the machine has it: not what was remembered when it was installed."""
    scheduled, found = heartbeat.load(root), installed.look(root)
    lines, stale = _ours(root, found), _stale(root, scheduled, found)
    if not lines:
        return _absent(root, scheduled, found, stale)
    known = _remembered(root, scheduled)
    line = next((each for each in lines if known and each.backend == known.backend), lines[0])
    is_known = scheduled is not None and known is not None and (line.name, line.backend) == (known.name, known.backend)
    problem = _problem(root, line)
    return Standing(
        name=line.name, backend=line.backend, places=_places(lines), in_place=not problem, problem=problem, stale=stale,
        every_s=line.every_s or (scheduled.every_s if scheduled and is_known else 0.0),
        installed_at=scheduled.installed_at if scheduled and is_known else "",
    )  # fmt: skip


def _absent(root: Root, scheduled: Scheduled | None, found: Found, stale: tuple[Stale, ...]) -> Standing:
    """The machine has nothing that names this lab: what was remembered of it is gone, or is another machine's."""
    known = _remembered(root, scheduled)
    if scheduled is not None and scheduled.host != machine.host():
        problem = f"it was installed on {scheduled.host}; this machine cannot tell"
    elif scheduled is None or known is None:
        return Standing(name="", problem="nothing is scheduled", stale=stale)
    elif known.backend == CRON:
        problem = found.problem or "the crontab does not have its lines any more"
    else:
        problem = f"{next((each for each in known.places if not reading.is_file(each)), known.places[0])} is gone"
    return Standing(
        name=scheduled.name, backend=scheduled.backend, every_s=scheduled.every_s, places=scheduled.units,
        installed_at=scheduled.installed_at, problem=problem, stale=stale,
    )  # fmt: skip


def _ours(root: Root, found: Found) -> list[Line]:
    return [line for line in found.lines if installed.is_of(line, root.layout.root, _name(root))]


def _remembered(root: Root, scheduled: Scheduled | None) -> Line | None:
    """What was installed for this lab here, as it was; None for what was installed for another place."""
    if scheduled is None:
        return None
    line = Line(
        name=scheduled.name, backend=scheduled.backend, places=scheduled.units, lab=installed.named(scheduled.command)
    )
    return line if installed.is_of(line, root.layout.root, _name(root)) else None


def _stale(root: Root, scheduled: Scheduled | None, found: Found) -> tuple[Stale, ...]:
    """Lines whose lab is not there any more, and those that this lab was told of and that turn another place."""
    told = scheduled.name if scheduled is not None and _remembered(root, scheduled) is None else ""
    ours = _ours(root, found)
    return tuple(
        Stale(name=line.name, backend=line.backend, lab=line.lab, is_there=not is_stale)
        for line in found.lines
        for is_stale in (installed.is_stale(line),)
        if line not in ours and (is_stale or line.name == told)
    )


def _places(lines: Iterable[Line]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(place for line in lines for place in line.places))


def _problem(root: Root, line: Line) -> str:
    if not os.access(line.program, os.X_OK):
        return f"{line.program or 'its program'} is gone: install again"
    missing = next((place for place in line.places if line.backend != CRON and not reading.is_file(place)), "")
    if missing:
        return f"{missing} is gone"
    if line.backend == SYSTEMD:
        done = root.world.run([*_systemctl(), "is-active", f"{line.name}.timer"])
        return "" if done.code == 0 else f"its timer is not active: {done.out.strip() or done.problem}"
    return ""


def _take_out(root: Root, line: Line) -> None:
    if line.backend == CRON:
        before = _crontab(root)
        after = units.crontab_without(before, line.name)
        if after != before:
            _write_crontab(root, after)
        return
    if line.backend == SYSTEMD:
        root.world.run([*_systemctl(), "disable", "--now", f"{line.name}.timer"])  # gone already is as good
    else:
        for place in line.places:
            root.world.run(["launchctl", "bootout", f"gui/{os.getuid()}", place])
    for place in line.places:
        root.files.discard(place)
    if line.backend == SYSTEMD:
        root.world.run([*_systemctl(), "daemon-reload"])


def _start(root: Root, made: Plan, backend: str, places: Sequence[str]) -> None:
    if backend == SYSTEMD:
        _done(root.world.run([*_systemctl(), "daemon-reload"]), "systemd did not read the new units")
        timer = f"{made.name}.timer"
        _done(root.world.run([*_systemctl(), "enable", timer]), "systemd did not enable the timer")
        _done(root.world.run([*_systemctl(), "restart", timer]), "systemd did not start the timer")
        return
    root.files.folder(os.path.dirname(made.errors))
    root.world.run(["launchctl", "bootout", f"gui/{os.getuid()}", places[0]])  # an older one of this name
    _done(root.world.run(["launchctl", "bootstrap", f"gui/{os.getuid()}", places[0]]), "launchd did not take the agent")


def _done(done: Done, what: str) -> None:
    if done.code != 0:
        fix = "labctl schedule install --backend cron, or --print and install it by hand"
        raise Unavailable(f"{what}: {done.problem or done.out.strip()}", fix=fix)


def _crontab(root: Root) -> str:
    """The crontab, to be written again."""
    text = installed.crontab(root)
    if "\ufffd" in text:
        fix = "labctl schedule install --print shows the lines; add them yourself: crontab -e"
        raise Unavailable("the crontab holds bytes that are not UTF-8, and would not come back as they are", fix=fix)
    return text


def _write_crontab(root: Root, text: str) -> None:
    done = root.world.run(["crontab", "-"], given=text)
    if done.code != 0:
        raise Unavailable(
            f"cron did not take the crontab: {done.problem}", fix="the old one stands; --print shows ours"
        )


def _systemctl() -> tuple[str, ...]:
    """Root has the machine's own manager; everybody else one of their own."""
    return ("systemctl",) if os.geteuid() == 0 else ("systemctl", "--user")
