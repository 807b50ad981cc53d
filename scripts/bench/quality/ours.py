"""A strategy of the lab, driven through a history as the scheduler does it: all it knows is in the trials."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.core import assignment
from lab.core.origin import Origin
from lab.core.run import CRASH, SUCCESS
from lab.core.trial import History, Trial, luck
from lab.strategies import door
from lab.strategies.recommend import recommend

if TYPE_CHECKING:
    from lab.core.assignment import Params
    from lab.core.space import Space
    from lab.strategies.door import Strategy
    from scripts.bench.quality.rivals import Sampler


class Ledger:
    """The trials of one search, in the order in which they end."""

    def __init__(
        self, space: Space, seed: int, workers: int = 1, *, minimize: bool = True, noisy: bool | None = None
    ) -> None:
        self.space = space
        self._empty = History(minimize=minimize, seed=seed, workers=workers, noisy=noisy)
        self._ended: list[Trial] = []
        self._pending: dict[int, Trial] = {}

    def history(self, number: int) -> History:
        """What a strategy would see if it were asked for trial `number`."""
        empty = self._empty
        return History(
            trials=(*self._ended, *self._pending.values()),
            minimize=empty.minimize, seed=empty.seed, number=number, workers=empty.workers, noisy=empty.noisy,
        )  # fmt: skip

    def begin(self, number: int, params: Params, origin: Origin | None = None) -> None:
        self._pending[number] = Trial(run_id=f"r{number:06d}", params=params, origin=origin or Origin())

    def end(self, number: int, value: float | None) -> None:
        """Put down what came of a trial; None where it failed."""
        begun = self._pending.pop(number)
        outcome = CRASH if value is None else SUCCESS
        ended = Trial(run_id=begun.run_id, params=begun.params, origin=begun.origin, outcome=outcome, value=value)
        self._ended.append(ended)

    def recommended(self, number: int) -> int | None:
        """The number of the trial that is recommended before trial `number` is asked for; None without a value."""
        found = recommend(self.space, self.history(number))
        return None if found is None else int(found.trial.run_id[1:])

    def makers(self) -> tuple[str, ...]:
        """Which arm or strategy made each trial, in the order of asking."""
        return tuple(each.origin.maker for each in sorted(self._ended, key=lambda each: each.run_id))


class Ours:
    """The search of one strategy. It raises where a proposal leaves the space."""

    def __init__(self, name: str, ledger: Ledger, strategy: Strategy | None = None) -> None:
        self._name, self._ledger = name, ledger
        self._strategy = strategy or door.find(name)

    def ask(self, number: int) -> Params:
        ledger, history = self._ledger, self._ledger.history(number)
        offer = self._strategy.propose(ledger.space, history, luck(history.seed, number, self._name))
        if found := assignment.problems(ledger.space, offer.params):
            raise AssertionError(f"{self._name} left the space: {'; '.join(found)}")
        origin = Origin(
            strategy=self._name, arm=offer.arm, seed=history.seed, number=number, seen=len(history.ended),
            parents=offer.parents, note=offer.note,
        )  # fmt: skip
        ledger.begin(number, offer.params, origin)
        return offer.params

    def tell(self, number: int, value: float | None) -> None:
        self._ledger.end(number, value)


class Noted:
    """The search of a library's sampler, put down as well, so that our recommendation can be asked about it."""

    def __init__(self, sampler: Sampler, ledger: Ledger) -> None:
        self._sampler, self._ledger = sampler, ledger

    def ask(self, number: int) -> Params:
        params = self._sampler.ask(number)
        self._ledger.begin(number, params)
        return params

    def tell(self, number: int, value: float | None) -> None:
        self._sampler.tell(number, value)
        self._ledger.end(number, value)
