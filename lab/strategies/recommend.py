"""Which trial to take home: where measurements are noisy the lowest number seen is luck as much as merit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.core.errors import Unavailable
from lab.core.trial import Trial  # msgspec resolves annotations
from lab.strategies.threads import in_one_thread

if TYPE_CHECKING:
    from lab.core.space import Space
    from lab.core.trial import History

NOISY = 0.003  # of the variance of what was measured; a smooth function is fitted with a tenth of that
ENOUGH = 8  # trials; fewer say nothing of noise
LIMIT = 300  # trials that are looked at: the best and the latest


class Recommendation(msgspec.Struct, frozen=True, kw_only=True):
    """The trial whose expected value is best: what is expected there, how surely, and the noise of one measurement.

    All are in the metric's own units; `noise` is by repeats where there are any, `modelled` what the model alone says.
    `noisy` when the SPEC says so, when the same point was measured twice and differed, or else when a smooth function
    leaves clearly more unexplained than it should. A rough metric without noise can look noisy: only measuring a point
    again tells the two apart.
    """

    trial: Trial
    mean: float
    sd: float
    noise: float
    noisy: bool
    modelled: float | None = None


def recommend(space: Space, history: History) -> Recommendation | None:
    """The evaluated trial with the best expected value; None where none has a value. `Unavailable` without numpy.

    Without noise that is the best one seen.
    """
    scored = history.scored()
    if not scored:
        return None
    lowest = min(range(len(scored)), key=lambda k: (scored[k][1], k))
    if history.noisy is False or len(scored) < ENOUGH:
        return _as_seen(scored[lowest][0], noisy=bool(history.noisy))
    try:
        with in_one_thread():
            from lab.strategies import belief as model  # noqa: PLC0415  # numpy: 0.1 s, and not always installed
    except ImportError as error:
        raise Unavailable("a recommendation needs numpy", fix="pip install 'labctl[search]'") from error
    if len(scored) > LIMIT:
        order = sorted(range(len(scored)), key=lambda k: (scored[k][1], k))[: LIMIT // 2]
        kept = sorted({*order, *range(len(scored) - LIMIT // 2, len(scored))})
        scored = [scored[k] for k in kept]
    memory = model.Memory(space)
    if not memory.encoding.count or memory.encoding.width > LIMIT:
        return _as_seen(min(scored, key=lambda each: each[1])[0], noisy=bool(history.noisy))
    belief = model.Belief(memory, msgspec.structs.replace(history, trials=tuple(trial for trial, _ in scored)))
    again = model.repeated_noise(belief)
    noisy = bool(history.noisy) or (belief.scales.noise > NOISY if again is None else again > 0)
    place = int(belief.means.argmin()) if noisy else int(belief.losses.argmin())
    told = model.expected(belief, place)
    trial = belief.scored[place]
    if not noisy:
        return _as_seen(trial, noisy=False)
    noise = told.noise if again is None else again
    return Recommendation(
        trial=trial, mean=history.loss(told.mean), sd=told.sd, noise=noise, noisy=True, modelled=told.noise
    )


def _as_seen(trial: Trial, *, noisy: bool) -> Recommendation:
    return Recommendation(trial=trial, mean=trial.value or 0.0, sd=0.0, noise=0.0, noisy=noisy)
