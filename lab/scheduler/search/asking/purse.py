"""The calls and the money of a question to a model, set aside in the ledger before they are spent.

Inside the section: several processes together never pass what the SPEC allows, and a crash in between counts as spent.
"""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TYPE_CHECKING

from lab.core import event
from lab.core.world import stamp
from lab.llm import price
from lab.projections import text
from lab.scheduler import refresh
from lab.scheduler.search.asking import asks
from lab.store import ledger, machine

if TYPE_CHECKING:
    from lab.core.model import Model
    from lab.core.view import Reserved
    from lab.llm.exchange import Ask
    from lab.scheduler.search.asking.question import Question
    from lab.store.root import Root

_UNPRICED = 10  # calls without a price that the money is enough for
_GRACE = timedelta(seconds=30)  # for an answer to be written down, and for clocks that disagree


class Purse:
    """The calls and the money of one question, set aside before they are spent."""

    def __init__(self, root: Root, given: Question) -> None:
        self.ask = ""  # its name, once something was set aside for it
        self.limit = ""  # what there is too little of, when there is
        self.is_held = False  # then there may be enough again once others have their answers
        self.worst_usd: list[float] = []  # of each call that was let through
        self._root = root
        self._given = given
        self._calls, self._usd = 0, 0.0

    def set_aside(self, *wanted: Ask) -> bool:
        """Whether a call for each of these may be made. Then they count as spent, whatever becomes of us.

        `Taken` or `Busy` where the question itself is no longer to be asked, or is being asked.
        """
        model, name = self._given.model, self._given.view.experiment
        calls, usd = len(wanted), sum(_worst(each, model) for each in wanted)
        with self._root.section(name):
            view, _ = refresh.current(self._root, name)
            spent = view.model
            if not self.ask:
                self._given.require_open(
                    self._root, view, [each for each in spent.reserved if self._is_under_way(each)]
                )
            self.limit = _limit(model, spent.calls, spent.usd, calls, usd)
            if self.limit:
                going = [each for each in spent.reserved if each.ask != self.ask and self._is_under_way(each)]
                given_back = (
                    spent.calls - sum(each.calls for each in going),
                    spent.usd - sum(each.usd for each in going),
                )
                self.is_held = bool(going) and not _limit(model, *given_back, calls, usd)
                return False
            self.ask = self.ask or self.named(spent.asks)
            self._note(calls, usd)
        self._calls += calls
        self._usd += usd
        return True

    def _is_under_way(self, one: Reserved) -> bool:
        """Whether its asker may still get an answer. If that died, what it set aside is spent."""
        where, _, pid = one.by.rpartition("-")
        if pid.isdecimal() and machine.is_gone(where, int(pid)):
            return False
        now, longest = self._root.world.now(), timedelta(seconds=self._given.model.timeout_s)
        return stamp(now - longest - _GRACE) < one.at <= stamp(now + _GRACE)

    def highest(self) -> int:
        """The highest number that a question has had. Inside the section."""
        view, _ = refresh.current(self._root, self._given.view.experiment)
        return view.model.asks

    def spend(self, wanted: Ask) -> bool:
        """One call more. Out of what was set aside, as long as that is enough."""
        worst = _worst(wanted, self._given.model)
        made = len(self.worst_usd)
        if (made >= self._calls or sum(self.worst_usd) + worst > self._usd) and not self.set_aside(wanted):
            return False
        self.worst_usd.append(worst)
        return True

    def named(self, highest: int) -> str:
        """The name of the next question of the experiment. Inside the section in which it is used."""
        number = highest + 1
        while asks.is_taken(self._root, self._given.view.experiment, number):  # the ledger was cut behind it
            number += 1
        return asks.name(number)

    def _note(self, calls: int, usd: float) -> None:
        facts: dict[str, str | int | float | bool | None] = {
            "calls": calls, "usd": round(usd, 9), "trial": self._given.number,
            "by": f"{machine.here()}-{os.getpid()}",
        }  # fmt: skip
        told = event.Event(
            type=event.MODEL_ASKED, ts=self._root.now(), experiment=self._given.view.experiment, name=self.ask,
            tier=self._given.tier, facts=facts,
        )  # fmt: skip
        ledger.append(self._root, told)


def _worst(wanted: Ask, model: Model) -> float:
    """What one call may cost. Where no prices are known, a share of what there is: it is what an agent is held to."""
    known = price.worst(wanted, model)
    return unpriced(model) if known is None else known


def _limit(model: Model, spent_calls: int, spent_usd: float, calls: int, usd: float) -> str:
    """What there is too little of for so many calls more at such a price, in words; nothing where there is enough."""
    if spent_calls + calls > model.max_calls:
        verb = "is" if model.max_calls == 1 else "are"
        return f"the model's {text.count(model.max_calls, 'call')} {verb} used up"
    if model.max_usd is None or (spent_usd + usd <= model.max_usd and spent_usd < model.max_usd):
        return ""
    left = model.max_usd - spent_usd
    if left <= 0:
        return f"the model's {model.max_usd:g} USD are used up"
    return f"the model may cost {usd:.3g} USD for this question, and {left:.3g} of its {model.max_usd:g} USD are left"


def unpriced(model: Model) -> float:
    return 0.0 if model.max_usd is None else model.max_usd / _UNPRICED
