"""`labctl research approve`: let a project pass the gate it waits at; or, with --release, approve that this is sent.

A release is approved by its hash alone: at a terminal you are asked to type the beginning of it, elsewhere the whole of
it must be given. The next run of the project then sends it, cron's too. No flag and no setting says yes in your place,
no run approves, and what is not exactly that release is not sent. --withdraw takes it back; so does a new list.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli.terminal import Answer
from lab.core.errors import BadInput

if TYPE_CHECKING:
    import argparse

    from lab.cli.session import Session

SHARED = ("why",)
TARGET = "the project"


def arguments(parser: argparse._ArgumentGroup) -> None:
    """Of what."""
    parser.add_argument("--release", default="", metavar="HASH", help="approve: let the release of this hash be sent")
    parser.add_argument("--withdraw", action="store_true", help="approve: take the approval of a release back")


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """Say yes to what waits."""
    from lab.research.projects import opened

    root = session.root()
    opened.spec(root, args.target)
    if args.release:
        from lab.cli import research_approve_release

        if args.withdraw:
            return research_approve_release.withdrawn(session, args.target, args.release, args.why)
        return research_approve_release.approved(session, args.target, args.release, args.why)
    if args.withdraw:
        raise BadInput("--withdraw takes the approval of a release back", fix="name it: --release HASH")
    return _gate(args, session)


def _gate(args: argparse.Namespace, session: Session) -> Answer:
    from lab.core.proposal import RESUME
    from lab.core.view import AWAITING
    from lab.research.projects import overview
    from lab.scheduler import decisions
    from lab.scheduler.control import approvals

    root = session.root()
    seen = overview.of(root, args.target)
    if seen.release:
        typed = f"labctl research approve {args.target} --release {seen.release}"
        fix = f"labctl research publish {args.target} shows it; {typed}"
        raise BadInput("a release waits, and is approved by its hash", fix=fix)
    if seen.standing != AWAITING:
        fix = f"labctl research status {args.target} says where it stands"
        raise BadInput(f"{args.target} waits for nobody: it is {seen.standing}", fix=fix)
    waiting = next((each.proposal for each in seen.waiting if each.kind == RESUME), "")
    if waiting:
        approvals.approve(root, waiting, actor=session.actor, reason=args.why)
    else:
        decisions.resume(root, args.target, reason=args.why or "approved", actor=session.actor)
    data = {"experiment": args.target, "gate": seen.gate, "release": ""}
    what = f"goes on with {seen.gate}" if seen.gate else "goes on"
    return Answer(data, [f"approved: {args.target} {what}"], then=[f"labctl research run {args.target}"])
