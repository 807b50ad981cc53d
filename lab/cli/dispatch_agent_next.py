"""Give an agent its next piece of work as one JSON document: what to read, what it may change, how it is measured.

Takes a package that waits, or queues one that is due. Only experiments with a workspace_root and a validation_command
are given to an agent. Of a code loop the files are those of the best commit, and the first time the code is measured as
it is before. With nothing due it prints {} and exits with 3, so that a loop can tell it from work.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli import dispatch_words as words
from lab.cli.terminal import Answer, escaped

if TYPE_CHECKING:
    import argparse

    from lab.cli.session import Session

EXAMPLE = "labctl dispatch-agent-next --experiment lr-sweep > next.json"
WORKER = "dispatch-agent"


def arguments(parser: argparse.ArgumentParser) -> None:
    """For whom, and of what."""
    parser.add_argument("--experiment", default="", metavar="ID", help="only this experiment")
    parser.add_argument(
        "--executor-class", action="append", default=[], metavar="C", help="only experiments of this class; repeatable"
    )
    parser.add_argument("--now", action="store_true", help="do not wait for the cadence of the experiment named")
    parser.add_argument("--again", action="store_true", help="the package that this worker has already, if it has one")
    words.who(parser, WORKER)


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """Give it."""
    import json

    from lab.cli.signals import Signals
    from lab.core import ids
    from lab.core.errors import BUSY, BadInput
    from lab.scheduler.dispatch import agent, mend
    from lab.store import experiments

    if args.now and not args.experiment:
        raise BadInput("--now wants --experiment ID", fix="name what is to run before its time")
    root = session.root()
    ids.worker(args.worker)
    only = (experiments.require(root, args.experiment),) if args.experiment else ()
    said = mend.mend(root)
    signals = Signals()
    with signals:
        held, more = agent.next_package(
            root, args.worker, only=only, classes=args.executor_class, now=args.now, again=args.again,
            interrupted=signals.came,
        )  # fmt: skip
    warnings = [words.line(each) for each in (*said, *more) if each.kind not in ("queued", "claimed")]
    if held is None:
        then = ["labctl status says what is next; --again gives back what this worker has already"]
        return Answer({}, ["{}"], warnings=warnings, then=then, exit_code=BUSY)
    data = agent.context(root, held)
    return Answer(data, [escaped(json.dumps(data, indent=2, ensure_ascii=False))], warnings=warnings, exact=True)
