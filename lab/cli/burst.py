"""Make runs of one experiment back to back, each with the parameters that a strategy proposes.

The search goes on where the last one stopped, in any process: its history is the sealed runs. Without --strategy it is
the SPEC's, else portfolio; an experiment without a search space simply runs. Two bursts on one experiment share its
history: where only one run may be under way (`max_parallel: 1`, the default), the second waits until the first has made
all its runs, as it says, and --wait bounds that; `max_parallel: 2` in the SPEC lets both run. A failed run is told
to the search, and ends nothing; exit code 1 says that every run failed, 3 that none was to be made. Ctrl-C ends the run
under way, seals it as cancelled, and the next burst tries its parameters again.

Runs that an engine has (--engine, or engines.yaml) need no process here: --jobs says how many are out at once. They go
on after Ctrl-C, which only stops handing over; --resume takes them up again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli import afar_words, burst_doubts
from lab.cli import burst_words as words

if TYPE_CHECKING:
    import argparse

    from lab.cli.session import Session
    from lab.cli.terminal import Answer
    from lab.scheduler.search.plan import Wanted

EXAMPLE = """labctl burst lr-sweep -n 50
labctl burst lr-sweep --strategy bayesian -n 100 --jobs 4 --seed 1
labctl burst lr-sweep -n 500 --engine slurm --jobs 64
labctl burst lr-sweep -n 100 --resume"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Of what, how many, and by whom."""
    words.arguments(parser)
    words.jobs(parser)
    afar_words.engine(parser)
    parser.add_argument("--strategy", default="", metavar="S", help="random, perturb, bayesian, evolution, tree, ...")


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """All of the runs."""
    return go(args, session, "burst", words.wanted(args, strategy=args.strategy))


def go(args: argparse.Namespace, session: Session, verb: str, wanted: Wanted) -> Answer:
    """Make the runs, and tell of them."""
    from lab.cli.signals import Signals
    from lab.scheduler.search.burst import Burst, Order

    root = session.root()
    signals = Signals()
    order = Order(
        experiment=args.experiment, runs=args.iterations, jobs=args.jobs, pause_s=args.pause, resume=args.resume,
        engine=args.engine, wait_s=args.wait,
    )  # fmt: skip
    teller = words.Teller(session.terminal, verb, args.experiment)
    burst = Burst(root, order, wanted, tell=teller.tell, interrupted=signals.came, worker=args.worker or verb)
    left = burst.prepare()
    burst_doubts.refuse_direction(burst, args.direction)
    burst_doubts.say_doubts(session, burst, left)
    teller.begin(burst, left)
    afar = afar_words.made_by(root, burst)
    with signals:
        (afar or burst).run()
    return words.ended(burst, teller, signals, session, typed=args, afar=afar)
