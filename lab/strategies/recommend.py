"""Which trial to take home: where measurements are noisy the lowest number seen is luck as much as merit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.core.errors import Unavailable
from lab.core.trial import Trial  # msgspec resolves annotations

if TYPE_CHECKING:
    from lab.core.space import Space
    from lab.core.trial import History


class Recommendation(msgspec.Struct, frozen=True, kw_only=True):
    """The trial whose expected value is best: what is expected there, how surely, and the noise of one measurement.

    All three are in the metric's own units. `noisy` when the noise is clearly more than a smooth function explains.
    """

    trial: Trial
    mean: float
    sd: float
    noise: float
    noisy: bool


def recommend(space: Space, history: History) -> Recommendation | None:
    """The evaluated trial with the best expected value; None where none has a value. `Unavailable` without numpy."""
    if not any(trial.value is not None for trial in history.trials):
        return None
    try:
        from lab.strategies.belief import recommended  # noqa: PLC0415  # numpy: 0.1 s, and not always installed
    except ImportError as error:
        raise Unavailable("a recommendation needs numpy", fix="pip install 'labctl[search]'") from error
    trial, mean, sd, noise, noisy = recommended(space, history)
    return Recommendation(trial=trial, mean=mean, sd=sd, noise=noise, noisy=noisy)
