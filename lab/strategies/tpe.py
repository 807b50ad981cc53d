"""Optuna's tree-structured Parzen estimator, for more trials than a Gaussian process can afford.

A study is built from the history alone. It sees whole-numbered places and choices by their number, so that what a
choice is (a text, nothing, true beside 1) is no concern of it.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from lab.core import assignment, scale
from lab.core.errors import Unavailable
from lab.core.parameter import same
from lab.core.space import alike
from lab.strategies.essence import essence
from lab.strategies.threads import in_one_thread

if TYPE_CHECKING:
    from random import Random as Luck

    from optuna.distributions import BaseDistribution
    from optuna.study import Study
    from optuna.trial import FrozenTrial
    from optuna.trial import Trial as Asked

    from lab.core.assignment import Params
    from lab.core.parameter import Parameter, Scalar
    from lab.core.space import Space
    from lab.core.trial import History, Trial

BEST, LATEST = 250, 250  # what a study is told
TOGETHER = 250
_SEEDS = 2**32


class _Told(NamedTuple):
    """A study, and the trials that it was told; those it asked for itself it was told to forget."""

    space: Space
    minimize: bool
    trials: tuple[Trial, ...]
    study: Study

    def goes_on(self, space: Space, history: History, ended: tuple[Trial, ...]) -> bool:
        return alike(self.space, space) and self.minimize == history.minimize and self.trials == ended


class Parzen:
    """Proposals of a study that is told what has ended since. Trials under way are not told."""

    def __init__(self) -> None:
        self._told: _Told | None = None

    def point(self, space: Space, history: History, rng: Luck) -> Params:
        """What TPE would try next; whether it meets the constraints is not asked. `Unavailable` without optuna."""
        try:
            with in_one_thread():
                import optuna  # noqa: PLC0415  # 0.4 s, and not always installed
        except ImportError as error:
            raise Unavailable("proposing with TPE needs optuna", fix="pip install 'labctl[search]'") from error
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that the groups of TPE are experimental is known
            study = self._study(space, history)
            study.sampler = optuna.samplers.TPESampler(
                seed=rng.randrange(_SEEDS), multivariate=True, group=True, constant_liar=False, n_startup_trials=0
            )
            trial = study.ask()
            point = assignment.completed(space, lambda parameter: _asked(trial, parameter))
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
        return point

    def _study(self, space: Space, history: History) -> Study:
        import optuna  # noqa: PLC0415

        ended, told = told_of(history), self._told
        known = len(told.trials) if told else 0
        if told is None or not told.goes_on(space, history, ended[:known]):
            verbosity = optuna.logging.get_verbosity()
            optuna.logging.set_verbosity(optuna.logging.WARNING)
            study, known = optuna.create_study(direction="minimize"), 0
            optuna.logging.set_verbosity(verbosity)
        else:
            study = told.study
        study.add_trials([_frozen(space, history, trial) for trial in ended[known:]])
        self._told = _Told(space, history.minimize, ended, study)
        return study


def told_of(history: History) -> tuple[Trial, ...]:
    """The trials that a study is told: the best and the latest of many.

    What is left out changes only with every `TOGETHER` trials: a study that was told something else is begun anew.
    """
    ended = history.ended
    beyond = len(ended) - BEST - LATEST
    if beyond <= 0:
        return ended
    start = len(ended) - beyond % TOGETHER
    return (*essence(msgspec.structs.replace(history, trials=ended[:start]), BEST, LATEST).trials, *ended[start:])


def _frozen(space: Space, history: History, trial: Trial) -> FrozenTrial:
    import optuna  # noqa: PLC0415

    states = optuna.trial.TrialState
    params, kinds = {}, {}
    for parameter in space.parameters:
        kind = _distribution(parameter)
        if kind is not None and parameter.name in trial.params:
            params[parameter.name] = _raw(parameter, trial.params[parameter.name])
            kinds[parameter.name] = kind
    if trial.value is not None:
        return optuna.trial.create_trial(params=params, distributions=kinds, value=history.loss(trial.value))
    if trial.reported is not None:  # stopped early: worse than all that were not
        told = {0: history.loss(trial.reported)}
        return optuna.trial.create_trial(
            params=params, distributions=kinds, state=states.PRUNED, intermediate_values=told
        )
    return optuna.trial.create_trial(params=params, distributions=kinds, state=states.FAIL)


def _distribution(parameter: Parameter) -> BaseDistribution | None:
    """What the study draws for a parameter; None where it has one value only."""
    from optuna import distributions as kinds  # noqa: PLC0415

    count = scale.levels(parameter)
    if count == 1:
        return None
    if count is not None and not scale.is_ordered(parameter):
        return kinds.CategoricalDistribution(tuple(range(count)))
    if count is not None and not parameter.log:
        return kinds.IntDistribution(0, count - 1)
    return kinds.FloatDistribution(0.0, 1.0)


def _raw(parameter: Parameter, value: Scalar) -> int | float:
    """A value as the study knows it: the number of a choice or step, or the place between 0 and 1."""
    count = scale.levels(parameter)
    if parameter.kind == "choice":
        return next(k for k, choice in enumerate(parameter.choices) if same(value, choice))
    place = scale.to_unit(parameter, value)
    return place if count is None or parameter.log else min(count - 1, int(place * count))


def _asked(trial: Asked, parameter: Parameter) -> Scalar:
    """The value of a parameter that the study draws."""
    count, name = scale.levels(parameter), parameter.name
    if count == 1:
        return scale.from_unit(parameter, 0.5)
    if count is not None and not scale.is_ordered(parameter):
        place = (int(trial.suggest_categorical(name, range(count))) + 0.5) / count
    elif count is not None and not parameter.log:
        place = (trial.suggest_int(name, 0, count - 1) + 0.5) / count
    else:
        place = trial.suggest_float(name, 0.0, 1.0)
    return scale.from_unit(parameter, place)
