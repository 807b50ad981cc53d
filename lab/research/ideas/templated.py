"""Ideas for who has none: what the study can vary, each with a gain that is stated before anybody measured. Pure.

Nothing is known here but the SPEC: no run is looked at, and the same SPEC makes the same ideas.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lab.core.run import MINIMIZE
from lab.core.spec_tuning import is_chain
from lab.research.idea import Idea, Kill
from lab.research.studies import narrowed

if TYPE_CHECKING:
    from lab.core.parameter import Parameter
    from lab.core.space import Space
    from lab.research.project import Project
    from lab.research.studies.study import Study

MOST = 5
GAIN = 0.01  # of the metric's own unit, where the SPEC says no min_effect
BY = "template"
_KILL_RUNS = 8
_NAME_CHARS = 40
# Which kinds of parameters are tried first: where an order of magnitude may be wrong, a search finds most.
_RANKS = {"float": 1, "int": 2, "choice": 3, "bool": 4, "fixed": 9}


def ideas(study: Study, project: Project) -> tuple[Idea, ...]:
    """One of all parameters together, then one of each, the most promising first; at most five."""
    if study.space is None:
        return (_of_code(study, project),)
    free = sorted((each for each in study.space.parameters if each.kind != "fixed"), key=_rank)
    alone = [each for each in free if not each.when]
    found = [_of_all(study, study.space, project)]
    if len(free) > 1:
        found += [_of_one(study, each, project) for each in alone]
    names: dict[str, Idea] = {}
    for each in found:
        names.setdefault(each.name, each)
    return tuple(names.values())[:MOST]


def _rank(parameter: Parameter) -> tuple[int, int]:
    is_wide = parameter.kind in ("float", "int") and parameter.log
    return (0 if is_wide else _RANKS[parameter.kind], 0)


def _of_all(study: Study, space: Space, project: Project) -> Idea:
    names = [each.name for each in space.parameters if each.kind != "fixed"]
    one = len(names) == 1
    name = f"move-{_slug(names[0])}" if one else "all-parameters"
    moved = f"moving {names[0]} within its range" if one else f"moving {', '.join(names)} together"
    return _idea(study, project, name, moved, {})


def _of_one(study: Study, parameter: Parameter, project: Project) -> Idea:
    told = narrowed.written(parameter)
    told.pop("when", None)
    return _idea(
        study,
        project,
        f"move-{_slug(parameter.name)}",
        f"moving {parameter.name} within its range, with all else at the baseline,",
        {parameter.name: told},
    )


def _of_code(study: Study, project: Project) -> Idea:
    if is_chain(study.spec):
        return _idea(study, project, "train-it", "training as the study says", {})
    paths = ", ".join(study.spec.mutable_paths) or "the code"
    return _idea(study, project, "change-the-code", f"changing {paths}", {})


def _idea(study: Study, project: Project, name: str, moved: str, space: dict[str, object]) -> Idea:
    spec = study.spec
    gain, source = (spec.min_effect, "the study's min_effect") if spec.min_effect else (GAIN, "the lab's default")
    way = "lowers" if spec.metric_direction == MINIMIZE else "raises"
    return Idea(
        name=name,
        hypothesis=f"{moved} {way} {spec.metric} by at least {gain:g}.",
        metric=spec.metric,
        direction=spec.metric_direction,
        predicted_gain=gain,
        kill=Kill(gain_below=0.0, after_runs=min(_KILL_RUNS, project.training.runs)),
        space=space,
        why=f"Made from the study's search space, before any run; the predicted gain is {source}.",
        by=BY,
    )


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:_NAME_CHARS].strip("-") or "parameter"
