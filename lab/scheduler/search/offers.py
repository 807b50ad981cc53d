"""Asking a strategy, and holding it to its promise: a point of the space that was not tried."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from lab.core import assignment
from lab.core.errors import BadInput, LabError
from lab.core.trial import Proposal, luck
from lab.strategies import door
from lab.strategies.fresh import fresh

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lab.core.assignment import Params
    from lab.core.trial import History
    from lab.scheduler.search.spaces import Found
    from lab.strategies.door import Strategy


def require(*named: str) -> None:
    """Refuse a name that no strategy has. A built-in is not loaded for that."""
    for name in named:
        if name not in door.BUILT_IN:
            door.find(name)


def strategy(name: str, arms: Sequence[str], *, rotate: bool) -> Strategy:
    """The strategy of that name, with what it needs loaded. `arms` are a portfolio's."""
    for arm in arms:
        door.find(arm)
    if name == door.DEFAULT and (arms or rotate):
        from lab.strategies.portfolio import Portfolio  # noqa: PLC0415  # where somebody named its arms

        found: Strategy = Portfolio(arms=arms, rotate=rotate)
    else:
        found = door.find(name)
    with _held_to_account(name):
        door.load(found)
    return found


def proposal(name: str, asked: Strategy, found: Found, history: History) -> Proposal:
    """What a strategy offers. One that offers what was tried is asked again, with other luck; then a point is drawn.

    `Exhausted` when no point is left.
    """
    offered: list[Proposal] = []

    def offer(attempt: int) -> Params:
        salt = f"{name}/{attempt}" if attempt else name
        offered.append(_offer(name, asked, found, history, salt))
        return offered[-1].params

    params = fresh(found.space, history, offer)
    if offered and assignment.alike(offered[-1].params, params):
        return offered[-1]
    return Proposal(params=params, note=f"drawn: {name} offered what was tried")


@contextmanager
def _held_to_account(name: str) -> Iterator[None]:
    """A strategy may be a stranger's code: whatever it raises ends this search, and is told by its name."""
    try:
        yield
    except LabError:
        raise
    except Exception as error:
        what = f"the strategy {name} failed: {type(error).__name__}: {error}"
        raise BadInput(what, fix="name another strategy, or report it to whoever wrote this one") from error


def _offer(name: str, asked: Strategy, found: Found, history: History, salt: str) -> Proposal:
    with _held_to_account(name):
        offered = asked.propose(found.space, history, luck(history.seed, history.number, salt))
    wrong = assignment.problems(found.space, offered.params)
    if wrong:
        what = f"the strategy {name} proposed what lies outside the search space: {'; '.join(wrong[:3])}"
        raise BadInput(what, where=found.where, fix="name another strategy, or report it to whoever wrote this one")
    return offered
