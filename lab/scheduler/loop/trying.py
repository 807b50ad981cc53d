"""A change that is made by hand: a tree is handed out, somebody works in it, and it is handed in to be judged.

Who hands in says what the change is. What it is worth is measured and decided like that of any other candidate.
"""

from __future__ import annotations

import os
from contextlib import suppress
from random import Random
from typing import TYPE_CHECKING

import msgspec

from lab.core import asi, frontier, policy
from lab.core.asi import Asi
from lab.core.candidate import CHECKS_FAILED, CRASHED, TRY
from lab.core.decided import Decided, Handed
from lab.core.errors import BadInput, Busy, NotFound
from lab.core.frontier import Start
from lab.core.loop import Loop
from lab.core.policy import Proceed, Promote, Wait
from lab.core.record import Record, page, parse
from lab.core.seal import Seal
from lab.core.view import OPEN_PHASES, to_open
from lab.executors import environment, reference
from lab.scheduler import cycle, moves, places, refresh
from lab.scheduler.cycle import Errand
from lab.scheduler.loop import branches, brief, grounds, harvested, renewing, scripts
from lab.scheduler.loop.grounds import Ground
from lab.scheduler.visit import Request, Visit
from lab.store import experiments, reading

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.core.claim import Owner
    from lab.core.loop import Node
    from lab.core.policy import Move
    from lab.core.spec import Spec
    from lab.core.view import View
    from lab.scheduler.step import Step
    from lab.store.repository.repository import Repository
    from lab.store.root import Root

_TREE, _RECORD, _BRIEF = "try-", ".try.json", ".brief.md"
_MOST_BYTES = 1 << 16


class Begun(Record, frozen=True, kw_only=True):
    """A tree that was handed out. `tree` is where the workspace lies in it."""

    experiment: str
    name: str
    place: str
    tree: str
    base: str
    parent: str
    tier: str = "default"
    at: str = ""
    by: str = ""
    brief: str = ""  # the file that says what is wanted, where things stand, and what was tried


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """What is handed in: which tree (blank is the only one), what the change is, and notes for whoever comes next."""

    tree: str = ""
    description: str = ""
    notes: Asi = Asi()


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a change that was handed in. `is_kept` is whether its tree is still there."""

    seal: Seal
    decided: Decided | None
    begun: Begun
    is_kept: bool
    loop: Loop | None = None
    warnings: tuple[str, ...] = ()


def begin(
    root: Root, name: str, *, owner: Owner, tell: Callable[[Step], None], interrupted: Callable[[], str]
) -> Begun:
    """Hand out a tree at the best commit. The first time, the baseline is measured before.

    Refused where no change would be taken in: who made one would hear of it after the work.
    """
    _require_open(root, *_observed(root, name))
    view, spec, best = begun_at(root, name, owner=owner, tell=tell, interrupted=interrupted)
    _require_open(root, view, spec)
    workspace = places.workspace(root, spec, view)
    spec = scripts.commands(spec, workspace)
    repo = grounds.opened(root, spec, workspace)
    folder = grounds.trees(root, name)
    with root.section(name):  # so what is half made in there was left by one that was killed
        _forget(root, repo, folder)
        number = 1 + max((_number(each) for each in _names(folder)), default=0)
        place = f"{folder}/{_TREE}{number}"
        begun = Begun(
            experiment=name, name=f"{_TREE}{number}", place=place, tree=repo.inside(place), base=best.commit,
            parent=best.run_id, tier=view.tier, at=root.now(), by=owner.name, brief=f"{place}{_BRIEF}",
        )  # fmt: skip
        root.files.folder(folder)
        root.files.create(f"{place}{_RECORD}", page(begun))
        repo.mutation_tree(best.commit, place)
        for path in scripts.hidden(spec, repo.workspace):
            with suppress(OSError):
                root.files.discard(f"{begun.tree}/{path}")
        if brief.documents(workspace):
            brief.put_document(root, spec, view, workspace, begun.tree)
        told = brief.text(root, spec, view, _start(view, best), workspace=workspace)
        root.files.create(begun.brief, told.encode())  # the last: with it, the tree is whole
    return begun


def _require_open(root: Root, view: View, spec: Spec) -> None:
    """Refuse a loop that its phase or its policy lets make no run, whenever the change comes in."""
    name = view.experiment
    if view.phase not in OPEN_PHASES:
        why = f" ({view.phase_reason})" if view.phase_reason else ""
        raise BadInput(f"{name} is {view.phase}{why}, so it takes no change in", fix=to_open(name, view.phase))
    move = policy.decide(view, spec, root.world.now(), at_once=True)
    passes = isinstance(move, Wait) and (move.for_runs or move.until is not None)
    if not passes and not isinstance(move, Proceed | Promote):
        raise BadInput(f"{name} takes no change in: {move.reason}", fix=f"labctl show {name}")


def _forget(root: Root, repo: Repository, folder: str) -> None:
    """Clear away what is no tree any more, or never became one. Inside the section."""
    whole = {each.name for each in _records(folder) if _is_whole(each)}
    for name in {each.partition(".")[0] for each in _names(folder)} - whole:
        with suppress(BadInput):  # somebody's own folder
            repo.remove_tree(f"{folder}/{name}", is_spare=False)
            for each in (_BRIEF, _RECORD):
                root.files.discard(f"{folder}/{name}{each}")
    repo.sweep()


def _start(view: View, best: Node) -> Start:
    """What whoever works in a tree is told to do there: it begins at the best, wherever the loop itself would."""
    luck = Random(f"{view.experiment}:{view.generation}")
    words = frontier.choose(view.loop, luck).words if view.loop else ""
    return Start(kind=TRY, parent=best, words=words)


def begun_at(
    root: Root,
    name: str,
    *,
    owner: Owner,
    tell: Callable[[Step], None],
    interrupted: Callable[[], str],
    slots: int = 0,
) -> tuple[View, Spec, Node]:
    """The loop with what a change begins at. The first time, the code as it is is measured before.

    So it is after what measures was changed: else a change would be compared with numbers of another measurement.

    `slots` is how many runs may be under way meanwhile, where one holds a package already.
    """
    view, spec = _observed(root, name)
    if _best(view) is None or renewing.is_due(Ground(root, spec, view, view.tier)):
        _visited(root, name, Errand(), owner=owner, tell=tell, interrupted=interrupted, slots=slots)
        view, spec = _observed(root, name)
    best = _best(view)
    if best is None:
        reason = view.last.reason if view.last else ""
        raise BadInput(f"{name} has no baseline yet{f': {reason}' if reason else ''}", fix=f"labctl show {name}")
    return view, spec, best


def hand_in(
    root: Root,
    name: str,
    offer: Offer,
    *,
    owner: Owner,
    tell: Callable[[Step], None],
    interrupted: Callable[[], str],
) -> Tried:
    """Measure and judge what was changed in a tree. It goes when that is decided, and stays after a crash."""
    begun = found(root, name, offer.tree)
    _require_change(root, begun)
    begun_at(root, name, owner=owner, tell=tell, interrupted=interrupted)
    handed = Handed(
        tree=begun.place, base=begun.base, parent=begun.parent,
        description=offer.description or offer.notes.note, notes=offer.notes,
    )  # fmt: skip
    errand = Errand(tier=begun.tier, handed=handed)
    visit = _visited(root, name, errand, owner=owner, tell=tell, interrupted=interrupted)
    made = visit.made
    if made is None:
        now = "" if visit.before is None else visit.before.phase
        fix = to_open(name, now) if now and now not in OPEN_PHASES else f"labctl show {name}"
        raise Busy(f"{name} took no change in: {_said(visit.move)}", fix=fix)
    path = root.layout.run(name, made.run.run_id)
    data = reading.read(f"{path}/{reference.DECISION}")
    decided = parse(Decided, data, path) if data else None
    over = decided is not None and decided.verdict not in (CRASHED, CHECKS_FAILED)
    if over:
        drop(root, begun)
    view, spec = _observed(root, name)
    if not over:
        _tell_again(root, view, spec, begun)
    tier = view.tiers.get(begun.tier)
    known = tier.loop if tier else None
    warned = branches.behind(root, spec, view)
    return Tried(seal=made, decided=decided, begun=begun, is_kept=not over, loop=known, warnings=warned)


def _require_change(root: Root, begun: Begun) -> None:
    """`BadInput` where nothing was changed: it would spend a run, and take the tree from whoever works in it."""
    view, spec = _observed(root, begun.experiment)
    here = Ground(root, spec, view, begun.tier)
    secrets = environment.kept_secret(spec, root.world.environ)
    without = (*here.hidden, *brief.documents(here.workspace))
    if harvested.is_empty(here.repo, begun.place, begun.base, secrets=secrets, without=without):
        fix = f"edit there, then hand it in again; or take it back: {typed(root, begun, '--drop')}"
        raise BadInput(f"nothing was changed in {begun.name}", where=begun.tree, fix=fix)


def _tell_again(root: Root, view: View, spec: Spec, begun: Begun) -> None:
    """Whoever mends a change reads in its tree what is known by now."""
    workspace = places.workspace(root, spec, view)
    if brief.documents(workspace):
        brief.put_document(root, scripts.commands(spec, workspace), view, workspace, begun.tree, again=True)


def open_ones(root: Root, name: str) -> list[Begun]:
    """The trees that were handed out and are still there."""
    return [each for each in _records(grounds.trees(root, name)) if _is_whole(each)]


def _records(folder: str) -> list[Begun]:
    """What is known of trees that were handed out, those included that somebody removed meanwhile."""
    found_ = []
    for each in {name.partition(".")[0] for name in _names(folder)}:
        data = reading.read_head(f"{folder}/{each}{_RECORD}", _MOST_BYTES)
        if data is not None:
            found_.append(parse(Begun, data, f"{folder}/{each}{_RECORD}"))
    return sorted(found_, key=lambda begun: _number(begun.name))


def _is_whole(begun: Begun) -> bool:
    """Whether it was handed out, and is still there: a lab may be killed while it makes one."""
    return os.path.isdir(begun.place) and os.path.lexists(f"{begun.place}{_BRIEF}")


def found(root: Root, name: str, which: str, *, gone: bool = False) -> Begun:
    """The tree that is meant: by its name or path, or the only one there is. `gone`: also one that somebody removed."""
    known = _records(grounds.trees(root, name))
    there = [each for each in known if _is_whole(each)]
    lost = [each.name for each in known if not os.path.isdir(each.place)]
    if which:
        real = os.path.realpath(which)
        for each in known if gone else there:
            place = os.path.realpath(each.place)
            if which == each.name or real == place or real.startswith(f"{place}/"):
                return each
        shown = ", ".join(each.name for each in there) or "none"
        raise NotFound(f"{name} handed out no tree {which}", fix=f"there is {shown}; labctl try {name} --begin")
    if len(there) > 1:
        shown = ", ".join(each.name for each in there)
        raise BadInput(f"{name} has handed out more than one tree: {shown}", fix="name one with --tree")
    if not there:
        raise NotFound(f"{name} has handed out no tree", fix=f"labctl try {name} --begin")
    if lost:
        what = f"{', '.join(lost)} was handed out too and is gone, so that {there[0].name} may not be the one meant"
        raise BadInput(
            what, fix=f"name it: --tree {there[0].name}; or forget: labctl try {name} --drop --tree {lost[0]}"
        )
    return there[0]


def typed(root: Root, begun: Begun, words: str) -> str:
    """What to type about a tree: with its name, where it is not the only one and `found` would ask for it."""
    known = _records(grounds.trees(root, begun.experiment))
    which = "" if [each.name for each in known] == [begun.name] else f" --tree {begun.name}"
    return f"labctl try {begun.experiment} {words}{which}"


def drop(root: Root, begun: Begun) -> None:
    """Take a tree back, whatever is in it."""
    view, spec = _observed(root, begun.experiment)
    _repository(root, view, spec).remove_tree(begun.place)
    for each in (_BRIEF, _RECORD):
        root.files.discard(f"{begun.place}{each}")


def notes_of(text: str) -> Asi:
    """The notes as they were typed; none where nothing was."""
    return asi.parse(text, "--asi") if text else Asi()


def _visited(
    root: Root,
    name: str,
    errand: Errand,
    *,
    owner: Owner,
    tell: Callable[[Step], None],
    interrupted: Callable[[], str],
    slots: int = 0,
) -> Visit:
    request = Request(max_runs=1, only=(name,), now=True, slots=slots)
    visit = Visit(root, name, request, owner=owner, tell=tell, interrupted=interrupted, errand=errand)
    visit.pay()
    if visit.subject is not None and visit.before is not None:
        with suppress(OSError):  # the run is sealed, which is what was asked; `status` counts it in without these pages
            refresh.lab_pages(root, (visit.subject,))
        moves.tell_people(root, [(visit.before, visit.subject)])
    return visit


def _observed(root: Root, name: str) -> tuple[View, Spec]:
    experiments.require(root, name)
    with root.section(name):
        view, loaded = cycle.observe(root, name)
    spec = scripts.renamed(cycle.usable(loaded).for_tier(view.tier))
    if spec.executor != scripts.REFERENCE:
        fix = "set `executor: reference` in its SPEC.yaml"
        raise BadInput(f"{name} is no code loop: its executor is {spec.executor}", fix=fix)
    return view, spec


def _repository(root: Root, view: View, spec: Spec) -> Repository:
    return grounds.opened(root, spec, places.workspace(root, spec, view))


def _best(view: View) -> Node | None:
    return view.loop.best if view.loop else None


def _said(move: Move | None) -> str:
    return str(getattr(move, "reason", "")) or "nothing says why"


def _names(folder: str) -> list[str]:
    try:
        return [each for each in os.listdir(folder) if each.startswith(_TREE) and _number(each)]
    except OSError:
        return []


def _number(name: str) -> int:
    digits = name.removeprefix(_TREE).partition(".")[0]
    return int(digits) if digits.isdecimal() and len(digits) < 9 else 0  # noqa: PLR2004  # no number of ours is longer


def hints(done: Tried) -> list[str]:
    """What to do with the next change, as the loop would be told: where it stands, and which way to go."""
    said = []
    if done.is_kept:
        said.append("mend it in the same tree and hand it in again, or take it back with --drop")
    loop = done.loop
    if loop is None:
        return said
    start = frontier.choose(loop, Random(f"{done.begun.experiment}:{loop.candidates}"))
    if start.words and not done.is_kept:  # what it says is of a new tree, and this one is to be mended
        said.append(start.words)
    if loop.best is not None and loop.best.value is not None:
        said.append(f"the best is {loop.best.value:.6g}, of {loop.best.run_id}")
    return said
