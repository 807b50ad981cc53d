"""Change code by hand, and let the lab measure and judge it.

`--begin` hands out a tree of the best code so far; the first time, the code as it is is measured before. Edit there,
then hand it in with a description: the lab runs the checks, measures, decides, and says what to try next. You cannot
type in a result. The workspace itself is not touched. Exit code 0 when the change was kept or discarded, 1 when it
crashed or its checks failed: then the tree stays, so that you can mend it and hand it in again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli.signals import Signals
from lab.cli.terminal import Answer
from lab.core.errors import DONE, FAILED, BadInput

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from lab.cli.session import Session
    from lab.scheduler.loop.trying import Begun, Tried
    from lab.store.root import Root

EXAMPLE = """labctl try parser-speed --begin
labctl try parser-speed --description 'read the file in blocks' --asi '{"hypothesis": "the time is in small reads"}'"""
OWNER = "try"
_DESCRIPTION_CHARS = 500


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which loop, and what to do."""
    parser.add_argument("experiment", metavar="ID", help="the code loop")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--begin", action="store_true", help="hand out a tree to change")
    what.add_argument("--list", action="store_true", dest="listed", help="show the trees that were handed out")
    what.add_argument("--drop", action="store_true", help="take a tree back without measuring it")
    parser.add_argument("--description", "-d", default="", metavar="TEXT", help="what was changed, in a line")
    parser.add_argument(
        "--asi", default="", metavar="JSON", help="notes for whoever comes next: hypothesis, change, ..."
    )
    parser.add_argument("--tree", default="", metavar="NAME", help="which tree, by name or path; else the only one")


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """Hand out, take in, or show."""
    from lab.scheduler.loop import trying

    root = session.root()
    if args.listed:
        there = trying.open_ones(root, args.experiment)
        lines = (f"{each.name}  {each.tree}  from {each.base[:12]}" for each in there)
        return Answer({"trees": [_begun(each) for each in there]}, lines if there else ["no tree is handed out"])
    if args.drop:
        begun = trying.found(root, args.experiment, args.tree, gone=True)
        trying.drop(root, begun)
        return Answer({"dropped": _begun(begun)}, [f"{begun.name} is gone, and nothing was measured"])
    if args.begin:
        return _hand_out(root, args, session)
    return _take_in(root, args, session)


def _hand_out(root: Root, args: argparse.Namespace, session: Session) -> Answer:
    from lab.scheduler.loop import trying
    from lab.store import machine

    if args.description or args.asi or args.tree:
        raise BadInput("--begin takes no change in", fix=f"labctl try {args.experiment} --begin")
    session.terminal.narrate("handing out a tree; the first time, the code is measured as it is")
    signals = Signals()
    with signals:
        begun = trying.begin(
            root, args.experiment, owner=machine.this_process(OWNER), tell=lambda _: None, interrupted=signals.came
        )
    then = [trying.typed(root, begun, "--description '...'")]
    return Answer(
        {"begun": _begun(begun)},
        [f"{begun.name}: {begun.tree}", f"brief: {begun.brief}", "edit there, then hand it in"],
        then=then,
    )


def _take_in(root: Root, args: argparse.Namespace, session: Session) -> Answer:
    from lab.scheduler.loop import trying
    from lab.scheduler.loop.trying import Offer
    from lab.store import machine

    notes = trying.notes_of(args.asi)
    description = " ".join(args.description.split())
    if not description and not notes.note:
        fix = f"labctl try {args.experiment} --description 'what you changed', or --begin for a tree"
        raise BadInput("say what was changed", fix=fix)
    if len(description) > _DESCRIPTION_CHARS:
        raise BadInput(f"the description has more than {_DESCRIPTION_CHARS} characters", fix="put the rest into --asi")
    session.terminal.narrate("measuring")
    signals = Signals()
    with signals:
        offer = Offer(tree=args.tree, description=description, notes=notes)
        done = trying.hand_in(
            root, args.experiment, offer,
            owner=machine.this_process(OWNER), tell=lambda _: None, interrupted=signals.came,
        )  # fmt: skip
    run, decided = done.seal.run, done.decided
    data = {
        "run": run.run_id,
        "verdict": run.verdict or run.outcome,
        "reason": run.reason,
        "value": run.value,
        "previous_best_value": decided.previous_best_value if decided else None,
        "metric": run.metric,
        "commit": run.candidate.commit if run.candidate else "",
        "gain": run.candidate.gain if run.candidate else None,
        "p": run.candidate.p if run.candidate else None,
        "tree": done.begun.tree if done.is_kept else "",
        "next": trying.hints(done),
    }
    code = DONE if run.verdict in ("keep", "discard") else FAILED
    warnings = (*(decided.remarks if decided else ()), *done.warnings)
    again = (
        trying.typed(root, done.begun, "--description '...'")
        if done.is_kept
        else f"labctl try {args.experiment} --begin"
    )
    return Answer(data, _lines(done), warnings=warnings, then=[again], exit_code=code)


def _begun(begun: Begun) -> dict[str, object]:
    return {
        "name": begun.name,
        "tree": begun.tree,
        "base": begun.base,
        "parent": begun.parent,
        "at": begun.at,
        "brief": begun.brief,
    }


def _lines(done: Tried) -> Iterator[str]:
    from lab.projections.text import line
    from lab.scheduler.loop import trying

    run, decided = done.seal.run, done.decided
    yield f"{run.verdict or run.outcome}: {line(run.reason, 300)}"
    if run.value is not None:
        best = decided.previous_best_value if decided else None
        beside = "" if best is None else f" (the best before: {best:.6g})"
        yield f"{run.metric or 'value'} {run.value:.6g}{beside}"
    yield f"run {run.run_id}"
    if done.is_kept:
        yield f"the tree is still yours: {done.begun.tree}"
    yield from (f"next: {line(each, 300)}" for each in trying.hints(done))
