"""Run what is due, once: the turn that cron takes.

Settles what dead runs left (with --experiment, of those alone), then takes the due experiments by priority and by who
has waited longest, and runs each once. With nothing due it says nothing and exits with 0, so that cron sends no mail.
Exit code 1 when a run failed; 3 when --now named an experiment and no run came of it. Two at once are harmless: an
experiment that somebody works on is passed over. Ctrl-C ends the run under way, seals it as cancelled, and stops.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from lab.cli import afar_words
from lab.cli.parser import count
from lab.cli.signals import Signals
from lab.cli.terminal import Answer, NoOutput

if TYPE_CHECKING:
    import argparse
    from collections.abc import Collection

    from lab.cli.session import Session
    from lab.scheduler.step import Step
    from lab.scheduler.turn import Turn
    from lab.scheduler.visit import Request
    from lab.store.root import Root

EXAMPLE = """labctl run-once
labctl run-once --max-runs 10 --jobs 4 --executor-class gpu
labctl run-once --experiment lr-sweep --now"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """How much, and of what."""
    parser.add_argument("--max-runs", type=count, default=3, metavar="N", help="start at most N runs (default 3)")
    parser.add_argument(
        "--executor-class", action="append", default=[], metavar="C", help="only experiments of this class; repeatable"
    )
    parser.add_argument("--experiment", action="append", default=[], metavar="ID", help="only this one; repeatable")
    parser.add_argument("--jobs", type=count, default=1, metavar="J", help="run up to J experiments at the same time")
    parser.add_argument("--log", default="", metavar="FILE", help="write the lines there instead; kept below 6 MiB")
    parser.add_argument("--now", action="store_true", help="do not wait for the cadence of the experiments named")
    afar_words.engine(parser)


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """Take the turn."""
    from msgspec import to_builtins

    from lab.core.errors import BadInput, Interrupted
    from lab.scheduler.turn import Turn
    from lab.scheduler.visit import Request

    if args.now and not args.experiment:
        raise BadInput("--now wants --experiment ID", fix="name what is to run before its time")
    root = session.root()
    if args.engine:
        from lab.scheduler import engines

        engines.require(args.engine)
    signals = Signals()
    request = Request(
        max_runs=args.max_runs,
        classes=tuple(args.executor_class),
        only=tuple(args.experiment),
        now=args.now,
        jobs=args.jobs,
        engine=args.engine,
    )
    teller = _Teller(session, root, os.path.abspath(args.log) if args.log else "", args.experiment)
    turn = Turn(root, request, tell=teller.tell, interrupted=signals.came)
    _beat(root)
    try:
        with signals:
            turn.take()
    finally:
        _beat(root, turn)
    if teller.trouble is not None:
        raise teller.trouble
    if signals.came():
        raise Interrupted(f"stopped by {signals.came()}; the runs under way here were sealed as cancelled")
    if not turn.steps:
        session.terminal.narrate(_nothing(root, request))
    data = {"ran": turn.ran, "steps": to_builtins(turn.steps)}
    code, why = _ended(turn) if args.now or turn.failed else (0, "")
    fix = _remedy(turn) if code else ""
    return Answer(data, [], warnings=[*turn.warnings, *_unread(root, request)], exit_code=code, why=why, fix=fix)


def _ended(turn: Turn) -> tuple[int, str]:
    """How it went, and why. Who names an experiment and says `now` asks for a run: none is no success."""
    from lab.core.errors import BUSY, DONE, FAILED
    from lab.scheduler import step

    if turn.failed:
        return FAILED, step.failure(turn.steps)
    if any(each.kind in (step.RAN, step.QUEUED) for each in turn.steps):
        return DONE, ""
    return BUSY, "; ".join(f"{each.experiment}: {_flat(each.what)}" for each in turn.steps) or "nothing was to be run"


def _unread(root: Root, request: Request) -> list[str]:
    """Of those that were named: that their SPEC was edited where it is not read."""
    if not request.only:
        return []
    from lab.scheduler import unread

    return unread.edits(root, *request.only)


def _remedy(turn: Turn) -> str:
    from lab.scheduler import step

    return step.remedy(turn.steps) or next((each.fix for each in turn.steps if each.fix), "")


def _flat(words: str) -> str:
    return " ".join(words.split())


def _nothing(root: Root, request: Request) -> str:
    """Why nothing happened, for a person: a misspelt class looks like an idle lab."""
    from lab.core.errors import NotFound
    from lab.scheduler import due

    try:
        due.require_known(root, request.classes)
    except NotFound as error:
        return f"nothing is due: {error.what}; {error.fix}"
    return "nothing is due; labctl status says what is next"


class _Teller:
    """One line an event: into the log, or else to the terminal, with `--quiet` only what went wrong.

    A listener that goes away, or a log that is full, ends no turn: it is told at the end.
    """

    def __init__(self, session: Session, root: Root, log: str, named: Collection[str]) -> None:
        self.trouble: Exception | None = None
        self._session = session
        self._root = root
        self._log = log
        self._named = named
        if log:
            from lab.store import rotation

            rotation.check(root, log)

    def tell(self, step: Step) -> None:
        """Say it, if there is still somebody to say it to."""
        if self.trouble is not None:
            return
        try:
            self._say(step)
        except (OSError, NoOutput) as error:
            self.trouble = error

    def _say(self, step: Step) -> None:
        terminal = self._session.terminal
        if step.kind == "asking":
            terminal.narrate(f"asking {step.what} for {step.experiment} ...")
        elif step.kind == "settling":
            terminal.narrate(_line(step))
        elif step.kind in ("busy", "waiting"):  # nothing happened: for who asked for this one, and for nobody's mail
            if step.experiment in self._named:
                terminal.say(_line(step))
        elif self._log:
            from lab.store import rotation

            rotation.append_line(self._root, self._log, _line(step))
        elif step.kind == "problem" or not terminal.quiet:
            terminal.line(_line(step))


def _beat(root: Root, turn: Turn | None = None) -> None:
    """Let `labctl status` say when the schedule last came. A turn that a person takes says nothing about it."""
    by = root.world.environ.get("LABCTL_SCHEDULER", "")
    if by:
        from lab.scheduler import heartbeat

        heartbeat.beat(root, by=by, ran=turn.ran if turn else 0, failed=int(turn.failed) if turn else 0)


def _line(step: Step) -> str:
    """A step as one line, the words of hermes-lab where it had some."""
    if step.kind == "ran":
        value = "" if step.value is None else f" {step.value!r}"
        why = f": {step.what}" if step.what else ""
        return f"ran {step.experiment} [{step.tier}] as {step.role} ({step.outcome}{value}) in {step.wall_s:.1f}s{why}"
    if step.kind == "queued":
        return f"queued {step.experiment}: {step.run_id} {step.what}"
    fix = f" - {step.fix}" if step.fix else ""
    whose = f" {step.experiment}" if step.experiment else ""
    return f"{step.kind}{whose}: {step.what}{fix}"
