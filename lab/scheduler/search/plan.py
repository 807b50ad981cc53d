"""What an experiment tries next: a run that was cut off, a promoted one, the baseline, or what its strategy proposes.

Asked inside the experiment's section, where the history and the runs under way stand still: two bursts on one
experiment never choose the same. A Search remembers what it has read, so that the next choice costs what is new.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from lab.core import assignment, race
from lab.core.errors import BadInput, Busy, Exhausted, LabError, Unadvised, Unavailable
from lab.core.origin import BASELINE, PERSON, PROMOTED, REVIEWED, UNREVIEWED, Origin
from lab.core.run import MINIMIZE
from lab.core.spec_fields import ASHA
from lab.core.spec_tuning import is_chain
from lab.core.trial import History
from lab.scheduler.chaining.order import ordered
from lab.scheduler.control import proposals
from lab.scheduler.cycle import Errand
from lab.scheduler.search import offers, spaces
from lab.scheduler.search.asking import advice
from lab.scheduler.search.asking.asks import Asks
from lab.scheduler.search.asking.question import Open
from lab.scheduler.search.book import Book, Fitted, as_trial, place_of
from lab.strategies import door

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.core.advice import Advice
    from lab.core.space import Space
    from lab.core.spec import Spec
    from lab.core.view import View
    from lab.projections.tables import Line
    from lab.scheduler.search.spaces import Found
    from lab.store.root import Root
    from lab.strategies.door import Strategy

_SEED_BITS = 31


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What a person asked of a search. What they did not say is the SPEC's."""

    strategy: str = ""
    strategies: tuple[str, ...] = ()  # the arms of a portfolio
    rotate: bool = False  # its arms take turns
    seed: int | None = None
    space: str = ""  # the file of the search space
    workers: int = 1


class Search:
    """The search of one experiment, for one process."""

    def __init__(self, root: Root, experiment: str, wanted: Wanted | None = None) -> None:
        self._root = root
        self._experiment = experiment
        self._wanted = wanted or Wanted()
        self._strategies: dict[str, Strategy] = {}
        self._fitted: dict[str, tuple[str, Fitted]] = {}  # by tier: the digest of the space, and the trials in it
        self._seed: int | None = None
        self._skipped_points: list[Mapping[str, object]] = []
        self._skipped_places: set[tuple[str, int]] = set()
        self._skipped_parents: set[str] = set()
        self._rejected: dict[int, dict[str, object]] = {}  # what people said no to, by the proposal's number
        self.has_thought = False
        self.is_one = True  # False where there is no space: then its runs are given no parameters
        self.book = Book(root, experiment)
        self._asks = Asks(root, experiment)

    # -- what is searched ------------------------------------------------------------------------------------------

    def space(self, view: View, spec: Spec) -> Found | None:
        """The space; None where nobody wrote one and nobody asked for a strategy: then runs are given no parameters."""
        if is_chain(spec):
            self._refuse_words(spec)
            return None
        found = spaces.find(self._root, spec, view, self._wanted.space)
        if found is None and (self._wanted.strategy or spec.strategy):
            where = f"experiments/{spec.id}/SPEC.yaml"
            fix = "write `search_space:` into the SPEC, put search_space.json into the workspace, or: --search-space"
            raise BadInput(f"{spec.id} has no search space, so nothing can be proposed", where=where, fix=fix)
        self.is_one = found is not None
        return found

    def _refuse_words(self, spec: Spec) -> None:
        """Of a training in chunks nothing is searched, whatever its space: each chunk goes on from the one before."""
        if self._wanted != Wanted(workers=self._wanted.workers):
            what = f"the runs of {spec.id} are chunks of one training, and no strategy chooses among them"
            fix = "write `strategy:` into its SPEC, and each run is a whole training; or leave these options out"
            raise BadInput(what, fix=fix)
        self.is_one = False

    def name(self, spec: Spec) -> str:
        """The strategy that is asked."""
        arms = self._wanted.strategies or self._wanted.rotate
        return door.DEFAULT if arms else self._wanted.strategy or spec.strategy or door.DEFAULT

    def ready(self, view: View, spec: Spec) -> Found | None:
        """Refuse now what would be refused at each proposal; load what a proposal needs. Outside any section."""
        found = self.space(view, spec)
        if found is not None:
            spaces.require_possible(found.space, found.where)
            self._strategy(spec)
            self._require_model(spec)
            self.book.catch_up()
            for tier in spec.fidelity_tiers:
                self._points(tier, found).catch_up()
        return found

    def think(self, view: View, spec: Spec) -> None:
        """Choose once outside the section, for nothing but what it loads and computes: others wait at a section."""
        self.has_thought = True
        with suppress(LabError):  # said where it is chosen for good
            self.errand(view, spec)

    def outside(self, tier: str) -> tuple[int, int]:
        """Of the earlier trials of a tier, how many are no points of the space as it is now, and how many there are."""
        known = self._fitted.get(tier)
        return (0, 0) if known is None else (known[1].outside, known[1].outside + len(known[1].trials))

    def _strategy(self, spec: Spec) -> Strategy:
        name = self.name(spec)
        if name not in self._strategies:
            arms = self._wanted.strategies or spec.strategies
            found = offers.strategy(name, arms, rotate=self._wanted.rotate)
            self._strategies[name] = found
        return self._strategies[name]

    def _require_model(self, spec: Spec) -> None:
        """Refuse a model that cannot be asked, and a fallback that cannot propose: before the first run, not at it."""
        names = (self.name(spec), *(self._wanted.strategies or spec.strategies))
        wrong = advice.problems(names, spec.llm, self._root.world.environ)
        if wrong:
            fix = "labctl validate says the same; docs/how-to/ask-a-model.md has examples"
            what = f"the model cannot be asked: {'; '.join(wrong)}"
            raise Unavailable(what, where=f"llm in experiments/{spec.id}/SPEC.yaml", fix=fix)

    # -- what is next ----------------------------------------------------------------------------------------------

    def errand(self, view: View, spec: Spec) -> Errand:
        """The next run. `Exhausted` when every point was tried, `Busy` when that waits for the last ones to end."""
        found = self.space(view, spec)
        if found is None:
            return ordered(self._root, view, spec, Errand())
        offers.require(self.name(spec), *(self._wanted.strategies or spec.strategies))  # the baseline asks none
        self._hear_of_rejections(view)
        self.book.catch_up()
        under_way = self.book.under_way()
        again = next((line for line in self.book.to_try_again(under_way) if self._can_run(line, spec, found)), None)
        if again is not None:
            origin = msgspec.structs.replace(again.source, tries=again.source.tries + 1)
            return _given(again.params or {}, again.tier, origin)
        seed = self._its_seed(spec, under_way)
        promoted = self._promoted(spec, under_way, seed)
        if promoted is not None:
            return promoted
        tier = spec.initial_fidelity_tier if spec.fidelity_promotion_rule == ASHA else view.tier
        history = self._history(view, spec, tier, found, under_way, seed)
        origin = Origin(strategy=self.name(spec), seed=seed, number=history.number, seen=len(history.ended))
        first = assignment.baseline(found.space) if not history.trials else None
        if first is not None and not history.tried()(first):
            return _given(first, tier, msgspec.structs.replace(origin, kind=BASELINE, note="the defaults"))
        try:
            chosen = offers.proposal(self.name(spec), self._strategy(spec), found, history)
        except Unadvised as wanting:
            if spec.llm is None:
                raise
            from lab.scheduler.search.asking.searched import Searched  # noqa: PLC0415  # most searches ask nobody

            question = Searched(
                view=view, spec=spec, model=spec.llm, tier=tier, space=found.space, history=history,
                lines=self.book.ended,
            )  # fmt: skip
            raise Open(question, wanting) from wanting
        except Exhausted as done:
            if under_way:  # one of them may be cut off, or go on in the race
                raise Busy(f"{done.what}; {len(under_way)} of them are under way", fix="wait for them") from done
            raise
        made = msgspec.structs.replace(
            origin, arm=chosen.arm, parents=chosen.parents, note=chosen.note, ask=chosen.ask, base=chosen.base,
            expected=chosen.expected,
        )  # fmt: skip
        return _given(chosen.params, tier, made)

    def _hear_of_rejections(self, view: View) -> None:
        """What a person said no to is offered by no process again, also where another one had proposed it."""
        for number in view.rejected:
            known = number in self._rejected
            ruling = None if known else proposals.rejection(self._root, self._experiment, number)
            if ruling is None:
                continue
            self._rejected[number] = ruling.params or {}
            origin = proposals.origin_of(self._root, ruling)
            if origin is not None:  # what was to be run once more, or in the next tier, is more than its parameters
                self._pass_over(origin, ruling.tier)

    def _unwanted(self, space: Space) -> tuple[set[object], tuple[assignment.Params, ...]]:
        """The keys of what people said no to, as points of the space as it is now, and those that are points of it.

        7.0 is 7 where it is whole.
        """
        given = [*self._skipped_points, *self._rejected.values()]
        points = [(assignment.brought_over(space, params), params) for params in given]
        keys = {assignment.key(params if point is None else point): point for point, params in points}
        return set(keys), tuple(point for point in keys.values() if point is not None)

    def skip(self, errand: Errand) -> None:
        """Never offer this again. A person does not want it. Forgotten with this process, unless a proposal says so."""
        self._pass_over(errand.origin or Origin(), errand.tier)
        if errand.params is not None and (errand.origin is None or errand.origin.kind != PROMOTED):
            self._skipped_points.append(errand.params)

    def _pass_over(self, origin: Origin, tier: str) -> None:
        if origin.tries:
            self._skipped_places.add((tier, origin.number))
        if origin.kind == PROMOTED:
            self._skipped_parents.update(origin.parents)

    def confirmed(self, errand: Errand) -> Errand | None:
        """An errand that was chosen a while ago, as it is to run now; None when somebody else has taken it since.

        A person's own parameters are run whatever was tried. Inside the section, like `errand`.
        """
        origin = errand.origin
        if origin is None or errand.params is None or origin.kind in (REVIEWED, UNREVIEWED):
            return errand
        self.book.catch_up()
        under_way = self.book.under_way()
        others = [line for line in (*self.book.ended, *under_way) if line.tier == errand.tier]
        if origin.kind == PROMOTED:
            gone = any(line.source.kind == PROMOTED and line.source.parents == origin.parents for line in others)
            return None if gone else errand
        if origin.tries:
            open_ = {place_of(line) for line in self.book.to_try_again(under_way)}
            return errand if (errand.tier, origin.number) in open_ else None
        wanted = assignment.key(errand.params)
        if origin.kind != PERSON and any(assignment.key(line.params or {}) == wanted for line in others):
            return None
        renumbered = msgspec.structs.replace(origin, number=max(origin.number, self._number(under_way)))
        return msgspec.structs.replace(errand, origin=renumbered)

    def of_person(self, spec: Spec) -> Origin:
        """The origin of parameters that a person gave, at the next place of the search."""
        self.book.catch_up()
        under_way = self.book.under_way()
        seed = self._its_seed(spec, under_way)
        return Origin(strategy=PERSON, kind=PERSON, seed=seed, number=self._number(under_way))

    def _can_run(self, line: Line, spec: Spec, found: Found) -> bool:
        """Whether a run that was cut off can be made again: the SPEC may have been edited since, for its sake even."""
        if line.tier not in spec.fidelity_tiers or place_of(line) in self._skipped_places:
            return False
        again = assignment.brought_over(found.space, line.params or {})
        return again is not None and assignment.alike(again, line.params or {})

    def _its_seed(self, spec: Spec, under_way: list[Line]) -> int:
        """The search's seed: a person's, the SPEC's, that of the trials so far, or one that is drawn now."""
        for given in (self._wanted.seed, spec.seed):
            if given is not None:
                return given
        of_others = next((line.source.seed for line in under_way if line.source.searched), None)
        found = self.book.seed if self.book.seed is not None else of_others
        if found is None:
            found = self._seed = self._root.world.rng.getrandbits(_SEED_BITS) if self._seed is None else self._seed
        return found

    def _number(self, under_way: list[Line]) -> int:
        return max((self.book.highest, *(line.source.number for line in under_way))) + 1

    def _points(self, tier: str, found: Found) -> Fitted:
        known = self._fitted.get(tier)
        if known is None or known[0] != found.digest:
            known = self._fitted[tier] = (found.digest, Fitted(self.book, found.space, tier))
        return known[1]

    def _history(  # what a strategy may know
        self, view: View, spec: Spec, tier: str, found: Found, under_way: list[Line], seed: int
    ) -> History:
        fitted = self._points(tier, found)
        fitted.catch_up()
        here = spec.for_tier(tier)
        skipped, unwanted = self._unwanted(found.space)
        return History(
            trials=(*fitted.trials, *fitted.pending(under_way)),
            minimize=here.metric_direction == MINIMIZE,
            seed=seed,
            number=self._number(under_way),
            workers=max(self._wanted.workers, here.max_parallel),
            noisy=spec.noise,
            known=fitted.known,
            skipped=skipped,
            unwanted=unwanted,
            advice=self._advice(view, spec, tier, found, under_way),
        )

    def _advice(self, view: View, spec: Spec, tier: str, found: Found, under_way: list[Line]) -> Advice | None:
        """What models have said so far."""
        if spec.llm is None:
            return None
        used = self.book.asks.union(line.source.ask for line in under_way)
        newest = self._asks.newest(view.model.asks, max(self._wanted.workers, spec.for_tier(tier).max_parallel))
        return advice.of(newest, spec.llm, found.space, tier, self._number(under_way), used)

    def _promoted(self, spec: Spec, under_way: list[Line], seed: int) -> Errand | None:
        """The run of a candidate that the race lets go on, with its own parameters, in the next tier."""
        if spec.fidelity_promotion_rule != ASHA or len(spec.fidelity_tiers) == 1:
            return None
        chosen = race.promotable(
            [*self.book.raced, *map(as_trial, under_way)],
            spec.fidelity_tiers,
            minimize=race.minimized(spec),
            eta=spec.reduction_factor,
            share=spec.unstopped_share,
            seed=seed,
            passed_over=self._skipped_parents,
        )
        if chosen is None:
            return None
        origin = msgspec.structs.replace(
            chosen.trial.origin, kind=PROMOTED, parents=(chosen.trial.run_id,), tries=0, note=chosen.note,
            base=None, expected=None,  # which were of the tier below
        )  # fmt: skip
        return _given(chosen.trial.params, chosen.tier, origin)


def _given(params: assignment.Params | dict[str, object], tier: str, origin: Origin) -> Errand:
    return Errand(params=params, tier=tier, origin=origin, seed=origin.seed)
