"""Runs back to back, as `labctl burst` makes them, from Python."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import msgspec

from lab.api import opened
from lab.api.stops import Stops
from lab.cli.afar_words import made_by
from lab.cli.burst_doubts import outside
from lab.cli.burst_words import by, params
from lab.core.run import FAILURES, SUCCESS
from lab.scheduler.search import burst as bursts
from lab.scheduler.step import PASSING, PROBLEM, RAN

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.scheduler.search.burst import Order
    from lab.scheduler.search.plan import Wanted
    from lab.scheduler.step import Step

_OWNER = "python"
_one_at_a_time = threading.Lock()  # a run's supervisor forks, and no two threads may do that at once


class Burst(msgspec.Struct, frozen=True, kw_only=True):
    """What came of `Experiment.run`. Every run that is counted here is sealed, whatever came after it."""

    experiment: str  # its id
    run_ids: tuple[str, ...] = ()  # in the order in which they ended
    succeeded: int = 0  # how many ended as success
    failed: int = 0  # failed, timed out or crashed; the others were cancelled, or stopped early
    stopped: str = ""  # why it made fewer runs than it was asked for; empty where it made them all
    problems: tuple[str, ...] = ()  # what went wrong on the way and ended no run

    def __repr__(self) -> str:
        runs = "1 run" if len(self.run_ids) == 1 else f"{len(self.run_ids)} runs"
        told = f"{runs} of {self.experiment}: {self.succeeded} succeeded, {self.failed} failed"
        return f"<Burst, {told}{f'; stopped: {self.stopped}' if self.stopped else ''}>"


def made(path: str, order: Order, wanted: Wanted, tell: Callable[[str], object] | None) -> Burst:
    """Make the runs. What refuses them before the first one is raised; what comes later is told in the answer."""
    with _one_at_a_time:
        stops = Stops()
        teller = _Teller(order.runs, tell)
        root = opened.root(path)
        burst = bursts.Burst(root, order, wanted, tell=teller, interrupted=stops.came, worker=_OWNER)
        teller.total = burst.prepare()
        with stops:
            (made_by(root, burst) or burst).run()
        stops.pass_on()
    steps = burst.turn.steps
    ran = [step for step in steps if step.kind == RAN]
    if teller.trouble is not None:
        raise teller.trouble
    if burst.refusal is not None and not ran:
        raise burst.refusal
    opened.warn((*burst.turn.warnings, *outside(burst)))
    return Burst(
        experiment=order.experiment,
        run_ids=tuple(step.run_id for step in ran),
        succeeded=sum(step.outcome == SUCCESS for step in ran),
        failed=sum(step.outcome in FAILURES for step in ran),
        stopped=burst.stopped,
        problems=tuple(step.what for step in steps if step.kind == PROBLEM and step.what != burst.stopped),
    )


class _Teller:
    """A line an event, to whoever asked for it. What that raises ends no run: it is raised once all is sealed."""

    def __init__(self, total: int, tell: Callable[[str], object] | None) -> None:
        self.total = total
        self.trouble: Exception | None = None
        self._ran = 0
        self._tell = tell

    def __call__(self, step: Step) -> None:
        self._ran += step.kind == RAN
        if self._tell is None or step.kind in PASSING or self.trouble is not None:
            return
        try:
            self._tell(self._line(step))
        except Exception as error:  # noqa: BLE001  # a stranger's code, between a claim and its seal
            self.trouble = error

    def _line(self, step: Step) -> str:
        why = f": {step.what}" if step.what else ""
        if step.kind != RAN:
            return f"{step.kind} {step.run_id or step.experiment}{why}"
        ended = step.verdict or step.outcome
        value = ended if step.value is None else f"{step.value:.6g}"
        return f"[{self._ran}/{self.total}] {value} {by(step)}{params(step)}{why}".rstrip()
