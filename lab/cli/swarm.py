"""Search with several strategies at once that share one history.

Each of --strategies is an arm of a portfolio. A bandit gives the next run to the arm that has improved the best most
in the last runs; --rotate lets them take turns instead. Without --strategies the portfolio chooses its own arms. The
blackboard (who tried what, what is under way, what each arm brought) is read from the sealed runs: labctl board ID.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli import afar_words
from lab.cli import burst_words as words

if TYPE_CHECKING:
    import argparse

    from lab.cli.session import Session
    from lab.cli.terminal import Answer

EXAMPLE = """labctl swarm lr-sweep -n 100 --jobs 4
labctl swarm lr-sweep -n 100 --engine slurm --jobs 64
labctl swarm lr-sweep --strategies random perturb bayesian --rotate -n 30"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Of what, how many, and by whom."""
    words.arguments(parser)
    words.jobs(parser)
    afar_words.engine(parser)
    parser.add_argument("--strategies", nargs="+", default=[], metavar="S", help="the arms, such as: random bayesian")
    parser.add_argument("--rotate", action="store_true", help="the arms take turns, whatever they have brought")


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """All of the runs, then the table of the arms."""
    from lab.cli.board import lines
    from lab.cli.burst import go
    from lab.scheduler.search import board

    wanted = words.wanted(args, strategy="portfolio", strategies=tuple(args.strategies), rotate=args.rotate)
    told = go(args, session, "swarm", wanted)
    found = board.of(session.root(), args.experiment, feed=0)
    told.text = [*told.text, *lines(found)]
    if isinstance(told.data, dict):
        from msgspec import to_builtins

        told.data["arms"] = to_builtins(found.arms)
    return told
