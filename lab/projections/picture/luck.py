"""What of a result may be luck, in words: what no picture of it may hide."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.core.subject import Subject
from lab.projections import autoresearch_summary, text, tier
from lab.projections.picture.stairs import CLAIMED, REPLAYED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lab.projections.picture.given import Given, Weighed
    from lab.projections.picture.stairs import Band, Stairs

WEIGHED = 8  # runs with a value, from which on `labctl best` asks a model of them all


def of(given: Given, stairs: Stairs, scored: Sequence[float]) -> tuple[str, ...]:
    """A sentence each, of the tier that the staircase is of. `scored` are its values that were measured here."""
    subject = Subject(view=given.view, spec=given.spec)
    is_loop = tier.is_loop(subject)
    said = _of_loop(subject) if is_loop else _of_search(given, stairs.band, scored)
    return (*said, *_apart(stairs.counts))


def _of_loop(subject: Subject) -> Iterator[str]:
    found = autoresearch_summary.told(subject)
    loop = found.loop
    if loop.base is None:
        return  # nothing was measured that a change could be held against
    if not loop.noise.df:
        yield "the noise was never measured: nothing was measured twice"
    if found.unconfirmed:
        yield f"unconfirmed: {found.unconfirmed} of the {loop.kept} kept looked better, and no test said so"
    if loop.kept and loop.noise.df and not loop.noise.none:
        yield f"of {autoresearch_summary.false_keeps_words(found)}"
    yield from (f"alarm: {autoresearch_summary.alarm_words(alarm)}" for alarm in found.alarms)


def _of_search(given: Given, band: Band | None, scored: Sequence[float]) -> Iterator[str]:
    if len(scored) <= 1:
        return
    if band is None:
        yield from _unmeasured(given, len(scored))
    elif not band.sigma:
        return  # a difference is a difference
    else:
        yield f"one measurement has a noise of about {band.sigma:.3g} ({band.source})"
    if given.take is not None:
        yield _weighed(given, given.take, noise=band is None)
    elif band is not None:
        yield from _near(given, band, scored)


def _unmeasured(given: Given, scored: int) -> Iterator[str]:
    """Where no parameters were run twice."""
    declared = given.spec.noise if given.spec else None
    if declared is False:
        return
    known = "the metric is noisy, and no parameters were run twice"
    if declared is None:
        known = "nothing is known of the noise: no parameters were run twice, and the SPEC does not say"
    if given.take is not None:
        silent = "no parameters were run twice, and the SPEC does not say whether the metric is noisy"
        yield known if declared else silent
        return
    partly = ": the best number is partly luck" if declared else ""
    asking = ""
    if given.space is not None and scored >= WEIGHED:
        asking = f"; labctl best {given.view.experiment} estimates it from all runs, and says which to take"
    yield f"{known}{partly}{asking}"


def _weighed(given: Given, take: Weighed, *, noise: bool) -> str:
    best = given.view.best
    told = f"{take.expected:.4g} ± {take.sd:.2g} is to be expected of it, by {take.how}"
    told += f"; one measurement has a noise of about {take.noise:.3g}" if noise else ""
    if best is not None and best.run_id == take.run_id:
        return f"the run with the best number is the one to take, and was lucky too: {told}"
    return f"the best number is partly luck, the run to take is {take.run_id}: {told}"


def _near(given: Given, band: Band, scored: Sequence[float]) -> Iterator[str]:
    best = given.view.best
    if best is None or best.value is None:
        return
    value, half = best.value, band.width / 2
    near = max(sum(abs(each / 2 - value / 2) <= half for each in scored) - 1, 0)  # halves: no difference is infinite
    lie = {0: "no other run lies", 1: "1 other run lies"}.get(near, f"{near} other runs lie")
    than = "nearer to" if not near else "no further from"
    yield (
        f"{lie} {than} the best number than noise alone may do ({band.width:.3g}): "
        f"labctl best {given.view.experiment} weighs which to take"
    )


def _apart(counts: dict[str, int]) -> Iterator[str]:
    claimed, replayed = counts.get(CLAIMED, 0), counts.get(REPLAYED, 0)
    if claimed:
        yield f"{text.count(claimed, 'run')} claimed by another harness: nobody here has measured them"
    if replayed:
        yield f"{text.count(replayed, 'run')} measured again: shown, and never the best"
