"""Let cron, systemd or launchd turn the crank.

`install` writes a crontab block, a systemd timer or a launchd agent that starts `labctl run-once` every few minutes,
with absolute paths; installing again replaces it. `status` looks there, and says what turns this lab, when it last ran,
and which lines name a lab that is not there any more. `remove` takes out what turns this lab and nothing else; with
`--stale` those lines instead.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from lab.cli.terminal import Answer
from lab.core.errors import DONE, FAILED, BadInput

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from lab.cli.session import Session
    from lab.scheduler.schedule import Stale, Standing
    from lab.store.root import Root

EXAMPLE = """labctl schedule install --every 10m
labctl schedule install --every 5m --backend cron --print
labctl schedule status
labctl schedule remove
labctl schedule remove --stale"""
STALE_FIX = "labctl schedule remove --stale"
_BACKENDS = ("auto", "cron", "systemd", "launchd")


def arguments(parser: argparse.ArgumentParser) -> None:
    """What to schedule, and by whom."""
    parser.add_argument("action", choices=("install", "status", "remove"), help="put it in place, look, or take it out")
    parser.add_argument("--every", default="10m", metavar="TIME", help="how often: 90s, 10m, 2h (default 10m)")
    parser.add_argument("--backend", default="auto", choices=_BACKENDS, help="who starts it (default: what is there)")
    parser.add_argument("--print", action="store_true", dest="print_it", help="print the texts, and install nothing")
    parser.add_argument("--dry-run", action="store_true", help="say what would be installed where, and do nothing")
    parser.add_argument("--stale", action="store_true", help="with remove: take out what names labs that are gone")
    parser.add_argument("--max-runs", type=int, metavar="N", help="passed on to run-once")
    parser.add_argument("--experiment", action="append", default=[], metavar="ID", help="passed on; repeatable")
    parser.add_argument("--jobs", type=int, metavar="J", help="passed on to run-once")


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """Install, look, or remove."""
    root = session.root()
    if args.stale and args.action != "remove":
        raise BadInput("--stale says what to remove", fix="labctl schedule remove --stale")
    if args.action == "install":
        return _install(args, root)
    if args.print_it or args.dry_run or args.experiment or args.max_runs is not None or args.jobs is not None:
        raise BadInput(f"{args.action} takes none of these", fix=f"labctl schedule {args.action}")
    if args.stale:
        return _remove_stale(root)
    return _status(root, session.path) if args.action == "status" else _remove(root)


def _install(args: argparse.Namespace, root: Root) -> Answer:
    from lab.core.cadence import duration_s
    from lab.scheduler import schedule
    from lab.scheduler.units import SYSTEMD

    for name, number in (("--max-runs", args.max_runs), ("--jobs", args.jobs)):
        if number is not None and number < 1:
            raise BadInput(f"{name} {number} is below 1", fix=f"{name} 1")
    every_s = duration_s(args.every, "--every")
    plan = schedule.plan(root, _command(args, root), every_s)
    backend = schedule.chosen(root, args.backend, shown=args.print_it)
    texts = schedule.texts(root, plan, backend)
    data: dict[str, object] = {"name": plan.name, "backend": backend, "every_s": every_s, "units": texts}
    if args.print_it:
        return Answer({**data, "installed": False}, _printed(texts))
    if args.dry_run:
        return Answer({**data, "installed": False}, [f"would install: {place}" for place in texts])
    done = schedule.install(root, plan, backend)
    then = ["labctl schedule status", "labctl status"]
    if backend == SYSTEMD and os.geteuid() != 0:
        then.insert(0, "loginctl enable-linger  (or it stops when you log out)")
    return Answer({**data, "installed": True}, [f"scheduled: {done.name} by {backend}", *_places(done)], then=then)


def _command(args: argparse.Namespace, root: Root) -> list[str]:
    """The command that takes a turn, and survives: a script of the same environment before a bare interpreter."""
    from lab.store import program

    lab = os.path.abspath(root.layout.root)
    words = [*program.words(), "run-once", "--data-root", lab, "--quiet", "--log", os.path.abspath(root.layout.log)]
    for name, value in (("--max-runs", args.max_runs), ("--jobs", args.jobs)):
        words += [name, str(value)] if value is not None else []
    for experiment in args.experiment:
        from lab.store import experiments

        words += ["--experiment", experiments.require(root, experiment)]
    return words


def _printed(texts: dict[str, str]) -> Iterator[str]:
    for place, text in texts.items():
        if len(texts) > 1:
            yield f"# {place}"
        yield from text.splitlines()


def _status(root: Root, path: str) -> Answer:
    from msgspec import to_builtins

    from lab.cli import heartbeat
    from lab.scheduler import schedule

    found = schedule.standing(root)
    beat = heartbeat.read(path)
    data = {
        "scheduled": bool(found.name),
        "in_place": found.in_place,
        "name": found.name,
        "backend": found.backend,
        "every_s": found.every_s,
        "installed_at": found.installed_at,
        "units": list(found.places),
        "problem": found.problem,
        "stale": to_builtins(found.stale),
        "heartbeat": beat,
    }
    warnings = [stale(each) for each in found.stale]
    then = [STALE_FIX] if any(not each.is_there for each in found.stale) else []
    if not found.name:
        then.append("labctl schedule install --every 10m")
        return Answer(data, ["nothing is scheduled"], warnings=warnings, then=then)
    every = f" every {heartbeat.shown(found.every_s)}" if found.every_s else ""
    text = [f"scheduled: {found.name} by {found.backend}{every}", *_places(found)]
    text += [f"problem: {found.problem}"] if found.problem else []
    text += [heartbeat.line(beat)] if beat else []
    return Answer(data, text, warnings=warnings, then=then, exit_code=FAILED if found.problem else DONE)


def stale(line: Stale) -> str:
    """What is wrong with a schedule that turns another place than one may think."""
    if line.is_there:
        return f"{line.backend} has {line.name} for {line.lab}: that lab, of which this one is a copy, and not this one"
    return f"{line.backend} has {line.name} for {line.lab}, where no lab is any more"


def _places(found: Standing) -> list[str]:
    return [f"  {place}" for place in found.places]


def _remove(root: Root) -> Answer:
    from lab.scheduler import schedule

    done = schedule.remove(root)
    if done is None:
        return Answer({"removed": False, "name": "", "units": []}, ["nothing is scheduled"])
    data = {"removed": True, "name": done.name, "units": list(done.places)}
    return Answer(data, [f"removed: {done.name}", *_places(done)])


def _remove_stale(root: Root) -> Answer:
    from lab.scheduler import schedule

    done = schedule.remove_stale(root)
    names, places = ", ".join(line.name for line in done), [place for line in done for place in line.places]
    data = {"removed": bool(done), "name": names, "units": list(dict.fromkeys(places))}
    return Answer(data, [f"removed: {line.name} of {line.lab}" for line in done] or ["nothing stale is scheduled"])
