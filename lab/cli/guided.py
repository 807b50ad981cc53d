"""Make runs of one experiment, each after a person's word.

At a terminal: a or Enter approves, `e name=value ...` edits, s skips, w says why, r lets the rest run without
questions, q stops; the end of the input stops too. With no terminal the proposal waits in control/approvals for
`labctl approve ID` (--edit for other parameters) or `labctl reject ID`, and a line on stderr says so; --wait says for
how long, 0 not at all, and exit code 3 that nobody said anything.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from lab.cli import afar_words, burst_doubts
from lab.cli import burst_words as words

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from lab.cli.session import Session
    from lab.cli.terminal import Answer
    from lab.scheduler.search.guided import Asking, Word

EXAMPLE = """labctl guided lr-sweep -n 5
labctl guided lr-sweep --strategy tree --wait 3600 < /dev/null"""
_LOOK_EVERY_S = 0.25
_OF_PHASE = ("worker", "round", "idea")  # the rest of its order is digests


def arguments(parser: argparse.ArgumentParser) -> None:
    """Of what, how many, and by whom."""
    words.arguments(parser)
    afar_words.engine(parser)
    parser.add_argument("--strategy", default="", metavar="S", help="random, perturb, bayesian, evolution, tree, ...")
    parser.add_argument(
        "--wait", type=float, default=None, metavar="SECONDS",
        help="with no terminal: wait so long for a word, 0 not at all (default: until the proposal expires, 7 days)",
    )  # fmt: skip


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """Ask, run, and so on."""
    from lab.cli.signals import Signals
    from lab.cli.typed_again import typed_again
    from lab.core.errors import BadInput, Busy
    from lab.scheduler.search.burst import Burst, Order
    from lab.scheduler.search.guided import Guided

    if args.wait is not None and not args.wait >= 0:
        raise BadInput(f"--wait {args.wait} is not a number of seconds", fix="write --wait 3600")
    root = session.root()
    signals = Signals()
    at_terminal = sys.stdin is not None and sys.stdin.isatty() and not session.terminal.as_json
    order = Order(
        experiment=args.experiment, runs=args.iterations, pause_s=args.pause, resume=args.resume, engine=args.engine
    )  # fmt: skip
    teller = words.Teller(session.terminal, "guided", args.experiment, draws=False)
    wanted = words.wanted(args, strategy=args.strategy)
    burst = Burst(root, order, wanted, tell=teller.tell, interrupted=signals.came, worker=args.worker or "guided")
    left = burst.prepare()
    burst_doubts.refuse_direction(burst, args.direction)
    burst_doubts.say_doubts(session, burst, left)
    teller.begin(burst, left)
    afar = afar_words.made_by(root, burst)
    guided = Guided(
        root, burst, ask=_asker(signals.came) if at_terminal else None, actor=session.actor, afar=afar,
        waits=session.terminal.waits,
    )  # fmt: skip
    with signals:
        guided.run(wait_s=args.wait)
    told = words.ended(burst, teller, signals, session, typed=args, afar=afar, skipped=guided.skipped)
    if guided.waiting:
        raise Busy(
            f"{guided.waiting} waits for a word, and none came; {teller.ran} runs were made before",
            where=f"control/approvals/{guided.waiting}.json",
            fix=f"labctl approve {guided.waiting}, then: {typed_again(args, 'guided', teller.left)}",
        )
    return told


def _asker(came: Callable[[], str]) -> Callable[[Asking], Word]:
    """Ask at the terminal. A signal, or the end of the input, is a word to stop."""

    def ask(asking: Asking) -> Word:
        from lab.core.errors import BadInput
        from lab.scheduler.search import guided
        from lab.scheduler.search.guided import Word

        _show(asking)
        while True:
            _write("[A]pprove, [e]dit name=value, [s]kip, [w]hy, [r]est-auto, [q]uit? ")
            line = _line(came)
            if line is None:
                _write("\n")
                return Word(how=guided.QUIT, why="the input ended" if not came() else "")
            word, _, rest = line.strip().partition(" ")
            match word.lower():
                case "" | "a" | "y" | "yes" | "approve":
                    return Word(how=guided.APPROVE)
                case "s" | "n" | "no" | "skip":
                    return Word(how=guided.SKIP)
                case "r" | "rest" | "rest-auto":
                    return Word(how=guided.REST)
                case "q" | "quit":
                    return Word(how=guided.QUIT)
                case "w" | "why":
                    _write(f"{_reason(asking)}\n")
                case "e" | "edit":
                    try:
                        return Word(how=guided.APPROVE, params=_edited(asking, rest))
                    except BadInput as problem:
                        _write(f"{problem}\n")
                case other:
                    _write(f"{other[:40]!r} is none of the words\n")

    return ask


def _show(asking: Asking) -> None:
    _write(f"\nrun {asking.place} of {asking.of}: {_reason(asking)}\n")
    for name, value in asking.params.items():
        if asking.phase and name not in _OF_PHASE:
            continue
        _write(f"  {words.short(name)} = {words.short(value)}\n")


def _reason(asking: Asking) -> str:
    """On one line: a note of a model must not look like a question of ours."""
    from lab.scheduler.search import guided

    return " ".join(guided.reason(asking).split())


def _edited(asking: Asking, text: str) -> dict[str, object]:
    """The parameters with those of `name=value ...` in their place; a value is JSON, else text."""
    import json
    import shlex

    from lab.core.errors import BadInput
    from lab.scheduler.search import guided

    fix = "write: e lr=0.01 layers=3"
    if asking.space is None:
        raise BadInput("there are no parameters to edit")
    try:
        pairs = [pair.partition("=") for pair in shlex.split(text)]
    except ValueError:
        raise BadInput("a quote is never closed", fix=fix) from None
    if not pairs or not all(sign for _, sign, _ in pairs):
        raise BadInput("an edit names parameters and values", fix=fix)
    params = dict(asking.params)
    for name, _, value in pairs:
        try:
            params[name] = json.loads(value)
        except (ValueError, RecursionError):
            params[name] = value
    active = set(asking.space.active(params))
    typed = {name for name, _, _ in pairs}
    return guided.judged(asking.space, {name: each for name, each in params.items() if name in active | typed})


def _line(came: Callable[[], str]) -> str | None:
    """A line of the terminal; None at its end, and when a signal came: a read would not let go for that."""
    import select

    while not came():
        ready, _, _ = select.select([sys.stdin], [], [], _LOOK_EVERY_S)
        if ready:
            return sys.stdin.readline() or None
    return None


def _write(text: str) -> None:
    from lab.cli.terminal import harmless

    sys.stderr.write(harmless(text))
    sys.stderr.flush()
