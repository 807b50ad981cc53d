"""A run whose program is the block below a `with`."""

from __future__ import annotations

import math
import traceback
from typing import TYPE_CHECKING, Self, SupportsFloat

from lab.api import given, opened
from lab.api.stops import Stops
from lab.core import layout
from lab.core.ended import Ended
from lab.core.errors import BadInput, LabError
from lab.core.run import CANCELLED, FAILED, INTERRUPTED, SUCCESS
from lab.projections import text
from lab.scheduler.in_process import Attempt

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from lab.core.seal import Seal
    from lab.scheduler.search.plan import Search
    from lab.scheduler.step import Step
    from lab.store.root import Root

_BY_HAND = (KeyboardInterrupt, SystemExit, GeneratorExit)
_NAMED = 10


class Trial:
    """A run that this program makes itself. It is claimed when the block begins, and sealed when the block ends.

    The block ended well and reported the metric: a success. It ended without reporting it: failed, the run has no
    value, and a `LabWarning` says so. It raised: failed, the traceback is in stderr.log of the run's bundle, and the
    exception goes on. Ctrl-C, or SystemExit: cancelled, and the search tries these parameters again. This process died:
    the lab seals it as a crash.

    Nothing holds the block to a time budget: no process stands between it and the lab.
    """

    def __init__(self, path: str, experiment: str, search: Callable[[Root], Search]) -> None:
        self._path = path
        self._experiment = experiment
        self._search = search
        self._attempt: Attempt | None = None
        self._metrics: dict[str, object] = {}
        self._remarks: list[str] = []
        self._sealed: Seal | None = None

    @property
    def params(self) -> dict[str, object]:
        """The parameters to try; empty where the experiment has no search space."""
        return dict(self._begun().running.params or {})

    @property
    def run_id(self) -> str:
        """The name of the run."""
        return self._begun().running.manifest.run_id

    @property
    def path(self) -> str:
        """The folder of the run's bundle. What is in its `artifacts/` when the block ends is sealed with the rest.

        metrics.json is the lab's to write, from what was reported: another one there is kept under another name, and a
        `LabWarning` says so.
        """
        return self._begun().running.path

    @property
    def outcome(self) -> str:
        """How it ended; empty while the block is under way."""
        return "" if self._sealed is None else self._sealed.run.outcome

    @property
    def value(self) -> float | None:
        """What it was sealed with; None while the block is under way, and where it did not succeed."""
        return None if self._sealed is None else self._sealed.run.value

    @property
    def cancelled(self) -> str:
        """Why somebody wants it ended (`labctl cancel`); empty while nobody does. Whether to heed it is up to you."""
        asked = self._begun().cancel_asked()
        return "" if asked is None else asked or "somebody asked for it"

    def report(self, **metrics: SupportsFloat) -> None:
        """Tell what was measured: the metric of the experiment, and whatever else. A later number replaces an earlier.

        A number that is not finite is not kept: NaN as the metric is a failed run.
        """
        attempt = self._begun()
        if self._sealed is not None:
            raise BadInput(f"{attempt.running.manifest.run_id} is sealed; nothing can be added", fix="report it inside")
        for name, value in metrics.items():
            given.text("metric", name)
            try:
                number = float(value)
            except (TypeError, ValueError, OverflowError):
                what = f"{name} must be a number, not {type(value).__name__}"
                raise BadInput(what, fix=f"{name}=float(...)") from None
            self._metrics.pop(name, None)
            if math.isfinite(number):
                self._metrics[name] = value if isinstance(value, int) and not isinstance(value, bool) else number
            elif len(self._remarks) < _NAMED:
                self._remarks.append(f"{name} was reported as {number}")

    def __enter__(self) -> Self:
        if self._attempt is not None:
            raise BadInput("this trial was begun already", fix="ask for another one: experiment.trial()")
        stops = Stops()
        with stops:
            root = opened.root(self._path)
            self._attempt = Attempt(root, self._experiment, self._search(root), tell=_nobody)
            if stops.came():
                self._sealed = self._attempt.seal(self._ended(KeyboardInterrupt()))
        stops.pass_on()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        attempt = self._begun()
        if not attempt.is_ours or self._sealed is not None:
            return
        stops = Stops()
        with stops:
            try:
                if error is not None and not isinstance(error, _BY_HAND):
                    attempt.note(layout.STDERR, "".join(traceback.format_exception(error)))
                self._sealed = attempt.seal(self._ended(error))
            except (LabError, OSError) as lost:
                if error is None:
                    raise
                error.add_note(f"and the lab could not bring the run to its end: {lost}")
        unfit = None if error is not None else attempt.unfit
        opened.warn((*attempt.warnings, *([] if error is not None or unfit is not None else self._missing())))
        stops.pass_on()
        if unfit is not None:
            raise unfit

    def _missing(self) -> list[str]:
        """That a block which ended well made no value: nothing else says so to whoever sees the notebook alone."""
        if self._sealed is None or self._sealed.run.outcome != FAILED:
            return []
        return [f"{self.run_id} has no value: {self._sealed.run.reason}"]

    def _ended(self, error: BaseException | None) -> Ended:
        attempt = self._begun()
        metric = attempt.running.manifest.metric or "value"
        value = self._metrics.get(metric)
        outcome, reason = SUCCESS, ""
        if isinstance(error, _BY_HAND):
            outcome, reason = CANCELLED, f"{INTERRUPTED}: {type(error).__name__}"
        elif error is not None:
            outcome, reason = FAILED, text.line(f"{type(error).__name__}: {error}")
        elif not isinstance(value, (int, float)):
            asked = attempt.cancel_asked()
            outcome, reason = FAILED, "; ".join([self._without(metric), *self._remarks])
            if asked is not None:
                outcome, reason = CANCELLED, f"it was cancelled{f': {asked}' if asked else ''}"
        is_good = outcome == SUCCESS and isinstance(value, (int, float))
        return Ended(
            outcome=outcome,
            value=float(value) if is_good and isinstance(value, (int, float)) else None,
            reason=reason,
            note="; ".join(self._remarks) if is_good else "",
            wall_s=attempt.wall_s,
            metrics=dict(self._metrics),
        )

    def _without(self, metric: str) -> str:
        """That the metric is missing, with what was reported in its place: a name may be mistyped."""
        others = ", ".join(list(self._metrics)[:_NAMED])
        return text.line(f"it reported no {metric}" + (f", but {others}" if others else ""))

    def _begun(self) -> Attempt:
        if self._attempt is None:
            raise BadInput("this trial has not begun", fix="with experiment.trial() as trial: ...")
        return self._attempt

    def __repr__(self) -> str:
        if self._attempt is None:
            return f"<Trial of {self._experiment}, not begun>"
        return f"<Trial {self.run_id}: {self.outcome or 'under way'}>"


def _nobody(_: Step) -> None:
    """Whoever makes the run sees what happens."""
