"""A model looks at each chunk that was saved, and may choose the parameters of the next one. It can do nothing else.

Asked once for each saved chunk, with nothing held meanwhile, and less often while it fails. Whatever goes wrong (no
model, no answer, none that can be used, no money left), the training goes on as it would have without a reviewer, and
the run's origin tells of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence  # msgspec resolves annotations
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from lab.core import allowance, assignment
from lab.core.advice import Candidate
from lab.core.chain import Chain
from lab.core.errors import Busy, LabError, Taken, Unadvised
from lab.core.model import Model
from lab.core.origin import REVIEWED, UNREVIEWED, Origin
from lab.core.parameter import Scalar
from lab.core.space import Space
from lab.core.spec import Spec
from lab.core.view import View
from lab.llm import proposals
from lab.llm.exchange import STOPPED
from lab.projections.standing import Briefing
from lab.scheduler import briefed
from lab.scheduler.chaining import review_page
from lab.scheduler.chaining.review_page import Progress
from lab.scheduler.search import spaces
from lab.scheduler.search.asking import advice
from lab.scheduler.search.asking.asks import Asks
from lab.scheduler.search.asking.question import Noted, Open
from lab.scheduler.search.book import Book
from lab.tinker import rows

if TYPE_CHECKING:
    from lab.core.view import Reserved
    from lab.llm.exchange import Ask
    from lab.projections.tables import Line
    from lab.scheduler.cycle import Errand
    from lab.scheduler.search.asking.asks import Asked
    from lab.store.root import Root
    from lab.tinker.rows import Row

_WHY, _PARAMS = "why", "params"
_ASIDE = 4  # things in an answer beside its parameters that are named


def reviewed(root: Root, view: View, spec: Spec, given: Errand) -> Errand:
    """The next chunk, with the parameters that the reviewer of the last one chose. `spec` is the one that was read.

    Inside the section. `Open` where the reviewer was not asked yet: it is, outside, and then this again.
    """
    tier = given.tier or view.tier
    here = spec.for_tier(tier)
    known = view.tiers.get(tier)
    chain = known.chain if known else None
    if here.tinker is None or not here.tinker.review or here.llm is None or given.params is None:
        return given
    if chain is None or not chain.state_path:
        return given
    space = _choices(root, spec, view)
    if space is None:
        return given
    said = answer(root, view, chain.run_id)
    if said is None:
        why = _left_alone(root, view, here.llm, tier, chain.begun + 1)
        if why:
            return msgspec.structs.replace(given, origin=_unreviewed(given, chain, why))
        question = Review(
            view=view, spec=here, model=here.llm, tier=tier, space=space, chain=chain, params=_scalars(given.params)
        )
        raise Open(question, Unadvised(f"nobody has reviewed {chain.run_id} yet", fix="its reviewer is asked next"))
    return msgspec.structs.replace(given, **_outcome(said, space, chain, given))


def answer(root: Root, view: View, run_id: str) -> Asked | None:
    """What was said to the question about a run; None while it was not answered. A failure is an answer too."""
    newest = Asks(root, view.experiment).newest(view.model.asks)
    return next((each for each in newest if each.about == run_id and each.problem != STOPPED), None)


def _left_alone(root: Root, view: View, model: Model, tier: str, number: int) -> str:
    """Why a reviewer that failed is not asked about chunk `number`; empty where it is."""
    newest = Asks(root, view.experiment).newest(view.model.asks)
    reviews = [each for each in newest if each.about and each.tier == tier and each.problem != STOPPED]
    failed = advice.failures(reviews, model)
    why = advice.left_alone(failed, number, "chunk")
    return why and f"{failed[0].problem}: {why}"


def _unreviewed(given: Errand, chain: Chain, why: str) -> Origin:
    """Of a chunk with the parameters that it would have had anyway."""
    return msgspec.structs.replace(
        given.origin or Origin(),
        kind=UNREVIEWED,
        number=chain.begun + 1,
        parents=(chain.run_id,),
        note=f"as the chunk before: {why}",
    )


def _choices(root: Root, spec: Spec, view: View) -> Space | None:
    """The space, if there is something in it to choose."""
    try:
        found = spaces.find(root, spec, view)
    except LabError:  # told where the chunk's own parameters are looked for; it is no matter of its reviewer
        return None
    if found is None or all(each.kind == "fixed" for each in found.space.parameters):
        return None
    return found.space


def _outcome(said: Asked, space: Space, chain: Chain, given: Errand) -> dict[str, object]:
    """What becomes of a chunk's errand by what was said."""
    chosen = next(iter(said.candidates), None)
    problem = f"{said.problem}: {said.what}"
    if chosen is not None and assignment.problems(space, chosen.params):
        chosen, problem = None, "the search space was changed since, and what was said lies outside of it"
    origin = msgspec.structs.replace(_unreviewed(given, chain, problem), number=said.number, ask=said.ask)
    if chosen is None:
        return {"origin": origin}
    origin = msgspec.structs.replace(origin, kind=REVIEWED, note=chosen.note)
    return {"origin": origin, "params": {name: chosen.params[name] for name in space.names if name in chosen.params}}


class Review(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked after a chunk was saved. Of several processes that want to know it, one asks."""

    view: View
    spec: Spec  # as it is in the tier
    model: Model
    tier: str
    space: Space
    chain: Chain
    params: Mapping[str, Scalar]  # with which the chain goes on if nothing is said

    @property
    def number(self) -> int:
        """The chunk that it is asked for."""
        return self.chain.begun + 1

    @property
    def is_needed(self) -> bool:
        """Never: a training goes on without. It waits for the answer as long as `llm.timeout_s`, and no longer."""
        return False

    def asked(self, root: Root) -> Ask:
        """What is sent: where the experiment stands, how far the training is, the steps of the last chunk."""
        name, tuning = self.view.experiment, self.spec.tinker
        assert tuning is not None  # noqa: S101  # `reviewed` makes none without
        stands = Briefing(
            view=self.view, spec=self.spec, space=self.space, lines=self._lines(root), told=briefed.told(root, name)
        )
        most = self.spec.stop_conditions.budget_tokens
        progress = Progress(
            chain=self.chain, tuning=tuning, next_steps=allowance.steps_of_next(self.view, self.spec, self.tier),
            params=self.params, rows=_steps(root, name, self.chain.run_id),
            tokens_left=None if most is None else max(most - self.view.tokens, 0),
        )  # fmt: skip
        return review_page.ask(stands, progress, self.space, self.model)

    def _lines(self, root: Root) -> Sequence[Line]:
        """The chunks before; none where their table is damaged: that keeps no chunk from its review."""
        book = Book(root, self.view.experiment)
        with suppress(LabError, OSError):
            book.catch_up()
        return [line for line in book.ended if line.tier == self.tier]

    def checked(self, value: object) -> tuple[object | None, list[str]]:
        """One point of the space. Whatever else was said is named, and not heeded."""
        if not isinstance(value, dict) or not isinstance(value.get(_PARAMS), dict):
            return None, ['the answer must be an object such as {"params": {...}, "why": "..."}']
        one = {_PARAMS: value[_PARAMS], "hypothesis": value.get(_WHY)}
        found, problems = proposals.check(one, self.space, limit=1, clip=self.model.clip)
        aside = [proposals.line(name, proposals.CHANGE_CHARS) for name in value if name not in (_PARAMS, _WHY)]
        problems = [each.removeprefix("proposal 1: ") for each in problems]
        problems += [f"{name} is none of your choices" for name in aside[:_ASIDE]]
        return (found[0] if found else None), problems

    def noted(self, ask: str, value: object) -> Noted:
        """The parameters that were chosen, and why."""
        made: tuple[Candidate, ...] = ()
        if isinstance(value, proposals.Proposed):
            moved = f"moved onto the edge: {', '.join(value.repaired)}" if value.repaired else ""
            note = "; ".join(filter(None, (value.hypothesis, moved)))
            made = (Candidate(ask=ask, params=value.params, note=note, parents=(self.chain.run_id,)),)
        return Noted(
            number=self.number, seen=self.chain.chunks, seed=None, template=review_page.TEMPLATE,
            about=self.chain.run_id, candidates=made,
        )  # fmt: skip

    def require_open(self, root: Root, view: View, others: Sequence[Reserved]) -> None:
        """`Taken` when it was answered meanwhile, `Busy` while somebody alive is asking."""
        if answer(root, view, self.chain.run_id) is not None:
            raise Taken(f"{self.chain.run_id} was reviewed meanwhile")
        if others:
            raise Busy(
                f"{self.chain.run_id} of {view.experiment} is being reviewed by another process",
                fix="wait for the answer",
            )

    def wants(self) -> str:
        """What is wanted of the model, to people."""
        return f"a review of {self.chain.run_id}"

    def told(self, kept: Asked) -> str:
        """What came of it, to people."""
        chosen = next(iter(kept.candidates), None)
        is_same = chosen is None or assignment.alike(chosen.params, self.params)
        return f"reviewed {self.chain.run_id} and {'leaves its parameters' if is_same else 'changes parameters'}"


def _scalars(params: Mapping[str, object]) -> dict[str, Scalar]:
    return {name: value for name, value in params.items() if value is None or isinstance(value, str | int | float)}


def _steps(root: Root, experiment: str, run_id: str) -> Sequence[Row]:
    """The steps of a chunk; none where they are gone: its reviewer is told the rest."""
    try:
        return rows.steps(root.layout.run(experiment, run_id)).rows
    except OSError:
        return ()
