"""`labctl tinker check`: whether everything is there that a remote training needs, before it costs anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli import tinker_words as words
from lab.cli.terminal import Answer
from lab.core.errors import DONE, FAILED, UNAVAILABLE, BadInput

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from lab.cli.session import Session
    from lab.cli.tinker_checks import Look, Subject

SHARED = ("base_url", "limit", "yes", "tier")
TARGET = "an experiment"
TARGET_OPTIONAL = True
_MARKS = {"ok": "ok", "warning": "warning", "failed": "FAILED", "absent": "ABSENT", "none": "-"}
_SHOWN_CHARS = 300


def arguments(parser: argparse._ArgumentGroup) -> None:
    """How far to look."""
    parser.add_argument(
        "--trial",
        action="store_true",
        help="check: train one step too, and throw it away; at a service that is paid for it asks first",
    )


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """Look at one thing after the other; what needs another one that failed is not looked at."""
    from msgspec import to_builtins

    from lab.cli import tinker_checks as checks

    root = session.root(existing=bool(args.target))
    if args.trial and not args.target:
        raise BadInput("--trial trains a step of an experiment", fix="labctl tinker check ID --trial")
    if args.target and args.base_url:
        raise BadInput("--base-url is for a look without an experiment", fix="write base_url into its SPEC")
    say = session.terminal.narrate
    goes_on = bool(args.target)
    if args.target:
        subject = checks.subject(root, args.target, args.tier)
        url, goes_on = subject.tuning.url, subject.is_due or not subject.is_over
        found = list(checks.of_experiment(root, subject, limit_s=args.limit, say=say))
        if args.trial:
            found += _trial(args, session, subject, found)
    else:
        url = words.url(args.base_url, root.world.environ)
        found = list(checks.of_surroundings(root, url, limit_s=args.limit, say=say))
    failed = sum(each.state == checks.FAILED for each in found)
    absent = sum(each.state == checks.ABSENT for each in found)
    data = {
        "experiment": args.target,
        "url": url,
        "checks": to_builtins(found),
        "failed": failed,
        "absent": absent,
    }
    then = [f"{each.name}: {each.fix}" for each in found if each.fix and each.state != checks.OK]
    if failed or absent:
        then.append(f"labctl tinker check {args.target}".rstrip() + "   # again, once that is mended")
    elif goes_on:
        then.append(f"labctl run-once --experiment {args.target}")
    return Answer(data, _lines(found), then=then, exit_code=UNAVAILABLE if absent else FAILED if failed else DONE)


def _trial(args: argparse.Namespace, session: Session, subject: Subject, found: Sequence[Look]) -> list[Look]:
    """A step, where all before it is well; at a service that is paid for, where somebody agrees."""
    from lab.cli import tinker_checks as checks

    if any(each.state in (checks.FAILED, checks.ABSENT) for each in found):
        return [checks.Look(name="trial", state=checks.NONE, what="not tried: something before it is not well")]
    url = subject.tuning.url
    if not session.terminal.agrees(checks.question(subject), yes=args.yes or checks.is_free(url)):
        raise BadInput("no step was trained: nobody agreed", fix="say y, or give --yes; without --trial it is free")
    session.terminal.narrate("training one step")
    return list(checks.trial(session.root(), subject, args.limit))


def _lines(found: Sequence[Look]) -> Iterator[str]:
    from lab.projections import text

    width = max(len(each.name) for each in found)
    for each in found:
        first = next(iter(each.what.splitlines()), "")
        yield f"{_MARKS[each.state]:<8} {each.name:<{width}}  {text.line(first, _SHOWN_CHARS)}"
        yield from words.indented(each.what)
