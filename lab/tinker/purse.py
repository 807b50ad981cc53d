"""What a chunk has used, and what it may still use. Pure.

What a call uses is known before it is sent, of samples the most that they can become: what would be too much is not
sent. What is counted is what was used.
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
        self._asked = Tokens()
        self._before = Tokens()
        self.used = Tokens()

    def ask(self, *, trained: int = 0, sampled: int = 0, prefilled: int = 0) -> None:
        """Raise `Spent` where so many more would be too many."""
        more = Tokens(trained=trained, sampled=sampled, prefilled=prefilled)
        if self._order and not fits(self._order, self.used, more):
            raise Spent
        self._asked = self._asked + more

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

    def begin(self) -> None:
        """A step begins."""
        self._asked = Tokens()

    def remember(self) -> None:
        """A step is done: the next one may ask for as much."""
        self._largest = Tokens(
            trained=max(self._largest.trained, self._asked.trained),
            sampled=max(self._largest.sampled, self._asked.sampled),
            prefilled=max(self._largest.prefilled, self._asked.prefilled),
        )

    def has_room(self, counted: Tokens | None, behind: Tokens | None) -> bool:
        """Whether another step is within what the order allows, and what comes behind it: as the recipe counts it.

        Where it does not, one that asks for as much as any so far; of the first it is not known, and taken for small.
        """
        if self._order is None:
            return True
        largest = self._largest if self._largest.total else Tokens(trained=1)
        return fits(self._order, self.used, (counted or largest) + (behind or Tokens()))
