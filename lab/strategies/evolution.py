"""Evolution of a cloud of points: nevergrad's CMA over the unit cube, made again from the history each time.

CMA moves, stretches and turns a normal distribution towards what scored well. It needs some tens of trials to begin to
pay. Asks and tells are replayed in the order in which they happened, so that any process comes to the same cloud.
"""

from __future__ import annotations

import warnings
from importlib import import_module
from typing import TYPE_CHECKING, Protocol

from lab.core import assignment, scale
from lab.core.errors import Unavailable
from lab.core.space import alike
from lab.core.trial import Proposal
from lab.strategies import door
from lab.strategies.fresh import ATTEMPTS, fresh
from lab.strategies.threads import in_one_thread

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random as Luck
    from types import ModuleType

    from lab.core.assignment import Params
    from lab.core.parameter import Parameter
    from lab.core.space import Space
    from lab.core.trial import History, Trial

_OTHERS = frozenset(door.BUILT_IN) - {"evolution"}
_LIMIT = 1e18  # nevergrad warns of more, and only the order counts
_BUDGET = 1000  # nevergrad chooses between kinds of CMA by it; from 50 on it is the same kind
_WIDEST = 12  # a choice of more values is one dimension, in the order in which they are written
_ASK, _TELL = "ask", "tell"
Event = tuple[str, str, float]  # what is done to the cloud, the run it is about, and its loss


class Candidate(Protocol):
    """A point as nevergrad handles it: coordinates from 0 to 1."""

    @property
    def value(self) -> Sequence[float]: ...


class Optimizer(Protocol):
    """What is used of a nevergrad optimiser."""

    def ask(self) -> Candidate: ...
    def tell(self, candidate: Candidate, loss: float) -> None: ...


class Parametrization(Protocol):
    """What is used of nevergrad's cube."""

    def spawn_child(self, new_value: object) -> Candidate: ...


class Evolution:
    """Draws from a cloud that all trials have shaped, whoever proposed them. `Unavailable` without nevergrad."""

    def __init__(self) -> None:
        self._replay: Replay | None = None

    def load(self) -> None:
        """Import nevergrad."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # as below
            _library()

    def propose(self, space: Space, history: History, rng: Luck) -> Proposal:  # noqa: ARG002  # the seed is the search's
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # nevergrad and cma tell users of theirs what ours cannot change
            # A cache: a search that went on is followed, anything else is replayed from its beginning.
            replay = self._replay
            self._replay = None  # should anything be raised half way
            if replay is None or not replay.brought_up(space, history):
                replay = Replay(space, history)
                replay.brought_up(space, history)
            params = fresh(space, history, replay.offered)
            self._replay = replay
        return Proposal(params=params, note="drawn from the cloud")


class Replay:
    """A cloud, and what was done to it."""

    def __init__(self, space: Space, history: History) -> None:
        self._of = (history.seed, history.workers, history.minimize)
        self._axes = _axes(space)
        self._space = space
        self._done: list[Event] = []
        self._asked: dict[str, Candidate] = {}
        self._ahead: list[Candidate] = []  # asked for the trial that comes next
        dimensions = sum(width for _, width in self._axes)
        self._cube: Parametrization | None = None
        self._cloud: Optimizer | None = None
        if dimensions:
            self._cube, self._cloud = _cloud(dimensions, history.seed, history.workers)

    def brought_up(self, space: Space, history: History) -> bool:
        """Do what is new. False when this cloud went another way: then it is of no more use."""
        if not alike(self._space, space) or self._of != (history.seed, history.workers, history.minimize):
            return False
        events = _events(history)
        if events[: len(self._done)] != self._done:
            return False
        params = {trial.run_id: trial.params for trial in history.trials}
        for event in events[len(self._done) :]:
            kind, run, loss = event
            if kind == _ASK:
                self._again(run, params[run])
            elif not self._ahead:
                self._tell(run, params[run], loss)
            # What was asked for before this was told would, in a replay, be asked for after it.
            if self._ahead:
                return False
            self._done.append(event)
        return True

    def offered(self, attempt: int) -> Params:
        """The point number `attempt` for the next trial."""
        if self._cloud is None:
            return assignment.completed(self._space, lambda parameter: scale.from_unit(parameter, 0.5))
        while len(self._ahead) <= attempt:
            self._ahead.append(self._ask(self._cloud))
        return self._params(self._ahead[attempt])

    def _ask(self, cloud: Optimizer) -> Candidate:
        candidate = cloud.ask()
        if not assignment.meets(self._space, self._params(candidate)):
            cloud.tell(candidate, _LIMIT)  # it is never run, and the cloud learns to stay away
        return candidate

    def _again(self, run: str, params: Params) -> None:
        """Ask as it was asked for this run, until its point comes. It was another version's when none is it."""
        for attempt in range(ATTEMPTS if self._cloud else 0):
            if assignment.alike(self.offered(attempt), params):
                self._asked[run] = self._ahead[attempt]
                del self._ahead[: attempt + 1]
                return
        self._ahead.clear()

    def _tell(self, run: str, params: Params, loss: float) -> None:
        if self._cloud is None or self._cube is None:
            return
        candidate = self._asked.pop(run, None)
        if candidate is None:
            numpy = import_module("numpy")
            candidate = self._cube.spawn_child(new_value=numpy.array(self._coordinates(params)))
        self._cloud.tell(candidate, min(_LIMIT, max(-_LIMIT, loss)))

    def _params(self, candidate: Candidate) -> Params:
        places: dict[str, float] = {}
        left = list(map(float, candidate.value))
        for parameter, width in self._axes:
            own, left = left[:width], left[width:]
            # Of a choice that value counts whose coordinate is the highest.
            places[parameter.name] = own[0] if width == 1 else (own.index(max(own)) + 0.5) / width
        return assignment.completed(
            self._space, lambda parameter: scale.from_unit(parameter, places.get(parameter.name, 0.5))
        )

    def _coordinates(self, params: Params) -> list[float]:
        found: list[float] = []
        for parameter, width in self._axes:
            place = scale.to_unit(parameter, params[parameter.name]) if parameter.name in params else 0.5
            found += [place] if width == 1 else [0.75 if k == int(place * width) else 0.25 for k in range(width)]
        return found


def _axes(space: Space) -> list[tuple[Parameter, int]]:
    """The parameters that vary, and how many coordinates each has: a choice one for each of its values."""
    found = []
    for parameter in space.parameters:
        count = scale.levels(parameter)
        if count != 1:
            wide = parameter.kind == "choice" and count is not None and 2 < count <= _WIDEST  # noqa: PLR2004  # two sides of one axis
            found.append((parameter, count if wide and count else 1))
    return found


def _events(history: History) -> list[Event]:
    """What happened, in order: what was asked once `seen` trials had ended, and what was told as it ended."""
    ended = history.ended
    places = {trial.run_id: place for place, trial in enumerate(ended)}
    # One that says it was asked for after it had ended was not.
    own = (each for each in history.trials if _is_own(each) and each.origin.seen <= places.get(each.run_id, len(ended)))
    asks = sorted(own, key=lambda trial: trial.origin.number)
    events: list[Event] = []
    for seen, trial in enumerate(ended):
        while asks and asks[0].origin.seen <= seen:
            events.append((_ASK, asks.pop(0).run_id, 0.0))
        if trial.value is not None:
            events.append((_TELL, trial.run_id, history.loss(trial.value)))
    return [*events, *((_ASK, trial.run_id, 0.0) for trial in asks)]


def _is_own(trial: Trial) -> bool:
    return not trial.origin.kind and trial.origin.maker not in _OTHERS


def _library() -> tuple[ModuleType, ModuleType, ModuleType]:
    """Numpy, and the optimisers and parameters of nevergrad. They take seconds to load, which no other should pay."""
    try:
        with in_one_thread():
            import_module("cma")  # which nevergrad loads with its first point
            return (
                import_module("numpy"),
                import_module("nevergrad.optimization.optimizerlib"),
                import_module("nevergrad.parametrization.parameter"),
            )
    except ImportError as error:
        raise Unavailable(
            f"the strategy evolution needs nevergrad: {error}",
            fix="pip install 'labctl[search]', or name the strategy perturb, which needs nothing",
        ) from error


def _cloud(dimensions: int, seed: int, workers: int) -> tuple[Parametrization, Optimizer]:
    numpy, optimizers, parameter = _library()
    cube = parameter.Array(init=numpy.full(dimensions, 0.5)).set_mutation(sigma=1 / 6).set_bounds(0.0, 1.0)
    cube.random_state.seed(seed % 2**32)
    return cube, optimizers.CMA(parametrization=cube, budget=_BUDGET, num_workers=workers)
