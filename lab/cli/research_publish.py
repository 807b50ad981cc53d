"""`labctl research publish`: what would go where, file by file; with --send, send what was approved.

Without --send this sends nothing. What is sent is what a person approved (`labctl research approve ID --release HASH`);
once it is approved, the project's next run sends it, whoever makes that run: cron too. Where any of it is another now,
it is refused. Sent twice, it is there once. A list that is not what would be sent now says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli.terminal import Answer
from lab.core.errors import BadInput, LabError

if TYPE_CHECKING:
    import argparse

    from lab.cli.session import Session
    from lab.research.release.approval import Shown
    from lab.store.root import Root

SHARED = ()
TARGET = "the project"
_MOST_TOLD = 10


def arguments(parser: argparse._ArgumentGroup) -> None:
    """Whether anything leaves."""
    parser.add_argument("--send", action="store_true", help="publish: send what was approved; else it is only shown")


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """Show it, or send it."""
    from lab.research.release import approval

    root = session.root()
    shown = approval.show(root, args.target)
    if shown.receipt is not None:
        return _told(shown, warnings=_stale(shown))
    if not args.send:
        return _told(shown, warnings=(*_stale(shown), *_own(root, shown)))
    if not shown.approved_at:
        fix = f"labctl research approve {args.target} --release {shown.sha256}"
        doubt = f": {shown.doubt}" if shown.doubt else ""
        raise BadInput(f"nobody has approved the release {shown.sha256[:12]}, so it is not sent{doubt}", fix=fix)
    approval.require(root, args.target, shown.sha256)
    from lab.cli import research_run
    from lab.research.release import by_hand, told

    by_hand.require(root, args.target)
    scan = approval.own_secrets(root, shown)
    if scan.findings:
        raise told.refusal(scan)
    before = _last(root, args.target)
    approval.go_on(root, shown, session.actor)
    ran = research_run.go(session, args.target)
    now = approval.show(root, args.target)
    if now.receipt is None or now.sha256 != shown.sha256:
        last = _last(root, args.target)
        why = last[1] if last != before else "no run of the project was made"
        fix = f"labctl research status {args.target} says what comes next; then the same command again"
        what = f"the release {shown.sha256[:12]} was not sent: {why}"
        raise LabError(what, where=root.layout.experiment(args.target), fix=fix)
    answer = _told(now)
    return Answer(answer.data, answer.text, warnings=ran.warnings, then=answer.next)


def _last(root: Root, name: str) -> tuple[str, str]:
    """The newest run of the project, and why it ended as it did; of one that waits, why it waits."""
    from lab.scheduler import refresh

    with root.section(name):
        view, _ = refresh.current(root, name)
    return (view.last.run_id, view.last.reason) if view.last is not None else ("", view.phase_reason)


def _stale(shown: Shown) -> tuple[str, ...]:
    return (f"this is not what would be sent now: {shown.stale}; {shown.anew} lists it anew",) if shown.stale else ()


def _own(root: Root, shown: Shown) -> tuple[str, ...]:
    """What only whoever looks at it can know: that a secret of theirs is in it."""
    from lab.research.release import approval

    if shown.stale:
        return ()
    try:
        found = approval.own_secrets(root, shown).findings
    except LabError as wrong:
        return (f"this cannot be sent as it is: {wrong.what}",)
    return tuple(f"this would not be sent: {each.told()}" for each in found[:_MOST_TOLD])


def _told(shown: Shown, *, warnings: tuple[str, ...] = ()) -> Answer:
    from msgspec import to_builtins

    receipt, release = shown.receipt, shown.release
    data: dict[str, object] = {
        "experiment": shown.experiment,
        "run": shown.run_id,
        "release": shown.sha256,
        "to": release.to,
        "destination": release.destination,
        "files": [{"path": each.path, "size": each.size, "sha256": each.sha256} for each in release.files],
        "unverified": list(release.unverified),
        "approved_by": shown.approved_by,
        "stale": shown.stale,
        "receipt": None if receipt is None else to_builtins(receipt),
    }
    if receipt is not None:
        at = f" at {receipt.url}" if receipt.url else ""
        what = f"{len(receipt.files)} files, to {receipt.destination}, as {receipt.commit}{at}"
        return Answer(data, [f"sent on {receipt.at[:16].replace('T', ' ')}: {what}"], warnings=list(warnings))
    then = []
    if release.to and not shown.stale:
        word = "publish {0} --send" if shown.approved_at else "approve {0} --release {1}"
        then = [f"labctl research {word.format(shown.experiment, shown.sha256)}"]
    if shown.stale:
        then = [shown.anew]
    return Answer(data, shown.listing.splitlines(), warnings=list(warnings), then=then)
