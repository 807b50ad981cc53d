"""`labctl research check`: whether every id of a project leads to something, and everything is there that it needs.

Without an ID: whether a project of this mode could be done on this machine. Nothing is run, and no service is asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli.terminal import Answer
from lab.core.errors import DONE, FAILED, UNAVAILABLE, BadInput

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from lab.cli.session import Session
    from lab.research.projects.checked import Look

SHARED = ("mode",)
TARGET = "a project"
TARGET_OPTIONAL = True
_MARKS = {"ok": "ok", "warning": "warning", "failed": "FAILED", "absent": "ABSENT"}
_SHOWN_CHARS = 300
_TYPED = ("pip install ", "npm install ", "apt-get install ", "git init ")
_NEW = "labctl research new NAME --mode {}"


def arguments(parser: argparse._ArgumentGroup) -> None:
    """Nothing of its own."""


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """Look at one after the other."""
    from msgspec import to_builtins

    from lab.research.projects import checked

    if args.target:
        if args.mode:
            raise BadInput("a project has a mode already", fix=f"labctl research check {args.target}")
        found = list(checked.of_experiment(session.root(), args.target))
    else:
        found = list(checked.of_mode(session.root(existing=False), args.mode or "A"))
    failed = sum(each.state == checked.FAILED for each in found)
    absent = sum(each.state == checked.ABSENT for each in found)
    data = {"experiment": args.target, "checks": to_builtins(found), "failed": failed, "absent": absent}
    fixes = dict.fromkeys(each.fix for each in found if each.state != checked.OK)
    then = [each for each in fixes if each.startswith(_TYPED)]  # the others are advice, told beside what is wrong
    if not (failed or absent):
        then.append(f"labctl research run {args.target}" if args.target else _NEW.format(args.mode or "A"))
    return Answer(data, _lines(found), then=then, exit_code=UNAVAILABLE if absent else FAILED if failed else DONE)


def _lines(found: Sequence[Look]) -> Iterator[str]:
    from lab.projections import text

    width = max((len(each.name) for each in found), default=0)
    for each in found:
        yield f"{_MARKS[each.state]:<8} {each.name:<{width}}  {text.line(each.what, _SHOWN_CHARS)}"
        if each.fix and each.state != "ok":
            yield f"{'':<8} {'':<{width}}  {text.line(each.fix, _SHOWN_CHARS)}"
