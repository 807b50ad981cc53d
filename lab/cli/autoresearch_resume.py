"""`labctl autoresearch resume`: open a loop again, and say where it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli.terminal import Answer
from lab.core.errors import BadInput

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from lab.cli.session import Session
    from lab.core.view import View
    from lab.projections.autoresearch_summary import Summary

SHARED = ("yes",)
TARGET = "the experiment"
_SHOWN = 3


def arguments(parser: argparse._ArgumentGroup) -> None:
    """Why."""
    parser.add_argument("--reason", default="", metavar="TEXT", help="resume: why; it is written down")


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """Ask, decide, and tell."""
    from lab.core.view import COMPLETED
    from lab.projections import autoresearch_summary, tier
    from lab.scheduler import decisions, refresh
    from lab.store import experiments

    root = session.root()
    experiments.require(root, args.target)
    with root.section(args.target):
        subject = refresh.catch_up(root, args.target)
    if not tier.is_loop(subject):
        raise BadInput(f"{args.target} is no code loop", fix=f"labctl resume {args.target}")
    found = autoresearch_summary.told(subject)
    standing = list(_standing(subject.view, found))
    if subject.view.phase == COMPLETED and not args.yes:
        for line in standing:
            session.terminal.say(line)
        if not session.terminal.agrees(f"{args.target} is completed. Open it again?", yes=False):
            raise BadInput(f"{args.target} stays completed: nobody agreed", fix="say y, or give --yes")
        standing = []
    made = decisions.resume(root, args.target, reason=args.reason, actor=session.actor)
    foreseen = decisions.foreseen(root, args.target)
    data: dict[str, object] = {
        "experiment": made.experiment,
        "phase": made.phase,
        "changed": made.changed,
        "stopped_again": foreseen,
        "best": found.loop.best.value if found.loop.best else None,
        "gain": found.gain.value if found.gain else None,
        "candidates": found.loop.candidates,
        "kept": found.loop.kept,
        "next": list(found.next),
    }
    said = f"resumed: {made.experiment}" if made.changed else f"{made.experiment} is {made.phase} already"
    then = [_edit(made.experiment)] if foreseen else [f"labctl burst {made.experiment} -n 5"]
    then.append(f"labctl autoresearch report {made.experiment}")
    return Answer(data, [said, *standing], warnings=[foreseen] if foreseen else [], then=then)


def _edit(experiment: str) -> str:
    return (
        f"edit experiments/{experiment}/SPEC.yaml (such as max_iterations_total), then: labctl burst {experiment} -n 5"
    )


def _standing(view: View, found: Summary) -> Iterator[str]:
    """Where it stands: why it stopped, what was reached, what did not work, what to try."""
    from lab.projections import text

    loop = found.loop
    yield f"it was {view.phase}" + (f": {text.line(view.phase_reason)}" if view.phase_reason else "")
    if loop.base is None:
        yield "the unchanged code was not measured yet"
        return
    base, best = loop.base.value, loop.best.value if loop.best else None
    yield f"{found.metric}: {_number(base)} to begin with, {_number(best)} now ({found.direction})"
    tallies = (
        f"{loop.kept} kept, {loop.discarded} discarded, {loop.crashed} crashed, {loop.failed_checks} failed checks"
    )
    yield f"{loop.candidates} candidates: {tallies}"
    for run in [each for each in reversed(view.recent) if each.verdict != "keep"][:_SHOWN]:
        yield f"  {run.verdict or run.outcome}: {text.line(run.note) or run.run_id}"
    for each in found.next:
        yield f"next: {text.line(each)}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.6g}"
