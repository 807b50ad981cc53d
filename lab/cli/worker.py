"""Work on packages until it is stopped: claim one, run it in its budget, complete it, wait for the next one.

Without --inbox the worker sees the lab (--data-root): it takes offers that wait, else what is due, renews the lease
while it runs, and takes the run in. A lab that is not there for a while is waited for. With --inbox no lab is there:
packages come into DIR as tars, by any copier, and are answered in DIR/out; --fetch and --send are commands that bring
and take them, run without a shell, with {dir} and {file} filled in. Ctrl-C ends the run at hand as cancelled.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from lab.cli import dispatch_words as words
from lab.cli.parser import seconds
from lab.cli.signals import Signals
from lab.cli.terminal import Answer

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from lab.cli.session import Session
    from lab.scheduler.dispatch.offers import Said
    from lab.scheduler.dispatch.serving import Shift, Tally

EXAMPLE = """labctl worker --executor-class gpu
labctl worker --inbox ~/inbox
labctl worker --inbox ~/inbox --fetch 'rsync -a lab:post/out/ {dir}/' --send 'rsync -a {file} lab:post/'"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Where the work comes from, and when to end."""
    parser.add_argument("--inbox", default="", metavar="DIR", help="no lab is there: packages come into DIR as tars")
    parser.add_argument("--fetch", default="", metavar="CMD", help="with --inbox: brings tars into {dir}")
    parser.add_argument("--send", default="", metavar="CMD", help="with --inbox: takes the answer {file} away")
    words.which(parser, max_runs=0, more="end after N runs")
    parser.add_argument(
        "--until-idle", type=seconds, default=None, metavar="S", help="end once nothing came for S seconds"
    )
    parser.add_argument("--every", type=seconds, default=10.0, metavar="S", help="look at least so often (10)")
    parser.add_argument("--worker", default="", metavar="NAME", help="the worker's name (default: host and process)")


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """Work, and tell of each run as it ends."""
    from lab.core import ids
    from lab.core.errors import BadInput, Interrupted
    from lab.scheduler.dispatch import serving

    worker = ids.worker(args.worker or _name())
    shift = serving.Shift(max_runs=args.max_runs, idle_s=args.until_idle, every_s=max(args.every, 0.1))
    signals = Signals()
    if not args.inbox and (args.fetch or args.send):
        raise BadInput("--fetch and --send go with --inbox", fix="a worker that sees the lab needs no copier")
    if args.inbox and args.experiment:
        raise BadInput("--experiment does not go with --inbox", fix="say it where the lab is: labctl courier")
    where = args.inbox or session.path
    ends = "Ctrl-C ends it" if shift.idle_s is None else f"it ends once nothing came for {shift.idle_s:g} s"
    session.terminal.say(f"{worker} waits for packages in {where}, and looks every {shift.every_s:g} s; {ends}")
    with signals:
        take = _apart if args.inbox else _at_lab
        tally = take(args, session, worker, shift, signals)
    if signals.came():
        raise Interrupted(
            f"stopped by {signals.came()} after {words.runs(tally.worked)}; a run at hand was ended as cancelled",
            fix="start it again: nothing is lost",
        )
    return _told(tally, worker, args.inbox)


def _name() -> str:
    """A name that no other worker has: the host's, as far as it may be part of one, and the process."""
    host = "".join(c if c.isascii() and c.isalnum() else "-" for c in os.uname().nodename).strip("-")[:40]
    return f"{host or 'worker'}-{os.getpid()}"


def _teller(session: Session) -> Callable[[Said], None]:
    def tell(said: Said) -> None:
        if said.kind == "completed":
            session.terminal.line(words.line(said))
        else:
            session.terminal.say(words.line(said))

    return tell


def _at_lab(args: argparse.Namespace, session: Session, worker: str, shift: Shift, signals: Signals) -> Tally:
    from lab.scheduler import due
    from lab.scheduler.dispatch import serving

    root = session.root()
    words.checked(root, args)
    due.require_known(root, args.executor_class)
    turns = serving.AtLab(
        session.root, worker, classes=args.executor_class, only=args.experiment, interrupted=signals.came
    )
    return serving.serve(turns, shift, interrupted=signals.came, tell=_teller(session))


def _apart(args: argparse.Namespace, session: Session, worker: str, shift: Shift, signals: Signals) -> Tally:
    from lab.cli.surroundings import the_world
    from lab.scheduler.dispatch import inbox, postbox, serving
    from lab.store.files import Files

    wanted = inbox.Wanted(
        worker=worker,
        classes=tuple(args.executor_class),
        fetch=postbox.copier(args.fetch, "--fetch", blanks=("dir",)),
        send=postbox.copier(args.send, "--send", blanks=("dir", "file"), needs="file"),
    )
    path = os.path.abspath(os.path.expanduser(args.inbox))
    turns = inbox.Inbox(Files(), the_world(), path, wanted, interrupted=signals.came)
    turns.open()
    return serving.serve(turns, shift, interrupted=signals.came, tell=_teller(session))


def _told(tally: Tally, worker: str, inbox: str) -> Answer:
    from msgspec import to_builtins

    data = {
        "worker": worker,
        "inbox": inbox,
        "worked": tally.worked,
        "failed": tally.failed,
        "troubles": tally.troubles,
        "last": to_builtins(tally.last),
    }
    text = [
        f"{words.runs(tally.worked)}, {tally.failed} of them without success"
        if tally.failed
        else words.runs(tally.worked)
    ]
    return Answer(data, text, exit_code=int(bool(tally.failed or tally.troubles)))
