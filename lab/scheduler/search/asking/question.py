"""What a question to a model is: what it says, how an answer is checked, and what of it is kept.

Asking itself knows nothing of searches. Two things ask: a search for its next trials, and a chain for its next chunk.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

from lab.core.advice import Candidate  # msgspec resolves annotations
from lab.core.errors import Unadvised

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.core.model import Model
    from lab.core.spec import Spec
    from lab.core.view import Reserved, View
    from lab.llm.exchange import Ask
    from lab.scheduler.search.asking.asks import Asked
    from lab.store.root import Root


class Noted(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of a question beside the exchange: what it was asked for, and the points that came of it."""

    number: int  # the trial, or the chunk
    seen: int
    seed: int | None
    template: str
    about: str = ""
    candidates: tuple[Candidate, ...] = ()


class Question(Protocol):
    """All that is needed to ask a model, as it was inside the section in which its word was wanted."""

    @property
    def view(self) -> View:
        """The experiment, as it was then."""

    @property
    def spec(self) -> Spec:
        """Its SPEC, as it was then."""

    @property
    def model(self) -> Model:
        """Who is asked."""

    @property
    def tier(self) -> str:
        """The tier that it is asked for."""

    @property
    def number(self) -> int:
        """The trial or the chunk that it is asked for."""

    @property
    def is_needed(self) -> bool:
        """Whether nothing is run without an answer."""

    def asked(self, root: Root) -> Ask:
        """What is sent."""

    def checked(self, value: object) -> tuple[object | None, list[str]]:
        """What of an answer can be used, or None; and what is wrong with the rest, in words that the model is shown."""

    def noted(self, ask: str, value: object) -> Noted:
        """What is kept of it under the name `ask`. `value` is what `checked` let through, or None."""

    def require_open(self, root: Root, view: View, others: Sequence[Reserved]) -> None:
        """Asked inside the section, before the first call is set aside. `others` are questions of who is alive.

        `Taken` when this one was answered meanwhile, `Busy` when one of the others is the same.
        """

    def wants(self) -> str:
        """What is wanted of the model, to people."""

    def told(self, kept: Asked) -> str:
        """What came of it, to people, where it was answered."""


class Open(Unadvised):
    """Somebody waits for a model's word, and this is what the model is to be asked."""

    def __init__(self, question: Question, why: Unadvised) -> None:
        super().__init__(why.what, where=why.where, fix=why.fix)
        self.question = question
