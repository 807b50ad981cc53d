"""What burst, guided and swarm say or refuse before their first run."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lab.cli.session import Session
    from lab.scheduler.search.burst import Burst


def refuse_direction(burst: Burst, direction: str) -> None:
    """The SPEC says which way is better. A flag that says so too does no harm; one that says otherwise is refused."""
    from lab.core.errors import BadInput

    spec = burst.spec
    if direction and spec is not None and direction != spec.metric_direction:
        fix = f"set `metric_direction: {direction}` in its SPEC.yaml; every run and page goes by that"
        raise BadInput(f"{spec.id} is to {spec.metric_direction} its metric, not to {direction}", fix=fix)


def doubts(burst: Burst, left: int) -> list[str]:
    """What will end this before it has made all its runs, said before it begins."""
    spec, view = burst.spec, burst.view
    if spec is None or view is None:
        return []
    room = spec.max_iterations_total - view.iterations
    if room >= left:
        return []
    made = f"max_iterations_total is {spec.max_iterations_total} and {view.iterations} runs were made"
    return [f"{made}, so {max(0, room)} of {left} will run; raise it in SPEC.yaml first for more"]


def say_doubts(session: Session, burst: Burst, left: int) -> None:
    """Tell a person, before it begins, what it will not do."""
    for doubt in (*doubts(burst, left), *outside(burst)):
        session.terminal.say(f"note: {doubt}")
    for doubt in edited(session, burst):
        session.terminal.say(f"warning: {doubt}")


def edited(session: Session, burst: Burst) -> list[str]:
    """What was changed: the SPEC where it is not read, and the program that earlier runs ran."""
    from lab.scheduler import unread

    return [*unread.edits(session.root(), burst.order.experiment), *([burst.recoded] if burst.recoded else [])]


def outside(burst: Burst) -> list[str]:
    """How much of the history the search could not use, because its space was edited."""
    if burst.view is None or burst.spec is None:
        return []
    found = []
    for tier in burst.spec.fidelity_tiers:
        gone, of = burst.search.outside(tier)
        if gone:
            what = f"{gone} of {of} earlier trials in the tier {tier} lie outside the search space as it is now"
            found.append(f"{what}; for another question make another experiment: labctl create PATH --id NAME")
    return found
