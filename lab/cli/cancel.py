"""End a run that is under way, or every run of an experiment.

Whoever runs it, on any machine, sees the word within two seconds (a run of some seconds at once), ends the run and
seals it as cancelled: it counts as nobody's failure. A run that waits at an engine is taken from it at once, and one
that runs there hears the word in its place; while its engine does not answer, it stays asked. A run that a Python
program makes itself is that program's to end: it is only asked. --wait stays until the run has ended. To keep the next
run from starting, pause the experiment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli.terminal import Answer

if TYPE_CHECKING:
    import argparse

    from lab.cli.session import Session
    from lab.scheduler.control.cancel import Cancelled
    from lab.store.root import Root

EXAMPLE = "labctl cancel lr-sweep --reason 'wrong data' --wait"
_LOOK_EVERY_S = 0.1
_ASK_EVERY_S = 5.0  # an engine, which has its own grace before it ends a job


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which run, and whether to wait."""
    parser.add_argument("run", metavar="RUN", help="a run, or an experiment for each of its runs that is under way")
    parser.add_argument("--reason", default="", help="why; it is written down, and sealed with the run")
    parser.add_argument("--wait", action="store_true", help="wait until it has ended")
    parser.add_argument("--at-most", type=float, default=120.0, metavar="SECONDS", help="how long to wait (120)")


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """Ask, and wait when asked to."""
    from lab.core.errors import BadInput
    from lab.scheduler.control import cancel

    if not args.at_most >= 0:  # also what is no number at all
        raise BadInput(f"--at-most {args.at_most} is not a number of seconds", fix="write --at-most 60")
    root = session.root()
    asked = cancel.cancel(root, args.run, reason=args.reason, actor=session.actor)
    warnings = _tell_engines(root, asked)
    if args.wait:
        how = _ended(root, asked, args.at_most)
    else:
        how = [cancel.ended(root, each) if each.engine else "" for each in asked]
    rows = [
        {
            "experiment": each.experiment,
            "run": each.run_id,
            "owner": each.owner,
            "changed": each.changed,
            "outcome": outcome,
        }
        for each, outcome in zip(asked, how, strict=True)
    ]
    text = [_line(each, outcome) for each, outcome in zip(asked, how, strict=True)]
    return Answer({"runs": rows}, text, warnings=warnings)


def _tell_engines(root: Root, asked: list[Cancelled]) -> list[str]:
    """What went wrong when the engines were told; the word itself stays."""
    from lab.scheduler.control import cancel
    from lab.scheduler.step import HELD, PROBLEM

    steps = cancel.from_engines(root, asked)
    return [f"{step.experiment}: {step.what}".lstrip(": ") for step in steps if step.kind in (HELD, PROBLEM)]


def _line(asked: Cancelled, outcome: str) -> str:
    if outcome:
        return f"ended: {asked.run_id} ({outcome})"
    said = "asked to end" if asked.changed else "asked to end already"
    return f"{said}: {asked.run_id}, run by {asked.owner}"


def _ended(root: Root, asked: list[Cancelled], at_most_s: float) -> list[str]:
    """How each of them ended. `Busy` when one takes longer: it was asked all the same."""
    import time

    from lab.scheduler.control import cancel

    until_s = time.monotonic() + at_most_s
    ask_s = time.monotonic() + _ASK_EVERY_S
    found: list[str] = []
    for each in asked:
        while not (outcome := cancel.ended(root, each)):
            now_s = time.monotonic()
            if now_s >= until_s:
                raise cancel.still_running(each, at_most_s)
            if now_s >= ask_s:
                cancel.from_engines(root, (each,))
                ask_s = time.monotonic() + _ASK_EVERY_S
            time.sleep(_LOOK_EVERY_S)
        found.append(outcome)
    return found
