"""Let cron, systemd or launchd turn the crank: install, look, remove.

Two labs of one machine have two names, so they do not touch each other's lines; whatever else a crontab or a folder of
units holds is left as it is. Starting twice at once is harmless: the leases see to that, not the schedule.
"""

from __future__ import annotations

import hashlib
import os
import sys
from typing import TYPE_CHECKING

import msgspec

from lab.core.errors import BadInput, LabError, Unavailable
from lab.scheduler import heartbeat, units
from lab.scheduler.heartbeat import Scheduled
from lab.scheduler.units import CRON, LAUNCHD, SYSTEMD, Plan
from lab.store import leftovers, machine, reading

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.core.world import Done
    from lab.store.root import Root

AUTO = "auto"
BACKENDS = (AUTO, CRON, SYSTEMD, LAUNCHD)
LEAST_S, MOST_S = 1.0, 604_800.0
_DIGEST_CHARS = 12
_PATH = ("/usr/local/bin", "/usr/bin", "/bin")
_NO_CRONTAB = ("no crontab for", "no such file")


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What is installed for this lab, as the machine tells it. `problem` says why it will not run."""

    name: str
    backend: str = ""
    every_s: float = 0.0
    installed_at: str = ""
    in_place: bool = False
    places: tuple[str, ...] = ()
    problem: str = ""


def plan(root: Root, command: Sequence[str], every_s: float) -> Plan:
    """The plan for this lab: absolute paths, and a name of its own."""
    if not LEAST_S <= every_s <= MOST_S:
        what = f"--every {units.shown(every_s)} is not between {LEAST_S:g}s and {units.shown(MOST_S)}"
        raise BadInput(what, fix="--every 10m")
    lab = units.plain(os.path.realpath(root.layout.root), "the path of the lab")
    digest = hashlib.sha256(lab.encode(errors="surrogateescape")).hexdigest()[:_DIGEST_CHARS]
    path = units.plain(_path(root, command[0]), "PATH")
    words = tuple(units.plain(word, "the argument") for word in command)
    errors = f"{os.path.dirname(root.layout.log)}/launchd.err"
    return Plan(name=f"labctl-{digest}", every_s=every_s, command=words, path=path, errors=errors)


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
        return {f"{_home(root)}/Library/LaunchAgents/{units.label(made)}.plist": units.plist(made)}
    folder = _unit_folder(root)
    return {
        f"{folder}/{made.name}.service": units.service(made),
        f"{folder}/{made.name}.timer": units.timer(made),
    }


def install(root: Root, made: Plan, backend: str) -> Standing:
    """Put it in place of whatever this lab had before. The same plan again changes nothing but its moment."""
    wanted = texts(root, made, backend)
    before = heartbeat.load(root)
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
    if before is not None and before.backend != backend and before.host == machine.host():
        _take_out(root, before)
    return standing(root)


def remove(root: Root) -> Standing | None:
    """Take out what was installed for this lab, and nothing else. None when nothing was."""
    scheduled = heartbeat.load(root)
    if scheduled is None:
        return None
    if scheduled.host != machine.host():
        what = f"this lab was scheduled on {scheduled.host}, not on this machine"
        raise LabError(what, fix="labctl schedule remove, there")
    _take_out(root, scheduled)
    heartbeat.forget(root)
    return Standing(name=scheduled.name, backend=scheduled.backend, places=scheduled.units)


def standing(root: Root) -> Standing:
    """What is installed, and whether the machine still has it."""
    scheduled = heartbeat.load(root)
    if scheduled is None:
        return Standing(name="", problem="nothing is scheduled")
    problem = _problem(root, scheduled)
    return Standing(
        name=scheduled.name, backend=scheduled.backend, every_s=scheduled.every_s, in_place=not problem,
        installed_at=scheduled.installed_at, places=scheduled.units, problem=problem,
    )  # fmt: skip


def _problem(root: Root, scheduled: Scheduled) -> str:
    if scheduled.host != machine.host():
        return f"it was installed on {scheduled.host}; this machine cannot tell"
    if not os.access(scheduled.command[0], os.X_OK):
        return f"{scheduled.command[0]} is gone: install again"
    if scheduled.backend == CRON:
        return "" if f">>> {scheduled.name}:" in _crontab(root) else "the crontab does not have its lines any more"
    missing = next((place for place in scheduled.units if not reading.is_file(place)), "")
    if missing:
        return f"{missing} is gone"
    if scheduled.backend == SYSTEMD:
        done = root.world.run([*_systemctl(), "is-active", f"{scheduled.name}.timer"])
        return "" if done.code == 0 else f"its timer is not active: {done.out.strip() or done.problem}"
    return ""


def _take_out(root: Root, scheduled: Scheduled) -> None:
    if scheduled.backend == CRON:
        before = _crontab(root)
        after = units.crontab_without(before, scheduled.name)
        if after != before:
            _write_crontab(root, after)
        return
    if scheduled.backend == SYSTEMD:
        root.world.run([*_systemctl(), "disable", "--now", f"{scheduled.name}.timer"])  # gone already is as good
    else:
        for place in scheduled.units:
            root.world.run(["launchctl", "bootout", f"gui/{os.getuid()}", place])
    for place in scheduled.units:
        root.files.discard(place)
    if scheduled.backend == SYSTEMD:
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
    """The crontab as it is; empty when there is none."""
    done = root.world.run(["crontab", "-l"])
    if done.code == 0:
        if "\ufffd" in done.out:
            fix = "labctl schedule install --print shows the lines; add them yourself: crontab -e"
            raise Unavailable(
                "the crontab holds bytes that are not UTF-8, and would not come back as they are", fix=fix
            )
        return done.out
    if done.code is not None and any(word in done.problem.lower() for word in _NO_CRONTAB):
        return ""
    raise Unavailable(f"the crontab cannot be read: {done.problem}", fix="install cron, or choose another --backend")


def _write_crontab(root: Root, text: str) -> None:
    done = root.world.run(["crontab", "-"], given=text)
    if done.code != 0:
        raise Unavailable(
            f"cron did not take the crontab: {done.problem}", fix="the old one stands; --print shows ours"
        )


def _systemctl() -> tuple[str, ...]:
    """Root has the machine's own manager; everybody else one of their own."""
    return ("systemctl",) if os.geteuid() == 0 else ("systemctl", "--user")


def _unit_folder(root: Root) -> str:
    if os.geteuid() == 0:
        return "/etc/systemd/system"
    config = root.world.environ.get("XDG_CONFIG_HOME", "")
    return f"{config if config.startswith('/') else f'{_home(root)}/.config'}/systemd/user"


def _home(root: Root) -> str:
    home = root.world.environ.get("HOME", "")
    if not home.startswith("/"):
        raise Unavailable("HOME is not set, and the units of a person lie there", fix="export HOME, or --backend cron")
    return home
