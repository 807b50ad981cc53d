"""Send packages to a worker that does not see this lab, and take its answers in: one turn, as cron takes it.

In each turn answers that came into DIR as tars are taken in, the leases of what is away are renewed, what is away for
longer than its lease and --travel is given up, and packages are packed into DIR/out while fewer than --max-away are
away. --fetch and --send are commands that bring and take the tars, run without a shell, with {dir} and {file} filled
in. There: labctl worker --inbox DIR. An answer that comes too late, or twice, is put into DIR/refused, not counted.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from lab.cli import dispatch_words as words
from lab.cli.parser import count, seconds
from lab.cli.signals import Signals
from lab.cli.terminal import Answer

if TYPE_CHECKING:
    import argparse

    from lab.cli.session import Session
    from lab.scheduler.dispatch.offers import Said

EXAMPLE = """labctl courier ~/post --send 'rsync -a {file} gpu:inbox/' --fetch 'rsync -a gpu:inbox/out/ {dir}/'
labctl courier ~/post/gpu --worker gpu --watch"""
_KEPT = 200


def arguments(parser: argparse.ArgumentParser) -> None:
    """Through which folder, for whom, how much."""
    parser.add_argument("dir", metavar="DIR", help="the folder that tars travel through; one for each worker")
    words.who(parser, "away")
    parser.add_argument("--max-away", type=count, default=1, metavar="N", help="at most N at once (default 1)")
    parser.add_argument(
        "--travel", default="1h", metavar="T", help="how long one may be away besides its budget (default 1h)"
    )
    parser.add_argument("--fetch", default="", metavar="CMD", help="brings answers into {dir}")
    parser.add_argument("--send", default="", metavar="CMD", help="takes the package {file} away")
    parser.add_argument("--without-workspace", action="store_true", help="the code is there already")
    parser.add_argument(
        "--executor-class", action="append", default=[], metavar="C", help="only experiments of this class; repeatable"
    )
    parser.add_argument("--experiment", action="append", default=[], metavar="ID", help="only this one; repeatable")
    parser.add_argument("--watch", action="store_true", help="go on until it is stopped")
    parser.add_argument("--every", type=seconds, default=10.0, metavar="S", help="with --watch: how often (10)")


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """One turn, or one after the other."""
    from lab.core.cadence import duration_s
    from lab.core.errors import Interrupted
    from lab.scheduler import due
    from lab.scheduler.dispatch import courier, postbox, serving

    root = session.root()
    words.checked(root, args)
    due.require_known(root, args.executor_class)
    route = courier.Route(
        worker=args.worker,
        max_away=args.max_away,
        travel_s=duration_s(args.travel, "--travel"),
        classes=tuple(args.executor_class),
        only=tuple(args.experiment),
        with_workspace=not args.without_workspace,
        fetch=postbox.copier(args.fetch, "--fetch", blanks=("dir",)),
        send=postbox.copier(args.send, "--send", blanks=("dir", "file"), needs="file"),
    )
    signals = Signals()
    said: list[Said] = []

    def tell(one: Said) -> None:
        said.append(one)
        del said[:-_KEPT]
        if args.watch:
            session.terminal.line(words.line(one))

    path = os.path.abspath(os.path.expanduser(args.dir))
    turns = courier.Courier(session.root, path, route, interrupted=signals.came)
    with signals:
        if args.watch:
            session.terminal.say(f"carrying between {session.path} and {path}; Ctrl-C ends it")
            serving.serve(turns, serving.Shift(every_s=max(args.every, 0.1)), interrupted=signals.came, tell=tell)
        else:
            turns(tell)
    if signals.came():
        raise Interrupted(f"stopped by {signals.came()}; what is away stays away", fix="start it again")
    return _told(said)


def _told(said: list[Said]) -> Answer:
    from msgspec import to_builtins

    kinds = ("packed", "ingested", "lost", "refused")
    data = {kind: to_builtins([one for one in said if one.kind == kind]) for kind in kinds}
    data["others"] = to_builtins([one for one in said if one.kind not in kinds])
    lines = [words.line(one) for one in said if one.kind in kinds] or ["Nothing came, and nothing went"]
    warnings = [words.line(one) for one in said if one.kind not in kinds]
    bad = any(one.kind in ("lost", "refused", "problem") for one in said)
    return Answer(data, lines, warnings=warnings, exit_code=int(bad))
