"""The question of a search: which points its next trials should try."""

from __future__ import annotations

import math
from collections.abc import Sequence  # msgspec resolves annotations
from typing import TYPE_CHECKING

import msgspec

from lab.core import assignment
from lab.core.advice import Candidate
from lab.core.model import STOP, Model
from lab.core.space import Space
from lab.core.spec import Spec
from lab.core.trial import History
from lab.core.view import View
from lab.llm import proposals
from lab.projections.standing import Briefing
from lab.projections.tables import Line
from lab.scheduler import briefed
from lab.scheduler.search.asking import prompt
from lab.scheduler.search.asking.question import Noted

if TYPE_CHECKING:
    from lab.core.view import Reserved
    from lab.llm.exchange import Ask
    from lab.scheduler.search.asking.asks import Asked
    from lab.store.root import Root


class Searched(msgspec.Struct, frozen=True, kw_only=True):
    """What a strategy wants to know. Any process may ask it, several at once: each answer has other points."""

    view: View
    spec: Spec
    model: Model
    tier: str
    space: Space
    history: History
    lines: Sequence[Line]

    @property
    def number(self) -> int:
        """The trial that it is asked for."""
        return self.history.number

    @property
    def is_needed(self) -> bool:
        """Whether the SPEC wants no run without an answer."""
        return self.model.fallback == STOP

    def asked(self, root: Root) -> Ask:
        """What is sent: where the experiment stands, and how many points are wanted."""
        name = self.view.experiment
        stands = Briefing(
            view=self.view,
            spec=self.spec,
            space=self.space,
            lines=self.lines,
            told=briefed.told(root, name),
            under_way=briefed.under_way(root, name),
        )
        return prompt.ask(stands, self.space, self.history, self.model)

    def checked(self, value: object) -> tuple[object | None, list[str]]:
        """The points of an answer that nobody has tried."""
        history = self.history
        runs = {trial.run_id for trial in history.ended}
        tried = {assignment.key(trial.params) for trial in history.trials}
        found, problems = proposals.check(
            value, self.space, limit=self.model.candidates, tried=tried, runs=runs, clip=self.model.clip
        )  # fmt: skip
        return found or None, problems

    def noted(self, ask: str, value: object) -> Noted:
        """Each point as a candidate for a later trial."""
        history = self.history
        return Noted(
            number=history.number, seen=len(history.ended), seed=history.seed, template=prompt.TEMPLATE,
            candidates=_candidates(value, history, ask),
        )  # fmt: skip

    def require_open(self, root: Root, view: View, others: Sequence[Reserved]) -> None:
        """It always is."""

    def wants(self) -> str:
        """What is wanted of the model, to people."""
        return f"{self.model.candidates} candidates"

    def told(self, kept: Asked) -> str:
        """What came of it, to people."""
        made = "1 candidate" if len(kept.candidates) == 1 else f"{len(kept.candidates)} candidates"
        return f"proposed {made}"


def _candidates(value: object, history: History, ask: str) -> tuple[Candidate, ...]:
    """What was proposed, with the value that each change is expected from and the one that it is expected to reach."""
    if not isinstance(value, tuple | list):
        return ()
    values = {trial.run_id: trial.value for trial in history.ended}
    best = min(history.scored(), key=lambda each: each[1], default=None)
    found = []
    for each in value:
        if not isinstance(each, proposals.Proposed):
            continue
        parent = each.parent if each.parent in values else ""
        base = values[parent] if parent else best[0].value if best else None
        expected = None if base is None or each.delta is None else base + each.delta
        if expected is not None and not math.isfinite(expected):
            expected = None
        found.append(
            Candidate(
                ask=ask,
                params=each.params,
                note=_note(each),
                parents=(parent,) if parent else (),
                base=base,
                expected=expected,
            )
        )
    return tuple(found)


def _note(each: proposals.Proposed) -> str:
    words = [each.hypothesis, f"change: {each.change}" if each.change else ""]
    words += [f"moved onto the edge: {', '.join(each.repaired)}" if each.repaired else ""]
    return "; ".join(filter(None, words))
