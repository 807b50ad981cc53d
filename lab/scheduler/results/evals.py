"""The scores of an evaluation, and what those of another one say beside them: runs of this lab, or files of lm_eval."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from lab.core import scores
from lab.core.errors import BadInput, LabError, NotFound
from lab.core.scores import Comparison, Scores  # msgspec resolves annotations
from lab.executors import evaluated
from lab.scheduler.results import compared, located
from lab.store import reading, refusals

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.store.root import Root

_JSON = ".json"


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """One evaluation. `run` is empty where it is a file of somebody's own."""

    name: str  # of the run, or the path of the file
    run: str = ""
    model: str = ""
    told: Scores
    better_by: float | None = None  # as its SPEC says; None where none is known


class Evals(msgspec.Struct, frozen=True, kw_only=True):
    """One or two evaluations; of two, the second beside the first."""

    first: Side
    second: Side | None = None
    comparison: Comparison | None = None
    notes: tuple[str, ...] = ()


def look(root: Callable[[], Root], first: str, second: str = "", *, better_by: float | None = None) -> Evals:
    """A run, an experiment for the run to take of it, or a results file; the lab is opened where one is meant.

    What a difference must be to count is, where nobody says it here, what the SPEC of the second says.
    """
    notes: list[str] = []
    one = _side(root, first, notes)
    if not second:
        return Evals(first=one, notes=tuple(notes))
    other = _side(root, second, notes)
    if other.name == one.name:
        raise _one_and_the_same(one, first, second)
    given = (better_by, other.better_by, scores.BETTER_BY)
    found = scores.compare(one.told, other.told, next(each for each in given if each is not None))
    return Evals(first=one, second=other, comparison=found, notes=tuple(notes))


def _one_and_the_same(side: Side, first: str, second: str) -> BadInput:
    """`no difference shown` of a run beside itself would be read as a verdict on what was meant."""
    experiment = next((each for each in (first, second) if side.run and each != side.run), "")
    fix = f"labctl list {experiment} has its runs: name two by their ids" if experiment else "name another one"
    return BadInput(f"both sides are {side.name}: nothing can be told of it beside itself", fix=fix)


def _side(root: Callable[[], Root], name: str, notes: list[str]) -> Side:
    found = _of_file(name) if _is_file(name) else _of_run(root(), name, notes)
    notes += [f"{found.name}: {each}" for each in found.told.remarks]
    return found


def _is_file(name: str) -> bool:
    """By the name alone: a file that is called as an experiment must not be taken for it one day."""
    return "/" in name or name.endswith(_JSON)


def _of_file(name: str) -> Side:
    path = os.path.expanduser(name)
    try:
        data = reading.read_given(path, scores.MOST_BYTES + 1)
    except OSError as error:
        raise refusals.refused(error) from error
    if data is None:
        raise NotFound("there is no such file", where=path, fix="name a results_*.json that lm_eval wrote, or a run")
    told = scores.parse(data, path)
    return Side(name=name, model=told.model, told=told)


def _of_run(root: Root, name: str, notes: list[str]) -> Side:
    run_id = compared.meant(root, name, notes)
    found, made = located.sealed(root, run_id)
    if found.kept is not None:
        fix = f"labctl prune --restore {found.archive}, and ask again"
        raise LabError(f"{run_id} is in an archive, and so are its results", where=found.path, fix=fix)
    newest = evaluated.newest(made.files)
    if not newest:
        fix = "labctl evals shows runs of the executor lm_eval, and others that leave a results_*.json in artifacts/"
        raise NotFound(f"{run_id} has no results of lm_eval", where=found.path, fix=fix)
    told = scores.parse(evaluated.sealed(found.path, newest, made), f"{found.path}/{newest}")
    better_by = evaluated.asked_better_by(found.path, made)
    return Side(name=run_id, run=run_id, model=told.model, told=told, better_by=better_by)
