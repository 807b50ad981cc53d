"""Run a run again: the same parameters, seed and commit.

It is a run of its experiment like any other, in the tier of the first, whatever phase the experiment is in. Where the
workspace is at another commit by now, that of the run is checked out beside, and your checkout is not touched. Both
values are told. Exit code 1 when the new run fails, 3 when somebody works on the experiment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli.signals import Signals
from lab.cli.terminal import Answer

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from lab.cli.session import Session
    from lab.core.run import Run
    from lab.scheduler.results.replay import Replayed

EXAMPLE = (
    "labctl replay RUN-20261121-093000-000000-scout\nlabctl replay RUN-20261121-093000-000000-scout --as-is --json"
)
OWNER = "replay"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which run."""
    parser.add_argument("run", metavar="RUN", help="the run")
    parser.add_argument("--as-is", action="store_true", help="on the workspace as it is now, whatever its commit")


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """Run it, and compare."""
    from lab.core.errors import Interrupted
    from lab.core.run import SUCCESS
    from lab.scheduler.results import replay
    from lab.store import machine

    root = session.root()
    session.terminal.narrate(f"running {args.run} again")
    signals = Signals()
    with signals:
        owner = machine.this_process(OWNER)
        done = replay.replay(root, args.run, owner=owner, interrupted=signals.came, as_is=args.as_is)
    if signals.came():
        what = f"stopped by {signals.came()}; {done.after.run_id} was sealed as {done.after.outcome}"
        raise Interrupted(what, fix=f"labctl replay {args.run}")
    data = {
        "experiment": done.after.experiment,
        "tier": done.after.tier,
        "before": _data(done.before),
        "after": _data(done.after),
        "equal": done.equal,
        "difference": done.difference,
        "commit": done.commit,
    }
    then = [f"labctl compare {done.before.run_id} {done.after.run_id}"]
    code = 0 if done.after.outcome == SUCCESS else 1
    return Answer(data, _lines(done), warnings=done.warnings, then=then, exit_code=code)


def _data(run: Run) -> dict[str, object]:
    return {"run": run.run_id, "outcome": run.outcome, "value": run.value, "wall_s": run.wall_s, "reason": run.reason}


def _lines(done: Replayed) -> Iterator[str]:
    from lab.projections.text import line

    for word, run in (("before", done.before), ("now", done.after)):
        value = "" if run.value is None else f" {run.value!r}"
        why = f": {line(run.reason)}" if run.reason else ""
        yield f"{word}: {run.run_id} ({run.outcome}{value}) in {run.wall_s:.1f}s{why}"
    if done.equal:
        yield "the same came out" if done.after.value is not None else "it ended in the same way"
    elif done.difference is not None:
        yield f"not the same: {done.difference:+.6g}"
    else:
        yield "not the same"
