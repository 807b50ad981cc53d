"""`labctl autoresearch finalize`: what was kept, as branches that a person can review and merge one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli.terminal import Answer
from lab.core.errors import BadInput

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from lab.cli.session import Session
    from lab.scheduler.loop.finalized import Made, Plan

SHARED = ("yes", "dry_run")
TARGET = "the experiment"
_ID_CHARS = 10
_SHOWN = 3
MERGE = "merge"


def arguments(parser: argparse._ArgumentGroup) -> None:
    """How the branches stand on one another, and what they are called."""
    parser.add_argument(
        "--branches",
        choices=("independent", "stacked"),
        default="independent",
        help="finalize: stand on one another where they share files, or all of them (independent)",
    )
    parser.add_argument("--prefix", default="", metavar="NAME", help="finalize: begins their names (else TAG-final)")


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """Plan, show, ask, and make."""
    from lab.scheduler.loop.finalized import Finalizing

    root = session.root()
    work = Finalizing(root, args.target, prefix=args.prefix, way=args.branches)
    count = len(work.plan.branches)
    words = f"{count} branch{'es' if count > 1 else ''}"
    if args.dry_run:
        return Answer(_data(work.plan, None), [f"would make {words}:", *_plan(work.plan)])
    if not args.yes:
        for line in _plan(work.plan):
            session.terminal.say(line)
    if not session.terminal.agrees(f"Make {words} in the repository of {args.target}?", yes=args.yes):
        raise BadInput("nothing was made: nobody agreed", fix="say y, or give --yes; --dry-run only shows the plan")
    made = work.make()
    said = [f"made {words}:", *_plan(made.plan, made), "", f"recommended: {made.recommendation}"]
    return Answer(_data(made.plan, made), [*said, *(f"  {why}" for why in made.reasons)], then=_then(made))


def _plan(plan: Plan, made: Made | None = None) -> Iterator[str]:
    from lab.projections import text

    base = f"{plan.base[:_ID_CHARS]} (where {plan.user_branch or 'the tree that is checked out'} and the loop part)"
    for each in plan.branches:
        commit = f" {made.commits[each.name][:_ID_CHARS]}" if made else ""
        yield f"  {each.name}{commit} on {each.on or base}"
        count = len(each.kept.paths)
        yield f"    {text.line(each.kept.title) or 'no words'}; {count} file{'s' if count > 1 else ''}"
        if made and each.name in made.conflicts:
            yield f"    conflicts with what is checked out now: {', '.join(map(text.line, made.conflicts[each.name]))}"
        if not each.kept.run_id:
            yield "    not the loop's: somebody committed it to its branch"


def _data(plan: Plan, made: Made | None) -> dict[str, object]:
    return {
        "experiment": plan.experiment,
        "base": plan.base,
        "final": plan.final,
        "made": made is not None,
        "branches": [
            {
                "name": each.name,
                "on": each.on,
                "run_id": each.kept.run_id,
                "from": each.kept.commit,
                "commit": made.commits[each.name] if made else "",
                "title": each.kept.title,
                "paths": [_printable(path) for path in each.kept.paths],
                "conflicts": [_printable(path) for path in (made.conflicts.get(each.name, ()) if made else ())],
            }
            for each in plan.branches
        ],
        "recommendation": made.recommendation if made else "",
        "reasons": list(made.reasons) if made else [],
    }


def _printable(path: str) -> str:
    return path.encode(errors="surrogateescape").decode(errors="backslashreplace")


def _then(made: Made) -> list[str]:
    """Look at each that nothing stands on; and merge them, where that is what is recommended."""
    below = {each.on for each in made.plan.branches}
    tops = [each.name for each in made.plan.branches if each.name not in below]
    then = [f"git diff {made.plan.base[:_ID_CHARS]} {name}" for name in tops[:_SHOWN]]
    if made.recommendation == MERGE and not made.conflicts:
        then.append(f"git merge {' '.join(tops)}")
    return then
