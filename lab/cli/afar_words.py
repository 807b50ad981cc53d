"""What the verbs that make runs say of those that an engine has."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

    from lab.core.errors import Interrupted
    from lab.scheduler.search.afar import Afar
    from lab.scheduler.search.burst import Burst
    from lab.store.root import Root


def engine(parser: argparse.ArgumentParser) -> None:
    """Where the runs happen."""
    parser.add_argument(
        "--engine", default="", metavar="NAME",
        help="hand the runs to it: local, slurm, ray; `here` keeps them in this process (default: engines.yaml)",
    )  # fmt: skip


def made_by(root: Root, burst: Burst) -> Afar | None:
    """Who makes the runs of a burst, where engines have a part in it."""
    if not burst.is_afar:
        return None
    from lab.scheduler.search.afar import Afar

    return Afar(root, burst)


def interrupted(
    burst: Burst, afar: Afar | None, *, again: str, verb: str, ran: int, cut: int, came: str
) -> Interrupted:
    """What is said to who stopped it. What engines have goes on: it was handed over to outlive this process.

    Of the runs that `ran`, those that were `cut` off by that are to be made again.
    """
    from lab.core.errors import Interrupted

    name, what = burst.order.experiment, f"stopped by {came} with {ran - cut} behind it"
    if afar is None or not afar.out:
        sealed = f"; {'1 run was' if cut == 1 else f'{cut} runs were'} under way and sealed as cancelled" if cut else ""
        return Interrupted(f"{what}{sealed or '; no run was under way'}", fix=f"{again} goes on where it stopped")
    where = ", ".join(sorted({each.engine for each in afar.out.values()}))
    waiting = afar.unsubmitted()
    there = len(afar.out) - waiting
    left = [f"{'1 run goes' if there == 1 else f'{there} runs go'} on at {where}"] if there else []
    left += [f"{'1 run waits' if waiting == 1 else f'{waiting} runs wait'} to be submitted"] if waiting else []
    fix = f"follow: labctl status; end: labctl cancel {name}; take up again: labctl {verb} {name} --resume"
    return Interrupted(f"{what}; {'; '.join(left)}", fix=fix)
