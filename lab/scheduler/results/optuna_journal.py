"""Runs as the trials of Optuna studies, in the bytes of the journal file that optuna-dashboard opens. Needs optuna.

Written into memory by Optuna itself and put on the disk by us, whole: Optuna syncs a file once a trial, and leaves a
lock behind where it is killed.
"""

from __future__ import annotations

import json
import warnings
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec
import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend
from optuna.trial import TrialState, create_trial

from lab.core import scale
from lab.core.parameter import same
from lab.projections.tables import OURS, Line  # msgspec resolves annotations

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

    from lab.core.curve import Point
    from lab.core.parameter import Parameter, Scalar
    from lab.core.space import Space

PREFIX = "labctl."  # of the attributes that say where a trial came from
_MOST_METRICS = 50
_GRID = 1e-9  # of a step; Optuna allows ten times that


class Study(msgspec.Struct, frozen=True, kw_only=True):
    """One tier of an experiment: its runs, each with the bytes of its line."""

    name: str
    experiment: str
    tier: str
    minimize: bool
    metric: str
    runs: list[tuple[Line, bytes]]


class Pages(BaseJournalBackend):
    """A journal in memory."""

    def __init__(self, logs: Iterable[dict[str, object]] = ()) -> None:
        self.logs = list(logs)

    def read_logs(self, log_number_from: int) -> list[dict[str, object]]:
        """The entries from one on."""
        return self.logs[log_number_from:]

    def append_logs(self, logs: list[dict[str, object]]) -> None:
        """Add entries."""
        self.logs.extend(logs)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep Optuna from talking to the terminal: it tells every study, and what of its own interface is new."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        optuna.logging.set_verbosity(before)


def journal(studies: Sequence[Study], space: Space) -> bytes:
    """A journal file with these studies."""
    pages = Pages()
    with quiet():
        storage = JournalStorage(pages)
        for study in studies:
            _add(storage, study, space)
    return b"".join(json.dumps(entry, separators=(",", ":")).encode() + b"\n" for entry in pages.logs)


def _add(storage: JournalStorage, study: Study, space: Space) -> None:
    made = optuna.create_study(
        storage=storage, study_name=study.name, direction="minimize" if study.minimize else "maximize"
    )
    made.set_user_attr(f"{PREFIX}experiment", study.experiment)
    made.set_user_attr(f"{PREFIX}tier", study.tier)
    if study.metric:
        made.set_metric_names([study.metric])
    known = {parameter.name: parameter for parameter in space.parameters}
    given = [{name: _single(value) for name, value in (line.params or {}).items()} for line, _ in study.runs]
    seen: dict[str, list[Scalar]] = {}
    for params in given:
        for name, value in params.items():
            seen.setdefault(name, []).append(value)
    axes = {name: Axis(known.get(name), values) for name, values in seen.items()}
    for (line, raw), params in zip(study.runs, given, strict=True):
        made.add_trial(_trial(line, raw, params, axes))


def _trial(line: Line, raw: bytes, params: Mapping[str, Scalar], axes: Mapping[str, Axis]) -> FrozenTrial:
    rest = msgspec.json.decode(raw, type=dict[str, object])
    state = TrialState.COMPLETE if line.scored else TrialState.PRUNED if line.stopped_early else TrialState.FAIL
    made = create_trial(
        state=state,
        value=line.value if line.scored else None,
        params={name: axes[name].spelt(value) for name, value in params.items()},
        distributions={name: axes[name].distribution for name in params},
        user_attrs=_attributes(line, rest),
        intermediate_values=_curve(line.report),
    )
    start = _local(line.run_id[4:26].replace("-", ""), "%Y%m%d%H%M%S%f")
    made.datetime_start = start
    made.datetime_complete = max(start, _local(line.ts, "%Y-%m-%dT%H:%M:%S.%fZ", start))
    return made


def _local(text: str, form: str, otherwise: datetime | None = None) -> datetime:
    """A moment of ours as Optuna has them: in the zone of this machine, and not saying so."""
    try:
        moment = datetime.strptime(text, form).replace(tzinfo=UTC)
    except ValueError:
        if otherwise is None:
            raise
        return otherwise
    return moment.astimezone().replace(tzinfo=None)


def _attributes(line: Line, rest: Mapping[str, object]) -> dict[str, object]:
    told: dict[str, object] = {"run_id": line.run_id, "outcome": line.outcome, "tier": line.tier, "role": line.role}
    if line.origin is not None:
        origin = line.origin
        told.update(strategy=origin.strategy, arm=origin.arm, number=origin.number, seed=origin.seed)
        told.update(kind=origin.kind, parents=list(origin.parents), note=origin.note)
    ours = {f"{PREFIX}{name}": value for name, value in told.items() if value not in ("", [])}
    metrics = [name for name, value in rest.items() if name not in OURS and _is_number(value)]
    return {**ours, **{name: rest[name] for name in metrics[:_MOST_METRICS]}}


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _curve(report: Sequence[Point]) -> dict[int, float]:
    """What a run reported on the way. Optuna counts steps in whole numbers: others are numbered 0, 1, 2, in order."""
    whole = all(step.is_integer() for step, _ in report)
    return {int(step) if whole else place: value for place, (step, value) in enumerate(report)}


def _single(value: object) -> Scalar:
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    return msgspec.json.encode(value).decode()


class Axis:
    """One parameter as Optuna has it: wide enough for every value that it had, also before the space was edited."""

    def __init__(self, parameter: Parameter | None, values: Sequence[Scalar]) -> None:
        self._as_text = False
        self.distribution = self._made(parameter, values)

    def spelt(self, value: Scalar) -> Scalar:
        """A value as it stands in a trial."""
        if isinstance(self.distribution, FloatDistribution) and isinstance(value, int):
            return float(value)
        return json.dumps(value) if self._as_text else value

    def _made(self, parameter: Parameter | None, values: Sequence[Scalar]) -> BaseDistribution:
        if parameter is not None and parameter.kind in ("float", "int"):
            if not any(parameter.problem(value) for value in values):
                return _number(parameter, values)
        elif parameter is not None:
            choices: Sequence[Scalar] = parameter.choices
            if parameter.kind != "choice":
                choices = (False, True) if parameter.kind == "bool" else (parameter.value,)
            return self._choice([*choices, *values])
        numbers = [value for value in values if isinstance(value, (int, float)) and not isinstance(value, bool)]
        if len(numbers) < len(values):
            return self._choice(values)
        return _wide(parameter, numbers)

    def _choice(self, values: Sequence[Scalar]) -> BaseDistribution:
        choices: list[Scalar] = []
        for value in values:
            if not any(same(value, choice) for choice in choices):
                choices.append(value)
        # Optuna compares as Python does, for which 1 and true are equal.
        self._as_text = len(set(choices)) < len(choices)
        return CategoricalDistribution([json.dumps(value) for value in choices] if self._as_text else choices)


def _number(parameter: Parameter, values: Sequence[Scalar]) -> BaseDistribution:
    low, high, step = parameter.low, parameter.high, parameter.step
    count = scale.levels(parameter)
    if parameter.kind == "int":
        high = high if step is None or count is None else low + (count - 1) * step
        return IntDistribution(int(low), int(high), log=parameter.log, step=1 if parameter.log else int(step or 1))
    if step is not None and count is not None and not parameter.log:
        # Optuna counts steps in decimals, and cuts off what is not a whole number of them.
        top = float(Decimal(str(low)) + (count - 1) * Decimal(str(step)))
        stepped = FloatDistribution(float(low), top, step=float(step))
        if all(_on_grid(stepped, value) for value in values):
            return stepped
    return FloatDistribution(float(low), float(high), log=parameter.log)


def _on_grid(stepped: FloatDistribution, value: Scalar) -> bool:
    """Whether Optuna takes a value for one of these steps: its digits may differ from ours in the last place."""
    steps = (float(str(value)) - stepped.low) / (stepped.step or 1.0)
    return stepped.low <= float(str(value)) <= stepped.high and abs(steps - round(steps)) < _GRID


def _wide(parameter: Parameter | None, values: Sequence[int | float]) -> BaseDistribution:
    """A range for what was measured outside of the space, or without one."""
    ends = [parameter.low, parameter.high] if parameter is not None else []
    low, high = min(*values, *ends, values[0]), max(*values, *ends, values[0])
    log = parameter is not None and parameter.log and low > 0
    if all(isinstance(value, int) for value in (*values, *ends)):
        return IntDistribution(int(low), int(high), log=log)
    return FloatDistribution(float(low), float(high), log=log)
