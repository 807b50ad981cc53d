"""What the models of an experiment have said to its search so far: read from its asks, for the history of a proposal.

No clock and no memory: how long a model that fails is left alone is counted in runs, from the asks and their numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.core import assignment, canonical
from lab.core.advice import Advice, Candidate
from lab.core.errors import LabError
from lab.core.model import STOP
from lab.llm.exchange import STOPPED
from lab.strategies import door

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from lab.core.model import Model
    from lab.core.space import Space
    from lab.core.spec import Spec
    from lab.scheduler.search.asking.asks import Asked

LONGEST = 32  # trials, or chunks, that a model which fails is left alone at most, before it is asked again


def of(asks: Sequence[Asked], model: Model, space: Space, tier: str, number: int, used: Collection[str]) -> Advice:
    """What the newest asks say to trial `number` of a tier. `used` are asks that a run has in its bundle."""
    mine = [each for each in asks if each.tier == tier and each.problem != STOPPED and not each.about]
    found = [point for each in mine for one in each.candidates if (point := _in_space(one, space)) is not None]
    advice = Advice(candidates=tuple(found), fallback=model.fallback, share=model.share)
    failed = failures(mine, model)
    if not failed or model.fallback == STOP:  # who stops without its model asks it whenever it is to run
        return advice
    last = failed[0]
    # Several workers may have asked for the same trial: each of their exchanges is told by a run of its own.
    untold = next((each for each in failed if each.number == last.number and each.ask not in used), None)
    if untold is not None:
        what = f"{untold.what} ({untold.ask})"
        return msgspec.structs.replace(advice, problem=untold.problem, what=what, ask=untold.ask)
    what = left_alone(failed, number, "trial")
    return msgspec.structs.replace(advice, problem=last.problem, what=what) if what else advice


def problems(strategies: Collection[str], model: Model | None, environ: Mapping[str, str]) -> list[str]:
    """Why strategies of these names would get no word from their model; none where they ask none. Sends nothing."""
    asking = sorted(door.ADVISED.intersection(strategies))
    if not asking:
        return []
    if model is None:
        return [f"the strategy {asking[0]} asks a model, and the SPEC names none under `llm`"]
    from lab.llm import door as models  # noqa: PLC0415  # sockets and all: not for a search that reads its answers

    found = models.problems(model, environ)
    if model.fallback == STOP:
        return found
    if model.fallback in door.ADVISED:
        return [*found, f"llm.fallback cannot be {model.fallback}: it would wait for the model that failed"]
    try:
        door.load(door.find(model.fallback))
    except LabError as unfit:
        found.append(f"llm.fallback: {unfit.what}")
    return found


def problems_of(spec: Spec, environ: Mapping[str, str]) -> list[str]:
    """Why nobody would get a word from the model of this SPEC: its strategies, or who reviews its chunks."""
    asked = problems((spec.strategy, *spec.strategies), spec.llm, environ)
    if asked or spec.llm is None or spec.tinker is None or not spec.tinker.review:
        return asked
    from lab.llm import door as models  # noqa: PLC0415  # as above

    return models.problems(spec.llm, environ)


def digest(model: Model) -> str:
    """Which model it is, how it is asked and what it may cost: once that is changed, it is asked at once."""
    return canonical.digest(msgspec.json.encode(model, order="sorted"))


def failures(asks: Sequence[Asked], model: Model) -> list[Asked]:
    """The failures of a model since it last answered, the newest first."""
    found: list[Asked] = []
    known = digest(model)
    for each in asks:
        if each.of != known or not each.problem:
            break
        found.append(each)
    return found


def left_alone(failed: Sequence[Asked], number: int, of: str) -> str:
    """Why a model that failed is not asked for trial, or chunk, `number`; empty where it is.

    One that hangs costs its whole time limit at each question: the more often it did, the longer it is not asked.
    """
    if not failed:
        return ""
    last, row = failed[0], _in_a_row(failed)
    again = last.number + min(2 ** (row - 1), LONGEST)
    if number >= again:
        return ""
    return f"{last.what} ({last.ask}, the failure number {row} in a row); asked again from {of} {again}"


def _in_a_row(failed: Sequence[Asked]) -> int:
    """How many failures followed one another. Those of workers who asked at the same time are one."""
    row, later = 1, failed[0]
    for each in failed[1:]:
        if each.number != later.number and each.answered_at <= later.asked_at:
            row, later = row + 1, each
    return row


def _in_space(candidate: Candidate, space: Space) -> Candidate | None:
    """A candidate as a point of the space as it is now, or None."""
    if assignment.problems(space, candidate.params):
        return None
    given = candidate.params
    return msgspec.structs.replace(candidate, params={name: given[name] for name in space.names if name in given})
