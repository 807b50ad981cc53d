"""Show the end of what a run wrote, also while it is under way.

Of an experiment: of its run under way, else of its last one. What a run wrote is shown without what would move a
terminal's cursor, and a line of any length is cut; --json has it as it is, but for --width. Of a line that was written
over, as a progress bar is, the last state is shown. Of a run that waits in the queue of an engine, it says where it is,
and shows what its job printed so far. `--follow` goes on until the run ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli.terminal import Answer
from lab.core.errors import BadInput, Interrupted

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from lab.cli.session import Session
    from lab.scheduler.results.followed import Followed
    from lab.scheduler.results.tailed import Tail

EXAMPLE = (
    "labctl tail lr-sweep\nlabctl tail lr-sweep --follow\n"
    "labctl tail RUN-20261121-093000-000000-scout --stream stderr --lines 20"
)
MOST = 10_000
_LINE_CHARS = 2000
_LOOK_EVERY_S = 0.2
_ASK_EVERY = 5  # looks, between two at the claims


def arguments(parser: argparse.ArgumentParser) -> None:
    """Of what, and how much."""
    parser.add_argument("name", metavar="ID", help="a run, or an experiment")
    parser.add_argument("-n", "--lines", type=int, default=50, metavar="N", help="so many lines (default 50)")
    parser.add_argument("--width", type=int, default=0, metavar="N", help="cut lines after N characters, in --json too")
    parser.add_argument("-f", "--follow", action="store_true", help="go on with what comes, until the run has ended")
    parser.add_argument("--stream", choices=("stdout", "stderr"), default="stdout", help="which log (default stdout)")


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """The last lines."""
    from msgspec import to_builtins

    from lab.scheduler.results import tailed

    if not 1 <= args.lines <= MOST:
        raise BadInput(f"--lines {args.lines} is not between 1 and {MOST:,}", fix="--lines 50")
    if args.width < 0:
        raise BadInput(f"--width {args.width} is below 0", fix="--width 200")
    if args.follow:
        if session.terminal.as_json:
            raise BadInput("--follow has no end that --json could wait for", fix="leave one of them out")
        return _follow(args, session)
    found = tailed.tail(session.root(), args.name, args.stream, args.lines, args.width)
    warnings = []
    if found.is_cut and found.bytes > tailed.MOST_BYTES:
        warnings.append(f"the log has {found.bytes:,} bytes, of which only the last are looked at")
    if found.is_cut and args.width and any(len(line) == args.width for line in found.lines):
        warnings.append(f"lines are cut after {args.width:,} characters")
    return Answer(to_builtins(found), _lines(found), warnings=warnings, then=_elsewhere(session, args, found))


def _elsewhere(session: Session, args: argparse.Namespace, found: Tail) -> list[str]:
    """The other log, where this one is empty and that is not: progress is mostly on stderr."""
    from lab.scheduler.results import tailed

    other = "stderr" if args.stream == "stdout" else "stdout"
    if found.lines or found.engine or not tailed.tail(session.root(), found.run_id, other, 1, 0).lines:
        return []
    return [f"labctl tail {args.name} --stream {other}"]


def _follow(args: argparse.Namespace, session: Session) -> Answer:
    """Lines as they come. Where the run is goes to stderr, so that what it wrote can be piped on."""
    import time

    from lab.cli.signals import Signals
    from lab.scheduler.results.followed import Followed

    log = Followed(session.root(), args.name, args.stream)
    signals = Signals()
    looks, told, how = 0, "", ""
    try:
        with signals:
            _print(session, args, log.end_of_it(args.lines))
            while not (how or signals.came()):
                time.sleep(_LOOK_EVERY_S if looks else 0)
                if looks % _ASK_EVERY == 0:
                    told = _where(session, log, told)
                    how = log.ended()  # before the last look at the log, so that nothing of it is missed
                _print(session, args, log.more())
                session.terminal.renew(_shown(args, log.unfinished()))
                looks += 1
            _print(session, args, log.last())  # stopped, too: of a bar in a pipe nothing was shown so far
    finally:
        session.terminal.leave()
    if not how:
        raise Interrupted(f"stopped by {signals.came()}; the run itself was not touched")
    session.terminal.say(f"{log.run_id} has ended: {how}")
    return Answer({}, ())


def _where(session: Session, log: Followed, told: str) -> str:
    """Say where an engine has the run, when that is something new."""
    from lab.scheduler.placing import placed

    state = log.at()
    now = "" if state is None else placed.line(state)
    if now and now != told:
        session.terminal.say(f"{log.run_id} is {now}")
    return now


def _print(session: Session, args: argparse.Namespace, lines: list[str]) -> None:
    for line in lines:
        session.terminal.line(_shown(args, line))


def _shown(args: argparse.Namespace, line: str) -> str:
    return _plain(line[: args.width] if args.width else line)


def _plain(line: str) -> str:
    from lab.projections import text

    return text.block(line, _LINE_CHARS, 1).replace("\n", "")


def _lines(found: Tail) -> Iterator[str]:
    if found.engine and not found.lines:
        yield f"{found.run_id} is {found.engine}"
    elif not found.lines:
        yield f"{found.run_id} wrote nothing to its {found.stream}"
    yield from map(_plain, found.lines)
