"""Earlier runs of the same project: other attempts at this phase of this round, and what earlier rounds came to.

All of it from bundles, as they were sealed.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from lab.core.claim import Owner
from lab.core.errors import NotFound
from lab.core.record import Record, page, parse
from lab.core.run import SUCCESS
from lab.research import decision, order
from lab.research.decision import Decision, Past
from lab.research.evaluated import FILE as EVALUATION_FILE
from lab.research.evaluated import Evaluated
from lab.research.project import EVALUATION, IMPLEMENTATION, ITERATION, RESEARCH
from lab.research.studies import sealed
from lab.scheduler import reclaim
from lab.store import leases, machine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.research.order import Order
    from lab.research.studies.sealed import Row
    from lab.research.worker import Task

BEGUN = "begun.json"


class Begun(Record, frozen=True, kw_only=True):
    """Where an attempt began, and in which process: what it made is counted by the next, and what it held is let go.

    `after` is the generation of the study's experiment before its first run.
    """

    experiment: str
    after: int
    owner: Owner


def take_up(task: Task, experiment: str, generation: int) -> int:
    """Go on where an earlier attempt at the same was killed. Returns the generation after which its runs come.

    A process of another pid namespace cannot be seen to be dead, and its claim would be waited for until it runs out.
    An attempt that is sealed is over, with all its processes: what its very process holds is taken away from it.
    """
    known = [parse(Begun, data, BEGUN) for data in earlier(task, BEGUN)]
    for held in leases.survey(task.root, experiment).held if known else ():
        claim = held.seen.claim
        if any(_is_same(claim.owner, each.owner) for each in known):
            why = "the phase that held it was killed"
            with suppress(NotFound):  # somebody was quicker
                reclaim.broken(task.root, experiment, claim.generation, actor=RESEARCH, reason=why)
    own = task.out.read(BEGUN)
    known += [parse(Begun, own, BEGUN)] if own is not None else []
    after = min((each.after for each in known if each.experiment == experiment), default=generation)
    begun = Begun(experiment=experiment, after=after, owner=machine.this_process(RESEARCH))
    task.out.write(BEGUN, page(begun))
    return after


def _is_same(one: Owner, other: Owner) -> bool:
    """Whether both are the very same process, whatever it was called."""
    return bool(one.pid) and msgspec.structs.replace(one, name="") == msgspec.structs.replace(other, name="")


def earlier(task: Task, name: str) -> Iterator[bytes]:
    """A file below the artifacts/ of each other attempt at what this one is to do, however it ended."""
    mine = task.order
    for row, told in _of_phase(task, mine.phase):
        same = (told.round, told.idea, told.given.get(IMPLEMENTATION, "")) == (
            mine.round, mine.idea, mine.given.get(IMPLEMENTATION, ""),
        )  # fmt: skip
        data = row.output(name) if same else None
        if data is not None:
            yield data


def past(task: Task) -> tuple[Past, ...]:
    """The rounds before this one, the first one first: of each what its newest evaluation came to.

    A round that nobody finished evaluating has nothing to say, and is not among them.
    """
    by_round: dict[int, Past] = {}
    for row, told in _of_phase(task, EVALUATION):
        data = row.output(EVALUATION_FILE) if told.round < task.order.round else None
        if row.run.outcome == SUCCESS and data is not None:
            found = parse(Evaluated, data, f"{row.run.run_id}/{EVALUATION_FILE}")
            by_round[told.round] = Past(
                round=told.round, idea=told.idea, evaluation=row.run.run_id, gain=found.gain, is_better=found.is_better
            )
    return tuple(by_round[number] for number in sorted(by_round))


def decided(task: Task) -> list[tuple[Row, Decision]]:
    """The decisions of this project so far, the oldest first."""
    found = []
    for row, _ in _of_phase(task, ITERATION):
        data = row.output(decision.FILE)
        if row.run.outcome == SUCCESS and data is not None:
            found.append((row, parse(Decision, data, f"{row.run.run_id}/{decision.FILE}")))
    return found


def _of_phase(task: Task, phase: str) -> Iterator[tuple[Row, Order]]:
    """The sealed runs of a phase of this project, in the order of their claims."""
    for row in sealed.rows(task.root, task.view.experiment, phase):
        told = order.read(row.params)
        if told is not None and told.phase == phase and row.run.run_id != task.run_id:
            yield row, told
