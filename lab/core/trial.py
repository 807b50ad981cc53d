"""What a strategy sees of runs (trials in a history), and what it offers (a proposal). Pure.

A trial that failed has no value: strategies see that it failed, and nothing that could be taken for a score.
"""

from __future__ import annotations

from collections.abc import Callable  # msgspec resolves annotations
from collections.abc import Set as AbstractSet
from random import Random

import msgspec

from lab.core import assignment
from lab.core.advice import Advice  # msgspec resolves annotations
from lab.core.origin import Origin  # msgspec resolves annotations
from lab.core.parameter import Scalar
from lab.core.run import SUCCESS


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """What a strategy offers. `parents` are run ids; `arm` is a portfolio's.

    `ask` is the question to a model that it came of, or that failed before; `expected` is the value that the model
    expects, and `base` the one that it expects to change.
    """

    params: dict[str, Scalar]
    note: str = ""
    parents: tuple[str, ...] = ()
    arm: str = ""
    ask: str = ""
    base: float | None = None
    expected: float | None = None


class Trial(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A run as a strategy sees it. `outcome` is empty while it is under way; `value` is there only for a success.

    `reported` is the last metric of a run that was stopped early as hopeless: it was worse than others at that step,
    and is no value.
    """

    run_id: str
    params: dict[str, Scalar]
    value: float | None = None
    outcome: str = ""
    tier: str = "default"
    origin: Origin = Origin()
    reported: float | None = None

    @property
    def pending(self) -> bool:
        return not self.outcome

    @property
    def failed(self) -> bool:
        return bool(self.outcome) and self.outcome != SUCCESS


class History(msgspec.Struct, frozen=True, kw_only=True):
    """The trials of one search in one tier: the ended ones in the order in which they ended, then those under way.

    All of their params are points of the space that goes with it. `number` is the place of the next trial in the
    search, and `seed` the search's: what is to stay the same from trial to trial (the scrambling of a sequence) is
    drawn from the seed, everything else from the `rng` of the proposal.
    """

    trials: tuple[Trial, ...] = ()
    minimize: bool = True
    seed: int = 0
    number: int = 0
    workers: int = 1  # how many trials may be under way at once
    noisy: bool | None = None  # what the SPEC says of the metric; None when it does not say
    known: AbstractSet[object] | None = None  # the keys of what the ended trials tried, where somebody keeps them
    skipped: AbstractSet[object] = frozenset()  # the keys of what a person does not want
    unwanted: tuple[assignment.Params, ...] = ()  # the same as points, where they are points of this space
    advice: Advice | None = None  # what models have said to this search; None where the SPEC names none

    @property
    def ended(self) -> tuple[Trial, ...]:
        return self.trials[: self._under_way]

    @property
    def pending(self) -> tuple[Trial, ...]:
        return self.trials[self._under_way :]

    @property
    def _under_way(self) -> int:
        """Where the trials begin that have not ended."""
        place = len(self.trials)
        while place and self.trials[place - 1].pending:
            place -= 1
        return place

    def tried(self) -> Callable[[assignment.Params], bool]:
        """Whether a point was tried, is being tried, or was skipped. With `known` it costs the pending trials only."""
        own = {assignment.key(trial.params) for trial in (self.trials if self.known is None else self.pending)}
        known = self.known or frozenset()

        def is_tried(params: assignment.Params) -> bool:
            key = assignment.key(params)
            return key in own or key in known or key in self.skipped

        return is_tried

    def loss(self, value: float) -> float:
        """A value in the direction in which less is better. The only place where the direction of a metric counts."""
        return value if self.minimize else -value

    def scored(self) -> list[tuple[Trial, float]]:
        """The trials that have a value, with their losses."""
        return [(trial, self.loss(trial.value)) for trial in self.trials if trial.value is not None]


def luck(seed: int, number: int, of: str = "") -> Random:
    """The chance of one proposal: the same in every process, another for each trial and each arm."""
    return Random(f"{seed}/{number}/{of}")
