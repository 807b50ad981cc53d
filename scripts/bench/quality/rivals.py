"""The samplers of the libraries, as their users get them, and plain draws.

Known traps (nevergrad 1.0.12 with numpy 2.4, optuna 5.0): NGOpt raises TypeError on two-dimensional problems;
nevergrad's whole numbers can lie a step outside their bounds; optuna's CmaEsSampler with margin raises on conditions.
Only the first and third are left out; the second is brought back inside.
"""

from __future__ import annotations

import os
import warnings
from importlib import import_module
from random import Random
from typing import TYPE_CHECKING, Protocol

from lab.core import assignment

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.core.assignment import Params
    from lab.core.parameter import Parameter, Scalar
    from lab.core.space import Space

BUDGET = 200  # what nevergrad is told; the others need not know


class Sampler(Protocol):
    """Asked for the point of trial `number`, and told what came of it: None where the trial failed."""

    def ask(self, number: int) -> Params: ...

    def tell(self, number: int, value: float | None) -> None: ...


class _Asked(Protocol):
    """What is used of an optuna trial."""

    def suggest_categorical(self, name: str, choices: tuple[Scalar, ...]) -> Scalar: ...

    def suggest_int(self, name: str, low: int, high: int, *, log: bool) -> int: ...

    def suggest_float(self, name: str, low: float, high: float, *, log: bool) -> float: ...


class _Offer(Protocol):
    """What is used of a nevergrad candidate."""

    @property
    def kwargs(self) -> dict[str, Scalar]: ...


class Drawn:
    """Plain draws: the floor."""

    def __init__(self, space: Space, seed: int) -> None:
        self._space, self._rng = space, Random(seed)

    def ask(self, number: int) -> Params:  # noqa: ARG002  # the protocol's
        return assignment.draw(self._space, self._rng)

    def tell(self, number: int, value: float | None) -> None: ...


class Optuna:
    """An optuna study in memory, minimising."""

    def __init__(self, space: Space, seed: int, kind: str) -> None:
        optuna = import_module("optuna")
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        if kind == "gp":
            import_module("torch").set_num_threads(1)
            sampler = optuna.samplers.GPSampler(seed=seed)
        elif kind == "group":
            sampler = optuna.samplers.TPESampler(seed=seed, multivariate=True, group=True)
        else:
            sampler = optuna.samplers.TPESampler(seed=seed)
        self._space = space
        self._study = optuna.create_study(sampler=sampler, direction="minimize")
        self._failed = optuna.trial.TrialState.FAIL
        self._asked: dict[int, _Asked] = {}

    def ask(self, number: int) -> Params:
        trial: _Asked = self._study.ask()
        self._asked[number] = trial

        def suggested(parameter: Parameter) -> Scalar:
            name, low, high = parameter.name, parameter.low, parameter.high
            if parameter.kind == "choice":
                return trial.suggest_categorical(name, parameter.choices)
            if parameter.kind == "int":
                return trial.suggest_int(name, int(low), int(high), log=parameter.log)
            return trial.suggest_float(name, low, high, log=parameter.log)

        return assignment.completed(self._space, suggested)

    def tell(self, number: int, value: float | None) -> None:
        trial = self._asked.pop(number)
        if value is None:
            self._study.tell(trial, state=self._failed)
        else:
            self._study.tell(trial, value)


class Nevergrad:
    """A nevergrad optimiser. It has no conditions: every parameter is always there, and those that count are used."""

    def __init__(self, space: Space, seed: int, kind: str, workers: int) -> None:
        ng = import_module("nevergrad")
        given = {parameter.name: self._one(parameter) for parameter in space.parameters}
        whole = ng.p.Instrumentation(**given)
        whole.random_state.seed(seed)
        self._space = space
        self._optimizer = ng.optimizers.registry[kind](parametrization=whole, budget=BUDGET, num_workers=workers)
        self._asked: dict[int, _Offer] = {}

    @staticmethod
    def _one(parameter: Parameter) -> object:
        ng = import_module("nevergrad")
        if parameter.kind == "choice":
            choice: object = ng.p.Choice(parameter.choices)
            return choice
        number = (ng.p.Log if parameter.log else ng.p.Scalar)(lower=parameter.low, upper=parameter.high)
        found: object = number.set_integer_casting() if parameter.kind == "int" else number
        return found

    def ask(self, number: int) -> Params:
        asked: _Offer = self._optimizer.ask()
        self._asked[number] = asked

        def inside(parameter: Parameter) -> Scalar:
            value = asked.kwargs[parameter.name]
            if not isinstance(value, (int, float)):
                return value
            held = min(parameter.high, max(parameter.low, value))
            return int(held) if parameter.kind == "int" else float(held)

        return assignment.completed(self._space, inside)

    def tell(self, number: int, value: float | None) -> None:
        asked = self._asked.pop(number)
        if value is not None:
            self._optimizer.tell(asked, value)


RIVALS: dict[str, Callable[[Space, int, int], Sampler]] = {
    "random": lambda space, seed, _: Drawn(space, seed),
    "tpe": lambda space, seed, _: Optuna(space, seed, "tpe"),
    "tpe-group": lambda space, seed, _: Optuna(space, seed, "group"),
    "ng-cma": lambda space, seed, workers: Nevergrad(space, seed, "CMA", workers),
    "ng-oneplusone": lambda space, seed, workers: Nevergrad(space, seed, "OnePlusOne", workers),
    "gp-sampler": lambda space, seed, _: Optuna(space, seed, "gp"),
}
SLOW = {"gp-sampler": 100}  # 60 to 700 ms of CPU a proposal: fewer trials


def quiet() -> None:
    """Libraries warn of what is known here; one thread, so that CPU time is comparable."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    warnings.simplefilter("ignore")
