"""Claim packages, run what their SPEC names in run/, and complete them, one after the other.

The lease is renewed while a program runs. Exit code 1 when a run failed. With --package the package lies on this
machine alone, without a lab: it was brought here by dispatch-pack, and goes back to dispatch-unpack as the tar that
this writes beside it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from lab.cli import dispatch_words as words
from lab.cli.signals import Signals
from lab.cli.terminal import Answer

if TYPE_CHECKING:
    import argparse

    from lab.cli.session import Session

EXAMPLE = """labctl dispatch-work --worker gpu-3 --max-runs 5
labctl dispatch-work --package ./DISPATCH-20261121-093000-000000-lr-sweep"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Who does what."""
    words.which(parser, max_runs=1, more="work on at most N packages")
    words.who(parser)
    parser.add_argument("--package", default="", metavar="DIR", help="one unpacked package, on a machine without a lab")


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """Work."""
    from lab.core.errors import Interrupted
    from lab.core.run import SUCCESS
    from lab.scheduler.dispatch import mend, offers, working

    signals = Signals()
    if args.package:
        with signals:
            return _apart(args.package, signals)
    root = session.root()
    words.checked(root, args)
    said = mend.mend(root)
    with signals:
        said += working.work_on(
            root,
            args.worker,
            max_runs=args.max_runs,
            classes=args.executor_class,
            only=args.experiment,
            interrupted=signals.came,
        )
    if signals.came():
        raise Interrupted(f"stopped by {signals.came()}; the package at hand was completed as cancelled")
    failed = any(each.kind == "problem" or each.outcome not in ("", SUCCESS) for each in said)
    given = words.answer(said, offers.DONE, nothing="No ready dispatch packages", exit_code=int(failed))
    given.next = ["labctl dispatch-ingest"] if any(each.kind == offers.DONE for each in said) else []
    return given


def _apart(package: str, signals: Signals) -> Answer:
    from lab.cli.surroundings import the_world
    from lab.core.run import SUCCESS
    from lab.scheduler.dispatch import parcel
    from lab.store.files import Files

    done = parcel.work_apart(Files(), the_world(), os.path.abspath(package), interrupted=signals.came)
    data = {"dispatch_id": done.dispatch_id, "outcome": done.outcome, "reason": done.reason, "tar": done.tar}
    text = [f"completed dispatch {done.dispatch_id} ({done.outcome})", f"carry back: {done.tar}"]
    then = [f"labctl dispatch-unpack {os.path.basename(done.tar)}"]
    return Answer(data, text, then=then, exit_code=int(done.outcome != SUCCESS))
