"""What an experiment tries next: a run that was cut off, a promoted one, the baseline, or what its strategy proposes.

Asked inside the experiment's section, where the history and the runs under way stand still: two bursts on one
experiment never choose the same. A Search remembers what it has read, so that the next choice costs what is new.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from lab.core import assignment, race
from lab.core.errors import BadInput, Exhausted, LabError
from lab.core.origin import BASELINE, PERSON, PROMOTED, Origin
from lab.core.run import MINIMIZE
from lab.core.trial import History, Proposal, Trial, luck
from lab.scheduler.cycle import Errand
from lab.scheduler.search import spaces
from lab.scheduler.search.book import Book, Fitted
from lab.strategies import door

if TYPE_CHECKING:
    from lab.core.assignment import Params
    from lab.core.spec import Spec
    from lab.core.view import View
    from lab.projections.tables import Line
    from lab.scheduler.search.spaces import Found
    from lab.store.root import Root
    from lab.strategies.door import Strategy

ASHA = "asha"
_SEED_BITS = 31
_ATTEMPTS = 20  # how often a strategy that offers what was tried is asked again


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
        self.has_thought = False
        self.is_one = True  # False where there is no space: then its runs are given no parameters
        self.book = Book(root, experiment)

    # -- what is searched ------------------------------------------------------------------------------------------

    def space(self, view: View, spec: Spec) -> Found | None:
        """The space; None where nobody wrote one and nobody asked for a strategy: then runs are given no parameters."""
        found = spaces.find(self._root, spec, view, self._wanted.space)
        if found is None and (self._wanted.strategy or spec.strategy):
            where = f"experiments/{spec.id}/SPEC.yaml"
            fix = "write `search_space:` into the SPEC, put search_space.json into the workspace, or: --search-space"
            raise BadInput(f"{spec.id} has no search space, so nothing can be proposed", where=where, fix=fix)
        self.is_one = found is not None
        return found

    def name(self, spec: Spec) -> str:
        """The strategy that is asked."""
        arms = self._wanted.strategies or self._wanted.rotate
        return door.DEFAULT if arms else self._wanted.strategy or spec.strategy or door.DEFAULT

    def ready(self, view: View, spec: Spec) -> Found | None:
        """Refuse now what would be refused at each proposal; load what a proposal needs. Outside any section."""
        found = self.space(view, spec)
        if found is not None:
            spaces.require_possible(found.space)
            self._strategy(spec)
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
            for arm in arms:
                door.find(arm)
            if name == door.DEFAULT and (arms or self._wanted.rotate):
                from lab.strategies.portfolio import Portfolio  # noqa: PLC0415  # only where a search is asked

                self._strategies[name] = Portfolio(arms=arms, rotate=self._wanted.rotate)
            else:
                self._strategies[name] = door.find(name)
        return self._strategies[name]

    # -- what is next ----------------------------------------------------------------------------------------------

    def errand(self, view: View, spec: Spec, skipped: tuple[Params, ...] = ()) -> Errand:
        """The next run. `Exhausted` when every point was tried. `skipped` are points that a person passed over."""
        found = self.space(view, spec)
        if found is None:
            return Errand()
        self.book.catch_up()
        under_way = self.book.under_way()
        again = self.book.to_try_again(under_way)
        if again is not None:
            origin = msgspec.structs.replace(again.source, tries=again.source.tries + 1)
            return _given(again.params or {}, again.tier, origin)
        seed = self._its_seed(spec, under_way)
        promoted = self._promoted(spec, under_way, seed)
        if promoted is not None:
            return promoted
        tier = spec.initial_fidelity_tier if spec.fidelity_promotion_rule == ASHA else view.tier
        history = self._history(spec, tier, found, under_way, seed)
        origin = Origin(strategy=self.name(spec), seed=seed, number=history.number, seen=len(history.ended))
        first = assignment.baseline(found.space) if not history.trials and not skipped else None
        if first is not None:
            chosen = Proposal(params=first, note="the defaults")
            return _given(first, tier, msgspec.structs.replace(origin, kind=BASELINE, note=chosen.note))
        chosen = self._proposal(found, spec, history, skipped)
        made = msgspec.structs.replace(origin, arm=chosen.arm, parents=chosen.parents, note=chosen.note)
        return _given(chosen.params, tier, made)

    def of_person(self, spec: Spec) -> Origin:
        """The origin of parameters that a person gave, at the next place of the search."""
        self.book.catch_up()
        under_way = self.book.under_way()
        seed = self._its_seed(spec, under_way)
        return Origin(strategy=PERSON, kind=PERSON, seed=seed, number=self._number(under_way))

    def _its_seed(self, spec: Spec, under_way: list[Line]) -> int:
        """The search's seed: a person's, the SPEC's, that of the trials so far, or one that is drawn now."""
        for given in (self._wanted.seed, spec.seed):
            if given is not None:
                return given
        of_others = next((line.source.seed for line in under_way if line.source.strategy), None)
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

    def _history(self, spec: Spec, tier: str, found: Found, under_way: list[Line], seed: int) -> History:
        fitted = self._points(tier, found)
        fitted.catch_up()
        here = spec.for_tier(tier)
        pending = [trial for line in under_way if line.tier == tier and (trial := fitted.trial(line))]
        return History(
            trials=(*fitted.trials, *pending),
            minimize=here.metric_direction == MINIMIZE,
            seed=seed,
            number=self._number(under_way),
            workers=max(self._wanted.workers, here.max_parallel),
            noisy=spec.noise,
            known=fitted.known,
        )

    def _promoted(self, spec: Spec, under_way: list[Line], seed: int) -> Errand | None:
        """The run of a candidate that the race lets go on, with its own parameters, in the next tier."""
        if spec.fidelity_promotion_rule != ASHA or len(spec.fidelity_tiers) == 1:
            return None
        trials = [_trial(line) for line in (*self.book.ended, *under_way) if self.book.counts(line)]
        chosen = race.promotable(
            trials,
            spec.fidelity_tiers,
            minimize={tier: spec.for_tier(tier).metric_direction == MINIMIZE for tier in spec.fidelity_tiers},
            eta=spec.reduction_factor,
            share=spec.unstopped_share,
            seed=seed,
        )
        if chosen is None:
            return None
        origin = msgspec.structs.replace(chosen.trial.origin, kind=PROMOTED, parents=(chosen.trial.run_id,))
        return _given(chosen.trial.params, chosen.tier, origin)

    def _proposal(self, found: Found, spec: Spec, history: History, skipped: tuple[Params, ...]) -> Proposal:
        """What the strategy offers, held to its promise: a point of the space that was not tried."""
        name, strategy = self.name(spec), self._strategy(spec)
        is_tried = history.tried()
        passed_over = {assignment.key(params) for params in skipped}
        offered = None
        for attempt in range(len(skipped), len(skipped) + _ATTEMPTS):
            salt = f"{name}/{attempt}" if attempt else name
            offered = _offer(name, strategy, found, history, salt)
            if not is_tried(offered.params) and assignment.key(offered.params) not in passed_over:
                return offered
        rng = luck(history.seed, history.number, f"{name}/drawn")
        for _ in range(assignment.TRIES):
            drawn = assignment.draw(found.space, rng)
            if not is_tried(drawn) and assignment.key(drawn) not in passed_over:
                return Proposal(params=drawn, note=f"drawn: {name} offered what was tried")
        raise Exhausted(f"no point was found that {self._experiment} has not tried", fix="widen the search space")


def _offer(name: str, strategy: Strategy, found: Found, history: History, salt: str) -> Proposal:
    try:
        offered = strategy.propose(found.space, history, luck(history.seed, history.number, salt))
    except LabError:
        raise
    except Exception as error:
        what = f"the strategy {name} failed: {type(error).__name__}: {error}"
        raise BadInput(what, fix="name another strategy, or report it to whoever wrote this one") from error
    wrong = assignment.problems(found.space, offered.params)
    if wrong:
        what = f"the strategy {name} proposed what lies outside the search space: {'; '.join(wrong[:3])}"
        raise BadInput(what, where=found.where, fix="name another strategy, or report it to whoever wrote this one")
    return offered


def _given(params: Params | dict[str, object], tier: str, origin: Origin) -> Errand:
    return Errand(params=params, tier=tier, origin=origin, seed=origin.seed)


def _trial(line: Line) -> Trial:
    """A run as the race sees it: it compares values, and hands the parameters on as they are."""
    return Trial(
        run_id=line.run_id,
        params=line.params or {},  # type: ignore[arg-type]  # handed on, never computed with
        value=line.value,
        outcome=line.outcome,
        tier=line.tier,
        origin=line.source,
        reported=line.reported,
    )
