"""The blackboard of a search, projected from its files: what each arm brought, what is under way, what came last."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from lab.core.origin import BASELINE
from lab.core.run import FAILURES, MAXIMIZE, better
from lab.scheduler import subjects
from lab.scheduler.placing import placed
from lab.scheduler.search.book import Book
from lab.store import experiments

if TYPE_CHECKING:
    from lab.projections.tables import Line
    from lab.store.root import Root


class Arm(msgspec.Struct, kw_only=True):
    """One arm's tally. `new_bests` counts its trials that were better than every earlier one of their tier.

    A baseline that came first is what was to be bettered, and bettered nothing.
    """

    arm: str
    trials: int = 0
    failed: int = 0  # not those that were stopped early, or by a person
    new_bests: int = 0
    bests: dict[str, float] = {}  # by tier
    last_new_best: str = ""


class Post(msgspec.Struct, frozen=True, kw_only=True):
    """A trial as the board quotes it. `outcome` is empty while it is under way."""

    run_id: str
    arm: str
    tier: str
    params: dict[str, object]
    outcome: str = ""
    value: float | None = None
    new_best: bool = False
    note: str = ""
    where: str = ""  # while an engine has it: where, and what it waits for


class Board(msgspec.Struct, frozen=True, kw_only=True):
    experiment: str
    arms: tuple[Arm, ...]
    claims: tuple[Post, ...]
    feed: tuple[Post, ...]  # the newest first


def of(root: Root, experiment: str, *, feed: int) -> Board:
    """The board of an experiment. Writes nothing."""
    experiments.require(root, experiment)
    spec = subjects.known(root, experiment).spec
    directions = {} if spec is None else {tier: spec.for_tier(tier).metric_direction for tier in spec.fidelity_tiers}
    book = Book(root, experiment)
    book.catch_up()
    arms: dict[str, Arm] = {}
    bests: dict[str, float] = {}
    posts: list[Post] = []
    for line in book.ended:
        direction = directions.get(line.tier, MAXIMIZE)
        new_best, is_first = False, line.source.kind == BASELINE and line.tier not in bests
        if line.value is not None and better(line.value, bests.get(line.tier), direction):
            bests[line.tier], new_best = line.value, not is_first
        _count(arms, line, direction, new_best=new_best)
        posts.append(_post(line, new_best=new_best))
    order = sorted(arms.values(), key=lambda arm: (-arm.new_bests, -arm.trials, arm.arm))
    at = {each.run_id: placed.line(each) for each in placed.states(root, experiment)}
    claims = tuple(replace(_post(line), where=at.get(line.run_id, "")) for line in book.under_way())
    newest = tuple(reversed(posts[-feed:])) if feed else ()
    return Board(experiment=experiment, arms=tuple(order), claims=claims, feed=newest)


def _count(arms: dict[str, Arm], line: Line, direction: str, *, new_best: bool) -> None:
    arm = arms.setdefault(line.arm, Arm(arm=line.arm))
    arm.trials += 1
    arm.failed += line.outcome in FAILURES
    if new_best:
        arm.new_bests += 1
        arm.last_new_best = line.run_id
    if line.value is not None and better(line.value, arm.bests.get(line.tier), direction):
        arm.bests[line.tier] = line.value


def _post(line: Line, *, new_best: bool = False) -> Post:
    return Post(
        run_id=line.run_id, arm=line.arm, tier=line.tier, params=line.params or {}, outcome=line.outcome,
        value=line.value, new_best=new_best, note=line.source.note,
    )  # fmt: skip
