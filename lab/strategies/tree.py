"""A tree of attempts: draft, improve what is good, repair what failed. Lines of descent go as deep as they pay.

Every trial of the history is a node, whoever proposed it; its parent is the first of the runs it was made from. A
failed run has no value and is never scored: it can be repaired once, by going back halfway to what it came from.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec

from lab.core.run import CANCELLED
from lab.core.trial import Proposal, Trial
from lab.strategies.essence import essence
from lab.strategies.fresh import fresh
from lab.strategies.nearby import Neighbourhood, Scored, changes, distance, promising
from lab.strategies.random_ import spread

if TYPE_CHECKING:
    from random import Random

    from lab.core.assignment import Params
    from lab.core.space import Space
    from lab.core.trial import History

_DRAFTS = 6  # before anything is improved
_CURIOUS = 0.4  # the weight of what was tried little, against what is good
_SHARP = 0.9  # the quality of the best is 1, of the next 0.9, then 0.81 ...
_START, _LEAST, _MOST = 0.2, 0.002, 0.4  # steps, in parts of a parameter's range
_GROWS, _SHRINKS = 1.3, 0.92
_REPAIRS = 0.3  # the chance that a failed run is repaired next, while there is one
_ALONG = 0.2
_GENERATIONS = 50  # how far up its line a node looks for one that is left
_CHOSEN = 0.4  # the share that is the most promising of several changes; the rest is left to chance


class Node(msgspec.Struct, kw_only=True, eq=False):
    """A trial in its tree. `best` is the quality of the best in its subtree, `size` how many are in it."""

    trial: Trial
    parent: Node | None = None
    children: list[Node] = []
    quality: float = 0.0
    best: float = 0.0
    size: int = 1
    step: float = _START


class Tree:
    """Each proposal is a draft, an improvement of a run, or the repair of one, and its note says which."""

    def propose(self, space: Space, history: History, rng: Random) -> Proposal:
        seen = essence(history)
        nodes = grown(seen, history)
        scored = [node for node in nodes if node.trial.value is not None]
        broken = _broken(nodes)
        if broken is not None and scored and rng.random() < _REPAIRS:
            return _repair(Neighbourhood(space), history, broken, scored, rng)
        node = _chosen([node for node in nodes if node.parent is None]) if len(scored) >= _DRAFTS else None
        if node is None:
            return Proposal(params=spread(space, history), note="draft")
        return _improve(Neighbourhood(space), history, seen.scored(), node, rng)


def grown(history: History, whole: History | None = None) -> list[Node]:
    """The trials as nodes, parents before children. One that was made from no trial of the history is a root.

    Where the history is only the essence of a `whole` one, a node hangs from the nearest of its line that is left.
    """
    nodes: dict[str, Node] = {}
    is_part = whole is not None and len(whole.trials) > len(history.trials)
    line = {trial.run_id: trial.origin.parents for trial in whole.trials} if whole and is_part else {}
    for trial in history.trials:
        parent = _parent(nodes, trial, line)
        node = nodes[trial.run_id] = Node(trial=trial, parent=parent)
        if parent is not None:
            parent.children.append(node)
            _adapt(history, node, parent)
    ranked = sorted((node for node in nodes.values() if node.trial.value is not None), key=lambda n: _loss(history, n))
    for rank, node in enumerate(ranked):
        node.quality = node.best = max(_SHARP**rank, 1e-9)
    for node in reversed(nodes.values()):
        if node.parent is not None:
            node.parent.best = max(node.parent.best, node.best)
            node.parent.size += node.size
    return list(nodes.values())


def _parent(nodes: dict[str, Node], trial: Trial, line: dict[str, tuple[str, ...]]) -> Node | None:
    """The nearest of a trial's line among the nodes.

    Only what stands before it is there: no record, however wrong, makes a tree that goes in circles.
    """
    parents = trial.origin.parents
    for _ in range(_GENERATIONS):
        if not parents or parents[0] in nodes:
            break
        parents = line.get(parents[0], ())
    return nodes.get(parents[0]) if parents else None


def _adapt(history: History, node: Node, parent: Node) -> None:
    """Longer steps down a line that gets better, shorter ones from a node whose children do not."""
    node.step = parent.step
    if node.trial.value is None or parent.trial.value is None:
        return
    if _loss(history, node) < _loss(history, parent):
        node.step = min(_MOST, node.step * _GROWS)
    else:
        parent.step = max(_LEAST, parent.step * _SHRINKS)


def _loss(history: History, node: Node) -> float:
    return math.inf if node.trial.value is None else history.loss(node.trial.value)


def _chosen(roots: list[Node]) -> Node | None:
    """The node to improve, or None for a new draft: what is good, and now and then what was tried little."""
    total = math.log(1 + sum(node.size for node in roots))
    draft = sum(node.quality for node in roots) / len(roots) + _CURIOUS * math.sqrt(total / (1 + len(roots)))
    here: Node | None = None
    score, options = draft, roots
    while True:
        found, node = max(
            ((_worth(each, total), each) for each in options if each.best),
            key=lambda pair: pair[0],
            default=(-1.0, None),
        )
        if node is None or found <= score:
            return here
        here, options = node, node.children
        total = math.log(1 + node.size)
        score = (
            -1.0 if node.trial.value is None else node.quality + _CURIOUS * math.sqrt(total / (1 + len(node.children)))
        )


def _worth(node: Node, total: float) -> float:
    return node.best + _CURIOUS * math.sqrt(total / node.size)


def _broken(nodes: list[Node]) -> Node | None:
    """The last failed run that nobody repaired yet, unless it was a repair of a repair itself."""
    for node in reversed(nodes):
        if node.trial.failed and node.trial.outcome != CANCELLED and not node.children:
            parent = node.parent
            if parent is None or not parent.trial.failed or parent.parent is None or not parent.parent.trial.failed:
                return node
    return None


def _improve(near: Neighbourhood, history: History, scored: Scored, node: Node, rng: Random) -> Proposal:
    parent = node.trial
    ranked = sorted(scored, key=lambda each: each[1])
    make = changes(near, parent, ranked, node.step, rng, along=_ALONG)
    if rng.random() < _CHOSEN:
        make = promising(near, parent, scored, history.tried(), make)
    return Proposal(params=fresh(near.space, history, make), parents=(parent.run_id,), note=f"improve {parent.run_id}")


def _repair(near: Neighbourhood, history: History, node: Node, scored: list[Node], rng: Random) -> Proposal:
    """Between the run that failed and the last of its line that did not, or else the nearest that did not."""
    failed = node.trial
    sound = node.parent
    while sound is not None and sound.trial.value is None:
        sound = sound.parent
    if sound is None:
        place = near.places(failed.params)
        sound = min(scored, key=lambda each: distance(place, near.places(each.trial.params)))
    good = sound.trial.params

    def between(attempt: int) -> Params:
        return near.between(good, failed.params, rng.uniform(0.2, 0.8) / (1 + attempt), rng)

    params = fresh(near.space, history, between)
    return Proposal(params=params, parents=(failed.run_id,), note=f"repair {failed.run_id}")
