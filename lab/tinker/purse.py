"""What a chunk has used, and what it may still use. Pure.

What is going to be trained on, or only read, is known before it is sent, and what would be too much is not sent. How
long samples become is not known: of those it is only looked at what the steps before took.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.tinker.estimate import Tokens, fits

if TYPE_CHECKING:
    from lab.core.chunk import Order


class Spent(Exception):
    """The next call would use more than the order allows. The model is as it was after the last training."""


class Purse:
    def __init__(self, order: Order | None = None) -> None:
        self._order = order
        self._largest = Tokens()
        self._before = Tokens()
        self.used = Tokens()

    def ask(self, *, trained: int = 0, prefilled: int = 0) -> None:
        """Raise `Spent` where so many more would be too many."""
        if self._order and not fits(self._order, self.used, Tokens(trained=trained, prefilled=prefilled)):
            raise Spent

    def take(self, *, trained: int = 0, sampled: int = 0, prefilled: int = 0) -> None:
        """Count what was used."""
        self.used = self.used + Tokens(trained=trained, sampled=sampled, prefilled=prefilled)

    def since(self) -> Tokens:
        """What was used since this was last asked."""
        new = Tokens(
            trained=self.used.trained - self._before.trained,
            sampled=self.used.sampled - self._before.sampled,
            prefilled=self.used.prefilled - self._before.prefilled,
        )
        self._before = self.used
        return new

    def remember(self, step: Tokens) -> None:
        """A step used so much: the next one may."""
        self._largest = Tokens(
            trained=max(self._largest.trained, step.trained),
            sampled=max(self._largest.sampled, step.sampled),
            prefilled=max(self._largest.prefilled, step.prefilled),
        )

    def has_room(self, first: Tokens | None, behind: Tokens | None) -> bool:
        """Whether a step as large as the largest so far is within what the order allows, and what comes behind it.

        Of the first, it is what the recipe counts; where that is not known, whether there is room for any.
        """
        if self._order is None:
            return True
        step = self._largest if self._largest.total else first or Tokens(trained=1)
        return fits(self._order, self.used, step + (behind or Tokens()))
